// SPDX-License-Identifier: Apache-2.0
// Pacer: what happens from outside (clients, operators, nemesis), each kind at its own pace and
// from its own stream of the seed, so that one kind more changes nothing of the others. Each act
// has a name, kind and number, and a stream of its own as well: one that is left out changes no
// other one, which is how a failing run is made small. One thread.
#pragma once

#include "store/base/random.h"
#include "tests/sim/draw.h"
#include "tests/sim/event_queue.h"

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace store::sim {

using ActId = std::pair<std::string, uint64_t>;

class Pacer {
 public:
  using Act = absl::AnyInvocable<void(Random&)>;

  // `only`: all other acts are left out.
  Pacer(EventQueue* events, uint64_t seed, std::optional<std::set<ActId>> only = {})
      : events_(events), seed_(seed), only_(std::move(only)) {}

  // Every `mean` or so until Stop; never if `mean` is 0.
  void Every(Time mean, std::string_view name, Act act) {
    if (mean == 0) return;
    kinds_.push_back(std::make_unique<Kind>(
        Kind{std::string(name), mean, Random(seed_).Fork(name), std::move(act)}));
    Again(*kinds_.back());
  }
  void Stop() { stopped_ = true; }
  bool stopped() const { return stopped_; }
  // What was done, in order.
  const std::vector<ActId>& done() const { return done_; }

 private:
  struct Kind {
    std::string name;
    Time mean;
    Random random;
    Act act;
    uint64_t number = 0;
  };
  void Again(Kind& kind) {
    events_->After(TimeBetween(kind.random, 0, 2 * kind.mean), [this, &kind] {
      if (stopped_) return;
      ActId id(kind.name, ++kind.number);
      if (!only_ || only_->contains(id)) {
        Random random = kind.random.Fork(std::to_string(kind.number));
        done_.push_back(std::move(id));
        kind.act(random);
      }
      Again(kind);
    });
  }

  EventQueue* events_;
  const uint64_t seed_;
  const std::optional<std::set<ActId>> only_;
  std::vector<std::unique_ptr<Kind>> kinds_;
  std::vector<ActId> done_;
  bool stopped_ = false;
};

}  // namespace store::sim
