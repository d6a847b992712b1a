// SPDX-License-Identifier: Apache-2.0
// The checker is checked: correct histories pass, each kind of damage is reported, and where a
// search for an order can be made at all it comes to the same verdict.
#include "tests/check/revision_order.h"

#include "store/base/random.h"
#include "tests/check/made_history.h"
#include "tests/check/model.h"
#include "tests/check/wing_gong.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

namespace store::check {
namespace {

constexpr uint64_t kSeeds = 40;

std::string Text(const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& problem : problems) {
    text += fmt::format("  {}: {}\n", problem.rule, problem.text);
  }
  return text;
}

TEST(RevisionOrder, CorrectHistoriesPass) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    MadeOptions options;
    options.seed = seed;
    const MadeHistory made = MakeHistory(options);
    const std::vector<Problem> problems = CheckRevisionOrder(made.history);
    ASSERT_TRUE(problems.empty()) << "seed " << seed << "\n" << Text(problems);
  }
}

// By hand with SLUICE_CHECK_OPERATIONS=1000000.
TEST(RevisionOrder, ALargeHistoryIsJudgedWithoutASearch) {
  const char* wanted = std::getenv("SLUICE_CHECK_OPERATIONS");
  MadeOptions options;
  options.operations = wanted == nullptr ? 20'000 : std::atoi(wanted);
  options.clients = 64;
  options.keys = 50;
  options.leases = false;
  const MadeHistory made = MakeHistory(options);
  const std::vector<Problem> problems = CheckRevisionOrder(made.history);
  EXPECT_TRUE(problems.empty()) << Text(problems);
}

// A damaged history, and what damages need to know of it. `Done` false: this history has no place
// for the damage.
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

bool IsRead(const Operation& operation) {
  return operation.request == Request::kTxn && !Writes(operation.txn);
}
bool IsLinearizableRead(const Operation& operation) {
  return IsRead(operation) && !operation.serializable;
}
bool ShowsKeys(const Operation& operation) {
  return IsRead(operation) && !operation.results.empty() && !operation.results[0].kvs.empty();
}
bool IsPut(const Event& event) { return !event.is_delete; }

void Renumber(std::vector<Commit>* commits) {
  for (size_t i = 0; i < commits->size(); ++i) {
    (*commits)[i].revision = static_cast<Revision>(i) + 2;
    for (Event& event : (*commits)[i].events) {
      event.kv.mod = (*commits)[i].revision;
    }
  }
}

// The read as the store would have answered it at another revision.
void AnswerAt(const History& history, Operation* read, Revision revision) {
  Timeline timeline(history.base);
  for (const Commit& commit : history.commits) {
    timeline.Append(commit);
  }
  Effect effect = Execute(read->txn, timeline, revision);
  read->revision = revision;
  read->results = std::move(effect.results);
}

template <class Change>
bool ChangeShown(Damaged& d, Change change) {
  Operation* read = d.Any(ShowsKeys);
  if (read == nullptr) {
    return false;
  }
  std::vector<KeyValue>& kvs = read->results[0].kvs;
  change(kvs[d.random.Below(kvs.size())]);
  return true;
}

template <class Change>
bool ChangePut(Damaged& d, Change change) {
  Event* event = d.AnyEvent(IsPut);
  if (event == nullptr) {
    return false;
  }
  change(event->kv);
  return true;
}

template <class Is, class Change>
bool ChangeAny(Damaged& d, Is is, Change change) {
  Operation* operation = d.Any(is);
  if (operation == nullptr) {
    return false;
  }
  change(*operation);
  return true;
}

// A linearizable read answered as of one write before it, which had returned by then.
bool StaleByOne(Damaged& d) {
  Operation* read = d.Any([&](const Operation& operation) {
    const Operation* write = d.WriterOf(operation.revision);
    return IsLinearizableRead(operation) && operation.txn.success[0].revision == 0 &&
           write != nullptr && write->ret < operation.call;
  });
  if (read == nullptr) {
    return false;
  }
  AnswerAt(d.history, read, read->revision - 1);
  return true;
}

