// SPDX-License-Identifier: Apache-2.0
#include "tests/check/watch_rules.h"

#include "tests/check/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace store::check {
namespace {

using Tag = std::pair<std::string, std::string>;

// What all watches of a history are compared with.
struct Truth {
  explicit Truth(const History& history) : timeline(history.base) {
    for (const Commit& commit : history.commits) {
      if (commit.revision != timeline.newest() + 1) {
        break;  // revision_order reports it
      }
      timeline.Append(commit);
      commits.push_back(&commit);
    }
    for (const Operation& operation : history.operations) {
      if (operation.request == Request::kCompact && operation.outcome != Outcome::kFailed) {
        compactions.push_back(&operation);
      }
      NoteCalls(operation.txn.success, operation.call);
      NoteCalls(operation.txn.failure, operation.call);
    }
  }

  void NoteCalls(const std::vector<Step>& steps, Time call) {
    for (const Step& step : steps) {
      if (step.kind == StepKind::kPut) {
        const auto [at, is_new] = calls.try_emplace(Tag(step.key, step.value), call);
        at->second = std::min(at->second, call);
      } else if (step.kind == StepKind::kTxn) {
        NoteCalls(step.nested.at(0).success, call);
        NoteCalls(step.nested.at(0).failure, call);
      }
    }
  }

  Timeline timeline;
  std::vector<const Commit*> commits;
  std::vector<const Operation*> compactions;
  std::map<Tag, Time> calls;  // earliest, of who put this value
};

class WatchCheck {
 public:
  WatchCheck(const History& history, const Truth& truth, const Watch& watch, Problems* problems)
      : base_(history.base), truth_(truth), watch_(watch), problems_(*problems) {}

  void Check() {
    for (const WatchResponse& response : watch_.responses) {
      CheckState(response);
      if (response.created) {
        Create(response);
      } else if (response.canceled) {
        CheckCancel(response);
      } else if (response.events.empty()) {
        CheckProgress(response);
      } else {
        CheckEvents(response);
      }
    }
    if (watch_.complete && created_ && !canceled_) {
      ExpectNothingUpTo(truth_.timeline.newest(), "missing at the end");
    }
  }

 private:
  void Report(const char* rule, const std::string& text) {
    problems_.Add(rule, fmt::format("watch {} of [{}, {}] from {}: {}", watch_.id, watch_.key,
                                    watch_.end.empty() || watch_.end[0] != 0 ? watch_.end : "…",
                                    watch_.start, text));
  }

  void CheckState(const WatchResponse& response) {
    if (response.created == created_) {
      Report("created", created_ ? "created twice" : "a response before it is created");
    }
    if (canceled_) {
      Report("canceled", fmt::format("a response at {} after it was canceled", response.at));
    }
    if (response.revision < header_) {
      Report("header", fmt::format("header {} after {}", response.revision, header_));
    }
    header_ = std::max(header_, response.revision);
    if (in_fragments_ &&
        (response.events.empty() || response.events[0].event.kv.mod != FragmentedRevision())) {
      // The last response said that more of its revision follows.
      if (next_ != fragment_end_) {
        Report("split", fmt::format("the rest of revision {} is missing", FragmentedRevision()));
      }
    }
    in_fragments_ = response.fragment;
  }
  Revision FragmentedRevision() const { return fragmented_; }

  void Create(const WatchResponse& response) {
    created_ = true;
    first_ = watch_.start == 0 ? response.revision + 1 : watch_.start;
    MakeExpected();
  }

  bool Wanted(const Event& event) const {
    return InRange(event.kv.key, watch_.key, watch_.end) &&
           !(event.is_delete ? watch_.no_delete : watch_.no_put);
  }

  // All that it will ever deliver, in order.
  void MakeExpected() {
    expected_.clear();
    next_ = 0;
    const auto from = static_cast<size_t>(std::max<Revision>(first_ - base_ - 1, 0));
    for (size_t i = from; i < truth_.commits.size(); ++i) {
      for (const Event& event : truth_.commits[i]->events) {
        if (Wanted(event)) {
          expected_.push_back(&event);
        }
      }
    }
  }

  void CheckEvents(const WatchResponse& response) {
    for (const WatchEvent& event : response.events) {
      CheckEvent(response, event);
    }
    const Revision last = response.events.back().event.kv.mod;
    fragmented_ = last;
    fragment_end_ = next_;
    while (fragment_end_ < expected_.size() && expected_[fragment_end_]->kv.mod == last) {
      ++fragment_end_;
    }
    if (!response.fragment && fragment_end_ != next_) {
      Report("split", fmt::format("revision {} is not whole in one response", last));
      next_ = fragment_end_;
    }
  }

