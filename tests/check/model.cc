// SPDX-License-Identifier: Apache-2.0
#include "tests/check/model.h"

#include "store/base/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

namespace store::check {
namespace {

// What a running transaction has changed, above the state it began with.
class Running {
 public:
  Running(const View& view, Revision at) : view_(view), at_(at) {}

  const KeyValue* Find(const std::string& key) const {
    if (const auto changed = changed_.find(key); changed != changed_.end()) {
      return changed->second ? &*changed->second : nullptr;
    }
    return view_.Find(key, at_);
  }

  std::vector<KeyValue> Collect(const std::string& from, const std::string& end) const {
    std::map<std::string, KeyValue> found;
    view_.ForEach(from, end, at_, [&](const KeyValue& kv) {
      found.emplace(kv.key, kv);
      return true;
    });
    for (const auto& [key, kv] : changed_) {
      if (!InRange(key, from, end)) {
        continue;
      }
      if (kv) {
        found[key] = *kv;
      } else {
        found.erase(key);
      }
    }
    std::vector<KeyValue> all;
    for (auto& [key, kv] : found) {
      all.push_back(std::move(kv));
    }
    return all;
  }

  StepResult DoPut(const Step& step) {
    StepResult result;
    const KeyValue* before = Find(step.key);
    KeyValue now{step.key, step.value, next(), next(), 1, step.lease};
    if (before != nullptr) {
      now.create = before->create;
      now.version = before->version + 1;
      now.value = step.ignore_value ? before->value : step.value;
      now.lease = step.ignore_lease ? before->lease : step.lease;
      if (step.prev_kv) {
        result.kvs.push_back(*before);
      }
    }
    events_.push_back({false, now});
    changed_[step.key] = std::move(now);
    return result;
  }

  StepResult DoDelete(const Step& step) {
    StepResult result;
    std::vector<KeyValue> gone = Collect(step.key, step.end);
    result.count = static_cast<int64_t>(gone.size());
    for (const KeyValue& kv : gone) {
      Event event{true, {}};
      event.kv.key = kv.key;
      event.kv.mod = next();
      events_.push_back(std::move(event));
      changed_[kv.key] = std::nullopt;
    }
    if (step.prev_kv) {
      result.kvs = std::move(gone);
    }
    return result;
  }

  StepResult DoRange(const Step& step) const {
    StepResult result;
    std::vector<KeyValue> found;
    if (step.revision != 0 && step.revision <= at_) {
      view_.ForEach(step.key, step.end, step.revision, [&](const KeyValue& kv) {
        found.push_back(kv);
        return true;
      });
    } else {
      found = Collect(step.key, step.end);
    }
    result.count = static_cast<int64_t>(found.size());
    if (step.count_only) {
      return result;
    }
    if (step.limit > 0 && result.count > step.limit) {
      found.resize(static_cast<size_t>(step.limit));
      result.more = true;
    }
    for (KeyValue& kv : found) {
      if (step.keys_only) {
        kv.value.clear();
      }
    }
    result.kvs = std::move(found);
    return result;
  }

  // All compares of a transaction and of those in it see what was before its first effect.
  bool Holds(const Compare& compare) const {
    if (compare.end.empty()) {
      return HoldsFor(compare, Find(compare.key));
    }
    const std::vector<KeyValue> all = Collect(compare.key, compare.end);
    if (all.empty()) {
      return HoldsFor(compare, nullptr);
    }
    return std::all_of(all.begin(), all.end(),
                       [&](const KeyValue& kv) { return HoldsFor(compare, &kv); });
  }

  Revision next() const { return at_ + 1; }
  std::vector<Event>& events() { return events_; }

 private:
  // A key that is not there has zeros, and no value that could be compared.
  static bool HoldsFor(const Compare& compare, const KeyValue* kv) {
    if (compare.target == Target::kValue) {
      return kv != nullptr && Related(kv->value.compare(compare.value), 0, compare.relation);
    }
    static const KeyValue kAbsent;
    return Related(Field(kv == nullptr ? kAbsent : *kv, compare.target), compare.number,
                   compare.relation);
  }

  static int64_t Field(const KeyValue& kv, Target target) {
    switch (target) {
      case Target::kVersion:
        return kv.version;
      case Target::kCreate:
        return kv.create;
      case Target::kMod:
        return kv.mod;
      case Target::kLease:
        return kv.lease;
      case Target::kValue:
        break;
    }
    CHECK(false, "a value is no number");
  }

  static bool Related(int64_t is, int64_t wanted, Relation relation) {
    switch (relation) {
      case Relation::kEqual:
        return is == wanted;
      case Relation::kGreater:
        return is > wanted;
      case Relation::kLess:
        return is < wanted;
      case Relation::kNotEqual:
        break;
    }
    return is != wanted;
  }

