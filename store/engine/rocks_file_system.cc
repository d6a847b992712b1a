// SPDX-License-Identifier: Apache-2.0
#include "store/engine/rocks_file_system.h"

#include "store/base/failpoint.h"

#include <string>
#include <utility>

namespace store::engine {
namespace {

rocksdb::IOStatus ToIoStatus(const Status& status) {
  if (status) return rocksdb::IOStatus::OK();
  if (status.error().code() == ErrorCode::kNoSpace) {
    return rocksdb::IOStatus::NoSpace("no space", status.error().message());
  }
  return rocksdb::IOStatus::IOError("injected", status.error().message());
}

class HookedFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  using FSWritableFileOwnerWrapper::FSWritableFileOwnerWrapper;

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = ToIoStatus(FAILPOINT_STATUS("rocks-append"));
    return status.ok() ? FSWritableFileOwnerWrapper::Append(data, options, debug) : status;
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& verification,
                           rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = ToIoStatus(FAILPOINT_STATUS("rocks-append"));
    return status.ok() ? FSWritableFileOwnerWrapper::Append(data, options, verification, debug)
                       : status;
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
};

class HookedFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "HookedFileSystem"; }

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    std::unique_ptr<rocksdb::FSWritableFile> plain;
    rocksdb::IOStatus status = FileSystemWrapper::NewWritableFile(path, options, &plain, debug);
    if (status.ok()) *file = std::make_unique<HookedFile>(std::move(plain));
    return status;
  }
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> MakeRocksFileSystem() {
  return std::make_shared<HookedFileSystem>(rocksdb::FileSystem::Default());
}

}  // namespace store::engine
