// SPDX-License-Identifier: Apache-2.0
// What the shard's thread does when, in virtual time: whose turn it is, and when it sleeps.
#include "tests/unit/shard/sim_rig.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>

namespace logagent {
namespace {

using std::chrono::milliseconds;

class Turns : public SimShard {};

// The sink always has room here: only the shard's own work stands between a line and its turn.
TEST_F(Turns, QuietFileDoesNotWaitForMegabytesOfHotOnesToBeRead) {
  files_.Append("/logs/quiet.log", "before\n");
  Start("/logs/*.log");
  std::optional<store::TimePoint> written;
  sink_.on_produce = [&] {
    clock_.Advance(milliseconds(1));  // of a chunk of 256 KiB
    if (!written) {
      files_.Append("/logs/quiet.log", "quiet\n");
      written = clock_.Now();
    }
  };
  std::string line = std::string(1023, 'x') + "\n";
  for (int i = 0; i < 20'000; ++i) {
    files_.Append("/logs/hot.log", line);
  }
  auto there = [&] { return std::ranges::find(sink_.lines, "quiet") != sink_.lines.end(); };
  for (int i = 0; i < 1000 && !there(); ++i) {
    checkpointer_.Step();
    shard_->Step();
    clock_.Advance(milliseconds(1));
  }
  ASSERT_TRUE(there());
  EXPECT_LE(clock_.Now() - *written, milliseconds(30));
}

TEST_F(Turns, EntryThatDrainsKeepsNobodyAwake) {
  files_.Append("/logs/old", "x");
  Start("/logs/*.log");
  files_.Append("/logs/a.log", "one\n");
  auto step = [&] {
    clock_.Advance(milliseconds(10));
    checkpointer_.Step();
    return shard_->Step();
  };
  for (int i = 0; i < 100 && sink_.lines.empty(); ++i) {
    step();
  }
  ASSERT_EQ(sink_.lines.size(), 1U);  // and nobody answers
  shard_->StopEntry(EntryId(1), std::chrono::seconds(10));
  step();
  files_.Remove("/logs/old");
  step();
  clock_.Advance(milliseconds(300));  // what has changed is published
  shard_->Step();
  EXPECT_GT(shard_->Step(), clock_.Now());
}

}  // namespace
}  // namespace logagent
