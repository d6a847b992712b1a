// SPDX-License-Identifier: Apache-2.0
// ShardMail: what other threads hand to a shard: actions (commands and callbacks) and deliveries,
// with an eventfd that wakes the shard's poll. Held by shared_ptr, so that a callback that comes
// after the shard has gone falls on the floor. Any thread posts, the shard takes. Bounded by what
// the shard itself asked for and by the control thread, which sends one command per entry.
#pragma once

#include "logagent/deliver/sink.h"
#include "store/base/executor.h"
#include "store/base/file.h"
#include "store/base/thread.h"

#include <absl/base/thread_annotations.h>

#include <utility>
#include <vector>

namespace logagent {

class ShardMail {
 public:
  ShardMail();

  void Post(store::Action action);
  void Post(std::vector<Delivery> deliveries);
  // Wakes the shard, which reads `stopping` flags of its own.
  void Wake();
  // Takes everything and clears the wake-up.
  void Take(std::vector<store::Action>* actions, std::vector<Delivery>* deliveries);
  void Close();
  int Fd() const { return fd_.get(); }

 private:
  store::UniqueFd fd_;
  store::Mutex mutex_;
  std::vector<store::Action> actions_ ABSL_GUARDED_BY(mutex_);
  std::vector<Delivery> deliveries_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace logagent
