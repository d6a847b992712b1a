// SPDX-License-Identifier: Apache-2.0
#include "tests/raft_scenarios/group.h"

#include "store/base/check.h"
#include "store/raft/conf_change.h"
#include "tests/raft_scenarios/print.h"

#include <algorithm>
#include <utility>

namespace store::raft {

void Group::Add(const Config& config, const ConfState& conf) {
  Member& member = members_[config.id];
  member.config = config;
  member.conf = member.flushed_conf = conf;
  Start(&member, Restart{.hard_state = {},
                         .conf = conf,
                         .applied = {},
                         .truncated = {},
                         .truncated_term = {},
                         .runs = {},
                         .tail = {}});
}

void Group::Start(Member* member, raft::Restart restart) {
  member->raft = std::make_unique<Raft>(member->config, std::move(restart));
  member->before = member->raft->status();
}

void Group::RestartMember(NodeId node) {
  Member& member = At(node);
  member.raft.reset();
  member.disk.Crash();
  member.to_apply.clear();
  member.to_restore.clear();
  member.applied = member.flushed;
  member.conf = member.flushed_conf;
  UnitDisk& disk = member.disk;
  if (disk.Find(member.applied) == nullptr && member.applied > disk.truncated) {
    // The state was installed, the log had not heard of it (architecture 3.5, boot rule).
    disk.entries.clear();
    disk.truncated = member.applied;
    disk.truncated_term = member.installed_term;
  }
  Start(&member, disk.Load(member.applied, member.conf));
}

Member& Group::At(NodeId node) {
  auto at = members_.find(node);
  CHECK(at != members_.end(), "no member {}", node);
  return at->second;
}

std::string Group::Process(NodeId node) {
  Member& member = At(node);
  Output output = member.raft->TakeOutput();
  std::string text = Print(output, "  ");
  for (Envelope& envelope : output.send) network_.push_back(std::move(envelope));
  if (output.persist) member.disk.Write(std::move(*output.persist));
  for (EntryPtr& entry : output.apply) member.to_apply.push_back(std::move(entry));
  if (output.restore) member.to_restore.push_back(*output.restore);
  for (const Fetch& fetch : output.fetch) {
    std::vector<EntryPtr> entries;
    for (Index i = fetch.from; i <= fetch.to && member.disk.Find(i) != nullptr; ++i) {
      entries.push_back(*member.disk.Find(i));
    }
    member.raft->OnFetched(fetch.peer, fetch.from, std::move(entries));
  }
  for (const SnapshotOrder& order : output.snapshots) {
    CHECK(member.applied >= order.at_least);
    if (member.snapshots_fail) {
      member.raft->OnSnapshotSent(order.peer, false);
      continue;
    }
    Term term = member.raft->TermAt(member.applied);
    SnapshotMeta meta{member.applied, term, member.conf};
    network_.push_back({node, order.peer, SnapshotNotice{member.raft->status().term, meta}});
    member.raft->OnSnapshotSent(order.peer, true);
  }
  return text;
}

std::string Group::Persist(NodeId node, uint64_t through) {
  Member& member = At(node);
  std::string text;
  uint64_t last = 0;
  while (member.disk.unsynced() > 0 && (through == 0 || member.disk.NextUnit() <= through)) {
    PersistUnit unit = member.disk.SyncOne();
    last = unit.id;
    for (Envelope& envelope : unit.release) {
      text += "  released " + Print(envelope) + "\n";
      network_.push_back(std::move(envelope));
    }
  }
  if (last != 0) member.raft->OnPersisted(last);
  return text;
}

void Group::ApplyOne(Member* member, const Entry& entry) {
  CHECK(entry.index == member->applied + 1, "{} applies {} after {}", member->config.id,
        entry.index, member->applied);
  std::string problem = history_.ObserveApplied(member->config.id, entry);
  CHECK(problem.empty(), "{}", problem);
  if (entry.kind == EntryKind::kConfChange) {
    member->conf = member->raft->ApplyConfChange(*DecodeConfChange(entry.data));
  }
  member->applied = entry.index;
}

void Group::Apply(NodeId node) {
  Member& member = At(node);
  if (!member.to_restore.empty()) {
    // The installed state is durable when the core hears of it.
    SnapshotMeta meta = member.to_restore.front();
    member.to_restore.pop_front();
    member.to_apply.clear();
    member.applied = member.flushed = meta.index;
    member.conf = member.flushed_conf = meta.conf;
    member.installed_term = meta.term;
    member.raft->OnRestored(meta);
    return;
  }
  while (!member.to_apply.empty()) {
    EntryPtr entry = std::move(member.to_apply.front());
    member.to_apply.pop_front();
    ApplyOne(&member, *entry);
  }
  member.raft->OnApplied(member.applied);
}

void Group::Flush(NodeId node) {
  Member& member = At(node);
  member.flushed = member.applied;
  member.flushed_conf = member.conf;
}

size_t Group::Deliver(NodeId to) {
  std::deque<Envelope> now;
  std::deque<Envelope> later;
  for (Envelope& envelope : network_) {
    (!to || envelope.to == to ? now : later).push_back(std::move(envelope));
  }
  network_ = std::move(later);
  for (Envelope& envelope : now) {
    auto at = members_.find(envelope.to);
    if (at != members_.end()) at->second.raft->Step(std::move(envelope));
  }
  return now.size();
}

size_t Group::Drop(NodeId from, NodeId to) {
  return std::erase_if(network_, [&](const Envelope& envelope) {
    return (!from || envelope.from == from) && (!to || envelope.to == to);
  });
}

void Group::Stabilize(const std::vector<NodeId>& except) {
  auto takes_part = [&](NodeId node) {
    return std::find(except.begin(), except.end(), node) == except.end();
  };
  for (bool moved = true; moved;) {
    moved = false;
    for (auto& [node, member] : members_) {
      if (takes_part(node)) moved |= Turn(&member);
      Check();
    }
  }
}

// Delivers, processes, syncs and applies what one member has; false if that was nothing.
bool Group::Turn(Member* member) {
  NodeId node = member->config.id;
  bool moved = Deliver(node) > 0;
  while (member->raft->HasOutput()) {
    moved = true;
    Process(node);
  }
  if (member->disk.unsynced() > 0) Persist(node, 0);
  if (!member->to_apply.empty() || !member->to_restore.empty()) Apply(node);
  return moved || member->raft->HasOutput();
}

void Group::Check() {
  for (auto& [node, member] : members_) {
    Status now = member.raft->status();
    std::string problem = BasicProblem(member.config, now);
    if (problem.empty()) problem = DeltaProblem(member.before, now);
    if (problem.empty()) problem = history_.Observe(now);
    CHECK(problem.empty(), "member {}: {}", node, problem);
    member.before = std::move(now);
  }
}

}  // namespace store::raft
