// SPDX-License-Identifier: Apache-2.0
// Clock: the only door to time. TimePoint is monotonic; wall time is only for what people read.
// SystemClock is the real one; tests and the simulator have their own. Any thread.
#pragma once

#include <chrono>
#include <cstdint>

namespace store {

using Duration = std::chrono::nanoseconds;

struct MonotonicTag {
  using duration = Duration;
  using rep = Duration::rep;
  using period = Duration::period;
  using time_point = std::chrono::time_point<MonotonicTag>;
  static constexpr bool is_steady = true;
};
// Since an unspecified start; never goes back; only differences mean something.
using TimePoint = std::chrono::time_point<MonotonicTag, Duration>;

class Clock {
 public:
  virtual TimePoint Now() const = 0;
  // Microseconds since 1970, may jump.
  virtual int64_t WallMicros() const = 0;
  virtual ~Clock() = default;
};

class SystemClock final : public Clock {
 public:
  TimePoint Now() const override;
  int64_t WallMicros() const override;
};

}  // namespace store
