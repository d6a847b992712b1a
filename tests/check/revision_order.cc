// SPDX-License-Identifier: Apache-2.0
#include "tests/check/revision_order.h"

#include "tests/check/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace store::check {
namespace {

constexpr Time kAlways = std::numeric_limits<Time>::min();

// Who made a revision.
struct Writer {
  const Operation* operation = nullptr;  // null: nobody known, or the end of a lease
  Time call = kAlways;
  Time ret = kNever;
};

// An answer that showed a revision.
struct Shown {
  Time at;
  Revision revision;
  std::string what;
};

class RevisionOrder {
 public:
  explicit RevisionOrder(const History& history) : history_(history), timeline_(history.base) {}

  std::vector<Problem> Check() {
    if (!BuildTimeline()) {
      return problems_.Take();
    }
    writers_.resize(static_cast<size_t>(timeline_.newest() - history_.base));
    for (const Operation& operation : history_.operations) {
      if (operation.outcome == Outcome::kOk && operation.request != Request::kLeaseKeepAlive) {
        Place(operation);
      }
    }
    for (const Operation* revoke : revokes_) {
      PlaceRevoke(*revoke);
    }
    FindLostWriters();
    MakeBounds();
    CheckWritesInTime();
    CheckAnswersInTime();
    CheckMembers();
    return problems_.Take();
  }

 private:
  // Rule 4 for the commits themselves. False: there is nothing to compare answers with.
  bool BuildTimeline() {
    for (const Commit& commit : history_.commits) {
      if (commit.revision != timeline_.newest() + 1) {
        problems_.Add(
            "gap", fmt::format("commit {} follows commit {}", commit.revision, timeline_.newest()));
        return false;
      }
      if (commit.events.empty()) {
        problems_.Add("empty commit", fmt::format("commit {} changes nothing", commit.revision));
      }
      for (size_t i = 0; i < commit.events.size(); ++i) {
        CheckFacts(commit, i);
      }
      timeline_.Append(commit);
    }
    return true;
  }

  // The key as it was before event i of the commit.
  const KeyValue* Before(const Commit& commit, size_t i) const {
    const std::string& key = commit.events[i].kv.key;
    while (i-- > 0) {
      if (commit.events[i].kv.key == key) {
        return commit.events[i].is_delete ? nullptr : &commit.events[i].kv;
      }
    }
    return timeline_.Find(key, timeline_.newest());
  }

  void CheckFacts(const Commit& commit, size_t i) {
    const Event& event = commit.events[i];
    const KeyValue* before = Before(commit, i);
    bool right = event.kv.mod == commit.revision;
    if (event.is_delete) {
      right = right && before != nullptr;
    } else {
      right = right && event.kv.create == (before ? before->create : commit.revision) &&
              event.kv.version == (before ? before->version + 1 : 1);
    }
    if (!right) {
      problems_.Add("facts", fmt::format("commit {}: {} after {}", commit.revision, ToString(event),
                                         before ? ToString(*before) : "nothing"));
    }
  }

  bool Known(Revision revision) const {
    return revision >= history_.base && revision <= timeline_.newest();
  }
  Writer& WriterOf(Revision revision) {
    return writers_[static_cast<size_t>(revision - history_.base - 1)];
  }
  const std::vector<Event>& EventsOf(Revision revision) const {
    return history_.commits[static_cast<size_t>(revision - history_.base - 1)].events;
  }

  // Rules 1 and 4: an answered operation made its revision, or changed nothing at it. (A keep-alive
  // is answered from the leader's memory, its header promises nothing.)
  void Place(const Operation& operation) {
    if (!Known(operation.revision)) {
      problems_.Add("unknown revision", ToString(operation));
      return;
    }
    if (operation.request == Request::kTxn && Writes(operation.txn)) {
      PlaceWrite(operation);
    } else if (operation.request == Request::kTxn) {
      CheckResults(operation, Execute(operation.txn, timeline_, operation.revision));
      CheckRanges(operation, operation.txn);
      answers_.push_back(&operation);
    } else if (operation.request == Request::kLeaseRevoke) {
      revokes_.push_back(&operation);
    } else {
      answers_.push_back(&operation);
    }
  }

  void PlaceWrite(const Operation& operation) {
    const Revision revision = operation.revision;
    std::string difference;
    if (revision > history_.base) {
      const Effect effect = Execute(operation.txn, timeline_, revision - 1);
      difference = DifferenceOf(operation, effect);
      if (effect.events == EventsOf(revision) && difference.empty()) {
        Own(revision, operation);
        return;
      }
      if (effect.events != EventsOf(revision)) {
        difference = "its effect is not what was committed there";
      }
    }
    const Effect effect = Execute(operation.txn, timeline_, revision);
    if (effect.events.empty() && DifferenceOf(operation, effect).empty()) {
      answers_.push_back(&operation);
      return;
    }
    problems_.Add("write", fmt::format("{}: {}", ToString(operation), difference));
  }

