// SPDX-License-Identifier: Apache-2.0
// Alarms: replicated facts that close doors: NOSPACE refuses writes that need room, CORRUPT all
// writes. A set of (member, kind), ordered, small. Owned by apply; the edge reads the copy in
// StateView.
#pragma once

#include <cstdint>
#include <set>

namespace store::cluster {

enum class AlarmKind : uint8_t { kNone = 0, kNoSpace = 1, kCorrupt = 2 };

struct Alarm {
  uint64_t member = 0;  // taken literally from the request, 0 included
  AlarmKind kind = AlarmKind::kNone;
  friend auto operator<=>(const Alarm&, const Alarm&) = default;
};

class AlarmTable {
 public:
  // false: it was active already.
  bool Activate(Alarm alarm) { return alarms_.insert(alarm).second; }
  // false: it was not active.
  bool Deactivate(Alarm alarm) { return alarms_.erase(alarm) > 0; }
  bool Any(AlarmKind kind) const {
    for (const Alarm& alarm : alarms_) {
      if (alarm.kind == kind) return true;
    }
    return false;
  }
  const std::set<Alarm>& alarms() const { return alarms_; }

 private:
  std::set<Alarm> alarms_;
};

}  // namespace store::cluster
