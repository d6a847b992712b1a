// SPDX-License-Identifier: Apache-2.0
// The install of a snapshot among the parts it disturbs: a collection on its thread, a flush, a
// watcher.
#include "store/replica/snapshot_installer.h"

#include "store/base/failpoint.h"
#include "tests/unit/apply/machine.h"
#include "tests/unit/base/failpoint_count.h"
#include "tests/unit/watch/hub_fixture.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace store::replica {
namespace {

using apply::CompactOf;
using apply::Machine;
using apply::PutOf;

class SnapshotInstallerTest : public testing::Test {
 protected:
  SnapshotInstallerTest() {
    maintenance_.Start(raft::Index(0));
    hub_.Open(watch::StreamId(1), stream_);
    for (int i = 1; i <= 30; ++i) ahead_.Do(PutOf("watched", std::to_string(i)));
    ahead_.Do(apply::GrantOf(7, 60));
    for (int i = 1; i <= 4; ++i) {
      behind_.Do(PutOf("watched", std::to_string(i)));
      hub_.Publish(behind_.last().events);
    }
  }
  ~SnapshotInstallerTest() override {
    Failpoints::DisarmAll();
    maintenance_.Stop();
  }

  Result<SnapshotInstalled> Install() {
    EXPECT_TRUE(ahead_.engine().Flush());
    const raft::SnapshotMeta meta{ahead_.state().applied().index, ahead_.state().applied().term,
                                  ahead_.state().applied().conf};
    return installer_.Install(meta);
  }
  template <class F>
  bool WaitFor(F condition) {
    const TimePoint deadline = clock_.Now() + std::chrono::seconds(60);
    while (!condition()) {
      if (clock_.Now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }
  // A collection begins on its thread; true when it is at that failpoint.
  bool CollectUpTo(std::string_view failpoint) {
    Failpoints::CountPasses();
    const uint64_t before = CountOf(failpoint).passes;
    maintenance_.Tick(clock_.Now());
    return WaitFor([&] { return CountOf(failpoint).passes > before; });
  }
  std::vector<std::string> Watched() {
    while (hub_.RunTurn()) {
    }
    std::vector<std::string> lines;
    while (auto response = stream_->Take()) {
      if (response->events) lines.push_back(watch::Text(*response));
    }
    return lines;
  }

  SystemClock clock_;
  Machine ahead_;
  Machine behind_;
  watch::WatchHub hub_{watch::WatchLimits{}, behind_.state().mvcc(), clock_,
                       [](const auto&) { return SharedBytes(); }};
  std::shared_ptr<watch::FakeStream> stream_ = std::make_shared<watch::FakeStream>();
  ApplyWorker apply_{ApplyWorkerLimits{}, behind_.state(), ApplySinks{}, clock_, Logger()};
  std::atomic<uint64_t> flushed_ = 0;
  Maintenance maintenance_{
      MaintenanceLimits{},
      behind_.state(),
      apply_,
      clock_,
      Logger(),
      MaintenanceHooks{.fatal = [](const Error& error) { ADD_FAILURE() << error.ToString(); },
                       .flushed = [this](raft::Index durable) { flushed_ = durable.value(); },
                       .look_at_disk = {}}};
  SnapshotInstaller installer_{behind_.state(), hub_, maintenance_,
                               [this](const raft::SnapshotMeta&) {
                                 return Result<std::shared_ptr<engine::Engine>>(
                                     std::shared_ptr<engine::Engine>(ahead_.engine().AfterCrash()));
                               }};
};

TEST_F(SnapshotInstallerTest, TellsTheReplicaWhatItNeeds) {
  auto installed = Install();
  ASSERT_TRUE(installed) << installed.error().ToString();
  EXPECT_EQ(installed->meta.index, raft::Index(31));
  EXPECT_EQ(installed->current, Revision(31));
  ASSERT_EQ(installed->leases.size(), 1U);
  EXPECT_EQ(installed->leases[0].id, LeaseId(7));
  EXPECT_EQ(installed->leases[0].ttl_seconds, 60);
}

// etcd #15271: a watch goes on where it was, in the new state, without a gap.
TEST_F(SnapshotInstallerTest, AWatcherGoesOnInTheNewState) {
  watch::WatchSpec spec;
  spec.range = KeyRange::Point("watched");
  spec.start = Revision(2);
  hub_.Create(watch::StreamId(1), spec);
  std::string seen;
  for (const std::string& line : Watched()) seen += line + " ";
  EXPECT_EQ(seen, "put watched=1@2 put watched=2@3 put watched=3@4 put watched=4@5 ");
  ASSERT_TRUE(Install());
  seen.clear();
  for (const std::string& line : Watched()) seen += line + " ";
  std::string wanted;
  for (int i = 5; i <= 30; ++i) wanted += fmt::format("put watched={}@{} ", i, i + 1);
  EXPECT_EQ(seen, wanted);
}

// The step under way ends on the former engine; none begins before the new one is in place.
TEST_F(SnapshotInstallerTest, WaitsForTheStepOfACollection) {
  behind_.Do(CompactOf(5));
  ASSERT_TRUE(Failpoints::Parse("mvcc-collect=sleep(100)"));
  ASSERT_TRUE(CollectUpTo("mvcc-collect"));
  ASSERT_TRUE(Install());
  Failpoints::DisarmAll();
  EXPECT_EQ(behind_.Keys(), ahead_.Keys());
  behind_.state().mvcc().CheckInvariants();
  EXPECT_EQ(behind_.state().mvcc().collected(), ahead_.state().mvcc().collected());
}

// Until the next compaction nobody would look at the half-done one again.
TEST_F(SnapshotInstallerTest, AHalfDoneCollectionLetsGoOfTheFormerState) {
  behind_.Do(CompactOf(5));
  const std::weak_ptr<engine::Engine> former = behind_.state().mvcc().engine();
  behind_.LetGoOfEngine();
  ASSERT_TRUE(Failpoints::Parse("mvcc-collect-one=branch;mvcc-collected=sleep(100)"));
  ASSERT_TRUE(CollectUpTo("mvcc-collected"));
  ASSERT_TRUE(Install());
  Failpoints::DisarmAll();
  EXPECT_TRUE(WaitFor([&] {
    behind_.Do(PutOf("other", "x"));  // what readers held goes with a publish
    return former.expired();
  }));
}

TEST_F(SnapshotInstallerTest, FlushesAndCollectsTheNewStateAfterwards) {
  ahead_.Do(CompactOf(20));
  ASSERT_TRUE(Install());
  ASSERT_TRUE(WaitFor([&] {
    maintenance_.Tick(clock_.Now());
    return behind_.state().mvcc().collected() == Revision(20);
  }));
  ASSERT_TRUE(maintenance_.FlushNow());
}

TEST_F(SnapshotInstallerTest, AnotherStateThanWasToldIsAnError) {
  EXPECT_TRUE(ahead_.engine().Flush());
  const raft::SnapshotMeta told{raft::Index(99), raft::Term(1), ahead_.state().applied().conf};
  EXPECT_EQ(installer_.Install(told).error().code(), ErrorCode::kCorruption);
}

}  // namespace
}  // namespace store::replica
