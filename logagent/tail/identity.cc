// SPDX-License-Identifier: Apache-2.0
#include "logagent/tail/identity.h"

#include "store/base/hash.h"

#include <algorithm>
#include <string>

namespace logagent {

HeadHash HashHead(std::string_view first_bytes) {
  std::string_view head = first_bytes.substr(0, kHeadBytesMax);
  if (head.empty()) {
    return {};
  }
  return {static_cast<uint32_t>(head.size()), store::HashBytes(head)};
}

TailMark MarkOf(std::string_view before) {
  std::string_view tail = before.substr(before.size() - std::min(before.size(), kTailMarkBytes));
  if (tail.empty()) {
    return {};
  }
  return {static_cast<uint32_t>(tail.size()), store::HashBytes(tail)};
}

Result<HeadHash> ReadHead(FileSystem& files, const FileHandle& file, uint64_t bytes_max) {
  std::string head(std::min<uint64_t>(bytes_max, kHeadBytesMax), '\0');
  auto count = files.ReadAt(file, 0, head);
  RETURN_IF_ERROR(count);
  head.resize(*count);
  return HashHead(head);
}

Result<TailMark> ReadMark(FileSystem& files, const FileHandle& file, uint64_t offset) {
  std::string tail(std::min<uint64_t>(offset, kTailMarkBytes), '\0');
  auto count = files.ReadAt(file, offset - tail.size(), tail);
  RETURN_IF_ERROR(count);
  tail.resize(*count);
  return MarkOf(tail);
}

Result<bool> Matches(FileSystem& files, const FileHandle& file, uint64_t offset,
                     const HeadHash& head, const TailMark& mark) {
  if (head.length > 0) {
    auto head_now = ReadHead(files, file, head.length);
    RETURN_IF_ERROR(head_now);
    if (*head_now != head) {
      return false;
    }
  }
  if (offset == 0) {
    return true;
  }
  // Without a mark the file must be long enough at least.
  std::string before(std::max<size_t>(mark.length, 1), '\0');
  if (before.size() > offset) {
    return false;
  }
  auto count = files.ReadAt(file, offset - before.size(), before);
  RETURN_IF_ERROR(count);
  return *count == before.size() && (mark.length == 0 || MarkOf(before) == mark);
}

}  // namespace logagent
