// SPDX-License-Identifier: Apache-2.0
// Rows of the state as they come back from disk or in a snapshot: what is read must be written as
// bytes that read the same.
#include "store/apply/sys_rows.h"
#include "store/base/check.h"
#include "store/mvcc/record.h"
#include "tests/fuzz/target.h"

#include <algorithm>

namespace store::fuzz {
namespace {

void RunHeader(std::string_view bytes) {
  auto header = mvcc::ParseRecordHeader(bytes);
  if (!header) return;
  std::string again;
  mvcc::AppendRecordHeader(*header, &again);
  auto second = mvcc::ParseRecordHeader(again);
  CHECK(second && second->key == header->key && second->value_size == header->value_size &&
        second->version == header->version && second->previous == header->previous);
}

void RunApplied(std::string_view bytes) {
  auto row = apply::DecodeApplied(bytes);
  if (!row) return;
  std::string again;
  apply::EncodeApplied(*row, &again);
  auto second = apply::DecodeApplied(again);
  CHECK(second && *second == *row);
}

void RunLease(std::string_view bytes) {
  const size_t split = std::min<size_t>(9, bytes.size());
  (void)apply::DecodeLease(bytes.substr(0, split), bytes.substr(split));
  (void)apply::DecodeLeaseItem(bytes);
  (void)apply::DecodeAlarm(bytes);
  (void)mvcc::ParseRecordKey(bytes);
}

}  // namespace

void Run(std::string_view input) {
  switch (TakeByte(&input) % 3) {
    case 0:
      return RunHeader(input);
    case 1:
      return RunApplied(input);
    default:
      return RunLease(input);
  }
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  mvcc::RecordHeader header;
  header.key = "key";
  header.create = Revision(4);
  header.version = 3;
  header.lease = LeaseId(99);
  header.value_size = 300;
  header.value_crc = 0x12345678;
  header.previous = {Revision(5), 1};
  std::string row(1, '\0');
  mvcc::AppendRecordHeader(header, &row);
  seeds.push_back(row);
  header.tombstone = true;
  row.resize(1);
  mvcc::AppendRecordHeader(header, &row);
  seeds.push_back(row);
  apply::AppliedRow applied{
      raft::Index(8), raft::Term(2), {{raft::NodeId(7)}, {}, {}}, Revision(5)};
  row.assign(1, '\1');
  apply::EncodeApplied(applied, &row);
  seeds.push_back(row);
  seeds.push_back('\2' + apply::LeaseKey(LeaseId(12)) + apply::EncodeLease({60, 30}));
  seeds.push_back('\2' + apply::LeaseItemKey(LeaseId(12), "key"));
  seeds.push_back('\2' + apply::AlarmKey({7, cluster::AlarmKind::kNoSpace}));
  return seeds;
}

}  // namespace store::fuzz
