// SPDX-License-Identifier: Apache-2.0
// Poller: the thread that polls one sink and mails what was decided to the shards that own the
// files, one mail per shard and poll. Start before the shards produce, Stop after they have
// stopped.
#pragma once

#include "logagent/agent/shard.h"
#include "logagent/deliver/sink.h"
#include "store/base/thread.h"

#include <atomic>
#include <vector>

namespace logagent {

// Which of `count` shards reads a file.
uint32_t ShardOf(uint64_t device, uint64_t inode, uint32_t count);

class Poller {
 public:
  Poller(Sink& sink, std::vector<Shard*> shards);
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  void Start();
  void Stop();  // idempotent

 private:
  void Run();

  Sink& sink_;
  std::vector<Shard*> shards_;
  std::atomic<bool> stopping_ = false;
  store::Thread thread_;
};

}  // namespace logagent
