// SPDX-License-Identifier: Apache-2.0
// Leases as they should be pass, and each kind of damage is reported.
#include "tests/check/lease_rules.h"

#include "tests/check/made_history.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace store::check {
namespace {

constexpr Time kSecond = 1000;

LeaseOptions Options() {
  LeaseOptions options;
  options.second = kSecond;
  options.grace = 4 * kSecond;
  options.end = 100 * kSecond;
  return options;
}

std::string Text(const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& problem : problems) {
    text += "  " + problem.rule + ": " + problem.text + "\n";
  }
  return text;
}

TEST(LeaseRules, CorrectHistoriesPass) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    MadeOptions made_options;
    made_options.seed = seed;
    const MadeHistory made = MakeHistory(made_options);
    LeaseOptions options;
    options.second = kMadeSecond;
    options.grace = kMadeGrace;
    options.end = made.end;
    const std::vector<Problem> problems = CheckLeases(made.history, options);
    ASSERT_TRUE(problems.empty()) << "seed " << seed << "\n" << Text(problems);
  }
}

Operation Answered(Request request, int64_t lease, Time call, Revision revision) {
  Operation operation;
  operation.request = request;
  operation.lease = lease;
  operation.ttl = request == Request::kLeaseRevoke ? 0 : 10;
  operation.call = call;
  operation.ret = call + 10;
  operation.outcome = Outcome::kOk;
  operation.revision = revision;
  return operation;
}

Operation Does(Step step, Time call, Revision revision) {
  Operation operation;
  operation.txn = One(std::move(step));
  operation.call = call;
  operation.ret = call + 10;
  operation.outcome = Outcome::kOk;
  operation.revision = revision;
  return operation;
}

Event Puts(const std::string& key, Revision revision, int64_t lease) {
  return {false, {key, "v" + std::to_string(revision), revision, revision, 1, lease}};
}
Event Deletes(const std::string& key, Revision revision) {
  return {true, {key, "", 0, revision, 0, 0}};
}

// Lease 1, 10 s, with a and b, renewed at 5 s, ends by itself: revision 5, seen at 15.1 s.
// Lease 2, 10 s, with c, is revoked: revision 6. Lease 3 keeps d, but a client deletes it: 8.
History Story() {
  History history;
  history.operations = {
      Answered(Request::kLeaseGrant, 1, 0, 1),
      Does(Put("a", "v2", 1), 100, 2),
      Does(Put("b", "v3", 1), 200, 3),
      Answered(Request::kLeaseGrant, 2, 300, 3),
      Does(Put("c", "v4", 2), 400, 4),
      Answered(Request::kLeaseKeepAlive, 1, 5 * kSecond, 4),
      Answered(Request::kLeaseKeepAlive, 2, 9 * kSecond, 4),
      Does(Range("a", "d"), 15100, 5),
      Answered(Request::kLeaseRevoke, 2, 16 * kSecond, 6),
      Answered(Request::kLeaseGrant, 3, 17 * kSecond, 6),
      Does(Put("d", "v7", 3), 17100, 7),
      Does(Delete("d"), 17200, 8),
  };
  history.commits = {
      {2, {Puts("a", 2, 1)}}, {3, {Puts("b", 3, 1)}},
      {4, {Puts("c", 4, 2)}}, {5, {Deletes("a", 5), Deletes("b", 5)}},
      {6, {Deletes("c", 6)}}, {7, {Puts("d", 7, 3)}},
      {8, {Deletes("d", 8)}},
  };
  return history;
}

TEST(LeaseRules, TheStoryIsCorrect) {
  const std::vector<Problem> problems = CheckLeases(Story(), Options());
  EXPECT_TRUE(problems.empty()) << Text(problems);
}

using Damage = void (*)(History&);

Operation& Find(History& history, Request request, int64_t lease) {
  return *std::find_if(history.operations.begin(), history.operations.end(),
                       [&](Operation& op) { return op.request == request && op.lease == lease; });
}

WatchResponse Sees(const Event& event, Time at) {
  WatchResponse response;
  response.at = at;
  response.revision = event.kv.mod;
  response.events.push_back({event, false, {}});
  return response;
}

