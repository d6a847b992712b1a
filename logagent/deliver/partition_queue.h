// SPDX-License-Identifier: Apache-2.0
// PartitionQueue: how much may wait for one partition. The library sends a partition's batches one
// after the other, in the order they came: a quiet file that shares its partition with a hot one
// waits for all that is queued there. So a partition holds the batch on its way and, behind it,
// what it is rid of in kQueueTime at the rate at which it was answered lately, but always a batch
// and a half, for the next one has to be there when the answer comes. Not thread-safe: the sink's
// mutex.
#pragma once

#include "store/base/clock.h"

#include <chrono>
#include <cstdint>

namespace logagent {

inline constexpr store::Duration kQueueTime = std::chrono::milliseconds(30);

class PartitionQueue {
 public:
  explicit PartitionQueue(store::TimePoint now) : since_(now) {}

  uint64_t Limit(uint64_t batch_bytes) const;
  void Taken(uint64_t bytes, store::TimePoint now);
  void Answered(uint64_t bytes, store::TimePoint now);
  uint64_t bytes() const { return bytes_; }

 private:
  uint64_t bytes_ = 0;
  uint64_t answered_ = 0;  // since since_
  store::TimePoint since_;
  uint64_t in_queue_time_ = 0;  // what was answered in kQueueTime, lately
};

}  // namespace logagent
