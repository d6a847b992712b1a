// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/raft_checker.h"

#include "store/raft/quorum.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
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

// Of a message that only the leader of its term sends.
std::optional<Term> LeadersTerm(const raft::Message& message) {
  if (const auto* append = std::get_if<raft::AppendRequest>(&message)) return append->term;
  if (const auto* heartbeat = std::get_if<raft::Heartbeat>(&message)) return heartbeat->term;
  if (const auto* notice = std::get_if<raft::SnapshotNotice>(&message)) return notice->term;
  return std::nullopt;
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
  if (problem.empty()) problem = ObserveContact(config, *before, status);
  if (problem.empty()) problem = ObserveMemory(config, *before, status, raft);
  if (problem.empty()) problem = history_.Observe(status);
  if (problem.empty()) problem = ObserveLeader(status, raft);
  if (problem.empty()) problem = ObserveCommit(status, raft);
  *before = std::move(status);
  return problem.empty() ? problem : fmt::format("member {}: {}", config.id, problem);
}

void RaftChecker::Ticks(NodeId node) {
  Contact& contact = contacts_[node];
  ++contact.ticks;
  contact.ticked = true;
}

void RaftChecker::Arrives(const raft::Config& config, const raft::Status& before,
                          const raft::Envelope& envelope) {
  Contact& contact = contacts_[config.id];
  contact.heard[envelope.from] = contact.ticks;
  if (const auto* reply = std::get_if<raft::VoteReply>(&envelope.message)) {
    if (reply->pre && reply->granted) contact.harmless = "a granted pre-vote";
  }
  if (const auto* request = std::get_if<raft::VoteRequest>(&envelope.message)) {
    // Leads, or has heard its leader within an election timeout (thesis 4.2.3).
    auto election = static_cast<uint64_t>(config.election_ticks);
    bool hears = before.leader && (before.role == raft::Role::kLeader ||
                                   contact.ticks - contact.leader_heard < election);
    if (config.check_quorum && hears && !request->transfer) {
      contact.harmless = "a vote asked for while it hears its leader";
    }
    if (request->pre) contact.harmless = "a pre-vote asked for";
  }
  if (std::optional<Term> term = LeadersTerm(envelope.message); term && *term >= before.term) {
    contact.leader_heard = contact.ticks;
  }
}

// A pre-vote raises no term (thesis 9.6); who comes back deposes nobody who is heard (4.2.3); a
// leader that has not heard a quorum between two of its checks has stepped down (6.2).
std::string RaftChecker::ObserveContact(const raft::Config& config, const raft::Status& before,
                                        const raft::Status& status) {
  Contact& contact = contacts_[config.id];
  std::string_view harmless = std::exchange(contact.harmless, {});
  bool ticked = std::exchange(contact.ticked, false);
  // The last pre-vote that was missing lets it stand for election.
  bool stands = status.vote == status.id && status.term == before.term + 1;
  if (!harmless.empty() && status.term != before.term && !stands) {
    return fmt::format("{} raises its term from {} to {}", harmless, before.term, status.term);
  }
  if (status.role != raft::Role::kLeader) return {};
  if (contact.led != status.term || contact.led_conf != status.conf) {
    contact.led = status.term;
    contact.led_conf = status.conf;
    contact.led_since = contact.ticks;
  }
  uint64_t patience = 2 * static_cast<uint64_t>(config.election_ticks);
  if (!config.check_quorum || !ticked || contact.ticks - contact.led_since < patience) return {};
  raft::VoteResult heard = raft::QuorumVote(status.conf, [&](NodeId voter) {
    auto at = contact.heard.find(voter);
    bool recent = at != contact.heard.end() && contact.ticks - at->second < patience;
    return std::optional(voter == status.id || recent);
  });
  if (heard == raft::VoteResult::kWon) return {};
  return fmt::format("leads term {} still, no quorum of {} was heard for {} ticks", status.term,
                     raft::ToString(status.conf), patience);
}

size_t RaftChecker::BytesThrough(Index index, Term term) const {
  auto at = entries_.find({index, term});
  return at == entries_.end() ? 0 : at->second.bytes_through;
}

// What is in memory and why; only after an output, when all of the log is known here.
std::string RaftChecker::ObserveMemory(const raft::Config& config, const raft::Status& before,
                                       const raft::Status& status, const raft::Raft& raft) const {
  Index settled = std::min(status.commit, status.stable);
  bool proposed = status.role == raft::Role::kLeader && before.role == raft::Role::kLeader &&
                  status.term == before.term && before.uncommitted_bytes > 0 &&
                  status.uncommitted_bytes > before.uncommitted_bytes &&
                  settled == std::min(before.commit, before.stable);
  // A change of members is taken whatever waits; the next one as soon as the last is applied.
  bool change = status.conf_change_pending &&
                (!before.conf_change_pending || status.applied > before.applied);
  if (proposed && !change && status.uncommitted_bytes > config.uncommitted_bytes_max) {
    return fmt::format("takes proposals: {} bytes uncommitted after {}", status.uncommitted_bytes,
                       before.uncommitted_bytes);
  }
  if (raft.HasOutput()) return {};
  const auto behind = [&](Index index) {
    return BytesThrough(status.last, status.last_term) - BytesThrough(index, raft.TermAt(index));
  };
  if (status.uncommitted_bytes != behind(settled)) {
    return fmt::format("counts {} bytes uncommitted, there are {}", status.uncommitted_bytes,
                       behind(settled));
  }
  // What is not applied or not durable stays whatever it takes.
  size_t needed = behind(std::min(status.applied, status.stable));
  if (status.window_bytes <= std::max(config.window_bytes_max, needed)) return {};
  return fmt::format("keeps {} bytes of its log in memory, {} are needed", status.window_bytes,
                     needed);
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
    Known seen{HashOf(*entry), before, entry->kind == raft::EntryKind::kConfChange,
               BytesThrough(entry->index - 1, before) + raft::EntryBytes(*entry)};
    auto [at, fresh] = entries_.try_emplace({entry->index, entry->term}, seen);
    if (at->second != seen) {
      return fmt::format("two logs differ at or before entry {} of term {}", entry->index,
                         entry->term);
    }
    before = entry->term;
    if (std::string problem = ObserveConfChange(*entry, raft); !problem.empty()) return problem;
  }
  return {};
}

// A leader proposes a change of members when the one before it is applied (thesis 4.1) and an entry
// of its own term is committed (the erratum to it). It may have applied more since it did.
std::string RaftChecker::ObserveConfChange(const raft::Entry& entry, const raft::Raft& raft) const {
  raft::Position leader = raft.position();
  bool proposed = entry.kind == raft::EntryKind::kConfChange && entry.term == leader.term &&
                  leader.role == raft::Role::kLeader;
  if (!proposed) return {};
  if (raft.TermAt(leader.commit) != leader.term) {
    return fmt::format("the leader of term {} changes members at {}, it has committed {} only",
                       leader.term, entry.index, leader.commit);
  }
  for (Index index = leader.applied + 1; index < entry.index; ++index) {
    auto at = entries_.find({index, raft.TermAt(index)});
    if (at == entries_.end() || !at->second.conf_change) continue;
    return fmt::format("the leader of term {} changes members at {}, has applied {}, not {}",
                       leader.term, entry.index, leader.applied, index);
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
