// SPDX-License-Identifier: Apache-2.0
#include "store/engine/checkpoint.h"

#include "store/base/check.h"
#include "store/base/crc32c.h"
#include "store/base/failpoint.h"
#include "store/engine/mem_engine.h"
#include "store/engine/rocks_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <set>
#include <unistd.h>
#include <utility>

namespace store::engine {
namespace {

constexpr uint64_t kSyncEveryBytes = 16 << 20;
// Stays free for the log, which must go on meanwhile; of a small disk a part.
constexpr uint64_t kRoomLeft = 64 << 20;
constexpr uint64_t kDiskPartLeft = 16;
constexpr std::string_view kPrefix = "state-";

// Only what is in a checkpoint is looked at: no cache worth the name.
constexpr size_t kInspectionCacheBytes = 1 << 20;

std::string PartName(uint64_t index) { return fmt::format("{}.part", index); }

Error WrongPart(const Path& directory, std::string_view what) {
  return Error(ErrorCode::kCorruption, fmt::format("{}: {}", directory.string(), what));
}

}  // namespace

uint64_t TotalBytes(const std::vector<CheckpointFile>& files) {
  uint64_t total = 0;
  for (const CheckpointFile& file : files) total += file.size_bytes;
  return total;
}

Status CheckFiles(const std::vector<CheckpointFile>& files) {
  if (files.empty() || files.size() > kCheckpointFilesMax) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("a checkpoint of {} files", files.size()));
  }
  constexpr size_t kNameBytesMax = 255;
  std::set<std::string_view> names;
  for (const CheckpointFile& file : files) {
    const bool plain = !file.name.empty() && file.name.size() <= kNameBytesMax &&
                       file.name != "." && file.name != ".." &&
                       file.name.find_first_of(std::string_view("/\0", 2)) == std::string::npos;
    if (!plain || !names.insert(file.name).second) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("a checkpoint with a file named \"{}\"", file.name));
    }
  }
  return Ok();
}

Result<std::shared_ptr<Engine>> OpenCheckpoint(const Path& directory, uint32_t format) {
  if (format == kMemFormat) {
    auto engine = MemEngine::OpenCheckpoint(directory);
    RETURN_IF_ERROR(engine);
    return std::shared_ptr<Engine>(std::move(*engine));
  }
  if (format == kRocksFormat) {
    RocksSettings settings;
    settings.read_only = true;
    settings.block_cache_bytes = kInspectionCacheBytes;
    auto engine = RocksEngine::Open(directory, std::move(settings));
    RETURN_IF_ERROR(engine);
    return std::shared_ptr<Engine>(std::move(*engine));
  }
  return Fail(ErrorCode::kUnsupported,
              fmt::format("state of format {}, this release knows {} and {}", format, kMemFormat,
                          kRocksFormat));
}

