// SPDX-License-Identifier: Apache-2.0
// etcd #14685: a crash while the file was rewritten in place left it damaged. Defragmentation here
// writes new files; killed before any of its writes or fsyncs, everything is there afterwards.
#include "store/base/check.h"
#include "store/base/failpoint.h"
#include "store/engine/rocks_engine.h"
#include "tests/unit/base/temp_dir.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <spawn.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <sys/wait.h>
#include <vector>

namespace store::engine {
namespace {

constexpr int kFlushes = 3;
constexpr int kRows = 50;

std::string Key(int flush, int row) { return fmt::format("k{:02}", (row + 7 * flush) % 60); }
std::string Value(int flush, int row) { return fmt::format("{} {}", flush, row); }

Result<std::unique_ptr<RocksEngine>> Open(const std::string& path) {
  return RocksEngine::Open(Path(path) / "state", RocksSettings());
}

// Started by the test below in a process of its own: SLUICE_DEFRAG_IN is the directory,
// SLUICE_DEFRAG_POINT the armed failpoint.
TEST(DefragmentProcess, DISABLED_Runs) {
  auto engine = *Open(std::getenv("SLUICE_DEFRAG_IN"));
  for (int flush = 0; flush < kFlushes; ++flush) {
    auto batch = engine->NewBatch();
    for (int row = 0; row < kRows; ++row) {
      batch->Put(Table::kVal, Key(flush, row), Value(flush, row));
    }
    ASSERT_TRUE(engine->Write(*batch));
    ASSERT_TRUE(engine->Flush());
  }
  ASSERT_TRUE(Failpoints::Parse(std::getenv("SLUICE_DEFRAG_POINT")));
  ASSERT_TRUE(engine->CompactAll());
}

// How the process ended.
int RunDefragment(const std::string& directory, const std::string& point) {
  std::vector<std::string> environment = {"SLUICE_DEFRAG_IN=" + directory,
                                          "SLUICE_DEFRAG_POINT=" + point};
  std::vector<std::string> arguments = {"unit_engine", "--gtest_also_run_disabled_tests",
                                        "--gtest_filter=DefragmentProcess.DISABLED_Runs"};
  std::vector<char*> argv, envp;
  for (std::string& text : arguments) argv.push_back(text.data());
  for (std::string& text : environment) envp.push_back(text.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  pid_t child = 0;
  CHECK(posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, argv.data(), envp.data()) == 0);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  return status;
}

TEST(RocksEngine, ACrashAnywhereInADefragmentationLosesNothingEtcd14685) {
  for (const std::string name : {"rocks-append", "rocks-sync"}) {
    int kills = 0;
    for (bool killed = true; killed;) {
      TempDir directory;
      const int status = RunDefragment(directory.path(), fmt::format("{}={}+crash", name, kills));
      killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
      ASSERT_TRUE(killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) << status;
      kills += killed ? 1 : 0;
      auto engine = Open(directory.path());
      ASSERT_TRUE(engine) << engine.error().ToString() << " after " << name << " " << kills;
      for (int row = 0; row < kRows; ++row) {
        auto value = (*engine)->Get(Table::kVal, Key(kFlushes - 1, row), Tier::kAll);
        ASSERT_TRUE(value && value->has_value()) << name << " " << kills;
        EXPECT_EQ((*value)->view(), Value(kFlushes - 1, row));
      }
    }
    EXPECT_GE(kills, 2) << name << " is hardly reached";
  }
}

}  // namespace
}  // namespace store::engine
