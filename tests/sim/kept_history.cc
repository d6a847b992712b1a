// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/kept_history.h"

#include "store/mvcc/revision.h"

#include <fmt/format.h>

#include <map>
#include <set>

namespace store::sim {

std::string LeftBelowCollected(const mvcc::MvccStore& store) {
  const Revision collected = store.collected();
  if (collected <= Revision(0)) return {};
  std::map<std::string, mvcc::RecordId> newest;
  std::set<std::string> records;
  mvcc::RevisionScan scan = store.Scan(Revision(1), collected);
  for (; scan.Valid(); scan.Next()) {
    const mvcc::RecordId id = scan.id();
    const std::string key(scan.header().key);
    if (scan.header().tombstone && id.main < collected) {
      return fmt::format("the deletion of {} at {} is left, collected is {}", key, id.main,
                         collected);
    }
    auto [at, fresh] = newest.try_emplace(key, id);
    if (!fresh) {
      return fmt::format("{} has records of {} and {} left, collected is {}", key, at->second.main,
                         id.main, collected);
    }
    records.insert(mvcc::RecordKey(id));
  }
  if (!scan.status()) return "the history cannot be read: " + scan.status().error().ToString();
  auto values =
      store.engine()->Scan(engine::Table::kVal, {}, mvcc::RecordKey({collected + 1, 0}), {});
  for (; values->Valid(); values->Next()) {
    if (records.contains(std::string(values->key()))) continue;
    return fmt::format("a value is left without its record, collected is {}", collected);
  }
  return {};
}

}  // namespace store::sim