  void CheckEvent(const WatchResponse& response, const WatchEvent& got) {
    const Event& event = got.event;
    if (!Wanted(event)) {
      Report("not wanted", ToString(event));
      return;
    }
    if (event.kv.mod < first_) {
      Report("below the start", ToString(event));
      return;
    }
    if (event.kv.mod > response.revision) {
      Report("header", fmt::format("{} under header {}", ToString(event), response.revision));
    }
    if (event.kv.mod <= progress_) {
      Report("progress", fmt::format("{} after progress {}", ToString(event), progress_));
    }
    if (next_ < expected_.size() && event == *expected_[next_]) {
      ++next_;
    } else {
      ReportMismatch(event);
    }
    CheckPrevious(got);
    const auto call = truth_.calls.find(Tag(event.kv.key, event.kv.value));
    if (!event.is_delete && call != truth_.calls.end() && response.at < call->second) {
      Report("from the future", fmt::format("{} at {}, before its writer's call at {}",
                                            ToString(event), response.at, call->second));
    }
  }

  // Says which rule it is, and goes on behind it.
  void ReportMismatch(const Event& event) {
    const auto same = [&](const Event* other) { return *other == event; };
    const auto here = expected_.begin() + static_cast<std::ptrdiff_t>(next_);
    if (std::find_if(expected_.begin(), here, same) != here) {
      Report("again", ToString(event));
      return;
    }
    const auto later = std::find_if(here, expected_.end(), same);
    if (later == expected_.end()) {
      Report("never happened", ToString(event));
      return;
    }
    Report("missing", fmt::format("{} before {}", ToString(**here), ToString(event)));
    next_ = static_cast<size_t>(later - expected_.begin()) + 1;
  }

  void CheckPrevious(const WatchEvent& got) {
    const KeyValue* before = truth_.timeline.Find(got.event.kv.key, got.event.kv.mod - 1);
    const bool wanted = watch_.prev_kv && before != nullptr;
    if (got.has_prev != wanted || (wanted && got.prev != *before)) {
      Report("prev_kv", fmt::format("{} has {} before it, not {}", ToString(got.event),
                                    got.has_prev ? ToString(got.prev) : "nothing",
                                    wanted ? ToString(*before) : "nothing"));
    }
  }

  void ExpectNothingUpTo(Revision revision, const char* rule) {
    if (next_ < expected_.size() && expected_[next_]->kv.mod <= revision) {
      Report(rule, ToString(*expected_[next_]));
    }
  }

  // A promise: all up to it has been told.
  void CheckProgress(const WatchResponse& response) {
    ExpectNothingUpTo(response.revision, "progress overtakes");
    if (response.revision > truth_.timeline.newest()) {
      Report("progress",
             fmt::format("progress {} is above all that was committed", response.revision));
    }
    progress_ = std::max(progress_, response.revision);
  }

  void CheckCancel(const WatchResponse& response) {
    canceled_ = true;
    if (response.compact == 0) {
      return;  // by its client, or with its stream
    }
    const bool asked = std::any_of(
        truth_.compactions.begin(), truth_.compactions.end(), [&](const Operation* compaction) {
          return compaction->compact == response.compact && compaction->call <= response.at;
        });
    // It stood at a revision below the compaction, so behind all it had told.
    const Revision told = next_ == 0 ? 0 : expected_[next_ - 1]->kv.mod;
    if (!asked || response.compact <= std::max({first_, told + 1, progress_ + 1})) {
      Report("canceled", fmt::format("canceled for compaction {}", response.compact));
    }
  }

  const Revision base_;
  const Truth& truth_;
  const Watch& watch_;
  Problems& problems_;
  bool created_ = false, canceled_ = false;
  Revision first_ = 0, header_ = 0, progress_ = 0;
  bool in_fragments_ = false;
  Revision fragmented_ = 0;
  std::vector<const Event*> expected_;
  size_t next_ = 0, fragment_end_ = 0;
};

}  // namespace

std::vector<Problem> CheckWatches(const History& history) {
  const Truth truth(history);
  Problems problems;
  for (const Watch& watch : history.watches) {
    WatchCheck(history, truth, watch, &problems).Check();
  }
  return problems.Take();
}

}  // namespace store::check