bool FromTheFuture(Damaged& d, bool serializable) {
  for (Operation& read : d.operations()) {
    if (read.outcome != Outcome::kOk || !IsRead(read) || read.serializable != serializable ||
        read.txn.success[0].revision != 0) {
      continue;
    }
    for (Revision revision = read.revision + 1; revision <= d.newest(); ++revision) {
      const Operation* write = d.WriterOf(revision);
      if (write != nullptr && write->call > read.ret) {
        AnswerAt(d.history, &read, revision);
        return true;
      }
    }
  }
  return false;
}

// Write and a later one that overlaps it: the first returns before the second calls, reversed.
bool WritesOutOfOrder(Damaged& d, bool move_call) {
  for (Revision revision = d.newest(); revision > 2; --revision) {
    Operation* late = d.WriterOf(revision);
    Operation* early = d.WriterOf(revision - 1);
    if (late == nullptr || early == nullptr) {
      continue;
    }
    if (move_call) {
      early->call = late->ret + 1;
      early->ret = early->call + 1;
    } else {
      late->call = early->call - 2;
      late->ret = early->call - 1;
    }
    return true;
  }
  return false;
}

bool SwapRevisions(Damaged& d) {
  for (Revision revision = 3; revision <= d.newest(); ++revision) {
    Operation* a = d.WriterOf(revision - 1);
    Operation* b = d.WriterOf(revision);
    if (a != nullptr && b != nullptr) {
      std::swap(a->revision, b->revision);
      return true;
    }
  }
  return false;
}

// All writes of [from, end) move up by one.
void Shift(Damaged& d, Revision from, Revision by) {
  Renumber(&d.commits());
  for (Operation& operation : d.operations()) {
    if (operation.outcome == Outcome::kOk && operation.revision >= from) {
      operation.revision += by;
    }
  }
}

bool DropWriteAndRenumber(Damaged& d) {
  const Operation* write = d.Any([&](const Operation& operation) { return d.IsWrite(operation); });
  if (write == nullptr) {
    return false;
  }
  const Revision revision = write->revision;
  d.commits().erase(d.commits().begin() + (revision - 2));
  Shift(d, revision + 1, -1);
  return true;
}

bool RetryApplied(Damaged& d) {
  const Operation* write = d.Any([&](const Operation& operation) {
    return d.IsWrite(operation) && operation.txn.success.size() == 1;
  });
  if (write == nullptr) {
    return false;
  }
  Timeline timeline(d.history.base);
  for (const Commit& commit : d.commits()) {
    timeline.Append(commit);
  }
  Effect effect = Execute(write->txn, timeline, timeline.newest());
  d.commits().push_back({effect.revision, std::move(effect.events)});
  return true;
}

bool NobodysCommit(Damaged& d) {
  Timeline timeline(d.history.base);
  for (const Commit& commit : d.commits()) {
    timeline.Append(commit);
  }
  Effect effect = Execute(One(Put("k0", "nobody's")), timeline, timeline.newest());
  d.commits().push_back({effect.revision, std::move(effect.events)});
  return true;
}

bool Refused(Damaged& d) {
  return ChangeAny(
      d, [&](const Operation& operation) { return d.IsWrite(operation); },
      [](Operation& operation) { operation.outcome = Outcome::kFailed; });
}

bool LostWriterUnknownToAnybody(Damaged& d) {
  for (size_t i = 0; i < d.operations().size(); ++i) {
    if (d.operations()[i].outcome == Outcome::kOk && d.IsWrite(d.operations()[i])) {
      d.operations().erase(d.operations().begin() + static_cast<std::ptrdiff_t>(i));
      return true;
    }
  }
  return false;
}

// A write without an answer that only called after its effect was shown.
bool CalledAfterShown(Damaged& d) {
  Operation* write = d.Any([&](const Operation& operation) {
    return d.IsWrite(operation) && operation.revision < d.newest() - 10 &&
           d.WriterOf(operation.revision + 1) != nullptr;
  });
  if (write == nullptr) {
    return false;
  }
  write->call = d.WriterOf(write->revision + 1)->ret + 1;
  write->outcome = Outcome::kUnknown;
  write->ret = kNever;
  return true;
}

