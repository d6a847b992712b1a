// SPDX-License-Identifier: Apache-2.0
// EntryTable: which entries there are, what each is doing, and which commands bring the shard from
// the list it runs to the list that is wanted. An entry is active, draining (stopped, what was read
// is still on its way) or parked: wanted, but an entry with the same (path, topic) is draining, and
// two readers of one row would write it against each other. Owned by the control thread; no clock,
// no threads. Bounded by kEntriesMax entries and as many draining ones as changes came within their
// drain time.
#pragma once

#include "logagent/deliver/sink.h"
#include "logagent/model/model.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace logagent {

struct EntryCommand {
  enum class Kind : uint8_t { kStart, kStop, kChangeTopic };
  Kind kind = Kind::kStart;
  EntryId id;
  EntryConfig config;  // as it is to be; for kStop as it was
};

class EntryTable {
 public:
  enum class Phase : uint8_t { kActive, kDraining, kParked };
  struct Row {
    EntryId id;
    EntryConfig config;
    Phase phase = Phase::kActive;
  };

  // The list is valid. Unchanged entries are in no command.
  std::vector<EntryCommand> Apply(const std::vector<EntryConfig>& wanted);
  // A stopped entry is gone; parked ones may start.
  std::vector<EntryCommand> Drained(EntryId id);

  // In the order of their ids.
  const std::map<EntryId, Row>& rows() const { return rows_; }

 private:
  bool IsDraining(const std::string& key) const;
  void Stop(const EntryConfig& config, std::vector<EntryCommand>* commands);
  void StartOrPark(const EntryConfig& config, std::vector<EntryCommand>* commands);
  void Change(const EntryConfig& from, const EntryConfig& to, std::vector<EntryCommand>* commands);
  // The row that is not draining and has this key.
  Row& Find(const EntryConfig& config);

  std::map<EntryId, Row> rows_;
  uint64_t next_id_ = 1;
};

}  // namespace logagent
