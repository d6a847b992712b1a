// SPDX-License-Identifier: Apache-2.0
// Executor: one thread that runs actions one after another. Event loops implement it with epoll,
// the simulator with its event heap, so code above it runs in both. Post may be called from any
// thread; After and Cancel only from an action that runs on this executor. Actions never run inside
// Post or After.
#pragma once

#include "store/base/clock.h"

#include <absl/functional/any_invocable.h>

#include <cstdint>

namespace store {

using Action = absl::AnyInvocable<void()>;

class Executor {
 public:
  using TimerId = uint64_t;

  // Runs `action` soon, after everything posted before it by the same thread. Unbounded by itself:
  // callers are bounded by what they admitted (the table in store/replica/replica.h).
  virtual void Post(Action action) = 0;
  // Runs `action` once, not before `delay`. Returns an id for Cancel; ids are never reused.
  virtual TimerId After(Duration delay, Action action) = 0;
  // The action will not run; no effect if it ran already.
  virtual void Cancel(TimerId timer) = 0;
  virtual TimePoint Now() const = 0;
  virtual ~Executor() = default;
};

}  // namespace store