  const View& view_;
  Revision at_;
  std::map<std::string, std::optional<KeyValue>> changed_;
  std::vector<Event> events_;
};

// Branches are chosen for the whole tree before anything is done.
struct Chosen {
  bool succeeded;
  std::vector<Chosen> nested;
};

Chosen Choose(const Txn& txn, const Running& running) {
  Chosen chosen;
  chosen.succeeded = std::all_of(txn.compares.begin(), txn.compares.end(),
                                 [&](const Compare& compare) { return running.Holds(compare); });
  for (const Step& step : chosen.succeeded ? txn.success : txn.failure) {
    if (step.kind == StepKind::kTxn) {
      chosen.nested.push_back(Choose(step.nested.at(0), running));
    }
  }
  return chosen;
}

std::vector<StepResult> Do(const Txn& txn, const Chosen& chosen, Running* running) {
  std::vector<StepResult> results;
  size_t nested = 0;
  for (const Step& step : chosen.succeeded ? txn.success : txn.failure) {
    switch (step.kind) {
      case StepKind::kPut:
        results.push_back(running->DoPut(step));
        break;
      case StepKind::kDelete:
        results.push_back(running->DoDelete(step));
        break;
      case StepKind::kRange:
        results.push_back(running->DoRange(step));
        break;
      case StepKind::kTxn: {
        const Chosen& inner = chosen.nested[nested++];
        StepResult result;
        result.succeeded = inner.succeeded;
        result.nested = Do(step.nested.at(0), inner, running);
        results.push_back(std::move(result));
        break;
      }
    }
  }
  return results;
}

uint64_t HashOf(const KeyValue& kv) {
  const std::hash<std::string> text;
  uint64_t hash = text(kv.key);
  for (const uint64_t part : {static_cast<uint64_t>(text(kv.value)),
                              static_cast<uint64_t>(kv.create), static_cast<uint64_t>(kv.mod),
                              static_cast<uint64_t>(kv.version), static_cast<uint64_t>(kv.lease)}) {
    hash = (hash ^ part) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 32;
  }
  return hash;
}

}  // namespace

bool InRange(std::string_view key, std::string_view from, std::string_view end) {
  if (end.empty()) {
    return key == from;
  }
  return key >= from && (end == std::string_view("\0", 1) || key < end);
}

Effect Execute(const Txn& txn, const View& view, Revision at) {
  Running running(view, at);
  const Chosen chosen = Choose(txn, running);
  Effect effect;
  effect.succeeded = chosen.succeeded;
  effect.results = Do(txn, chosen, &running);
  effect.events = std::move(running.events());
  effect.revision = effect.events.empty() ? at : running.next();
  return effect;
}

void Timeline::Append(const Commit& commit) {
  CHECK(commit.revision == newest_ + 1, "{} after {}", commit.revision, newest_);
  newest_ = commit.revision;
  for (const Event& event : commit.events) {
    keys_[event.kv.key].push_back({commit.revision, !event.is_delete, event.kv});
  }
}

const KeyValue* Timeline::At(const std::vector<Version>& versions, Revision at) {
  const auto after =
      std::upper_bound(versions.begin(), versions.end(), at,
                       [](Revision wanted, const Version& v) { return wanted < v.from; });
  if (after == versions.begin()) {
    return nullptr;
  }
  const Version& version = *std::prev(after);
  return version.there ? &version.kv : nullptr;
}

const KeyValue* Timeline::Find(const std::string& key, Revision at) const {
  const auto found = keys_.find(key);
  return found == keys_.end() ? nullptr : At(found->second, at);
}

void Timeline::ForEach(const std::string& from, const std::string& end, Revision at,
                       absl::FunctionRef<bool(const KeyValue&)> visit) const {
  for (auto i = keys_.lower_bound(from); i != keys_.end() && InRange(i->first, from, end); ++i) {
    const KeyValue* kv = At(i->second, at);
    if (kv != nullptr && !visit(*kv)) {
      return;
    }
  }
}

void State::Apply(const std::vector<Event>& events, Revision after) {
  revision = after;
  for (const Event& event : events) {
    const auto before = keys.find(event.kv.key);
    if (before != keys.end()) {
      hash -= HashOf(before->second);
    }
    if (!event.is_delete) {
      hash += HashOf(event.kv);
      keys.insert_or_assign(event.kv.key, event.kv);
    } else if (before != keys.end()) {
      keys.erase(before);
    }
  }
}

const KeyValue* State::Find(const std::string& key, Revision /*at*/) const {
  const auto found = keys.find(key);
  return found == keys.end() ? nullptr : &found->second;
}

void State::ForEach(const std::string& from, const std::string& end, Revision /*at*/,
                    absl::FunctionRef<bool(const KeyValue&)> visit) const {
  for (auto i = keys.lower_bound(from); i != keys.end() && InRange(i->first, from, end); ++i) {
    if (!visit(i->second)) {
      return;
    }
  }
}

std::string ToString(const KeyValue& kv) {
  return fmt::format("{}={} (create {}, mod {}, version {}, lease {})", kv.key, kv.value, kv.create,
                     kv.mod, kv.version, kv.lease);
}

std::string ToString(const Event& event) {
  return event.is_delete ? fmt::format("delete {} (mod {})", event.kv.key, event.kv.mod)
                         : "put " + ToString(event.kv);
}

std::string Difference(const StepResult& got, const StepResult& want) {
  if (got.count != want.count) {
    return fmt::format("count {} is {}", got.count, want.count);
  }
  if (got.more != want.more || got.succeeded != want.succeeded) {
    return fmt::format("more {}, succeeded {} are {}, {}", got.more, got.succeeded, want.more,
                       want.succeeded);
  }
  if (got.kvs.size() != want.kvs.size()) {
    return fmt::format("{} key-values are {}", got.kvs.size(), want.kvs.size());
  }
  for (size_t i = 0; i < got.kvs.size(); ++i) {
    if (got.kvs[i] != want.kvs[i]) {
      return fmt::format("{} is {}", ToString(got.kvs[i]), ToString(want.kvs[i]));
    }
  }
  if (got.nested.size() != want.nested.size()) {
    return fmt::format("{} results are {}", got.nested.size(), want.nested.size());
  }
  for (size_t i = 0; i < got.nested.size(); ++i) {
    if (std::string difference = Difference(got.nested[i], want.nested[i]); !difference.empty()) {
      return difference;
    }
  }
  return {};
}

}  // namespace store::check
