// SPDX-License-Identifier: Apache-2.0
#include "store/base/clock.h"

namespace store {

// The same epoch as std::chrono::steady_clock: CondVar (thread.h) relies on it.
TimePoint SystemClock::Now() const {
  return TimePoint(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

int64_t SystemClock::WallMicros() const {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace store
