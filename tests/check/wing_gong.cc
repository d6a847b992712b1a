// SPDX-License-Identifier: Apache-2.0
#include "tests/check/wing_gong.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

namespace store::check {
namespace {

using Bits = std::vector<uint64_t>;

// A call or a return, in a list by time. Both of an operation are taken out when it is placed.
struct Node {
  size_t operation = 0;
  Node* ret = nullptr;  // of a call: its return, null if there is none; of a return: null
  bool is_call = false;
  Node* before = nullptr;
  Node* after = nullptr;
};

bool PastReads(const std::vector<Step>& steps) {
  return std::any_of(steps.begin(), steps.end(),
                     [](const Step& step) { return step.revision != 0; });
}

class Search {
 public:
  Search(std::span<const Operation> operations, const State& initial,
         const WingGongOptions& options)
      : options_(options), state_(std::make_shared<const State>(initial)) {
    for (const Operation& operation : operations) {
      if (TakesPart(operation)) {
        operations_.push_back(&operation);
        to_place_ += operation.outcome == Outcome::kOk ? 1 : 0;
      }
    }
    placed_.assign((operations_.size() + 63) / 64, 0);
  }

  WingGongResult Run() {
    if (operations_.size() > options_.operations_max) {
      return {Verdict::kUnknown, fmt::format("{} operations are too many", operations_.size()),
              State(), 0};
    }
    MakeList();
    Node* node = head_.after;
    while (!Done()) {
      if (++steps_ > options_.steps_max) {
        return {Verdict::kUnknown, fmt::format("gave up after {} steps", options_.steps_max),
                State(), steps_};
      }
      if (node != nullptr && node->is_call) {
        node = TryPlace(node) ? head_.after : node->after;
        continue;
      }
      // The return of something that was not placed, so it should have been earlier.
      if (node != nullptr && taken_.size() >= deepest_) {
        deepest_ = taken_.size();
        stuck_ = operations_[node->operation];
      }
      if (taken_.empty()) {
        return {Verdict::kNotLinearizable,
                stuck_ == nullptr ? "" : "no place for " + ToString(*stuck_), State(), steps_};
      }
      node = TakeBack()->after;
    }
    return {Verdict::kLinearizable, "", *state_, steps_};
  }

 private:
  using StatePtr = std::shared_ptr<const State>;

  bool Done() const {
    return to_place_ == 0 && (options_.commits == nullptr || options_.commits->empty() ||
                              state_->revision == options_.commits->back().revision);
  }

  // What it makes is what was committed there.
  bool WasCommitted(const Effect& effect) const {
    if (options_.commits == nullptr) {
      return true;
    }
    const auto found = std::lower_bound(
        options_.commits->begin(), options_.commits->end(), effect.revision,
        [](const Commit& commit, Revision revision) { return commit.revision < revision; });
    return found != options_.commits->end() && found->revision == effect.revision &&
           found->events == effect.events;
  }

  void MakeList() {
    struct At {
      Time time;
      bool is_return;  // at equal times calls come first: the two may have overlapped
      Node* node;
    };
    std::vector<At> all;
    nodes_.reserve(2 * operations_.size());
    for (size_t i = 0; i < operations_.size(); ++i) {
      Node& call = nodes_.emplace_back();
      call.operation = i;
      call.is_call = true;
      all.push_back({operations_[i]->call, false, &call});
      if (operations_[i]->outcome == Outcome::kOk) {
        Node& ret = nodes_.emplace_back();
        ret.operation = i;
        call.ret = &ret;
        all.push_back({operations_[i]->ret, true, &ret});
      }
    }
    std::stable_sort(all.begin(), all.end(), [](const At& a, const At& b) {
      return std::pair(a.time, a.is_return) < std::pair(b.time, b.is_return);
    });
    Node* last = &head_;
    for (const At& at : all) {
      last->after = at.node;
      at.node->before = last;
      last = at.node;
    }
  }

  static void Unlink(Node* node) {
    node->before->after = node->after;
    if (node->after != nullptr) {
      node->after->before = node->before;
    }
  }
  static void Link(Node* node) {
    node->before->after = node;
    if (node->after != nullptr) {
      node->after->before = node;
    }
  }

  bool TryPlace(Node* call) {
    const Operation& operation = *operations_[call->operation];
    Effect effect = Execute(operation.txn, *state_, state_->revision);
    if (operation.outcome == Outcome::kOk &&
        (operation.revision != effect.revision || operation.succeeded != effect.succeeded ||
         operation.results != effect.results)) {
      return false;
    }
    StatePtr next = state_;
    if (!effect.events.empty()) {
      if (!WasCommitted(effect)) {
        return false;
      }
      auto changed = std::make_shared<State>(*state_);
      changed->Apply(effect.events, effect.revision);
      next = std::move(changed);
    } else if (operation.outcome != Outcome::kOk) {
      return false;  // to place it changes nothing
    }
    Flip(call->operation);
    if (!IsNew(next)) {
      Flip(call->operation);
      return false;
    }
    taken_.emplace_back(call, std::exchange(state_, std::move(next)));
    to_place_ -= operation.outcome == Outcome::kOk ? 1 : 0;
    Unlink(call);
    if (call->ret != nullptr) {
      Unlink(call->ret);
    }
    return true;
  }

  Node* TakeBack() {
    auto [call, state] = std::move(taken_.back());
    taken_.pop_back();
    state_ = std::move(state);
    Flip(call->operation);
    to_place_ += operations_[call->operation]->outcome == Outcome::kOk ? 1 : 0;
    if (call->ret != nullptr) {
      Link(call->ret);
    }
    Link(call);
    return call;
  }

  void Flip(size_t operation) {
    placed_[operation / 64] ^= uint64_t{1} << (operation % 64);
    // Any odd mixing of the number will do: only speed depends on it.
    uint64_t mixed = (operation + 1) * 0x9e3779b97f4a7c15;
    mixed ^= mixed >> 29;
    placed_hash_ ^= mixed * 0xbf58476d1ce4e5b9;
  }

  // Not a set of operations and a state that was gone through before.
  bool IsNew(const StatePtr& state) {
    auto& seen = seen_[placed_hash_ ^ state->hash];
    for (const auto& [bits, other] : seen) {
      if (bits == placed_ && other->revision == state->revision && other->keys == state->keys) {
        return false;
      }
    }
    seen.emplace_back(placed_, state);
    return true;
  }

  const WingGongOptions options_;
  std::vector<const Operation*> operations_;
  std::vector<Node> nodes_;
  Node head_;
  StatePtr state_;
  Bits placed_;
  uint64_t placed_hash_ = 0;
  size_t to_place_ = 0;
  uint64_t steps_ = 0;
  std::vector<std::pair<Node*, StatePtr>> taken_;  // with the state before each
  std::unordered_map<uint64_t, std::vector<std::pair<Bits, StatePtr>>> seen_;
  size_t deepest_ = 0;
  const Operation* stuck_ = nullptr;
};

}  // namespace

bool TakesPart(const Operation& operation) {
  return operation.request == Request::kTxn && !operation.serializable &&
         operation.outcome != Outcome::kFailed && !PastReads(operation.txn.success) &&
         !PastReads(operation.txn.failure);
}

WingGongResult WingGong(std::span<const Operation> operations, const State& initial,
                        const WingGongOptions& options) {
  return Search(operations, initial, options).Run();
}

}  // namespace store::check
