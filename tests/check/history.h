// SPDX-License-Identifier: Apache-2.0
// History: what clients of a store asked, when, and what they were told: operations, watches with
// their responses, and the committed transactions by revision as a recorder (a watch of everything
// from the first revision on, or a member's log) saw them. The simulator fills it in memory, loads
// against real processes write it to a file; the checkers beside this file judge it.
//
// Times are of one clock, of any unit: `call` is taken before the request leaves, `ret` after the
// answer came. Values written should be unique: that is how a write whose answer was lost is found
// again. Plain values; whoever fills it owns it. It grows with the run, an operation costs about
// 300 bytes.
//
// On disk: one JSON object a line, written by Write and by tests/peers; README.md has the fields.
#pragma once

#include "store/base/error.h"

#include <cstdint>
#include <iosfwd>
#include <limits>
#include <string>
#include <vector>

namespace store::check {

using Time = int64_t;
using Revision = int64_t;
inline constexpr Time kNever = std::numeric_limits<Time>::max();

struct KeyValue {
  std::string key;
  std::string value;
  Revision create = 0;
  Revision mod = 0;
  int64_t version = 0;
  int64_t lease = 0;
  friend bool operator==(const KeyValue&, const KeyValue&) = default;
};

struct Event {
  bool is_delete = false;
  KeyValue kv;  // of a delete: key and mod
  friend bool operator==(const Event&, const Event&) = default;
};

// A transaction that changed something.
struct Commit {
  Revision revision = 0;
  std::vector<Event> events;  // in the order of their sub-revisions
};

enum class Target : uint8_t { kVersion, kCreate, kMod, kValue, kLease };
enum class Relation : uint8_t { kEqual, kGreater, kLess, kNotEqual };

struct Compare {
  Target target = Target::kVersion;
  Relation relation = Relation::kEqual;
  std::string key;
  std::string end;  // as in a range
  int64_t number = 0;
  std::string value;  // of kValue
};

struct Txn;
enum class StepKind : uint8_t { kPut, kDelete, kRange, kTxn };

// One request of a transaction; a plain Put, DeleteRange or Range is a transaction of one step.
struct Step {
  StepKind kind = StepKind::kRange;
  std::string key;
  std::string end;  // exclusive; empty: one key; "\0": no end
  std::string value;
  int64_t lease = 0;
  bool ignore_value = false, ignore_lease = false;  // of a put
  bool prev_kv = false;                             // of a put and a delete
  int64_t limit = 0;
  Revision revision = 0;  // of a range: 0 is now
  bool keys_only = false, count_only = false;
  std::vector<Txn> nested;  // of kTxn: one
};

struct Txn {
  std::vector<Compare> compares;
  std::vector<Step> success;
  std::vector<Step> failure;
};

struct StepResult {
  std::vector<KeyValue> kvs;  // of a range; of a put and a delete what was there, if asked for
  int64_t count = 0;          // of a range: without limit; of a delete: keys deleted
  bool more = false;
  bool succeeded = false;  // of a nested transaction
  std::vector<StepResult> nested;
  friend bool operator==(const StepResult&, const StepResult&) = default;
};

enum class Outcome : uint8_t {
  kOk,
  kFailed,   // certainly without effect: refused, never accepted
  kUnknown,  // no answer, or one that leaves it open; may have had its effect, or have it later
};

enum class Request : uint8_t { kTxn, kCompact, kLeaseGrant, kLeaseRevoke, kLeaseKeepAlive };

struct Operation {
  int64_t client = 0;
  int64_t member = 0;  // that answered
  int64_t life = 0;    // of the member: grows with each of its restarts
  Time call = 0;
  Time ret = kNever;  // kNever if there was no answer
  Outcome outcome = Outcome::kUnknown;
  std::string error;  // for people

  Request request = Request::kTxn;
  bool serializable = false;  // a read of the member's own state
  Txn txn;
  Revision compact = 0;
  int64_t lease = 0;
  int64_t ttl = 0;  // seconds: asked for; of an answered grant or keep-alive what was given

  Revision revision = 0;  // of the response header
  bool succeeded = true;
  std::vector<StepResult> results;  // of the branch taken
};

struct WatchEvent {
  Event event;
  bool has_prev = false;
  KeyValue prev;
};

struct WatchResponse {
  Time at = 0;
  int64_t member = 0;
  int64_t life = 0;
  Revision revision = 0;  // of the header
  bool created = false;
  bool canceled = false;
  bool fragment = false;  // more of the same revision follows
  Revision compact = 0;   // of a cancel: where the watch could begin
  std::vector<WatchEvent> events;
};
// A response without events that neither creates nor cancels tells progress up to its revision.

struct Watch {
  int64_t id = 0;  // unique in the history
  std::string key;
  std::string end;
  Revision start = 0;  // 0: after the revision of `created`
  bool prev_kv = false;
  bool no_put = false, no_delete = false;
  bool resumed = false;  // its client goes on where an earlier one was cut: `start` says where
  bool complete =
      false;  // listened until everything committed had been seen: nothing may be missing
  std::vector<WatchResponse> responses;
};

struct History {
  Revision base = 1;  // committed before the first recorded transaction; the store was empty then
  std::vector<Operation> operations;
  std::vector<Commit> commits;  // ascending
  std::vector<Watch> watches;
};

// One record a line. Text is taken byte for byte: bytes above 127 become \u0080 to \u00ff.
void Write(const History& history, std::ostream& out);
// kCorruption names the line.
Result<History> Read(std::istream& in);

// For messages: `put k=v`, `txn(2) at 7`.
std::string ToString(const Operation& operation);
// The transaction of one step.
Txn One(Step step);
Step Put(std::string key, std::string value, int64_t lease = 0);
Step Delete(std::string key, std::string end = {});
Step Range(std::string key, std::string end = {});
bool Writes(const Txn& txn);  // has a put or a delete in any branch

}  // namespace store::check
