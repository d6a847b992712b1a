// SPDX-License-Identifier: Apache-2.0
// Drawing options from a seed: one of a few values, or a pace that may also be "never". Pure.
#pragma once

#include "store/base/random.h"
#include "tests/sim/event_queue.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace store::sim {

template <typename T, size_t N>
T OneOf(Random& random, const std::array<T, N>& values) {
  return values[random.Below(N)];
}

inline Time TimeBetween(Random& random, Time low, Time high) {
  return static_cast<Time>(random.Between(static_cast<uint64_t>(low), static_cast<uint64_t>(high)));
}

// 0 (never) unless the chance comes true; the same number of draws in both cases.
inline Time Sometimes(Random& random, double chance, Time low, Time high) {
  bool on = random.Chance(chance);
  Time every = TimeBetween(random, low, high);
  return on ? every : 0;
}

}  // namespace store::sim
