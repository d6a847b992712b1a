// SPDX-License-Identifier: Apache-2.0
// Failpoints: named places where a test makes the program crash, wait, fail or take a rare branch.
//
//   FAILPOINT("wal-before-sync");                              // crash, sleep, print
//   RETURN_IF_ERROR(FAILPOINT_STATUS("engine-write"));         // these and error
//   if (events > limit || FAILPOINT_BRANCH("hub-drop")) ...    // these and branch
//
// Armed by a text such as
// "wal-before-sync=crash;engine-write=10%error(no_space);hub-drop=3*branch", which main takes from
// the variable SLUICE_FAILPOINTS. `10%` is a probability, `3*` a number of times, `3+` lets that
// many passes go by first. Actions: crash (SIGKILL to oneself), sleep(ms), error(code), print,
// branch.
//
// The table is the one mutable thing of the process that is not owned by an object: a point must be
// reachable from code that has no constructor to pass it through. It is bounded by the points in
// the source and those armed. Any thread. Unarmed, a point costs one relaxed load; without the
// build option it costs nothing.
#pragma once

#include "store/base/error.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace store {

class Failpoint {
 public:
  explicit Failpoint(std::string name);
  ~Failpoint();

  // Anything to do at this point: armed, or its passes are counted.
  bool live() const { return live_.load(std::memory_order_relaxed); }
  // Counts the pass and does what is armed; an injected error is returned, `branch` sets *branch.
  Status Pass(bool* branch);

 private:
  friend class Failpoints;
  struct State;
  std::atomic<bool> live_ = false;
  std::unique_ptr<State> state_;
};

class Failpoints {
 public:
  struct Count {
    std::string name;
    uint64_t passes;  // while armed or counted
    uint64_t fired;
  };

  // Checks all of `text` before it arms any of it; kInvalidArgument says which part is wrong. Empty
  // is fine.
  static Status Parse(std::string_view text);
  static void DisarmAll();
  // From now on every pass through any point is counted, armed or not.
  static void CountPasses();
  static std::vector<Count> Counts();
  // The point of that name, made at its first use; valid for the life of the process.
  static Failpoint& At(std::string_view name);
};

}  // namespace store

#ifdef SLUICE_FAILPOINTS
#define FAILPOINT(name)                                                         \
  do {                                                                          \
    static ::store::Failpoint& failpoint_here_ = ::store::Failpoints::At(name); \
    if (__builtin_expect(failpoint_here_.live(), 0)) {                          \
      bool failpoint_branch_ = false;                                           \
      (void)failpoint_here_.Pass(&failpoint_branch_);                           \
    }                                                                           \
  } while (false)
#define FAILPOINT_STATUS(name)                                                                    \
  [] {                                                                                            \
    static ::store::Failpoint& failpoint_here_ = ::store::Failpoints::At(name);                   \
    bool failpoint_branch_ = false;                                                               \
    return __builtin_expect(failpoint_here_.live(), 0) ? failpoint_here_.Pass(&failpoint_branch_) \
                                                       : ::store::Status();                       \
  }()
#define FAILPOINT_BRANCH(name)                                                  \
  [] {                                                                          \
    static ::store::Failpoint& failpoint_here_ = ::store::Failpoints::At(name); \
    bool failpoint_branch_ = false;                                             \
    if (__builtin_expect(failpoint_here_.live(), 0)) {                          \
      (void)failpoint_here_.Pass(&failpoint_branch_);                           \
    }                                                                           \
    return failpoint_branch_;                                                   \
  }()
#else
#define FAILPOINT(name) ((void)0)
#define FAILPOINT_STATUS(name) (::store::Status())
#define FAILPOINT_BRANCH(name) (false)
#endif
