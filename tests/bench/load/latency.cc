// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/load/latency.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace bench {

// Values below one doubling of steps are exact; above, the highest bits choose the bucket.
size_t Latency::BucketOf(uint64_t nanos) {
  constexpr uint64_t kSteps = uint64_t{1} << kStepsLog2;
  if (nanos < kSteps) return nanos;
  const auto shift = static_cast<size_t>(std::bit_width(nanos)) - 1 - kStepsLog2;
  const size_t bucket = (shift << kStepsLog2) + (nanos >> shift);
  return std::min(bucket, kBuckets - 1);
}

uint64_t Latency::EndOf(size_t bucket) {
  constexpr uint64_t kSteps = uint64_t{1} << kStepsLog2;
  if (bucket < kSteps) return bucket;
  const uint64_t shift = (bucket >> kStepsLog2) - 1;
  return ((bucket & (kSteps - 1)) + kSteps + 1) << shift;
}

void Latency::Add(store::Duration took) {
  const uint64_t nanos = took.count() > 0 ? static_cast<uint64_t>(took.count()) : 0;
  ++counts_[BucketOf(nanos)];
  ++count_;
  sum_nanos_ += nanos;
  max_nanos_ = std::max(max_nanos_, nanos);
}

void Latency::Merge(const Latency& other) {
  for (size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_nanos_ += other.sum_nanos_;
  max_nanos_ = std::max(max_nanos_, other.max_nanos_);
}

double Latency::Microseconds(double share) const {
  const auto wanted = static_cast<uint64_t>(std::ceil(share * static_cast<double>(count_)));
  uint64_t seen = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    seen += counts_[i];
    if (seen >= wanted && seen > 0) {
      return static_cast<double>(std::min(EndOf(i), max_nanos_)) / 1000;
    }
  }
  return 0;
}

double Latency::MeanMicroseconds() const {
  return count_ == 0 ? 0 : static_cast<double>(sum_nanos_) / static_cast<double>(count_) / 1000;
}

}  // namespace bench
