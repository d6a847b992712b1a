// SPDX-License-Identifier: Apache-2.0
// Change: one record's worth of difference to the log, and LogState: what a sequence of changes
// amounts to. Appending and replaying go through the same Apply, so what is written and what is
// read back cannot mean different things. Owned by a WalLogStore or a recovery; not thread-safe.
#pragma once

#include "store/base/error.h"
#include "store/raft/types.h"
#include "store/wal/index_table.h"
#include "store/wal/record.h"

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace store::wal {

using Change = std::variant<raft::HardState, raft::SnapshotMeta, SuffixMark, raft::EntryPtr>;

std::pair<RecordType, std::string> EncodeChange(const Change& change);
// nullopt: a record that changes nothing (sync mark). Corruption: valid bytes that mean nothing.
Result<std::optional<Change>> DecodeChange(const RecordView& record);

struct LogState {
  raft::HardState hard_state;
  raft::ConfState conf;
  IndexTable table;

  // Refuses what no sequence of persist units can contain: a gap, a term or vote that goes back.
  Status Check(const Change& change) const;
  void Apply(const Change& change, const Position& position);
};

// The entries behind the same changes, for LogImage.
void ApplyToEntries(const Change& change, std::vector<raft::EntryPtr>* entries);

}  // namespace store::wal
