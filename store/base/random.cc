// SPDX-License-Identifier: Apache-2.0
#include "store/base/random.h"

#include "store/base/check.h"

#include <bit>
#include <cerrno>
#include <sys/random.h>

namespace store {
namespace {

// SplitMix64: spreads a seed of few set bits over the whole state, which must not be all zero.
uint64_t SplitMix(uint64_t* state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

Random::Random(uint64_t seed) : seed_(seed) {
  uint64_t spread = seed;
  for (uint64_t& word : state_) word = SplitMix(&spread);
}

uint64_t Random::Next() {
  uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

uint64_t Random::Below(uint64_t n) {
  CHECK(n > 0);
  // The values under the threshold are the incomplete last round of the modulus; they are drawn
  // again.
  uint64_t threshold = (0 - n) % n;
  uint64_t value = Next();
  while (value < threshold) value = Next();
  return value % n;
}

uint64_t Random::Between(uint64_t low, uint64_t high) {
  CHECK(low <= high, "low {} high {}", low, high);
  uint64_t width = high - low + 1;
  return width == 0 ? Next() : low + Below(width);
}

double Random::Unit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

bool Random::Chance(double p) { return Unit() < p; }

Random Random::Fork(std::string_view name) const {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (char byte : name) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  uint64_t mixed = seed_ ^ hash;
  return Random(SplitMix(&mixed));
}

uint64_t EntropySeed() {
  uint64_t seed = 0;
  ssize_t read = 0;
  do {
    read = ::getrandom(&seed, sizeof(seed), 0);
  } while (read < 0 && errno == EINTR);
  CHECK(read == sizeof(seed), "getrandom returned {}, errno {}", read, errno);
  return seed;
}

}  // namespace store
