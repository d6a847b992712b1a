// SPDX-License-Identifier: Apache-2.0
#include "store/engine/rocks_file_system.h"

#include "store/base/clock.h"
#include "store/base/failpoint.h"

#include <chrono>
#include <string>
#include <utility>

namespace store::engine {
namespace {

constexpr auto kRoomRetry = std::chrono::milliseconds(100);

rocksdb::IOStatus ToIoStatus(const Status& status) {
  if (status) return rocksdb::IOStatus::OK();
  if (status.error().code() == ErrorCode::kNoSpace) {
    return rocksdb::IOStatus::NoSpace("no space", status.error().message());
  }
  return rocksdb::IOStatus::IOError("injected", status.error().message());
}

class HookedFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  HookedFile(std::unique_ptr<rocksdb::FSWritableFile> file, std::shared_ptr<RoomWait> room)
      : FSWritableFileOwnerWrapper(std::move(file)), room_(std::move(room)) {}

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = Write(data, options, debug);
    if (!status.IsNoSpace() || !room_->Enter()) return status;
    while (status.IsNoSpace() && room_->Pause()) status = Write(data, options, debug);
    room_->Leave();
    return status;
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo&,
                           rocksdb::IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                         rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = ToIoStatus(FAILPOINT_STATUS("rocks-sync"));
    return status.ok() ? FSWritableFileOwnerWrapper::Sync(options, debug) : status;
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = ToIoStatus(FAILPOINT_STATUS("rocks-sync"));
    return status.ok() ? FSWritableFileOwnerWrapper::Fsync(options, debug) : status;
  }

 private:
  // At our own offset: part of a write that failed may be there, and would be there twice.
  rocksdb::IOStatus Write(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) {
    rocksdb::IOStatus status = ToIoStatus(FAILPOINT_STATUS("rocks-append"));
    if (status.ok()) status = PositionedAppend(data, size_, options, debug);
    if (status.ok()) size_ += data.size();
    return status;
  }

  const std::shared_ptr<RoomWait> room_;
  uint64_t size_ = 0;
};

class HookedFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  HookedFileSystem(const std::shared_ptr<rocksdb::FileSystem>& base, std::shared_ptr<RoomWait> room)
      : FileSystemWrapper(base), room_(std::move(room)) {}
  const char* Name() const override { return "HookedFileSystem"; }

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    std::unique_ptr<rocksdb::FSWritableFile> plain;
    rocksdb::IOStatus status = FileSystemWrapper::NewWritableFile(path, options, &plain, debug);
    if (status.ok()) *file = std::make_unique<HookedFile>(std::move(plain), room_);
    return status;
  }

 private:
  const std::shared_ptr<RoomWait> room_;
};

}  // namespace

void RoomWait::Arm(absl::AnyInvocable<void(bool waits) const> waits) {
  MutexLock lock(mutex_);
  armed_ = true;
  waits_ = std::move(waits);
}

void RoomWait::Abandon() {
  MutexLock lock(mutex_);
  armed_ = false;
  changed_.NotifyAll();
}

bool RoomWait::Enter() {
  MutexLock lock(mutex_);
  if (!armed_) return false;
  if (++waiting_ == 1) waits_(true);
  return true;
}

bool RoomWait::Pause() {
  MutexLock lock(mutex_);
  const TimePoint deadline = SystemClock().Now() + kRoomRetry;
  while (armed_ && changed_.WaitUntil(mutex_, deadline)) {
  }
  return armed_;
}

void RoomWait::Leave() {
  MutexLock lock(mutex_);
  if (--waiting_ == 0) waits_(false);
}

std::shared_ptr<rocksdb::FileSystem> MakeRocksFileSystem(std::shared_ptr<RoomWait> room) {
  return std::make_shared<HookedFileSystem>(rocksdb::FileSystem::Default(), std::move(room));
}

}  // namespace store::engine
