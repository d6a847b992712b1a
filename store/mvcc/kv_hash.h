// SPDX-License-Identifier: Apache-2.0
// KvHash: one number over the history up to a revision, equal on all members with the same history
// and equal to what etcd computes for it: CRC-32C over the bucket name "key", then for each record
// with main <= at, in order, its revision key (8 bytes main, '_', 8 bytes sub, big endian, and 't'
// for a tombstone) and its protobuf KeyValue. Records at or below the compacted revision count only
// if they are still live at `at` (when no key at all is live at `at`: if they were live at the
// compacted revision); a tombstone exactly there is skipped, because older etcd releases removed
// it. So the value does not depend on how far collection has come. Pure functions and values, any
// thread.
#pragma once

#include "store/base/ids.h"
#include "store/mvcc/record.h"
#include "store/mvcc/revision.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace store::mvcc {

struct KvHash {
  uint32_t hash = 0;
  Revision at;         // hashed up to and including
  Revision compacted;  // -1: never compacted
  Revision current;    // when the hash began: the header's
};

class KvHasher {
 public:
  KvHasher();
  // Records in ascending order; `value` is empty for a tombstone.
  void Add(RecordId id, const RecordHeader& header, std::string_view value);
  uint32_t value() const { return crc_; }

 private:
  uint32_t crc_;
  std::string scratch_;
};

// 17 bytes, 18 for a tombstone.
void AppendEtcdRevisionKey(RecordId id, bool tombstone, std::string* out);
// mvccpb.KeyValue as proto3 encodes it: fields in order, zero values left out.
void AppendEtcdKeyValue(RecordId id, const RecordHeader& header, std::string_view value,
                        std::string* out);

}  // namespace store::mvcc