bool MemberGoesBack(Damaged& d) {
  Operation* read = d.Any([&](const Operation& operation) {
    return operation.serializable && operation.revision > 3 &&
           operation.txn.success[0].revision == 0 &&
           std::any_of(d.operations().begin(), d.operations().end(), [&](const Operation& other) {
             return other.outcome == Outcome::kOk && other.request == Request::kTxn &&
                    other.member == operation.member && other.ret < operation.call &&
                    other.revision == operation.revision;
           });
  });
  if (read == nullptr) {
    return false;
  }
  AnswerAt(d.history, read, read->revision - 1);
  return true;
}

// Nobody's answer is missing, but another reader had seen more.
bool BehindAnotherReader(Damaged& d) {
  Operation* read = d.Any([&](const Operation& operation) {
    return IsLinearizableRead(operation) && operation.revision > 2 &&
           operation.txn.success[0].revision == 0 &&
           std::any_of(d.operations().begin(), d.operations().end(), [&](const Operation& other) {
             return IsRead(other) && other.outcome == Outcome::kOk && other.ret < operation.call &&
                    other.revision == operation.revision;
           });
  });
  if (read == nullptr) {
    return false;
  }
  if (Operation* write = d.WriterOf(read->revision); write != nullptr) {
    write->ret = kNever;
    write->outcome = Outcome::kUnknown;
  }
  AnswerAt(d.history, read, read->revision - 1);
  return true;
}

bool BehindAWatch(Damaged& d) {
  Operation* read = d.Any([&](const Operation& operation) {
    return IsLinearizableRead(operation) && operation.revision > 2 &&
           operation.txn.success[0].revision == 0;
  });
  if (read == nullptr) {
    return false;
  }
  const Commit& next = d.commits()[static_cast<size_t>(read->revision - 2)];
  AnswerAt(d.history, read, read->revision - 1);
  for (Operation& operation : d.operations()) {
    if (operation.revision >= next.revision && operation.ret < read->call) {
      operation.ret = read->call;  // no answer tells
    }
  }
  Watch watch;
  watch.id = 100;
  watch.key = next.events[0].kv.key;
  WatchResponse response;
  response.at = read->call - 1;
  response.revision = next.revision;
  response.events.push_back({next.events[0], false, {}});
  watch.responses.push_back(std::move(response));
  d.history.watches.push_back(std::move(watch));
  return true;
}

bool ReadsCompacted(Damaged& d) {
  Operation* read = d.Any([](const Operation& operation) {
    return IsLinearizableRead(operation) && operation.txn.success[0].revision > 1;
  });
  if (read == nullptr) {
    return false;
  }
  Operation compaction;
  compaction.request = Request::kCompact;
  compaction.compact = read->txn.success[0].revision + 1;
  compaction.outcome = Outcome::kOk;
  compaction.revision = d.newest();
  compaction.call = read->call - 2;
  compaction.ret = read->call - 1;
  compaction.serializable = true;  // its own place in time is not what is damaged here
  d.operations().push_back(compaction);
  return true;
}

bool SwapResults(Damaged& d) {
  Operation* a = d.Any(ShowsKeys);
  Operation* b = d.Any([&](const Operation& operation) {
    return ShowsKeys(operation) && a != nullptr && operation.results != a->results;
  });
  if (a == nullptr || b == nullptr) {
    return false;
  }
  std::swap(a->results, b->results);
  return true;
}

bool SwapCommits(Damaged& d) {
  if (d.commits().size() < 10) {
    return false;
  }
  const size_t i = d.random.Below(d.commits().size() - 1);
  std::swap(d.commits()[i].events, d.commits()[i + 1].events);
  Renumber(&d.commits());
  return true;
}

