// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/broker_wait.h"

#include <cstddef>
#include <ctime>
#include <poll.h>

namespace logagent {
namespace {

// A partition that lingers meanwhile is sent at most so much later.
constexpr int kSpinWaitMs = 1;
constexpr long kNanosPerMs = 1'000'000;

thread_local bool broker_thread = false;

int Wait(pollfd* fds, nfds_t count, int timeout_ms) {
  if (broker_thread && timeout_ms == 0) {
    timeout_ms = kSpinWaitMs;
  }
  timespec timeout{timeout_ms / 1000, timeout_ms % 1000 * kNanosPerMs};
  return ppoll(fds, count, timeout_ms < 0 ? nullptr : &timeout, nullptr);
}

}  // namespace

void WaitInsteadOfSpinning() { broker_thread = true; }

}  // namespace logagent

// The library's calls are bound to these: a program's own symbols come before those of the C
// library, whose poll, and its form with a check of the array's size, do the same as ppoll.
extern "C" {

int poll(pollfd* fds, nfds_t count, int timeout_ms) {
  return logagent::Wait(fds, count, timeout_ms);
}

// NOLINTNEXTLINE(bugprone-reserved-identifier): the C library's name for it
int __poll_chk(pollfd* fds, nfds_t count, int timeout_ms, size_t /*bytes*/) {
  return logagent::Wait(fds, count, timeout_ms);
}
}
