// SPDX-License-Identifier: Apache-2.0
// Correct histories for the tests of the checkers: concurrent clients of a perfect store whose
// operations take effect between call and return, with answers that get lost, members that lag,
// leases that end and watches. All from a seed. Test code, one thread.
#pragma once

#include "tests/check/history.h"

#include <cstdint>
#include <vector>

namespace store::check {

struct MadeOptions {
  uint64_t seed = 1;
  int operations = 300;
  int clients = 6;
  int keys = 6;
  bool leases = true;
  bool watches = true;
  bool lost = true;     // answers get lost, requests are refused
  bool members = true;  // serializable reads, reads of the past, compactions
};

// Of the times in a made history.
inline constexpr Time kMadeSecond = 40;
inline constexpr Time kMadeGrace = 60;

struct MadeHistory {
  History history;
  std::vector<Time> committed;  // when, by index of the commit
  Time end = 0;                 // everything was over then
};

MadeHistory MakeHistory(const MadeOptions& options);

}  // namespace store::check
