// SPDX-License-Identifier: Apache-2.0
// Rows that apply owns in table `sys` (sections: engine/sys_keys.h). Integers are varints, ids
// eight bytes big endian:
//
//   kApplied                   u8 format (1) · index · term · revision · voters · outgoing ·
//   learners
//                              (each list: count, then ids)
//   kLease     id (8)          u8 format (1) · granted TTL · remaining TTL   (zigzag)
//   kLeaseItem id (8) · key    empty
//   kAlarm     kind · member   empty
//
// Pure functions, any thread.
#pragma once

#include "store/base/error.h"
#include "store/base/ids.h"
#include "store/cluster/alarm_table.h"
#include "store/raft/types.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace store::apply {

struct AppliedRow {
  raft::Index index;
  raft::Term term;
  raft::ConfState conf;
  Revision current;
  friend bool operator==(const AppliedRow&, const AppliedRow&) = default;
};

std::string AppliedKey();
void EncodeApplied(const AppliedRow& row, std::string* out);
Result<AppliedRow> DecodeApplied(std::string_view bytes);

struct LeaseRow {
  int64_t ttl_seconds = 0;
  int64_t remaining_seconds = 0;
};

std::string LeaseKey(LeaseId id);
std::string EncodeLease(const LeaseRow& row);
Result<std::pair<LeaseId, LeaseRow>> DecodeLease(std::string_view key, std::string_view value);

std::string LeaseItemKey(LeaseId id, std::string_view key);
// The key of the item lives as long as the parsed bytes.
Result<std::pair<LeaseId, std::string_view>> DecodeLeaseItem(std::string_view key);

std::string AlarmKey(const cluster::Alarm& alarm);
Result<cluster::Alarm> DecodeAlarm(std::string_view key);

}  // namespace store::apply
