// SPDX-License-Identifier: Apache-2.0
// RecordHeader: the row of table kRev that describes one change; its value bytes stand in kVal
// under the same key (no row for tombstones and empty values). Restore, watch catch-up, collection
// and hashing read headers only. Bytes, all integers varints unless said:
//
//   u8   format (high four bits, 1) and flags (low four: 1 tombstone, 2 has lease, 4 has previous)
//   key  length-prefixed
//   previous main, previous sub              if has previous
//   -- end of a tombstone --
//   create main · version
//   lease, 8 bytes little endian             if has lease
//   value size
//   value crc32c, 4 bytes little endian
//
// Values and pure functions, any thread.
#pragma once

#include "store/base/error.h"
#include "store/base/ids.h"
#include "store/mvcc/event.h"
#include "store/mvcc/revision.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace store::mvcc {

inline constexpr uint8_t kRecordFormat = 1;

struct RecordHeader {
  std::string_view key;  // lives as long as the parsed bytes
  bool tombstone = false;
  RecordId previous;  // record of the same key this one replaced; not valid() when there was none
  Revision create;    // of a put; 0 in a tombstone, as are the following
  int64_t version = 0;
  LeaseId lease;
  uint32_t value_size = 0;
  uint32_t value_crc = 0;
};

void AppendRecordHeader(const RecordHeader& header, std::string* out);
// kCorruption with the reason; kUnsupported for a newer format.
Result<RecordHeader> ParseRecordHeader(std::string_view bytes);
// kCorruption unless `value` has the size and checksum of the header.
Status CheckValue(const RecordHeader& header, RecordId id, std::string_view value);

// What a record counts for in the quota: row keys, header and value, without engine overhead.
size_t RecordBytes(size_t key_size, size_t value_size);

}  // namespace store::mvcc
