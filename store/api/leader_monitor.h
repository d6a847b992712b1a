// SPDX-License-Identifier: Apache-2.0
// LeaderMonitor: ends the streams of one loop that asked for a leader (metadata `hasleader`) after
// three election timeouts in a row without one. A timer runs only while there are such streams.
// Loop only; must outlive them.
#pragma once

#include "store/base/executor.h"
#include "store/replica/gauges.h"

#include <cstdint>
#include <map>
#include <optional>

namespace store::api {

class LeaderMonitor {
 public:
  LeaderMonitor(Executor& executor, const replica::RaftGauges& gauges, Duration election_timeout)
      : executor_(executor), gauges_(gauges), election_timeout_(election_timeout) {}

  // `on_lost` runs once, after which the entry is gone.
  uint64_t Add(Action on_lost);
  void Remove(uint64_t id) { streams_.erase(id); }

 private:
  void Arm();
  void Tick();

  Executor& executor_;
  const replica::RaftGauges& gauges_;
  const Duration election_timeout_;
  std::map<uint64_t, Action> streams_;
  uint64_t next_ = 1;
  int missed_ = 0;  // ticks in a row without a leader
  bool armed_ = false;
};

}  // namespace store::api
