// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/shard_mail.h"

#include "store/base/check.h"

#include <cstdint>
#include <iterator>
#include <sys/eventfd.h>
#include <unistd.h>

namespace logagent {

ShardMail::ShardMail() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  CHECK(fd_.get() >= 0, "eventfd");
}

void ShardMail::Wake() {
  uint64_t one = 1;
  // Fails only when the counter is full, and then the shard is awake.
  [[maybe_unused]] ssize_t written = write(fd_.get(), &one, sizeof one);
}

void ShardMail::Post(store::Action action) {
  {
    store::MutexLock lock(mutex_);
    if (closed_) {
      return;
    }
    actions_.push_back(std::move(action));
  }
  Wake();
}

void ShardMail::Post(std::vector<Delivery> deliveries) {
  bool first = false;
  {
    store::MutexLock lock(mutex_);
    if (closed_) {
      return;
    }
    first = deliveries_.empty();
    deliveries_.insert(deliveries_.end(), std::make_move_iterator(deliveries.begin()),
                       std::make_move_iterator(deliveries.end()));
  }
  if (first) {
    Wake();
  }
}

void ShardMail::Take(std::vector<store::Action>* actions, std::vector<Delivery>* deliveries) {
  uint64_t count = 0;
  [[maybe_unused]] ssize_t got = read(fd_.get(), &count, sizeof count);
  store::MutexLock lock(mutex_);
  actions->swap(actions_);
  deliveries->swap(deliveries_);
}

void ShardMail::Close() {
  std::vector<store::Action> dropped;
  store::MutexLock lock(mutex_);
  closed_ = true;
  dropped.swap(actions_);
  deliveries_.clear();
}

}  // namespace logagent
