// SPDX-License-Identifier: Apache-2.0
// A fixed script against the log, run once for every file operation it makes, with the crash at
// that operation and three fates of what was not synced. After each crash the log must hold
// everything that was acknowledged and nothing that was never written, and must go on working over
// two more recoveries.
#include "store/base/random.h"
#include "store/wal/wal.h"
#include "tests/crash/fault_file_system.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <vector>

namespace store::wal {
namespace {

using raft::Index;
using raft::Term;

constexpr char kDirectory[] = "member/wal";

std::unique_ptr<WalLogStore> OpenLog(FaultFileSystem& files, uint64_t seed) {
  return std::make_unique<WalLogStore>(files,
                                       WalOptions{.directory = kDirectory,
                                                  .identity = {ClusterId(7), raft::NodeId(1)},
                                                  .seed = seed,
                                                  .segment_bytes = 3 * 4096,
                                                  .helper_thread = false});
}

// What the log must hold: every state it had since the last acknowledged one.
struct Model {
  raft::HardState hard_state;
  std::vector<std::string> entries;  // data by index - 1; the prefix may be truncated on disk
  size_t kept = 0;                   // of them before the last unit; the rest may be torn off
};

raft::PersistUnit MakeUnit(uint64_t id, const Model& model, uint64_t step) {
  raft::PersistUnit unit;
  unit.id = id;
  unit.must_sync = step % 5 != 4;
  unit.hard_state =
      raft::HardState{Term(1 + step / 8), raft::NodeId(1), Index(model.entries.size())};
  size_t last = model.entries.size();
  if (step % 7 == 6 && last > 2) {
    unit.truncate_from = Index(last);
    --last;
  }
  if (!unit.must_sync) return unit;
  for (uint64_t i = 0; i < 1 + step % 3; ++i) {
    std::string data = fmt::format("{}:{}:{}", step, i, std::string(step * 97 % 1500, 'x'));
    unit.entries.push_back(std::make_shared<raft::Entry>(
        raft::Entry{unit.hard_state->term, Index(++last), raft::EntryKind::kCommand, data}));
  }
  return unit;
}

void ApplyToModel(const raft::PersistUnit& unit, Model* model) {
  model->hard_state = *unit.hard_state;
  if (unit.truncate_from) model->entries.resize(unit.truncate_from->value() - 1);
  model->kept = model->entries.size();
  for (const auto& entry : unit.entries) model->entries.push_back(entry->data);
}

bool Holds(const LogImage& image, const Model& model) {
  if (image.truncated.value() + image.entries.size() != model.entries.size()) return false;
  for (const auto& entry : image.entries) {
    if (entry->data != model.entries[entry->index.value() - 1]) return false;
  }
  return true;
}

struct RunResult {
  Model acknowledged;
  std::vector<Model> possible = {Model()};  // that one and those after each unit since
};

RunResult RunScript(WalLogStore& log, uint64_t steps) {
  RunResult result;
  Model model;
  for (uint64_t step = 0; step < steps; ++step) {
    raft::PersistUnit unit = MakeUnit(step + 1, model, step);
    ApplyToModel(unit, &model);
    result.possible.push_back(model);
    const raft::PersistUnit* group[] = {&unit};
    if (!log.Append(group)) return result;
    if (unit.must_sync) {
      result.acknowledged = model;
      result.acknowledged.kept = model.entries.size();
      result.possible = {result.acknowledged};
    }
    if (step % 10 == 9) {
      Index through(model.entries.size() - 3);
      if (!log.TruncatePrefix(through, Term(1))) return result;
    }
  }
  return result;
}

void CheckRecovery(FaultFileSystem& files, const RunResult& result, const std::string& where) {
  auto log = OpenLog(files, 77);
  Result<LogImage> image = log->Load();
  ASSERT_TRUE(image) << where << ": " << image.error().ToString();
  EXPECT_GE(image->hard_state.term, result.acknowledged.hard_state.term) << where;
  size_t last = image->truncated.value() + image->entries.size();
  bool found = false;
  Model state;
  for (const Model& model : result.possible) {
    // A torn group may end between two of its records.
    for (size_t size = model.kept; size <= model.entries.size() && !found; ++size) {
      state = model;
      state.entries.resize(size);
      found = Holds(*image, state);
    }
  }
  ASSERT_TRUE(found) << where << ": the log ends at " << last << ", acknowledged were "
                     << result.acknowledged.entries.size();
  state.hard_state = image->hard_state;
  for (int round = 0; round < 2; ++round) {
    raft::PersistUnit unit;
    unit.id = 1;
    unit.must_sync = true;
    unit.hard_state = raft::HardState{Term(1000), raft::NodeId(1), Index()};
    unit.entries.push_back(std::make_shared<raft::Entry>(raft::Entry{
        Term(1000), Index(state.entries.size() + 1), raft::EntryKind::kCommand, "after"}));
    const raft::PersistUnit* group[] = {&unit};
    ASSERT_TRUE(log->Append(group)) << where;
    ApplyToModel(unit, &state);
    files.Crash(Survival::kNothing, nullptr);
    log = OpenLog(files, 78 + static_cast<uint64_t>(round));
    image = log->Load();
    ASSERT_TRUE(image) << where << ": " << image.error().ToString();
    ASSERT_TRUE(Holds(*image, state)) << where << ", recovery " << round + 2;
  }
}

TEST(WalCrashTest, EveryFileOperationMayBeTheLast) {
  constexpr uint64_t kSteps = 40;
  FaultFileSystem whole;
  uint64_t operations = 0;
  {
    auto log = OpenLog(whole, 1);
    ASSERT_TRUE(log->Load());
    RunScript(*log, kSteps);
    operations = whole.operations();
  }
  ASSERT_GT(operations, 100u);
  const char* seed_text = std::getenv("SLUICE_SEED");
  uint64_t seed = seed_text == nullptr ? 20261 : std::stoull(seed_text);
  Random random(seed);
  for (uint64_t operation = 0; operation < operations; ++operation) {
    for (Survival survival : {Survival::kNothing, Survival::kRandom, Survival::kEverything}) {
      FaultFileSystem files;
      files.FailFrom(operation);
      RunResult result;
      {
        auto log = OpenLog(files, 1);
        if (log->Load()) result = RunScript(*log, kSteps);
      }
      files.Crash(survival, &random);
      CheckRecovery(files, result,
                    fmt::format("SLUICE_SEED={} operation {} of {} survival {}", seed, operation,
                                operations, static_cast<int>(survival)));
      if (HasFatalFailure()) return;
    }
  }
}

// What a recovery copies was acknowledged: until the copy is on disk the old segment must still be
// the log.
TEST(WalCrashTest, EveryOperationOfARecoveryMayBeTheLast) {
  const char* seed_text = std::getenv("SLUICE_SEED");
  uint64_t seed = seed_text == nullptr ? 20262 : std::stoull(seed_text);
  Random random(seed);
  uint64_t crashes = 0;
  for (uint64_t steps : {1, 2, 3, 9, 17, 28, 40}) {
    FaultFileSystem left;
    RunResult result;
    {
      auto log = OpenLog(left, 1);
      ASSERT_TRUE(log->Load());
      result = RunScript(*log, steps);
    }
    left.Crash(Survival::kEverything, nullptr);
    bool recovered = false;
    for (uint64_t operation = 0; !recovered; ++operation) {
      for (int fate = 0; fate < 8; ++fate) {
        std::unique_ptr<FaultFileSystem> files = left.Clone();
        files->FailFrom(files->operations() + operation);
        {
          auto log = OpenLog(*files, 2);
          recovered = log->Load().has_value();
        }
        files->Crash(fate == 0 ? Survival::kNothing : Survival::kRandom, &random);
        ++crashes;
        CheckRecovery(*files, result,
                      fmt::format("SLUICE_SEED={} after {} steps, operation {} of the recovery",
                                  seed, steps, operation));
        if (HasFatalFailure()) return;
      }
    }
  }
  EXPECT_GT(crashes, 300u);
}

}  // namespace
}  // namespace store::wal