  void Own(Revision revision, const Operation& operation) {
    Writer& writer = WriterOf(revision);
    if (writer.operation != nullptr) {
      problems_.Add("two writers",
                    fmt::format("{} and {}", ToString(*writer.operation), ToString(operation)));
    }
    writer = {&operation, operation.call,
              operation.outcome == Outcome::kOk ? operation.ret : kNever};
  }

  static std::string DifferenceOf(const Operation& operation, const Effect& effect) {
    if (operation.succeeded != effect.succeeded) {
      return fmt::format("succeeded {} is {}", operation.succeeded, effect.succeeded);
    }
    StepResult got, want;
    got.nested = operation.results;
    want.nested = effect.results;
    return Difference(got, want);
  }

  void CheckResults(const Operation& operation, const Effect& effect) {
    if (const std::string difference = DifferenceOf(operation, effect); !difference.empty()) {
      problems_.Add("read", fmt::format("{}: {}", ToString(operation), difference));
    }
  }

  // Of the branch taken: no revision that is not there yet.
  void CheckRanges(const Operation& operation, const Txn& txn) {
    for (const Step& step : operation.succeeded ? txn.success : txn.failure) {
      if (step.kind == StepKind::kRange && step.revision > operation.revision) {
        problems_.Add("future read", ToString(operation));
      }
    }
  }

  // The lease that everything in the commit was attached to, and was deleted for.
  std::optional<int64_t> LeaseEnding(Revision revision) const {
    int64_t lease = 0;
    for (const Event& event : EventsOf(revision)) {
      const KeyValue* before = timeline_.Find(event.kv.key, revision - 1);
      if (!event.is_delete || before == nullptr || before->lease == 0 ||
          (lease != 0 && before->lease != lease)) {
        return std::nullopt;
      }
      lease = before->lease;
    }
    return lease;
  }

  // It made the revision at which keys of its lease went, unless a delete did.
  void PlaceRevoke(const Operation& revoke) {
    if (revoke.revision > history_.base && WriterOf(revoke.revision).operation == nullptr &&
        LeaseEnding(revoke.revision) == revoke.lease) {
      Own(revoke.revision, revoke);
    } else {
      answers_.push_back(&revoke);
    }
  }

  using Tag = std::pair<std::string, std::string>;  // of a put: key and value; else empty
  using ByTag = std::map<Tag, std::vector<const Operation*>>;

  static void AddTags(const std::vector<Step>& steps, const Operation* operation, ByTag* tags) {
    for (const Step& step : steps) {
      if (step.kind == StepKind::kPut) {
        (*tags)[step.ignore_value ? Tag() : Tag(step.key, step.value)].push_back(operation);
      } else if (step.kind == StepKind::kDelete) {
        (*tags)[Tag()].push_back(operation);
      } else if (step.kind == StepKind::kTxn) {
        AddTags(step.nested.at(0).success, operation, tags);
        AddTags(step.nested.at(0).failure, operation, tags);
      }
    }
  }

  // A commit that no answered write made, and the others that would have done just that.
  struct Open {
    Revision revision;
    Time shown;  // its writer had called by then
    std::vector<const Operation*> candidates;
  };

  // Each such commit needs an unanswered write of its own, or is the end of a lease.
  void FindLostWriters() {
    ByTag lost, refused;
    for (const Operation& operation : history_.operations) {
      if (operation.request == Request::kTxn && operation.outcome != Outcome::kOk) {
        ByTag* tags = operation.outcome == Outcome::kUnknown ? &lost : &refused;
        AddTags(operation.txn.success, &operation, tags);
        AddTags(operation.txn.failure, &operation, tags);
      }
    }
    const std::vector<Time> shown = ShownBy();
    for (Revision revision = history_.base + 1; revision <= timeline_.newest(); ++revision) {
      if (WriterOf(revision).operation == nullptr && !EventsOf(revision).empty()) {
        open_.push_back({revision, shown[static_cast<size_t>(revision - history_.base)],
                         Candidates(revision, lost)});
      }
    }
    Match();
    for (Open& open : open_) {
      if (WriterOf(open.revision).operation == nullptr && !LeaseEnding(open.revision)) {
        GiveAnyWriter(open, refused);
      }
    }
  }

  // Index i: when anybody had been shown revision base + i or a later one.
  std::vector<Time> ShownBy() const {
    std::vector<Time> by(writers_.size() + 1, kNever);
    for (const Shown& shown : AllShown()) {
      if (Known(shown.revision)) {
        Time& at = by[static_cast<size_t>(shown.revision - history_.base)];
        at = std::min(at, shown.at);
      }
    }
    for (size_t i = by.size() - 1; i-- > 0;) {
      by[i] = std::min(by[i], by[i + 1]);
    }
    return by;
  }

