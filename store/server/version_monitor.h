// SPDX-License-Identifier: Apache-2.0
// VersionMonitor: the cluster version, as etcd decides it: the leader asks every member for its
// version (GET /version of the peer ports) when it has begun to lead and every four seconds, and
// proposes what follows (cluster/version.h): 3.0.0 at first when somebody does not answer, later
// the lowest version that runs, a downgrade's target while one is under way; it also ends the
// downgrade when everybody runs the target. On every member it logs and shows the version that
// applies. Start, Stop and everything else on one loop, which outlives it; `ask` runs where `run`
// puts it, and may block there. One round of questions at a time.
#pragma once

#include "store/apply/state_machine.h"
#include "store/base/executor.h"
#include "store/base/log.h"
#include "store/base/metrics.h"
#include "store/cluster/version.h"
#include "store/replica/edge.h"
#include "store/replica/gauges.h"
#include "store/rpc/http_router.h"

#include <absl/functional/any_invocable.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace store::server {

// nullopt: no answer, or none that makes sense.
std::optional<cluster::Version> AskVersion(const cluster::Member& member, raft::NodeId self);
std::optional<cluster::Version> DecodeServerVersion(std::string_view json);

class VersionMonitor {
 public:
  using Ask = absl::AnyInvocable<std::optional<cluster::Version>(const cluster::Member&) const>;
  struct Parts {
    const apply::StateMachine& machine;
    replica::ReplicaDoor& door;
    const replica::RaftGauges& gauges;
    Executor& executor;
    Logger log;
    Registry& registry;
    raft::NodeId self;
    Ask ask;
    // Runs an action on a thread that may block. false: it cannot now.
    absl::AnyInvocable<bool(Action&&) const> run;
  };

  explicit VersionMonitor(Parts parts);

  void Start() { Look(); }
  void Stop();

 private:
  // What the members said, when all of them did.
  struct Answers {
    std::vector<cluster::Version> versions;
    bool complete = true;
  };

  void Look();
  void Show(const std::string& version);
  bool Due(const apply::StateView& state);
  void AskAll(const cluster::MemberList& members);
  void OnAnswers(const Answers& answers);
  void Propose(std::string command);

  const Parts parts_;
  MetricFamily<Gauge>& shown_;
  std::string version_;  // the last that was shown
  uint64_t term_ = 0;    // asked in it
  TimePoint next_{};
  bool asking_ = false;
  std::optional<Executor::TimerId> timer_;
  // Also read by the round of questions, which should not go on for nobody.
  std::shared_ptr<std::atomic<bool>> stopped_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace store::server
