// SPDX-License-Identifier: Apache-2.0
// Works of maintenance that must not meet each other.
#include "store/replica/maintenance.h"

#include "store/base/failpoint.h"
#include "tests/unit/apply/machine.h"
#include "tests/unit/base/failpoint_count.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace store::replica {
namespace {

class MaintenanceTest : public testing::Test {
 protected:
  MaintenanceTest() { maintenance_.Start(raft::Index(0)); }
  ~MaintenanceTest() override {
    Failpoints::DisarmAll();
    maintenance_.Stop();
  }

  SystemClock clock_;
  apply::Machine machine_;
  ApplyWorker apply_{ApplyWorkerLimits{}, machine_.state(), ApplySinks{}, clock_, Logger()};
  Maintenance maintenance_{
      MaintenanceLimits{},
      machine_.state(),
      apply_,
      clock_,
      Logger(),
      MaintenanceHooks{.fatal = [](const Error& error) { ADD_FAILURE() << error.ToString(); },
                       .flushed = {},
                       .look_at_disk = {}}};
};

// The deletes of a collection are of old rows: RocksDB would flush them before it compacts, and not
// at one cut (engine.h).
TEST_F(MaintenanceTest, AFullCompactionWaitsForTheStepOfACollection) {
  for (int i = 0; i < 4; ++i) machine_.Do(apply::PutOf("key", "value"));
  machine_.Do(apply::CompactOf(4));
  Failpoints::CountPasses();
  const uint64_t before = CountOf("mvcc-collect").passes;
  ASSERT_TRUE(Failpoints::Parse("mvcc-collect=sleep(100)"));
  maintenance_.Tick(clock_.Now());
  while (CountOf("mvcc-collect").passes == before) std::this_thread::yield();
  EXPECT_NE(machine_.state().mvcc().collected(), Revision(4)) << "the step is under way";
  std::promise<Revision> collected;
  ASSERT_TRUE(maintenance_.Defragment([&](const Status& status) {
    EXPECT_TRUE(status);
    collected.set_value(machine_.state().mvcc().collected());
  }));
  EXPECT_EQ(collected.get_future().get(), Revision(4));
}

}  // namespace
}  // namespace store::replica