Result<std::optional<CheckpointPart>> CheckpointReader::Next(size_t bytes_max) {
  if (file_ == checkpoint_.files.size()) return std::optional<CheckpointPart>();
  const CheckpointFile& file = checkpoint_.files[file_];
  const std::string path = (checkpoint_.directory / file.name).string();
  if (!open_) {
    auto opened = OpenFile(path, O_RDONLY);
    RETURN_IF_ERROR(opened);
    open_ = std::move(*opened);
  }
  CheckpointPart part{file_, offset_, {}};
  part.data.resize(std::min<uint64_t>(bytes_max, file.size_bytes - offset_));
  size_t filled = 0;
  while (filled < part.data.size()) {
    const ssize_t count = ::read(open_.get(), part.data.data() + filled, part.data.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Fail(ErrnoError(errno, fmt::format("read {}", path)));
    if (count == 0) return Fail(ErrorCode::kCorruption, fmt::format("{}: ends early", path));
    filled += static_cast<size_t>(count);
  }
  offset_ += filled;
  if (offset_ == file.size_bytes) {
    open_.Reset();
    ++file_;
    offset_ = 0;
  }
  return std::optional<CheckpointPart>(std::move(part));
}

CheckpointWriter::CheckpointWriter(const Path& member, uint64_t index,
                                   std::vector<CheckpointFile> files)
    : part_(member / "incoming" / PartName(index)),
      final_(IncomingDirectory(member, index)),
      files_(std::move(files)) {}

CheckpointWriter::~CheckpointWriter() {
  open_.Reset();
  // What cannot be removed now, the next start removes.
  if (!committed_) (void)RemoveAll(part_.string());
}

Result<std::unique_ptr<CheckpointWriter>> CheckpointWriter::Begin(
    const Path& member, uint64_t index, std::vector<CheckpointFile> files) {
  RETURN_IF_ERROR(CheckFiles(files));
  auto space = GetDiskSpace(member.string());
  RETURN_IF_ERROR(space);
  const uint64_t needed =
      TotalBytes(files) + std::min(kRoomLeft, space->total_bytes / kDiskPartLeft);
  if (space->available_bytes < needed) {
    return Fail(ErrorCode::kNoSpace, fmt::format("{}: a snapshot needs {} bytes, {} are free",
                                                 member.string(), needed, space->available_bytes));
  }
  std::unique_ptr<CheckpointWriter> writer(new CheckpointWriter(member, index, std::move(files)));
  RETURN_IF_ERROR(RemoveAll(writer->part_.string()));
  RETURN_IF_ERROR(RemoveAll(writer->final_.string()));
  RETURN_IF_ERROR(MakeDirs(writer->part_.string()));
  RETURN_IF_ERROR(SyncDirectory(member.string()));
  RETURN_IF_ERROR(writer->OpenNext());
  return writer;
}

// Up to the next file that has bytes; empty ones are made on the way.
Status CheckpointWriter::OpenNext() {
  while (file_ < files_.size()) {
    const std::string path = (part_ / files_[file_].name).string();
    auto opened = OpenFile(path, O_WRONLY | O_CREAT | O_EXCL);
    RETURN_IF_ERROR(opened);
    open_ = std::move(*opened);
    offset_ = unsynced_bytes_ = 0;
    crc32c_ = 0;
    if (files_[file_].size_bytes > 0) return Ok();
    RETURN_IF_ERROR(EndFile());
  }
  return Ok();
}

Status CheckpointWriter::EndFile() {
  const CheckpointFile& file = files_[file_];
  if (crc32c_ != file.crc32c) {
    return Fail(WrongPart(part_, fmt::format("{} has checksum {:08x}, its sender read {:08x}",
                                             file.name, crc32c_, file.crc32c)));
  }
  RETURN_IF_ERROR(SyncFile(open_.get(), file.name));
  FAILPOINT("snapshot-file-synced");
  open_.Reset();
  ++file_;
  return Ok();
}

Status CheckpointWriter::Write(uint32_t file, uint64_t offset, std::string_view data) {
  if (file < files_.size() && files_[file].size_bytes == 0 && data.empty()) return Ok();
  if (file != file_ || file_ >= files_.size() || offset != offset_ || data.empty() ||
      data.size() > files_[file_].size_bytes - offset_) {
    return Fail(
        WrongPart(part_, fmt::format("{} bytes at {} of file {} came, {} of file {} is next",
                                     data.size(), offset, file, offset_, file_)));
  }
  RETURN_IF_ERROR(FAILPOINT_STATUS("snapshot-write"));
  RETURN_IF_ERROR(WriteAll(open_.get(), data, files_[file_].name));
  crc32c_ = ExtendCrc32c(crc32c_, data);
  offset_ += data.size();
  received_bytes_ += data.size();
  unsynced_bytes_ += data.size();
  if (offset_ == files_[file_].size_bytes) {
    RETURN_IF_ERROR(EndFile());
    return OpenNext();
  }
  // In small portions: one large write-back at the end would hold up the log's fsyncs.
  if (unsynced_bytes_ < kSyncEveryBytes) return Ok();
  unsynced_bytes_ = 0;
  return SyncFile(open_.get(), files_[file_].name);
}

Status CheckpointWriter::Complete() {
  if (file_ < files_.size()) {
    return Fail(WrongPart(part_, fmt::format("{} of {} files came", file_, files_.size())));
  }
  RETURN_IF_ERROR(SyncDirectory(part_.string()));
  FAILPOINT("snapshot-complete");
  return Ok();
}

Status CheckpointWriter::Commit() {
  RETURN_IF_ERROR(RenameFile(part_.string(), final_.string()));
  committed_ = true;
  FAILPOINT("snapshot-renamed");
  return Ok();
}

Path IncomingDirectory(const Path& member, uint64_t index) {
  return member / "incoming" / std::to_string(index);
}

Path OutgoingDirectory(const Path& member, std::string_view name) {
  return member / "outgoing" / name;
}

Status RemoveIncoming(const Path& member, uint64_t index) {
  return RemoveAll(IncomingDirectory(member, index).string());
}

namespace {

// One above every state-N there is.
Result<std::string> FreeStateName(const Path& member) {
  auto names = ListDirectory(member.string());
  RETURN_IF_ERROR(names);
  uint64_t highest = 0;
  for (const std::string& name : *names) {
    if (!name.starts_with(kPrefix)) continue;
    uint64_t number = 0;
    const char* begin = name.data() + kPrefix.size();
    const char* end = name.data() + name.size();
    if (std::from_chars(begin, end, number).ec == std::errc()) highest = std::max(highest, number);
  }
  return fmt::format("{}{}", kPrefix, highest + 1);
}

}  // namespace

Result<StateName> SwitchState(const Path& member, uint64_t index, uint64_t term) {
  CHECK(index > 0, "a snapshot at index 0");
  FAILPOINT("install-begin");
  auto directory = FreeStateName(member);
  RETURN_IF_ERROR(directory);
  // A second rename, so that STATE never names a directory that a start would clear away.
  RETURN_IF_ERROR(
      RenameFile(IncomingDirectory(member, index).string(), (member / *directory).string()));
  RETURN_IF_ERROR(SyncDirectory((member / "incoming").string()));
  FAILPOINT("install-moved");
  StateName name{*directory, index, term};
  RETURN_IF_ERROR(WriteStateName(member, name));
  FAILPOINT("install-switched");
  return name;
}

}  // namespace store::engine