bool DropEvent(Damaged& d) {
  for (Commit& commit : d.commits()) {
    if (commit.events.size() > 1) {
      commit.events.pop_back();
      return true;
    }
  }
  return false;
}

bool HasNested(const Operation& operation) {
  return operation.request == Request::kTxn && !operation.results.empty() &&
         !operation.results.back().nested.empty();
}
bool AsksPrevious(const Operation& operation) {
  return operation.request == Request::kTxn && operation.txn.compares.empty() &&
         operation.txn.success[0].prev_kv && !operation.results[0].kvs.empty();
}
bool Deletes(const Operation& operation) {
  return operation.request == Request::kTxn && operation.txn.compares.empty() &&
         operation.txn.success[0].kind == StepKind::kDelete;
}
bool HasResults(const Operation& operation) {
  return operation.request == Request::kTxn && !operation.results.empty();
}
bool Limited(const Operation& operation) {
  return IsRead(operation) && !operation.results.empty() && operation.results[0].more;
}

using Damage = bool (*)(Damaged&);

using Damages = std::vector<std::pair<std::string, Damage>>;

auto AnyWrite(const Damaged& d) {
  return [&d](const Operation& operation) { return d.IsWrite(operation); };
}

const Damages kAnswerDamages = {
    {"two results swapped", SwapResults},
    {"a read that is stale by one", StaleByOne},
    {"a read from the future", [](Damaged& d) { return FromTheFuture(d, false); }},
    {"another value", [](Damaged& d) { return ChangeShown(d, [](auto& kv) { kv.value += "?"; }); }},
    {"another key", [](Damaged& d) { return ChangeShown(d, [](auto& kv) { kv.key += "?"; }); }},
    {"another create", [](Damaged& d) { return ChangeShown(d, [](auto& kv) { --kv.create; }); }},
    {"another mod", [](Damaged& d) { return ChangeShown(d, [](auto& kv) { ++kv.mod; }); }},
    {"another version", [](Damaged& d) { return ChangeShown(d, [](auto& kv) { ++kv.version; }); }},
    {"another lease", [](Damaged& d) { return ChangeShown(d, [](auto& kv) { kv.lease += 7; }); }},
    {"a key missing",
     [](Damaged& d) {
       return ChangeAny(d, ShowsKeys, [](auto& op) { op.results[0].kvs.pop_back(); });
     }},
    {"a key twice",
     [](Damaged& d) {
       return ChangeAny(d, ShowsKeys,
                        [](auto& op) { op.results[0].kvs.push_back(op.results[0].kvs.back()); });
     }},
    {"another count",
     [](Damaged& d) { return ChangeAny(d, ShowsKeys, [](auto& op) { ++op.results[0].count; }); }},
    {"more where there is none",
     [](Damaged& d) {
       return ChangeAny(d, ShowsKeys, [](auto& op) { op.results[0].more ^= true; });
     }},
    {"a limit ignored",
     [](Damaged& d) {
       return ChangeAny(d, Limited, [](auto& op) {
         op.results[0].more = false;
         op.results[0].count = op.txn.success[0].limit;
       });
     }},
    {"a result missing",
     [](Damaged& d) { return ChangeAny(d, HasResults, [](auto& op) { op.results.pop_back(); }); }},
    {"a result too many",
     [](Damaged& d) {
       return ChangeAny(d, HasResults, [](auto& op) { op.results.emplace_back(); });
     }},
    {"a nested result changed",
     [](Damaged& d) {
       return ChangeAny(d, HasNested, [](auto& op) { op.results.back().succeeded ^= true; });
     }},
    {"the other branch",
     [](Damaged& d) { return ChangeAny(d, HasResults, [](auto& op) { op.succeeded ^= true; }); }},
    {"another count of deleted keys",
     [](Damaged& d) { return ChangeAny(d, Deletes, [](auto& op) { ++op.results[0].count; }); }},
    {"another previous value",
     [](Damaged& d) {
       return ChangeAny(d, AsksPrevious, [](auto& op) { op.results[0].kvs[0].value += "?"; });
     }},
    {"no previous value",
     [](Damaged& d) {
       return ChangeAny(d, AsksPrevious, [](auto& op) { op.results[0].kvs.clear(); });
     }},
    {"a write's revision too high",
     [](Damaged& d) { return ChangeAny(d, AnyWrite(d), [](auto& op) { ++op.revision; }); }},
    {"a write's revision too low",
     [](Damaged& d) { return ChangeAny(d, AnyWrite(d), [](auto& op) { --op.revision; }); }},
    {"revisions of two writes swapped", SwapRevisions},
    {"a revision above all",
     [](Damaged& d) {
       const Revision above = d.newest() + 5;
       return ChangeAny(d, IsLinearizableRead, [=](auto& op) { op.revision = above; });
     }},
    {"no revision",
     [](Damaged& d) { return ChangeAny(d, HasResults, [](auto& op) { op.revision = 0; }); }},
    {"a write before one that had returned", [](Damaged& d) { return WritesOutOfOrder(d, true); }},
    {"a write behind one called later", [](Damaged& d) { return WritesOutOfOrder(d, false); }},
    {"a read behind another reader's", BehindAnotherReader},
    {"one operation told twice",
     [](Damaged& d) {
       Operation* write = d.Any(AnyWrite(d));
       if (write == nullptr) {
         return false;
       }
       d.operations().push_back(Operation(*write));
       return true;
     }},
};

