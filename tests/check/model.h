// SPDX-License-Identifier: Apache-2.0
// The sequential store: what a transaction does and answers at a given state. Two states implement
// the same view: Timeline, every revision at once, for checkers that know the order; State, one
// revision, immutable and cheap to share, for the one that searches for it. Written from the
// documented behaviour of etcd and sharing no line with store/mvcc, which it judges. One thread.
#pragma once

#include "tests/check/history.h"

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace store::check {

// end as in the API: empty is one key, "\0" has no end.
bool InRange(std::string_view key, std::string_view from, std::string_view end);

class View {
 public:
  virtual ~View() = default;
  // As it was at the revision, which is not above the newest.
  virtual const KeyValue* Find(const std::string& key, Revision at) const = 0;
  // Ascending; ends when `visit` says false.
  virtual void ForEach(const std::string& from, const std::string& end, Revision at,
                       absl::FunctionRef<bool(const KeyValue&)> visit) const = 0;
};

// What executing a transaction right after revision `at` does.
struct Effect {
  bool succeeded = true;
  std::vector<StepResult> results;
  std::vector<Event> events;  // empty: no new revision
  Revision revision = 0;      // of the response header
};
Effect Execute(const Txn& txn, const View& view, Revision at);

// The commits, one after the other; remembers all of them.
class Timeline : public View {
 public:
  explicit Timeline(Revision base) : newest_(base) {}

  // The commit's revision is newest + 1; its events say what they do and are believed.
  void Append(const Commit& commit);
  Revision newest() const { return newest_; }

  const KeyValue* Find(const std::string& key, Revision at) const override;
  void ForEach(const std::string& from, const std::string& end, Revision at,
               absl::FunctionRef<bool(const KeyValue&)> visit) const override;

 private:
  struct Version {
    Revision from;
    bool there;
    KeyValue kv;
  };
  static const KeyValue* At(const std::vector<Version>& versions, Revision at);

  Revision newest_;
  std::map<std::string, std::vector<Version>> keys_;
};

// One state of the search. `hash` is the sum of what its parts hash to.
class State : public View {
 public:
  Revision revision = 1;
  std::map<std::string, KeyValue> keys;
  uint64_t hash = 0;

  void Apply(const std::vector<Event>& events, Revision after);

  const KeyValue* Find(const std::string& key, Revision at) const override;
  void ForEach(const std::string& from, const std::string& end, Revision at,
               absl::FunctionRef<bool(const KeyValue&)> visit) const override;
};

// The first difference, or empty.
std::string Difference(const StepResult& got, const StepResult& want);
std::string ToString(const KeyValue& kv);
std::string ToString(const Event& event);

}  // namespace store::check
