// SPDX-License-Identifier: Apache-2.0
#include "store/server/founding.h"

#include "store/apply/command.h"
#include "store/raft/conf_change.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace store::server {
namespace {

using sluice::store::MembershipChange;

raft::Index LastOf(const wal::LogImage& image) {
  return image.entries.empty() ? image.truncated : image.entries.back()->index;
}

// The configuration when everything in the log is applied. Whether membership accepts a change is
// not known here; a removal of one that is no member does no harm.
raft::ConfState ConfAtEnd(const apply::AppliedRow& applied, const wal::LogImage& image) {
  raft::ConfState conf = applied.conf;
  for (const raft::EntryPtr& entry : image.entries) {
    if (entry->index <= applied.index || entry->kind != raft::EntryKind::kConfChange) continue;
    if (auto change = raft::DecodeConfChange(entry->data)) conf = raft::Changed(conf, *change);
  }
  return conf;
}

std::vector<raft::ConfChange> ChangesToBeAlone(const raft::ConfState& conf, raft::NodeId self) {
  std::vector<raft::ConfChange> changes;
  auto add = [&changes](raft::ConfChangeKind kind, MembershipChange::Verb verb, raft::NodeId node) {
    MembershipChange command;
    command.set_verb(verb);
    changes.push_back({kind, node, apply::EncodeMembershipChange({}, command)});
  };
  if (std::find(conf.learners.begin(), conf.learners.end(), self) != conf.learners.end()) {
    add(raft::ConfChangeKind::kAddVoter, MembershipChange::PROMOTE, self);
  }
  for (const auto* ids : {&conf.voters, &conf.learners}) {
    for (raft::NodeId id : *ids) {
      if (id != self) add(raft::ConfChangeKind::kRemove, MembershipChange::REMOVE, id);
    }
  }
  return changes;
}

}  // namespace

Status StayAlone(const Member& member, const apply::AppliedRow& applied, wal::LogImage* image,
                 const Logger& log) {
  raft::PersistUnit unit;
  raft::Index last = LastOf(*image);
  raft::Term term = std::max(image->hard_state.term, raft::Term(1));
  for (const raft::ConfChange& change : ChangesToBeAlone(ConfAtEnd(applied, *image), member.id)) {
    log.Warn("this member stays alone: another one is taken out of the cluster",
             {{"member-id", fmt::format("{:x}", change.node)}});
    unit.entries.push_back(std::make_shared<const raft::Entry>(
        raft::Entry{term, ++last, raft::EntryKind::kConfChange, raft::EncodeConfChange(change)}));
  }
  unit.hard_state = raft::HardState{term, image->hard_state.vote, last};
  unit.must_sync = true;
  const raft::PersistUnit* group[] = {&unit};
  RETURN_IF_ERROR(member.log->Append(group));
  image->hard_state = *unit.hard_state;
  if (unit.entries.empty()) return Ok();
  raft::Term last_term = image->runs.empty() ? image->truncated_term : image->runs.back().term;
  if (image->runs.empty() || last_term != term) {
    image->runs.push_back({unit.entries.front()->index, term});
  }
  image->entries.insert(image->entries.end(), unit.entries.begin(), unit.entries.end());
  return Ok();
}

}  // namespace store::server