const Damages kHistoryDamages = {
    {"a gap",
     [](Damaged& d) {
       d.commits().erase(d.commits().begin() +
                         static_cast<std::ptrdiff_t>(d.random.Below(d.commits().size() - 1)));
       return true;
     }},
    {"an acknowledged write lost at the end",
     [](Damaged& d) {
       while (!d.commits().empty() && d.WriterOf(d.newest()) == nullptr) {
         d.commits().pop_back();
       }
       d.commits().pop_back();
       return true;
     }},
    {"an acknowledged write lost, all behind it moved up", DropWriteAndRenumber},
    {"an event dropped", DropEvent},
    {"a retry applied twice", RetryApplied},
    {"a commit of nobody", NobodysCommit},
    {"two commits swapped", SwapCommits},
    {"a commit's order broken",
     [](Damaged& d) {
       std::swap(d.commits()[3], d.commits()[4]);
       return true;
     }},
    {"an empty commit",
     [](Damaged& d) {
       d.commits().push_back({d.newest() + 1, {}});
       return true;
     }},
    {"a value changed", [](Damaged& d) { return ChangePut(d, [](auto& kv) { kv.value += "?"; }); }},
    {"a key changed", [](Damaged& d) { return ChangePut(d, [](auto& kv) { kv.key += "?"; }); }},
    {"a version changed", [](Damaged& d) { return ChangePut(d, [](auto& kv) { ++kv.version; }); }},
    {"a create changed", [](Damaged& d) { return ChangePut(d, [](auto& kv) { --kv.create; }); }},
    {"a mod changed", [](Damaged& d) { return ChangePut(d, [](auto& kv) { --kv.mod; }); }},
    {"a lease changed", [](Damaged& d) { return ChangePut(d, [](auto& kv) { kv.lease += 7; }); }},
    {"a put became a delete",
     [](Damaged& d) {
       Event* event = d.AnyEvent(IsPut);
       event->is_delete = true;
       return true;
     }},
    {"a delete became a put",
     [](Damaged& d) {
       Event* event = d.AnyEvent([](const Event& e) { return e.is_delete; });
       if (event == nullptr) {
         return false;
       }
       event->is_delete = false;
       return true;
     }},
    {"a refused write had its effect", Refused},
    {"a writer unknown to anybody", LostWriterUnknownToAnybody},
    {"a lost write that called after it was shown", CalledAfterShown},
    {"a read behind a watch", BehindAWatch},
    {"a compacted revision read", ReadsCompacted},
    {"a member that goes back", MemberGoesBack},
    {"a serializable read from the future", [](Damaged& d) { return FromTheFuture(d, true); }},
    {"a serializable read of another state",
     [](Damaged& d) {
       const auto is = [](const Operation& op) { return op.serializable && ShowsKeys(op); };
       return ChangeAny(d, is, [](auto& op) { op.results[0].kvs[0].version += 1; });
     }},
    {"a read of the past with another state",
     [](Damaged& d) {
       const auto is = [](const Operation& op) {
         return ShowsKeys(op) && op.txn.success[0].revision != 0;
       };
       return ChangeAny(d, is, [](auto& op) { op.results[0].kvs[0].mod += 1; });
     }},
    {"a read of a revision that was not there",
     [](Damaged& d) {
       const auto is = [](const Operation& op) {
         return IsRead(op) && op.txn.success[0].revision != 0;
       };
       return ChangeAny(d, is, [](auto& op) { op.txn.success[0].revision = op.revision + 1; });
     }},
};