  std::vector<const Operation*> Candidates(Revision revision, const ByTag& tags) const {
    std::vector<const Operation*> candidates;
    const auto take = [&](const Tag& tag) {
      const auto found = tags.find(tag);
      if (found == tags.end()) {
        return;
      }
      for (const Operation* operation : found->second) {
        if (Execute(operation->txn, timeline_, revision - 1).events == EventsOf(revision)) {
          candidates.push_back(operation);
        }
      }
    };
    for (const Event& event : EventsOf(revision)) {
      if (!event.is_delete) {
        take(Tag(event.kv.key, event.kv.value));
        break;
      }
    }
    if (candidates.empty()) {
      take(Tag());
    }
    return candidates;
  }

  // As many open commits as possible get a writer that called in time (augmenting paths).
  void Match() {
    for (size_t i = 0; i < open_.size(); ++i) {
      std::set<size_t> visited;
      Assign(i, &visited);
    }
    for (const auto& [operation, i] : matched_) {
      Own(open_[i].revision, *operation);
    }
  }

  bool Assign(size_t i, std::set<size_t>* visited) {
    if (!visited->insert(i).second) {
      return false;
    }
    for (const Operation* operation : open_[i].candidates) {
      if (operation->call > open_[i].shown) {
        continue;
      }
      const auto other = matched_.find(operation);
      if (other == matched_.end() || Assign(other->second, visited)) {
        matched_[operation] = i;
        return true;
      }
    }
    return false;
  }

  // None called in time: one that called too late is reported as that.
  void GiveAnyWriter(const Open& open, const ByTag& refused) {
    for (const Operation* operation : open.candidates) {
      if (matched_.try_emplace(operation, 0).second) {
        Own(open.revision, *operation);
        return;
      }
    }
    const bool was_refused = !Candidates(open.revision, refused).empty();
    problems_.Add(
        was_refused ? "refused" : "nobody",
        fmt::format("commit {}, {}, {}", open.revision, ToString(EventsOf(open.revision)[0]),
                    was_refused ? "was refused" : "was written by nobody"));
  }

  // For every revision: the latest call of a write at or below it, the earliest return at or above.
  void MakeBounds() {
    const size_t count = writers_.size();
    latest_call_.assign(count + 1, Writer());
    earliest_return_.assign(count + 1, Writer());
    for (size_t i = 0; i < count; ++i) {
      latest_call_[i + 1] = writers_[i].call > latest_call_[i].call ? writers_[i] : latest_call_[i];
    }
    for (size_t i = count; i-- > 0;) {
      earliest_return_[i] =
          writers_[i].ret < earliest_return_[i + 1].ret ? writers_[i] : earliest_return_[i + 1];
    }
  }
  const Writer& LatestCallUpTo(Revision revision) const {
    return latest_call_[static_cast<size_t>(revision - history_.base)];
  }
  const Writer& EarliestReturnAbove(Revision revision) const {
    return earliest_return_[static_cast<size_t>(revision - history_.base)];
  }

  void CheckWritesInTime() {
    for (Revision revision = history_.base + 1; revision <= timeline_.newest(); ++revision) {
      const Writer& writer = WriterOf(revision);
      const Writer& before = LatestCallUpTo(revision - 1);
      if (writer.operation != nullptr && writer.ret < before.call) {
        problems_.Add("write order",
                      fmt::format("{} returned before the call of {}", ToString(*writer.operation),
                                  ToString(*before.operation)));
      }
    }
  }

  static bool IsLinearizable(const Operation& operation) { return !operation.serializable; }

  void CheckAnswersInTime() {
    for (const Operation* answer : answers_) {
      const Writer& write = LatestCallUpTo(answer->revision);
      if (answer->ret < write.call) {
        problems_.Add("from the future",
                      fmt::format("{} came before the call of {}", ToString(*answer),
                                  ToString(*write.operation)));
      }
      const Writer& missed = EarliestReturnAbove(answer->revision);
      if (IsLinearizable(*answer) && missed.ret < answer->call) {
        problems_.Add("stale",
                      fmt::format("{} misses {}", ToString(*answer), ToString(*missed.operation)));
      }
    }
    CheckAgainstShown();
    CheckCompacted();
  }

