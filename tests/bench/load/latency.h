// SPDX-License-Identifier: Apache-2.0
// Latency: how long the operations of one run took, in buckets of about 1.6 % width, so that
// percentiles of millions of operations need a few KiB. One thread; results of several loops are
// merged when they have stopped.
#pragma once

#include "store/base/clock.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bench {

class Latency {
 public:
  Latency() : counts_(kBuckets) {}

  void Add(store::Duration took);
  void Merge(const Latency& other);
  uint64_t count() const { return count_; }
  // The upper end of the bucket that holds the given share (0..1) of all operations.
  double Microseconds(double share) const;
  double MaxMicroseconds() const { return static_cast<double>(max_nanos_) / 1000; }
  double MeanMicroseconds() const;

 private:
  static constexpr int kStepsLog2 = 6;  // steps per doubling
  static constexpr size_t kBuckets = size_t{64 - kStepsLog2} << kStepsLog2;

  static size_t BucketOf(uint64_t nanos);
  static uint64_t EndOf(size_t bucket);

  std::vector<uint64_t> counts_;
  uint64_t count_ = 0;
  uint64_t sum_nanos_ = 0;
  uint64_t max_nanos_ = 0;
};

}  // namespace bench
