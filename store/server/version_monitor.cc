// SPDX-License-Identifier: Apache-2.0
#include "store/server/version_monitor.h"

#include "store/apply/command.h"
#include "store/server/peer_page.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace store::server {
namespace {

constexpr size_t kAnswerBytesMax = 4 << 10;
constexpr Duration kAskAgain = std::chrono::seconds(4);  // as etcd
// Members wait for the first version before they call themselves ready.
constexpr Duration kLookForFirst = std::chrono::milliseconds(10);
constexpr Duration kLook = std::chrono::milliseconds(500);
constexpr Duration kProposalPatience = std::chrono::seconds(7);

}  // namespace

std::optional<cluster::Version> DecodeServerVersion(std::string_view text) {
  auto page = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!page.is_object()) return std::nullopt;
  auto version = page.find("etcdserver");
  if (version == page.end() || !version->is_string()) return std::nullopt;
  // A suffix ("-rc.1") does not count.
  std::string number = version->get<std::string>();
  return cluster::ParseVersion(std::string_view(number).substr(0, number.find('-')));
}

std::optional<cluster::Version> AskVersion(const cluster::Member& member, raft::NodeId self) {
  for (const std::string& url : member.peer_urls) {
    auto page = GetPeerPage(url, "/version", self, kAnswerBytesMax);
    if (!page || page->status != 200) continue;
    if (auto version = DecodeServerVersion(page->body)) return version;
  }
  return std::nullopt;
}

VersionMonitor::VersionMonitor(Parts parts)
    : parts_(std::move(parts)),
      shown_(parts_.registry.AddGauges("etcd_cluster_version",
                                       "Which version is running. 1 for 'cluster_version' label "
                                       "with current cluster version",
                                       {"cluster_version"})) {}

void VersionMonitor::Stop() {
  *stopped_ = true;
  if (timer_) parts_.executor.Cancel(*timer_);
  timer_.reset();
}

void VersionMonitor::Look() {
  std::shared_ptr<const std::string> version;
  std::shared_ptr<const cluster::MemberList> members;
  {
    apply::StateRef state = parts_.machine.Read();
    version = state->cluster_version;
    if (Due(*state)) members = state->members;
  }
  if (*version != version_) Show(*version);
  if (members) AskAll(*members);
  timer_ = parts_.executor.After(version_.empty() ? kLookForFirst : kLook, [this] { Look(); });
}

void VersionMonitor::Show(const std::string& version) {
  if (version_.empty()) {
    parts_.log.Info("set initial cluster version", {{"cluster-version", version}});
  } else {
    parts_.log.Info("updated cluster version", {{"from", version_}, {"to", version}});
    shown_.With({cluster::MajorMinor(version_)}).Set(0);
  }
  parts_.log.Info("enabled capabilities for version",
                  {{"cluster-version", cluster::MajorMinor(version)}});
  shown_.With({cluster::MajorMinor(version)}).Set(1);
  version_ = version;
}

// Only a leader that has applied everything of its predecessors knows what was decided before.
bool VersionMonitor::Due(const apply::StateView& state) {
  const uint64_t term = parts_.gauges.term.load();
  bool leads = parts_.gauges.is_leader.load() && state.applied_term.value() == term;
  if (!leads || asking_) return false;
  if (term == term_ && parts_.executor.Now() < next_) return false;
  term_ = term;
  return true;
}

void VersionMonitor::AskAll(const cluster::MemberList& members) {
  next_ = parts_.executor.Now() + kAskAgain;
  cluster::MemberList others;
  std::copy_if(members.begin(), members.end(), std::back_inserter(others),
               [this](const cluster::Member& member) { return member.id != parts_.self; });
  Answers own{{*cluster::ParseVersion(cluster::kServerVersion)}};
  if (others.empty()) return OnAnswers(own);
  asking_ = parts_.run(
      [this, others = std::move(others), answers = std::move(own), stopped = stopped_]() mutable {
        for (const cluster::Member& member : others) {
          if (*stopped) return;
          auto version = parts_.ask(member);
          if (version) answers.versions.push_back(*version);
          answers.complete &= version.has_value();
        }
        parts_.executor.Post([this, answers = std::move(answers), stopped = std::move(stopped)] {
          if (*stopped) return;
          asking_ = false;
          OnAnswers(answers);
        });
      });
}

void VersionMonitor::OnAnswers(const Answers& answers) {
  if (!parts_.gauges.is_leader.load()) return;
  std::shared_ptr<const std::string> version;
  std::shared_ptr<const cluster::Downgrade> downgrade;
  {
    apply::StateRef state = parts_.machine.Read();
    version = state->cluster_version;
    downgrade = state->downgrade;
  }
  std::optional<cluster::Version> lowest;
  if (answers.complete) {
    lowest = *std::min_element(answers.versions.begin(), answers.versions.end());
  }
  auto current = cluster::ParseVersion(*version);
  if (auto decided = cluster::DecideClusterVersion(current, lowest, *downgrade)) {
    sluice::store::Command command;
    command.mutable_cluster_version()->set_ver(cluster::ToString(*decided));
    return Propose(apply::EncodeCommand({}, command));
  }
  if (!answers.complete || !cluster::IsDowngradeDone(answers.versions, *downgrade)) return;
  parts_.log.Info("the cluster has been downgraded", {{"cluster-version", *version}});
  sluice::store::Command command;
  command.mutable_downgrade_info()->set_enabled(false);
  Propose(apply::EncodeCommand({}, command));
}

void VersionMonitor::Propose(std::string command) {
  replica::ProposalBundle bundle;
  bundle.bytes = command.size();
  bundle.proposals.push_back({{}, std::move(command), parts_.executor.Now() + kProposalPatience});
  // Refused: the mailbox is full; soon again.
  if (!parts_.door.TryPropose(bundle)) next_ = {};
}

}  // namespace store::server