const std::vector<std::pair<std::string, Damage>> kTimeDamages = {
    {"ends before its time", [](History& h) { h.operations[7].ret = 14900; }},
    {"ends before its time, seen by a watch",
     [](History& h) {
       h.watches.emplace_back().responses.push_back(Sees(h.commits[3].events[0], 14000));
     }},
    {"ends before its time, seen by a later write",
     [](History& h) {
       Operation& revoke = Find(h, Request::kLeaseRevoke, 2);
       revoke.call = 14000;
       revoke.ret = 14100;
     }},
    {"ends although it was renewed",
     [](History& h) {
       h.operations.push_back(Answered(Request::kLeaseKeepAlive, 1, 8 * kSecond, 4));
     }},
    {"ends although it was renewed at the last moment",
     [](History& h) {
       h.operations.push_back(Answered(Request::kLeaseKeepAlive, 1, 14 * kSecond, 4));
     }},
    {"ends as if it had been granted less",
     [](History& h) {
       Find(h, Request::kLeaseGrant, 1).ttl = 60;
       Find(h, Request::kLeaseKeepAlive, 1).ttl = 60;
     }},
    {"a shorter renewal", [](History& h) { Find(h, Request::kLeaseKeepAlive, 1).ttl = 5; }},
    {"a longer renewal", [](History& h) { Find(h, Request::kLeaseKeepAlive, 2).ttl = 50; }},
    {"a renewal after its revocation",
     [](History& h) {
       h.operations.push_back(Answered(Request::kLeaseKeepAlive, 2, 17 * kSecond, 6));
     }},
    {"a renewal of what was never granted",
     [](History& h) {
       h.operations.push_back(Answered(Request::kLeaseKeepAlive, 9, 1 * kSecond, 4));
     }},
    {"a renewal before it was granted",
     [](History& h) {
       Find(h, Request::kLeaseGrant, 2).call = 20 * kSecond;
       Find(h, Request::kLeaseGrant, 2).ret = 21 * kSecond;
     }},
    {"never ends", [](History& h) { h.commits.resize(3); }},
    {"one of them never ends",
     [](History& h) {
       h.commits.resize(6);
       h.operations.pop_back();
     }},
    {"a key stays after a revocation that was answered",
     [](History& h) {
       h.commits.resize(4);
       h.operations.resize(9);
     }},
};

const std::vector<std::pair<std::string, Damage>> kKeyDamages = {
    {"ends in two revisions",
     [](History& h) {
       h.commits[3].events.pop_back();
       h.commits.resize(4);
       h.commits.push_back({5 + 1, {Deletes("b", 6)}});
       h.operations.resize(8);
     }},
    {"a key is forgotten", [](History& h) { h.commits[3].events.pop_back(); }},
    {"the other key is forgotten",
     [](History& h) { h.commits[3].events.erase(h.commits[3].events.begin()); }},
    {"a revocation forgets a key",
     [](History& h) {
       h.commits[1].events[0].kv.lease = 2;
       h.commits[3].events.pop_back();
     }},
    {"a put with what was never granted", [](History& h) { h.commits[2].events[0].kv.lease = 9; }},
    {"a put with a lease whose grant was refused",
     [](History& h) { Find(h, Request::kLeaseGrant, 2).outcome = Outcome::kFailed; }},
    {"a put after the revocation", [](History& h) { h.commits[5].events[0].kv.lease = 2; }},
    {"a put after the end", [](History& h) { h.commits[5].events[0].kv.lease = 1; }},
    {"granted twice",
     [](History& h) {
       h.operations.push_back(Answered(Request::kLeaseGrant, 3, 18 * kSecond, 8));
     }},
    {"a client's delete that nobody sent",
     [](History& h) { h.operations.back() = Does(Range("d"), 18 * kSecond, 8); }},
};

TEST(LeaseRules, EveryDamageIsReported) {
  std::vector<std::pair<std::string, Damage>> damages = kTimeDamages;
  for (const auto& damage : kKeyDamages) {
    damages.push_back(damage);
  }
  EXPECT_GE(damages.size(), 20U);
  for (const auto& [name, damage] : damages) {
    History history = Story();
    damage(history);
    EXPECT_FALSE(CheckLeases(history, Options()).empty()) << name;
  }
}

TEST(LeaseRules, WhatNobodyCanKnowIsNoDamage) {
  // A renewal without an answer may have counted, or not.
  History history = Story();
  Operation lost = Answered(Request::kLeaseKeepAlive, 1, 14 * kSecond, 4);
  lost.outcome = Outcome::kUnknown;
  lost.ret = kNever;
  history.operations.push_back(lost);
  EXPECT_TRUE(CheckLeases(history, Options()).empty());
  history.commits.resize(3);
  history.operations.resize(7);
  history.operations.push_back(lost);
  history.operations.push_back(lost);
  history.operations.back().lease = 2;
  EXPECT_TRUE(CheckLeases(history, Options()).empty());
  // A revocation without an answer explains an early end.
  history = Story();
  history.operations[7].ret = 14900;
  Operation revoke = Answered(Request::kLeaseRevoke, 1, 14 * kSecond, 0);
  revoke.outcome = Outcome::kUnknown;
  revoke.ret = kNever;
  history.operations.push_back(revoke);
  EXPECT_TRUE(CheckLeases(history, Options()).empty());
}

}  // namespace
}  // namespace store::check
