// SPDX-License-Identifier: Apache-2.0
#include "tests/raft_scenarios/print.h"

#include "store/raft/conf_change.h"
#include "store/raft/status.h"

#include <fmt/format.h>

namespace store::raft {
namespace {

std::string Print(const std::vector<EntryPtr>& entries) {
  std::string text = "[";
  for (const EntryPtr& entry : entries) {
    if (text.size() > 1) text += ' ';
    text += Print(*entry);
  }
  return text + "]";
}

std::string Print(const AppendRequest& m) {
  return fmt::format("append term {} prev {}@{} commit {} {}", m.term, m.prev, m.prev_term,
                     m.commit, Print(m.entries));
}
std::string Print(const AppendReply& m) {
  if (m.ok) return fmt::format("append-ok term {} index {}", m.term, m.index);
  return fmt::format("append-refused term {} prev {} hint {}@{}", m.term, m.index, m.hint,
                     m.hint_term);
}
std::string Print(const Heartbeat& m) {
  return fmt::format("heartbeat term {} commit {} round {}", m.term, m.commit, m.round);
}
std::string Print(const HeartbeatReply& m) {
  return fmt::format("heartbeat-ok term {} round {}", m.term, m.round);
}
std::string Print(const VoteRequest& m) {
  return fmt::format("{}vote term {} last {}@{}{}", m.pre ? "pre-" : "", m.term, m.last,
                     m.last_term, m.transfer ? " transfer" : "");
}
std::string Print(const VoteReply& m) {
  return fmt::format("{}vote-{} term {}", m.pre ? "pre-" : "", m.granted ? "granted" : "refused",
                     m.term);
}
std::string Print(const SnapshotNotice& m) {
  return fmt::format("snapshot term {} at {}@{}", m.term, m.meta.index, m.meta.term);
}
std::string Print(const TimeoutNow& m) { return fmt::format("timeout-now term {}", m.term); }
std::string Print(const ForwardPropose& m) {
  std::string text = "forward";
  for (const std::string& command : m.commands) text += " " + command;
  return text;
}
std::string Print(const ReadRequest& m) { return fmt::format("read batch {}", m.batch); }
std::string Print(const ReadReply& m) {
  return fmt::format("read-ok term {} batch {} index {}", m.term, m.batch, m.index);
}

}  // namespace

std::string Print(const Entry& entry) {
  switch (entry.kind) {
    case EntryKind::kNoop:
      return fmt::format("{}@{} noop", entry.index, entry.term);
    case EntryKind::kCommand:
      return fmt::format("{}@{} {}", entry.index, entry.term, entry.data);
    case EntryKind::kConfChange:
      break;
  }
  std::optional<ConfChange> change = DecodeConfChange(entry.data);
  return fmt::format("{}@{} conf {} {}", entry.index, entry.term,
                     change ? static_cast<int>(change->kind) : -1,
                     change ? change->node : NodeId());
}

std::string Print(const Envelope& envelope) {
  std::string message = std::visit([](const auto& m) { return Print(m); }, envelope.message);
  return fmt::format("{}->{} {}", envelope.from, envelope.to, message);
}

std::string Print(const PersistUnit& unit) {
  std::string text = fmt::format("unit {}{}", unit.id, unit.must_sync ? " sync" : "");
  if (unit.hard_state) {
    text += fmt::format(" term {} vote {} commit {}", unit.hard_state->term, unit.hard_state->vote,
                        unit.hard_state->commit);
  }
  if (unit.reset_to) text += fmt::format(" reset {}@{}", unit.reset_to->index, unit.reset_to->term);
  if (unit.truncate_from) text += fmt::format(" truncate {}", *unit.truncate_from);
  if (!unit.entries.empty()) text += " " + Print(unit.entries);
  return text;
}

std::string Print(const Output& output, const std::string& indent) {
  std::string text;
  auto line = [&](const std::string& words) { text += indent + words + "\n"; };
  if (output.role) {
    line(fmt::format("role {} term {} leader {}", Name(output.role->role), output.role->term,
                     output.role->leader));
  }
  for (const Envelope& envelope : output.send) line("send " + Print(envelope));
  if (output.persist) {
    line("persist " + Print(*output.persist));
    for (const Envelope& envelope : output.persist->release) line("  release " + Print(envelope));
  }
  if (output.restore)
    line(fmt::format("restore {}@{}", output.restore->index, output.restore->term));
  if (!output.apply.empty()) line("apply " + Print(output.apply));
  for (const ReadGrant& grant : output.reads) {
    line(fmt::format("read {} at {}", grant.batch, grant.index));
  }
  for (ReadId batch : output.reads_failed) line(fmt::format("read {} failed", batch));
  for (const Fetch& fetch : output.fetch) {
    line(fmt::format("fetch for {} [{}, {}]", fetch.peer, fetch.from, fetch.to));
  }
  for (const SnapshotOrder& order : output.snapshots) {
    line(fmt::format("send snapshot to {} at least {}", order.peer, order.at_least));
  }
  if (output.quorum_round) line(fmt::format("quorum round {}", *output.quorum_round));
  return text;
}

}  // namespace store::raft
