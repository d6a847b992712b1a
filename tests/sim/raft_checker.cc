// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/raft_checker.h"

#include "store/raft/quorum.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <variant>

namespace store::sim {
namespace {

using raft::Index;
using raft::NodeId;
using raft::Term;

uint64_t Mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15;
  return hash ^ (hash >> 29);
}

uint64_t HashOf(const raft::Entry& entry) {
  uint64_t hash = Mix(entry.term.value(), static_cast<uint64_t>(entry.kind));
  for (char c : entry.data) hash = Mix(hash, static_cast<unsigned char>(c));
  return hash;
}

// The term whose loss would make the message a lie; none for what asks about a term of the future.
std::optional<Term> PresumedTerm(const raft::Message& message) {
  const auto* request = std::get_if<raft::VoteRequest>(&message);
  const auto* reply = std::get_if<raft::VoteReply>(&message);
  if ((request != nullptr && request->pre) || (reply != nullptr && reply->pre)) return std::nullopt;
  return std::visit(
      [](const auto& m) -> std::optional<Term> {
        if constexpr (requires { m.term; }) return m.term;
        return std::nullopt;
      },
      message);
}

}  // namespace

uint64_t DigestAfter(uint64_t digest, const raft::Entry& entry) {
  return Mix(Mix(digest, entry.index.value()), HashOf(entry));
}

std::string RaftChecker::Observe(const raft::Config& config, const raft::Raft& raft,
                                 raft::Status* before) {
  raft::Status status = raft.status();
  std::string problem = raft::BasicProblem(config, status);
  if (problem.empty()) problem = raft::DeltaProblem(*before, status);
  if (problem.empty()) problem = history_.Observe(status);
  if (problem.empty()) problem = ObserveLeader(status, raft);
  if (problem.empty()) problem = ObserveCommit(status, raft);
  *before = std::move(status);
  return problem.empty() ? problem : fmt::format("member {}: {}", config.id, problem);
}

// Leader completeness (thesis 3.6.3): it has every entry that was committed in an earlier term.
std::string RaftChecker::ObserveLeader(const raft::Status& status, const raft::Raft& raft) {
  if (status.role != raft::Role::kLeader) return {};
  if (!leaders_.try_emplace(status.term, status.id).second) return {};
  for (auto at = committed_.lower_bound(status.first); at != committed_.end(); ++at) {
    const auto& [index, entry] = *at;
    if (entry.seen_in >= status.term) continue;
    if (index > status.last || raft.TermAt(index) != entry.term) {
      return fmt::format("leader of term {} lacks entry {} of term {}, committed in term {}",
                         status.term, index, entry.term, entry.seen_in);
    }
  }
  return {};
}

std::string RaftChecker::ObserveCommit(const raft::Status& status, const raft::Raft& raft) {
  auto known = committed_.find(status.commit);
  if (known != committed_.end()) {
    if (status.commit + 1 < status.first) return {};
    Term own = raft.TermAt(status.commit);
    if (own == known->second.term) return {};
    return fmt::format("commits entry {} of term {}, it was committed with term {}", status.commit,
                       own, known->second.term);
  }
  for (Index index = committed() + 1; index <= status.commit; ++index) {
    if (status.role != raft::Role::kLeader) {
      return fmt::format("commits {} before any leader did", index);
    }
    committed_[index] = {raft.TermAt(index), status.term};
  }
  if (status.commit == Index()) return {};
  return CheckQuorum(status, status.commit, raft.TermAt(status.commit));
}

std::string RaftChecker::CheckQuorum(const raft::Status& status, Index index, Term term) const {
  raft::VoteResult result = raft::QuorumVote(
      status.conf, [&](NodeId voter) { return std::optional(holds_(voter, index, term)); });
  if (result == raft::VoteResult::kWon) return {};
  return fmt::format("commits entry {} of term {} without a quorum of synced disks among {}", index,
                     term, raft::ToString(status.conf));
}

std::string RaftChecker::ObserveUnit(const raft::PersistUnit& unit, const raft::Raft& raft) {
  Term before;
  for (const raft::EntryPtr& entry : unit.entries) {
    if (entry == unit.entries.front()) before = raft.TermAt(entry->index - 1);
    std::pair<uint64_t, Term> seen{HashOf(*entry), before};
    auto [at, fresh] = entries_.try_emplace({entry->index, entry->term}, seen);
    if (at->second != seen) {
      return fmt::format("two logs differ at or before entry {} of term {}", entry->index,
                         entry->term);
    }
    before = entry->term;
  }
  return {};
}

std::string RaftChecker::ObserveApplied(NodeId node, const raft::Entry& entry,
                                        const StateAt& state) {
  std::string problem = history_.ObserveApplied(node, entry);
  if (!problem.empty()) return problem;
  told_ = std::max(told_, entry.index);
  auto [at, fresh] = states_.try_emplace(entry.index, state);
  if (at->second.digest == state.digest && at->second.conf == state.conf) return {};
  return fmt::format("member {} is in another state at {} ({} instead of {})", node, entry.index,
                     raft::ToString(state.conf), raft::ToString(at->second.conf));
}

std::string RaftChecker::ObserveSent(const raft::Envelope& envelope, const raft::UnitDisk& disk) {
  Term durable = disk.hard_state.term;
  std::optional<Term> term = PresumedTerm(envelope.message);
  if (term && durable < *term) {
    return fmt::format("member {} speaks in term {}, on its disk is {}", envelope.from, *term,
                       durable);
  }
  if (const auto* vote = std::get_if<raft::VoteReply>(&envelope.message)) {
    if (vote->pre || !vote->granted) return {};
    if (durable == vote->term && disk.hard_state.vote != envelope.to) {
      return fmt::format("member {} grants {} a vote that is not on its disk", envelope.from,
                         envelope.to);
    }
    auto [at, fresh] = votes_.try_emplace({vote->term, envelope.from}, envelope.to);
    if (at->second != envelope.to) {
      return fmt::format("member {} votes twice in term {}: {} and {}", envelope.from, vote->term,
                         at->second, envelope.to);
    }
  }
  const auto* append = std::get_if<raft::AppendReply>(&envelope.message);
  // In a later term what it acknowledged may have been replaced.
  if (append == nullptr || !append->ok || durable > append->term) return {};
  Index last = disk.truncated + disk.entries.size();
  if (append->index <= last) return {};
  return fmt::format("member {} acknowledges {}, its disk ends at {}", envelope.from, append->index,
                     last);
}

}  // namespace store::sim
