// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/partition_queue.h"

#include "store/base/check.h"

#include <algorithm>

namespace logagent {
namespace {

// Long enough for several batches, short enough to follow a broker that slows down.
constexpr store::Duration kMeasured = std::chrono::milliseconds(100);

}  // namespace

uint64_t PartitionQueue::Limit(uint64_t batch_bytes) const {
  return batch_bytes + std::max(batch_bytes + batch_bytes / 2, in_queue_time_);
}

// Time in which nothing is on its way says nothing about the rate.
void PartitionQueue::Taken(uint64_t bytes, store::TimePoint now) {
  if (bytes_ == 0) {
    answered_ = 0;
    since_ = now;
  }
  bytes_ += bytes;
}

void PartitionQueue::Answered(uint64_t bytes, store::TimePoint now) {
  CHECK(bytes_ >= bytes, "{} of {}", bytes, bytes_);
  bytes_ -= bytes;
  answered_ += bytes;
  store::Duration elapsed = now - since_;
  if (elapsed >= kMeasured) {
    double share = static_cast<double>(kQueueTime.count()) / static_cast<double>(elapsed.count());
    in_queue_time_ = static_cast<uint64_t>(static_cast<double>(answered_) * share);
    answered_ = 0;
    since_ = now;
  }
}

}  // namespace logagent
