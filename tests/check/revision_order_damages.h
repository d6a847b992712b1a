// SPDX-License-Identifier: Apache-2.0
// What revision_order must report: ways to damage a correct history, each with its name. One that
// tells an answer otherwise, or the commits, the events and the times themselves.
#pragma once

#include "store/base/random.h"
#include "tests/check/history.h"

#include <string>
#include <utility>
#include <vector>

namespace store::check {

// A damaged history, and what damages need to know of it.
struct Damaged {
  History history;
  std::vector<Time> committed;
  Random random;

  std::vector<Operation>& operations() { return history.operations; }
  std::vector<Commit>& commits() { return history.commits; }
  Revision newest() const { return history.commits.back().revision; }

  // A random one of the operations for which `is` holds, or null.
  template <class Is>
  Operation* Any(Is is) {
    std::vector<Operation*> all;
    for (Operation& operation : history.operations) {
      if (operation.outcome == Outcome::kOk && is(operation)) {
        all.push_back(&operation);
      }
    }
    return all.empty() ? nullptr : all[random.Below(all.size())];
  }
  // The answered write that made the revision.
  Operation* WriterOf(Revision revision) {
    for (Operation& operation : history.operations) {
      if (operation.outcome == Outcome::kOk && operation.revision == revision &&
          IsWrite(operation)) {
        return &operation;
      }
    }
    return nullptr;
  }
  bool IsWrite(const Operation& operation) const {
    if (operation.request != Request::kTxn || operation.revision < 2) {
      return false;
    }
    for (const Step& step : operation.txn.success) {
      const auto& events = history.commits[static_cast<size_t>(operation.revision - 2)].events;
      if (step.kind == StepKind::kPut && operation.succeeded && events[0].kv.value == step.value) {
        return true;
      }
    }
    return false;
  }
  template <class Is>
  Event* AnyEvent(Is is) {
    std::vector<Event*> all;
    for (Commit& commit : history.commits) {
      for (Event& event : commit.events) {
        if (is(event)) {
          all.push_back(&event);
        }
      }
    }
    return all.empty() ? nullptr : all[random.Below(all.size())];
  }
};

// false: this history has no place for the damage.
using Damage = bool (*)(Damaged&);
using Damages = std::vector<std::pair<std::string, Damage>>;

const Damages& DamagesOfAnAnswer();
const Damages& DamagesOfTheHistory();

}  // namespace store::check
