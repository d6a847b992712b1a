// SPDX-License-Identifier: Apache-2.0
#include "tests/check/made_history.h"

#include "store/base/random.h"
#include "tests/check/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <queue>
#include <string>
#include <utility>

namespace store::check {
namespace {

class Maker {
 public:
  explicit Maker(const MadeOptions& options)
      : options_(options), random_(options.seed), timeline_(1) {}

  MadeHistory Make() {
    std::map<int64_t, Time> next_call;
    for (int64_t client = 1; client <= options_.clients; ++client) {
      next_call[client] = Draw(8);
    }
    for (int i = 0; i < options_.operations; ++i) {
      const auto first =
          std::min_element(next_call.begin(), next_call.end(),
                           [](const auto& a, const auto& b) { return a.second < b.second; });
      first->second = Plan(first->first, first->second);
    }
    while (!planned_.empty()) {
      const Planned next = planned_.top();
      planned_.pop();
      EndLeases(next.takes_effect);
      now_ = next.takes_effect;
      Run(made_.history.operations[next.operation]);
    }
    made_.end = last_return_ + 1;
    const Time quiet = made_.end + 1000 * kMadeSecond;
    EndLeases(quiet);
    if (options_.leases) {
      made_.end = quiet;
    }
    if (options_.watches) {
      MakeWatches();
    }
    return std::move(made_);
  }

 private:
  struct Planned {
    Time takes_effect;
    size_t operation;
    friend bool operator<(const Planned& a, const Planned& b) {
      return std::pair(a.takes_effect, a.operation) > std::pair(b.takes_effect, b.operation);
    }
  };
  struct Lease {
    int64_t ttl;
    Time deadline;
  };

  Time Draw(uint64_t max) { return static_cast<Time>(random_.Between(1, max)); }
  bool OneIn(uint64_t n) { return random_.Below(n) == 0; }
  std::string Key() {
    return fmt::format("k{}", random_.Below(static_cast<uint64_t>(options_.keys)));
  }
  std::string Value() { return fmt::format("v{}", ++values_); }

  // An operation of a client, called at `call`; when it calls again.
  Time Plan(int64_t client, Time call) {
    Operation operation = Draft();
    operation.client = client;
    operation.member = options_.members ? static_cast<int64_t>(random_.Between(1, 3)) : 0;
    operation.call = call;
    const Time takes_effect = call + Draw(10);
    const bool certain = !options_.lost || operation.request == Request::kLeaseGrant;
    const uint64_t fate = certain ? 9 : random_.Below(30);
    if (fate == 0) {
      operation.outcome = Outcome::kFailed;
      operation.ret = takes_effect;
    } else if (fate == 1) {
      operation.outcome = Outcome::kUnknown;
    } else {
      operation.outcome = Outcome::kOk;
      operation.ret = takes_effect + Draw(10);
    }
    const Time next_call = (operation.ret == kNever ? takes_effect : operation.ret) + Draw(6);
    last_return_ = std::max(last_return_, next_call);
    // What got no answer may happen much later, or never.
    const Time late = operation.outcome == Outcome::kUnknown && OneIn(2) ? Draw(100) : 0;
    const bool never = operation.outcome == Outcome::kUnknown && OneIn(3);
    made_.history.operations.push_back(std::move(operation));
    if (!never) {
      planned_.push({takes_effect + late, made_.history.operations.size() - 1});
    }
    last_return_ = std::max(last_return_, takes_effect + late);
    return next_call;
  }

  Operation Draft() {
    Operation operation;
    const uint64_t kind = random_.Below(20);
    if (kind < 6) {
      operation.txn = One(Put(Key(), Value(), SomeLease()));
      operation.txn.success[0].prev_kv = OneIn(2);
    } else if (kind < 8) {
      operation.txn = One(OneIn(3) ? Delete(Key(), "k9") : Delete(Key()));
      operation.txn.success[0].prev_kv = OneIn(2);
    } else if (kind < 13) {
      operation.txn = One(DraftRange());
      operation.serializable = options_.members && OneIn(3);
    } else if (kind < 16) {
      operation.txn = DraftTxn();
    } else if (options_.leases) {
      DraftLease(&operation);
    } else {
      operation.txn = One(Put(Key(), Value()));
    }
    if (options_.members && kind == 19) {
      operation = Operation();
      operation.request = Request::kCompact;
      operation.compact = std::max<Revision>(1, static_cast<Revision>(values_ / 4));
    }
    return operation;
  }

  Step DraftRange() {
    Step range = OneIn(2) ? Range(Key(), std::string(1, '\0')) : Range(Key());
    const uint64_t form = random_.Below(6);
    range.limit = form == 0 ? 2 : 0;
    range.keys_only = form == 1;
    range.count_only = form == 2;
    if (options_.members && form == 3) {
      range.revision = -Draw(8);  // so far back; see Run
    }
    return range;
  }

