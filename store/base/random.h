// SPDX-License-Identifier: Apache-2.0
// Random: a seeded generator (xoshiro256**) whose streams are the same on every machine and
// compiler, which the distributions of the standard library are not. A whole simulation comes from
// one seed: each part takes a stream of its own with Fork, so that one more draw in one part
// changes nothing in another. Not for secrets. One thread at a time.
#pragma once

#include <cstdint>
#include <string_view>

namespace store {

class Random {
 public:
  explicit Random(uint64_t seed);

  // 64 uniform bits.
  uint64_t Next();
  // Uniform in [0, n); n > 0.
  uint64_t Below(uint64_t n);
  // Uniform in [low, high], both included.
  uint64_t Between(uint64_t low, uint64_t high);
  // Uniform in [0, 1).
  double Unit();
  // True with probability p; never for p <= 0, always for p >= 1. Draws in every case.
  bool Chance(double p);

  // A stream that depends on this generator's seed and `name` only, not on what was drawn so far.
  Random Fork(std::string_view name) const;

  uint64_t seed() const { return seed_; }

 private:
  uint64_t seed_;
  uint64_t state_[4];
};

// The single door to the entropy of the operating system; may be used for secrets.
uint64_t EntropySeed();

}  // namespace store
