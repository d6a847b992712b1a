// SPDX-License-Identifier: Apache-2.0
// World: what is known of the state both stores are in: enough to ask interesting questions and to
// know how many answers a watch owes, no more; whether an answer is right only the other store
// tells. Threads: one. Bounds: the history is cut at each compaction.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace compat {

// What the first store speaks; the second speaks the newest, except that two of a kind are alike.
enum class Dialect : uint8_t { kNewest, kOld, kOldWithItself };

struct Change {
  int64_t revision = 0;
  std::string key;
  bool is_delete = false;
};

struct World {
  int64_t current = 1;
  int64_t compacted = 0;
  std::deque<Change> history;                 // from `compacted` on
  std::map<int64_t, int64_t> leases;          // granted TTL by logical id
  std::vector<int64_t> short_leases;          // to be revoked at once: they would expire
  std::set<std::pair<uint64_t, int>> alarms;  // raised, by member and kind

  void Compacted(int64_t revision) {
    compacted = revision;
    while (!history.empty() && history.front().revision < revision) history.pop_front();
  }
};

}  // namespace compat