  Txn DraftTxn() {
    Txn txn;
    const std::string key = Key(), other = Key() + "x";
    constexpr std::array kTargets = {Target::kVersion, Target::kMod, Target::kCreate};
    txn.compares.push_back({kTargets[random_.Below(3)], Relation::kGreater, key, "",
                            static_cast<int64_t>(random_.Below(4)), ""});
    txn.success = {Put(key, Value()), Range(key, "k9"), Put(other, Value())};
    txn.failure = {OneIn(2) ? Range(key) : Delete(key)};
    if (OneIn(3)) {
      Step nested;
      nested.kind = StepKind::kTxn;
      nested.nested.push_back(One(Range(key)));
      nested.nested[0].compares.push_back({Target::kValue, Relation::kEqual, key, "", 0, "v1"});
      nested.nested[0].failure = {Put(key + "n", Value())};
      txn.success.push_back(std::move(nested));
    }
    return txn;
  }

  int64_t SomeLease() {
    return options_.leases && granted_ > 0 && OneIn(2)
               ? static_cast<int64_t>(random_.Between(1, static_cast<uint64_t>(granted_)))
               : 0;
  }

  void DraftLease(Operation* operation) {
    const uint64_t kind = random_.Below(4);
    operation->lease = SomeLease();
    if (kind < 2 || operation->lease == 0) {
      operation->request = Request::kLeaseGrant;
      operation->lease = ++granted_;
      operation->ttl = static_cast<int64_t>(random_.Between(1, 4));
    } else {
      operation->request = kind == 2 ? Request::kLeaseKeepAlive : Request::kLeaseRevoke;
    }
  }

  void Run(Operation& operation) {
    if (operation.outcome == Outcome::kFailed) {
      return;
    }
    switch (operation.request) {
      case Request::kTxn:
        RunTxn(operation);
        break;
      case Request::kCompact:
        if (operation.compact > timeline_.newest() || operation.compact <= compacted_) {
          Refuse(operation);
          return;
        }
        compacted_ = operation.compact;
        break;
      case Request::kLeaseGrant:
        leases_[operation.lease] = {operation.ttl, now_ + operation.ttl * kMadeSecond};
        break;
      default:
        if (!RunLease(operation)) {
          return;
        }
    }
    if (operation.request != Request::kTxn) {
      operation.revision = timeline_.newest();
    }
    if (operation.outcome == Outcome::kUnknown) {
      operation.revision = 0;
      operation.succeeded = true;
      operation.results.clear();
    }
    Revision& applied = applied_[operation.member];
    applied = std::max(applied, operation.revision);
  }

  static void Refuse(Operation& operation) {
    if (operation.outcome == Outcome::kOk) {
      operation.outcome = Outcome::kFailed;
    }
  }

  bool RunLease(Operation& operation) {
    const auto lease = leases_.find(operation.lease);
    if (lease == leases_.end()) {
      Refuse(operation);
      return false;
    }
    if (operation.request == Request::kLeaseKeepAlive) {
      lease->second.deadline = now_ + lease->second.ttl * kMadeSecond;
      operation.ttl = lease->second.ttl;
    } else {
      EndLease(operation.lease);
    }
    return true;
  }

  void RunTxn(Operation& operation) {
    Revision at = timeline_.newest();
    if (operation.serializable) {
      Revision& applied = applied_[operation.member];
      applied = std::max<Revision>(applied, std::max<Revision>(1, at - Draw(6)));
      at = applied;
    }
    for (Step& step : operation.txn.success) {
      if (step.lease != 0 && !leases_.contains(step.lease)) {
        Refuse(operation);
        return;
      }
      if (step.revision < 0) {
        step.revision = std::max(compacted_ + 1, at + step.revision);
        step.revision = std::min(step.revision, at);
        if (step.revision < std::max<Revision>(compacted_, 1)) {
          Refuse(operation);
          return;
        }
      }
    }
    Effect effect = Execute(operation.txn, timeline_, at);
    operation.revision = effect.revision;
    operation.succeeded = effect.succeeded;
    operation.results = std::move(effect.results);
    if (!effect.events.empty()) {
      Append(std::move(effect.events));
    }
  }

  void Append(std::vector<Event> events) {
    Commit commit{timeline_.newest() + 1, std::move(events)};
    timeline_.Append(commit);
    made_.history.commits.push_back(std::move(commit));
    made_.committed.push_back(now_);
  }

  void EndLease(int64_t id) {
    leases_.erase(id);
    std::vector<Event> events;
    timeline_.ForEach("k", "l", timeline_.newest(), [&](const KeyValue& kv) {
      if (kv.lease == id) {
        Event event{true, {}};
        event.kv.key = kv.key;
        event.kv.mod = timeline_.newest() + 1;
        events.push_back(std::move(event));
      }
      return true;
    });
    if (!events.empty()) {
      Append(std::move(events));
    }
  }

