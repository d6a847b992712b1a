// SPDX-License-Identifier: Apache-2.0
#include "store/wal/segment.h"

#include "store/base/coding.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace store::wal {
namespace {

constexpr size_t kReadAheadBytes = 256 << 10;

}  // namespace

Status RecordCursor::Fill(size_t bytes) {
  if (buffer_.size() - used_ >= bytes) return Ok();
  buffer_.erase(0, used_);
  used_ = 0;
  size_t missing = std::max(bytes, kReadAheadBytes) - buffer_.size();
  Result<std::string> more = segment_.file->Read(offset_ + buffer_.size(), missing);
  if (!more) return Fail(std::move(more).error());
  buffer_ += *more;
  return Ok();
}

Result<std::optional<RecordView>> RecordCursor::Next() {
  RETURN_IF_ERROR(Fill(kRecordHeadBytes));
  if (buffer_.size() - used_ < kRecordHeadBytes) return std::nullopt;
  size_t bytes = RecordBytes(LoadLittleEndian32(buffer_.data() + used_));
  // A length that cannot be right must not make us read gigabytes.
  Result<uint64_t> size = segment_.file->Size();
  if (!size) return Fail(std::move(size).error());
  if (offset_ + bytes > *size) return std::nullopt;
  RETURN_IF_ERROR(Fill(bytes));
  std::optional<RecordView> record =
      DecodeRecord(std::string_view(buffer_).substr(used_), segment_.header.salt);
  if (!record) return std::nullopt;
  used_ += record->bytes;
  offset_ += record->bytes;
  return record;
}

Error Damage(const std::string& path, uint64_t offset, std::string_view what) {
  return Error(ErrorCode::kCorruption,
               fmt::format("{}: damaged at offset {}: {}; this member has lost data it promised to "
                           "keep: replace it, or look with `sluicectl inspect wal`",
                           path, offset, what));
}

}  // namespace store::wal
