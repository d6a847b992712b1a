// SPDX-License-Identifier: Apache-2.0
// What a service says to systemd (sd_notify(3), without its library): one datagram to the socket
// that NOTIFY_SOCKET names. Nothing happens, and that is no error, when no service manager asked.
// Watchdog: where the unit has WatchdogSec, says at a third of that time that the member lives,
// which means: its replica's clock has ticked since the last time, and the loop it runs on turns.
// TellServiceManager: any thread, blocks for one sendto. Watchdog: on its executor, which outlives
// it.
#pragma once

#include "store/base/clock.h"
#include "store/base/executor.h"

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace store::server {

struct ServiceManager {
  std::string socket;    // a path or "@name"; empty: none
  Duration watchdog{0};  // 0: not asked for
};

// From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
ServiceManager FindServiceManager(const std::map<std::string, std::string>& environment);

// "READY=1", "STOPPING=1". False: not sent.
bool TellServiceManager(const ServiceManager& manager, std::string_view state);

class Watchdog {
 public:
  Watchdog(ServiceManager manager, const std::atomic<uint64_t>& ticks, Executor& executor)
      : manager_(std::move(manager)), ticks_(ticks), executor_(executor) {}

  void Start();
  void Stop();

 private:
  const ServiceManager manager_;
  const std::atomic<uint64_t>& ticks_;
  Executor& executor_;
  uint64_t seen_ = 0;
  std::optional<Executor::TimerId> timer_;
};

}  // namespace store::server
