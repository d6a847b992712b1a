// SPDX-License-Identifier: Apache-2.0
#include "logagent/model/diff.h"

#include <cstddef>
#include <deque>
#include <map>
#include <string>

namespace logagent {

ConfigDiff Diff(const std::vector<EntryConfig>& running, const std::vector<EntryConfig>& wanted) {
  ConfigDiff diff;
  std::map<std::string, const EntryConfig*> by_key;
  for (const EntryConfig& entry : wanted) by_key[EntryKey(entry.path, entry.topic)] = &entry;

  // Running entries whose pair is not wanted any more, by path, in their order.
  std::map<std::string, std::deque<const EntryConfig*>> orphans;
  std::map<const EntryConfig*, const EntryConfig*> partner;  // wanted -> running
  for (const EntryConfig& entry : running) {
    auto found = by_key.find(EntryKey(entry.path, entry.topic));
    if (found != by_key.end()) {
      partner[found->second] = &entry;
    } else {
      orphans[entry.path].push_back(&entry);
    }
  }
  for (const EntryConfig& entry : wanted) {
    auto same = partner.find(&entry);
    if (same != partner.end()) {
      if (*same->second != entry) diff.change.push_back({*same->second, entry});
      continue;
    }
    auto old = orphans.find(entry.path);
    if (old != orphans.end() && !old->second.empty()) {
      diff.change.push_back({*old->second.front(), entry});
      old->second.pop_front();
    } else {
      diff.start.push_back(entry);
    }
  }
  std::map<std::string, bool> left;
  for (const auto& [path, entries] : orphans) {
    for (const EntryConfig* entry : entries) left[EntryKey(entry->path, entry->topic)] = true;
  }
  for (const EntryConfig& entry : running) {
    if (left.contains(EntryKey(entry.path, entry.topic))) diff.stop.push_back(entry);
  }
  return diff;
}

}  // namespace logagent
