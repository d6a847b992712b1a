// SPDX-License-Identifier: Apache-2.0
// Publisher: tells the cluster, through the log, this member's name and client URLs. Proposes again
// until the replicated state says so; then waits until the log of the former life is replayed and
// there is a cluster version (version_monitor.h), and calls `published` once. Everything on one
// loop. Stop before that loop stops.
#pragma once

#include "store/apply/state_machine.h"
#include "store/base/executor.h"
#include "store/replica/edge.h"
#include "store/replica/gauges.h"

#include <memory>
#include <string>
#include <vector>

namespace store::server {

class Publisher {
 public:
  struct Self {
    raft::NodeId id;
    std::string name;
    std::vector<std::string> client_urls;
  };

  Publisher(Self self, const apply::StateMachine& machine, replica::ReplicaDoor& door,
            const replica::RaftGauges& gauges, Executor& executor, Duration request_timeout,
            Action published);

  // On the loop.
  void Run();
  void Stop();

 private:
  bool CaughtUp(const apply::StateView& state) const;
  bool AttributesKnown(const apply::StateView& state) const;
  void Propose();

  const Self self_;
  const apply::StateMachine& machine_;
  replica::ReplicaDoor& door_;
  const replica::RaftGauges& gauges_;
  Executor& executor_;
  const Duration request_timeout_;
  Action published_;
  TimePoint propose_again_{};
  Executor::TimerId timer_ = 0;
  bool stopped_ = false;
};

}  // namespace store::server
