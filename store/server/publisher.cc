// SPDX-License-Identifier: Apache-2.0
#include "store/server/publisher.h"

#include "store/apply/command.h"

#include <chrono>
#include <utility>

namespace store::server {
namespace {

constexpr Duration kLookAgain = std::chrono::milliseconds(10);
// What is forwarded to a leader that goes away is lost, and saying it twice does no harm.
constexpr Duration kProposeAgain = std::chrono::seconds(1);

}  // namespace

Publisher::Publisher(Self self, const apply::StateMachine& machine, replica::ReplicaDoor& door,
                     const replica::RaftGauges& gauges, Executor& executor,
                     Duration request_timeout, Action published)
    : self_(std::move(self)),
      machine_(machine),
      door_(door),
      gauges_(gauges),
      executor_(executor),
      request_timeout_(request_timeout),
      published_(std::move(published)) {}

void Publisher::Run() {
  if (stopped_) return;
  bool known = false;
  bool versioned = false;
  bool caught_up = false;
  {
    apply::StateRef state = machine_.Read();
    known = AttributesKnown(*state);
    versioned = !state->cluster_version->empty();
    caught_up = CaughtUp(*state);
  }
  if (known && versioned && caught_up) return published_();
  if (!known && executor_.Now() >= propose_again_) Propose();
  timer_ = executor_.After(kLookAgain, [this] { Run(); });
}

void Publisher::Stop() {
  stopped_ = true;
  executor_.Cancel(timer_);
}

// An entry of the current leader's term is applied, and with it everything before: the log of the
// former life is replayed.
bool Publisher::CaughtUp(const apply::StateView& state) const {
  return gauges_.leader.load() != 0 && state.applied_term.value() == gauges_.term.load();
}

bool Publisher::AttributesKnown(const apply::StateView& state) const {
  for (const cluster::Member& member : *state.members) {
    if (member.id == self_.id) {
      return member.name == self_.name && member.client_urls == self_.client_urls;
    }
  }
  return false;
}

void Publisher::Propose() {
  propose_again_ = executor_.Now() + kProposeAgain;
  sluice::store::Command command;
  auto* request = command.mutable_member_attributes();
  request->set_member_id(self_.id.value());
  auto* attributes = request->mutable_member_attributes();
  attributes->set_name(self_.name);
  for (const std::string& url : self_.client_urls) attributes->add_client_urls(url);
  std::string bytes = apply::EncodeCommand({}, command);
  replica::ProposalBundle bundle;
  bundle.bytes = bytes.size();
  bundle.proposals.push_back({{}, std::move(bytes), executor_.Now() + request_timeout_});
  // Refused: the mailbox is full; the next look proposes again.
  if (!door_.TryPropose(bundle)) propose_again_ = {};
}

}  // namespace store::server
