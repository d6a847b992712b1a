// SPDX-License-Identifier: Apache-2.0
#include "store/replica/hub_thread.h"

namespace store::replica {

void HubThread::Start() {
  hub_.SetWake([this] {
    {
      MutexLock lock(mutex_);
      if (woken_) return;
      woken_ = true;
    }
    signal_.NotifyOne();
  });
  thread_ = Thread("watch-hub", [this] { Run(); });
}

void HubThread::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  signal_.NotifyOne();
  thread_.Join();
}

void HubThread::Run() {
  while (true) {
    bool more = hub_.RunTurn();
    // With work left only a stop is looked for; otherwise wait for a post or the next progress
    // notice.
    if (!Sleep(more ? TimePoint{} : hub_.NextDeadline())) return;
  }
}

bool HubThread::Sleep(TimePoint deadline) {
  MutexLock lock(mutex_);
  while (!woken_ && !stopping_) {
    if (!signal_.WaitUntil(mutex_, deadline)) break;
  }
  woken_ = false;
  return !stopping_;
}

}  // namespace store::replica
