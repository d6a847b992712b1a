// SPDX-License-Identifier: Apache-2.0
// Presence: the agent's two keys in the store. /logagent/_/live/<id> hangs on the agent's lease (60
// s ± 20 %), so it is there exactly while the agent lives; /logagent/_/status/<id> is written when
// something worth it changed, at most once a second, and at most every ten seconds if only the lag
// moved. A thread of its own: a store that is slow or away stalls nothing else, and is tried again
// with a jittered back-off. Memory: two documents.
#pragma once

#include "logagent/agent/status.h"
#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/base/random.h"
#include "store/base/thread.h"
#include "store/client/client.h"

#include <cstdint>
#include <string>

namespace logagent {

class Presence {
 public:
  // `client` and `clock` outlive it.
  Presence(store::client::Client& client, const AgentIdentity& identity, const store::Clock& clock,
           store::Logger log);
  ~Presence() { Stop(); }
  Presence(const Presence&) = delete;
  Presence& operator=(const Presence&) = delete;

  void Start();
  // Revokes the lease, if the store answers within a second.
  void Stop();
  // What is to be seen from now on. Any thread.
  void Update(StatusDocument document);

 private:
  void Run();
  // One look at what is due; when to look again.
  store::Result<store::TimePoint> Step();
  store::Status KeepLease();
  store::Status WriteStatus();
  store::Status Put(const std::string& key, const std::string& value, int64_t lease);

  store::client::Client& client_;
  const std::string live_key_;
  const std::string status_key_;
  const std::string live_document_;
  const store::Clock& clock_;
  const store::Logger log_;

  // The thread only.
  store::Random random_;
  store::LogEvery quiet_;
  const int64_t ttl_seconds_;
  int64_t lease_ = 0;
  store::TimePoint next_sign_;
  store::TimePoint next_status_;
  store::TimePoint next_lag_;
  StatusDocument written_;

  store::Mutex mutex_;
  store::CondVar changed_;
  StatusDocument wanted_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  store::Thread thread_;
};

}  // namespace logagent