  std::vector<Shown> AllShown() const {
    std::vector<Shown> shown;
    for (const Operation& operation : history_.operations) {
      if (operation.outcome == Outcome::kOk && Known(operation.revision) &&
          operation.request != Request::kLeaseKeepAlive) {
        shown.push_back({operation.ret, operation.revision, ToString(operation)});
      }
    }
    for (const Watch& watch : history_.watches) {
      for (const WatchResponse& response : watch.responses) {
        for (const WatchEvent& event : response.events) {
          shown.push_back(
              {response.at, event.event.kv.mod, fmt::format("an event of watch {}", watch.id)});
        }
      }
    }
    std::sort(shown.begin(), shown.end(),
              [](const Shown& a, const Shown& b) { return a.at < b.at; });
    return shown;
  }

  // Rule 3, second half: what anybody had been shown before the call is seen by it.
  void CheckAgainstShown() {
    const std::vector<Shown> shown = AllShown();
    std::vector<const Operation*> by_call;
    for (const Operation& operation : history_.operations) {
      if (operation.outcome == Outcome::kOk && IsLinearizable(operation) &&
          operation.request != Request::kLeaseKeepAlive) {
        by_call.push_back(&operation);
      }
    }
    std::sort(by_call.begin(), by_call.end(),
              [](const Operation* a, const Operation* b) { return a->call < b->call; });
    const Shown* newest = nullptr;
    size_t next = 0;
    for (const Operation* operation : by_call) {
      for (; next < shown.size() && shown[next].at < operation->call; ++next) {
        newest =
            newest == nullptr || shown[next].revision > newest->revision ? &shown[next] : newest;
      }
      const bool wrote = Known(operation->revision) && operation->revision > history_.base &&
                         WriterOf(operation->revision).operation == operation;
      if (newest != nullptr && newest->revision > operation->revision - (wrote ? 1 : 0)) {
        problems_.Add("goes back", fmt::format("{} after {}", ToString(*operation), newest->what));
      }
    }
  }

  // A linearizable read of the past knows every compaction that returned before its call.
  void CheckCompacted() {
    std::vector<const Operation*> compactions;
    for (const Operation& operation : history_.operations) {
      if (operation.outcome == Outcome::kOk && operation.request == Request::kCompact) {
        compactions.push_back(&operation);
      }
    }
    std::sort(compactions.begin(), compactions.end(),
              [](const Operation* a, const Operation* b) { return a->ret < b->ret; });
    std::sort(answers_.begin(), answers_.end(),
              [](const Operation* a, const Operation* b) { return a->call < b->call; });
    size_t next = 0;
    Revision compacted = 0;
    for (const Operation* answer : answers_) {
      for (; next < compactions.size() && compactions[next]->ret < answer->call; ++next) {
        compacted = std::max(compacted, compactions[next]->compact);
      }
      for (const Step& step : answer->succeeded ? answer->txn.success : answer->txn.failure) {
        if (IsLinearizable(*answer) && step.revision != 0 && step.revision < compacted) {
          problems_.Add("compacted", fmt::format("{} of what was compacted at {}",
                                                 ToString(*answer), compacted));
        }
      }
    }
  }

  // Rule 5: what one life of a member shows never goes back.
  void CheckMembers() {
    std::map<std::pair<int64_t, int64_t>, std::vector<const Operation*>> lives;
    for (const Operation& operation : history_.operations) {
      if (operation.outcome == Outcome::kOk && operation.member != 0 &&
          operation.request == Request::kTxn) {
        lives[{operation.member, operation.life}].push_back(&operation);
      }
    }
    for (auto& [life, operations] : lives) {
      CheckLife(operations);
    }
  }

  void CheckLife(const std::vector<const Operation*>& operations) {
    std::vector<const Operation*> by_call = operations, by_return = operations;
    std::sort(by_call.begin(), by_call.end(),
              [](const Operation* a, const Operation* b) { return a->call < b->call; });
    std::sort(by_return.begin(), by_return.end(),
              [](const Operation* a, const Operation* b) { return a->ret < b->ret; });
    const Operation* newest = nullptr;
    size_t next = 0;
    for (const Operation* operation : by_call) {
      for (; next < by_return.size() && by_return[next]->ret < operation->call; ++next) {
        newest = newest == nullptr || by_return[next]->revision > newest->revision ? by_return[next]
                                                                                   : newest;
      }
      if (newest != nullptr && newest->revision > operation->revision) {
        problems_.Add("member goes back",
                      fmt::format("{} after {}", ToString(*operation), ToString(*newest)));
      }
    }
  }

  const History& history_;
  Timeline timeline_;
  Problems problems_;
  std::vector<Writer> writers_;            // by revision, from base + 1
  std::vector<const Operation*> answers_;  // that changed nothing
  std::vector<const Operation*> revokes_;
  std::vector<Open> open_;
  std::map<const Operation*, size_t> matched_;  // unanswered ones, to what they did in open_
  std::vector<Writer> latest_call_, earliest_return_;
};

}  // namespace

std::vector<Problem> CheckRevisionOrder(const History& history) {
  return RevisionOrder(history).Check();
}

}  // namespace store::check
