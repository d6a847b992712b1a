// SPDX-License-Identifier: Apache-2.0
// HubThread: runs a WatchHub on a thread of its own: a turn whenever something was posted, a
// catch-up slice is left or a progress notice is due, else it sleeps. Start and Stop by the owner.
#pragma once

#include "store/base/clock.h"
#include "store/base/thread.h"
#include "store/watch/watch_hub.h"

namespace store::replica {

class HubThread {
 public:
  explicit HubThread(watch::WatchHub& hub) : hub_(hub) {}
  ~HubThread() { Stop(); }

  void Start();
  void Stop();

 private:
  void Run();
  // False: stop.
  bool Sleep(TimePoint deadline);

  watch::WatchHub& hub_;
  Mutex mutex_;
  CondVar signal_;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  Thread thread_;
};

}  // namespace store::replica
