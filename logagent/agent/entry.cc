// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/entry.h"

#include "logagent/model/diff.h"
#include "store/base/check.h"

#include <algorithm>

namespace logagent {
namespace {

std::string KeyOf(const EntryConfig& config) { return EntryKey(config.path, config.topic); }

}  // namespace

std::vector<EntryCommand> EntryTable::Apply(const std::vector<EntryConfig>& wanted) {
  std::vector<EntryConfig> running;
  for (const auto& [id, row] : rows_) {
    if (row.phase != Phase::kDraining) running.push_back(row.config);
  }
  ConfigDiff diff = Diff(running, wanted);
  std::vector<EntryCommand> commands;
  for (const EntryConfig& config : diff.stop) Stop(config, &commands);
  for (const EntryChange& change : diff.change) Change(change.from, change.to, &commands);
  for (const EntryConfig& config : diff.start) StartOrPark(config, &commands);
  return commands;
}

std::vector<EntryCommand> EntryTable::Drained(EntryId id) {
  std::vector<EntryCommand> commands;
  auto found = rows_.find(id);
  if (found == rows_.end() || found->second.phase != Phase::kDraining) return commands;
  std::string key = KeyOf(found->second.config);
  rows_.erase(found);
  if (IsDraining(key)) return commands;
  for (auto& [other, row] : rows_) {
    if (row.phase != Phase::kParked || KeyOf(row.config) != key) continue;
    row.phase = Phase::kActive;
    commands.push_back({EntryCommand::Kind::kStart, row.id, row.config});
  }
  return commands;
}

bool EntryTable::IsDraining(const std::string& key) const {
  return std::ranges::any_of(rows_, [&key](const auto& row) {
    return row.second.phase == Phase::kDraining && KeyOf(row.second.config) == key;
  });
}

EntryTable::Row& EntryTable::Find(const EntryConfig& config) {
  auto found = std::ranges::find_if(rows_, [&config](const auto& row) {
    return row.second.phase != Phase::kDraining && row.second.config.path == config.path &&
           row.second.config.topic == config.topic;
  });
  CHECK(found != rows_.end(), "no entry {} {}", config.path, config.topic);
  return found->second;
}

void EntryTable::Stop(const EntryConfig& config, std::vector<EntryCommand>* commands) {
  Row& row = Find(config);
  if (row.phase == Phase::kParked) {
    rows_.erase(EntryId(row.id));
    return;
  }
  row.phase = Phase::kDraining;
  commands->push_back({EntryCommand::Kind::kStop, row.id, row.config});
}

void EntryTable::StartOrPark(const EntryConfig& config, std::vector<EntryCommand>* commands) {
  EntryId id(next_id_++);
  bool parked = IsDraining(KeyOf(config));
  rows_[id] = {id, config, parked ? Phase::kParked : Phase::kActive};
  if (!parked) commands->push_back({EntryCommand::Kind::kStart, id, config});
}

void EntryTable::Change(const EntryConfig& from, const EntryConfig& to,
                        std::vector<EntryCommand>* commands) {
  Row& row = Find(from);
  bool same_reading = from.strip_cr == to.strip_cr;
  if (same_reading && from.topic == to.topic) {
    row.config = to;
    return;
  }
  if (same_reading && row.phase == Phase::kActive && !IsDraining(KeyOf(to))) {
    row.config = to;
    commands->push_back({EntryCommand::Kind::kChangeTopic, row.id, to});
    return;
  }
  Stop(from, commands);
  StartOrPark(to, commands);
}

}  // namespace logagent
