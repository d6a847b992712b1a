// SPDX-License-Identifier: Apache-2.0
#include "tests/check/revision_order_damages.h"

#include "tests/check/model.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace store::check {
namespace {

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

auto AnyWrite(const Damaged& d) {
  return [&d](const Operation& operation) { return d.IsWrite(operation); };
}

const Damages kOfAnAnswer = {
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

const Damages kOfTheHistory = {
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

}  // namespace

const Damages& DamagesOfAnAnswer() { return kOfAnAnswer; }
const Damages& DamagesOfTheHistory() { return kOfTheHistory; }

}  // namespace store::check