void ExpectAllReported(const Damages& damages) {
  for (const auto& [name, damage] : damages) {
    int done = 0;
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
      MadeOptions options;
      options.seed = seed;
      MadeHistory made = MakeHistory(options);
      Damaged damaged{std::move(made.history), std::move(made.committed), Random(seed)};
      if (!damage(damaged)) {
        continue;
      }
      ++done;
      EXPECT_FALSE(CheckRevisionOrder(damaged.history).empty()) << name << ", seed " << seed;
    }
    EXPECT_GE(done, 5) << name << " was hardly ever planted";
  }
}

TEST(RevisionOrder, EveryDamageOfAnAnswerIsReported) { ExpectAllReported(kAnswerDamages); }
TEST(RevisionOrder, EveryDamageOfTheHistoryIsReported) { ExpectAllReported(kHistoryDamages); }

TEST(RevisionOrder, AreAtLeastFiftyKindsOfDamage) {
  EXPECT_GE(kAnswerDamages.size() + kHistoryDamages.size(), 50U);
}

// Moves operations in time and to other answers, without looking whether that is still legal.
void Shake(History* history, Random* random) {
  const uint64_t changes = random->Below(4);
  for (uint64_t i = 0; i < changes; ++i) {
    Operation& operation = history->operations[random->Below(history->operations.size() - 1)];
    const auto by = static_cast<Time>(random->Between(1, 30)) - 15;
    operation.call += by;
    if (operation.ret != kNever) {
      operation.ret = std::max(operation.ret + by, operation.call);
    }
    if (random->Chance(0.2)) {
      operation.revision += random->Chance(0.5) ? 1 : -1;
    }
    Operation& other = history->operations[random->Below(history->operations.size() - 1)];
    if (random->Chance(0.2)) {
      std::swap(operation.results, other.results);
    }
    if (random->Chance(0.1)) {
      operation.outcome = Outcome::kUnknown;
      operation.ret = kNever;
    }
  }
}

TEST(RevisionOrder, SaysWhatASearchSays) {
  int legal = 0, illegal = 0;
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    MadeOptions options;
    options.seed = seed;
    options.operations = 30;
    options.keys = 3;
    options.leases = options.watches = options.members = false;
    History history = MakeHistory(options).history;
    Random random(seed);
    Shake(&history, &random);

    WingGongOptions search;
    search.commits = &history.commits;
    const WingGongResult result = WingGong(history.operations, State(), search);
    const std::vector<Problem> problems = CheckRevisionOrder(history);

    ASSERT_NE(result.verdict, Verdict::kUnknown) << "seed " << seed << ": " << result.text;
    ASSERT_EQ(result.verdict == Verdict::kLinearizable, problems.empty())
        << "seed " << seed << ": " << result.text << "\n"
        << Text(problems);
    (problems.empty() ? legal : illegal) += 1;
    if (problems.empty()) {
      // Without knowing the history the search finds an order as well.
      EXPECT_EQ(WingGong(history.operations, State()).verdict, Verdict::kLinearizable);
    }
  }
  EXPECT_GT(legal, 500);
  EXPECT_GT(illegal, 500);
}

}  // namespace
}  // namespace store::check