  void EndLeases(Time until) {
    while (true) {
      const auto first = std::min_element(leases_.begin(), leases_.end(), [](auto& a, auto& b) {
        return a.second.deadline < b.second.deadline;
      });
      if (first == leases_.end() || first->second.deadline >= until) {
        return;
      }
      now_ = std::max(now_, first->second.deadline);
      EndLease(first->first);
    }
  }

  void MakeWatches() {
    const std::array<std::pair<std::string, std::string>, 4> ranges = {
        std::pair(std::string("k"), std::string("l")), {"k0", "k3"}, {"k1", ""}, {"k", "l"}};
    for (size_t i = 0; i < ranges.size(); ++i) {
      Watch watch;
      watch.id = static_cast<int64_t>(i + 1);
      std::tie(watch.key, watch.end) = ranges[i];
      watch.start = i == 3 ? 0 : static_cast<Revision>(random_.Between(2, 20));
      watch.prev_kv = i != 1;
      watch.no_put = i == 2 && OneIn(2);
      watch.complete = true;
      Listen(&watch);
      made_.history.watches.push_back(std::move(watch));
    }
    CancelOne();
  }

  Revision CommittedBy(Time time) const {
    return 1 + std::upper_bound(made_.committed.begin(), made_.committed.end(), time) -
           made_.committed.begin();
  }

  WatchResponse Respond(Time* at, Revision seen) {
    *at += Draw(3);
    WatchResponse response;
    response.at = *at;
    response.revision = std::max(seen, CommittedBy(*at));
    return response;
  }

  void Listen(Watch* watch) {
    Time at = Draw(50);
    WatchResponse created = Respond(&at, 1);
    created.created = true;
    Revision next = watch->start == 0 ? created.revision + 1 : watch->start;
    watch->responses.push_back(created);
    for (const Commit& commit : made_.history.commits) {
      if (commit.revision < next) {
        continue;
      }
      at = std::max(at, made_.committed[static_cast<size_t>(commit.revision - 2)]);
      if (OneIn(8) && CommittedBy(at) >= commit.revision) {
        // Behind all that came before.
        WatchResponse progress = Respond(&at, commit.revision - 1);
        progress.revision = commit.revision - 1;
        if (progress.revision >= watch->responses.back().revision) {
          watch->responses.push_back(progress);
        }
      }
      Deliver(watch, commit, &at);
    }
    Respond(&at, 1);
  }

  void Deliver(Watch* watch, const Commit& commit, Time* at) {
    WatchResponse response = Respond(at, commit.revision);
    response.revision = commit.revision;  // of the hub, which may lag behind
    response.revision = std::max(response.revision, watch->responses.back().revision);
    for (const Event& event : commit.events) {
      const bool filtered = event.is_delete ? watch->no_delete : watch->no_put;
      if (!InRange(event.kv.key, watch->key, watch->end) || filtered) {
        continue;
      }
      const KeyValue* before = timeline_.Find(event.kv.key, commit.revision - 1);
      WatchEvent told{event, watch->prev_kv && before != nullptr, {}};
      if (told.has_prev) {
        told.prev = *before;
      }
      response.events.push_back(std::move(told));
    }
    if (response.events.empty()) {
      return;
    }
    if (response.events.size() > 1 && OneIn(3)) {
      WatchResponse first = response;
      first.events.resize(1);
      first.fragment = true;
      watch->responses.push_back(std::move(first));
      response.events.erase(response.events.begin());
    }
    watch->responses.push_back(std::move(response));
  }

  // A watch of what is compacted already.
  void CancelOne() {
    if (compacted_ < 3) {
      return;
    }
    Watch watch;
    watch.id = 9;
    watch.key = "k";
    watch.start = compacted_ - 1;
    WatchResponse created;
    created.at = last_return_;
    created.revision = timeline_.newest();
    created.created = true;
    WatchResponse canceled = created;
    canceled.created = false;
    canceled.canceled = true;
    canceled.compact = compacted_;
    watch.responses = {created, canceled};
    made_.history.watches.push_back(std::move(watch));
  }

  const MadeOptions options_;
  Random random_;
  Timeline timeline_;
  MadeHistory made_;
  std::priority_queue<Planned> planned_;
  std::map<int64_t, Lease> leases_;
  std::map<int64_t, Revision> applied_;  // per member
  Revision compacted_ = 0;
  int64_t values_ = 0, granted_ = 0;
  Time now_ = 0, last_return_ = 0;
};

}  // namespace

MadeHistory MakeHistory(const MadeOptions& options) { return Maker(options).Make(); }

}  // namespace store::check
