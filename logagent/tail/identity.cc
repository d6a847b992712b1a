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
  auto facts = files.Stat(file);
  RETURN_IF_ERROR(facts);
  if (facts->size < offset || facts->size < head.length) {
    return false;
  }
  auto head_now = ReadHead(files, file, head.length);
  RETURN_IF_ERROR(head_now);
  if (head.length > 0 && *head_now != head) {
    return false;
  }
  auto mark_now = ReadMark(files, file, offset);
  RETURN_IF_ERROR(mark_now);
  return mark.length == 0 || *mark_now == mark;
}

}  // namespace logagent
