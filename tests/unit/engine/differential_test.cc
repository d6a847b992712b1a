// SPDX-License-Identifier: Apache-2.0
// The same random calls to MemEngine and RocksEngine must give the same answers: writes, reads of
// both tiers, scans that stay open during writes, flushes, crashes and clean reopening.
#include "store/engine/mem_engine.h"
#include "store/engine/rocks_engine.h"
#include "tests/unit/base/seed.h"
#include "tests/unit/base/temp_dir.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace store::engine {
namespace {

std::string Show(const Result<std::optional<SharedBytes>>& value) {
  if (!value) return value.error().ToString();
  return value->has_value() ? std::string((*value)->view()) : "(none)";
}

std::unique_ptr<RocksEngine> OpenRocks(const Path& path) {
  RocksSettings settings;
  settings.block_cache_bytes = 4 << 20;
  auto engine = RocksEngine::Open(path, std::move(settings));
  EXPECT_TRUE(engine) << engine.error().ToString();
  return std::move(*engine);
}

struct CursorPair {
  std::unique_ptr<Cursor> mem;
  std::unique_ptr<Cursor> rocks;
};

class Differential : public testing::Test {
 protected:
  Table RandomTable() { return static_cast<Table>(random_.Below(kTableCount)); }
  std::string RandomKey() { return fmt::format("{:03}", random_.Below(200)); }
  std::string RandomValue() {
    const uint64_t size = random_.Chance(0.05) ? random_.Between(4000, 20'000) : random_.Below(50);
    return std::string(size, static_cast<char>('a' + random_.Below(26)));
  }

  void Write() {
    auto a = mem_->NewBatch();
    auto b = rocks_->NewBatch();
    for (uint64_t n = random_.Between(1, 8); n > 0; --n) {
      const Table table = RandomTable();
      const std::string key = RandomKey();
      const std::string value = RandomValue();
      const bool put = random_.Chance(0.6);
      for (WriteBatch* batch : {a.get(), b.get()}) {
        if (put) {
          batch->Put(table, key, value);
        } else {
          batch->Delete(table, key);
        }
      }
    }
    ASSERT_EQ(a->count(), b->count());
    ASSERT_TRUE(mem_->Write(*a));
    ASSERT_TRUE(rocks_->Write(*b));
  }
  void Read() {
    const Table table = RandomTable();
    const std::string key = RandomKey();
    for (Tier tier : {Tier::kAll, Tier::kPersisted}) {
      ASSERT_EQ(Show(mem_->Get(table, key, tier)), Show(rocks_->Get(table, key, tier)))
          << "table " << static_cast<int>(table) << " key " << key << " tier "
          << static_cast<int>(tier);
    }
  }
  void ReadMany() {
    const Table table = RandomTable();
    std::vector<std::string> names(10);
    for (std::string& name : names) name = RandomKey();
    const std::vector<Key> keys(names.begin(), names.end());
    std::vector<std::optional<SharedBytes>> a(10);
    std::vector<std::optional<SharedBytes>> b(10);
    ASSERT_TRUE(mem_->MultiGet(table, keys, a));
    ASSERT_TRUE(rocks_->MultiGet(table, keys, b));
    for (size_t i = 0; i < a.size(); ++i) ASSERT_EQ(a[i], b[i]) << names[i];
  }
  void OpenScan() {
    const Table table = RandomTable();
    const std::string from = RandomKey();
    const std::string to = random_.Chance(0.3) ? "" : RandomKey();
    cursors_.push_back({mem_->Scan(table, from, to, {}), rocks_->Scan(table, from, to, {})});
    if (cursors_.size() > 5) cursors_.erase(cursors_.begin());
  }
  void Advance() {
    for (CursorPair& pair : cursors_) {
      for (uint64_t n = random_.Below(20); n > 0; --n) {
        ASSERT_EQ(pair.mem->Valid(), pair.rocks->Valid());
        if (!pair.mem->Valid()) break;
        ASSERT_EQ(pair.mem->key(), pair.rocks->key());
        ASSERT_EQ(pair.mem->value(), pair.rocks->value());
        pair.mem->Next();
        pair.rocks->Next();
      }
    }
  }
  void Flush() {
    ASSERT_TRUE(mem_->Flush());
    ASSERT_TRUE(rocks_->Flush());
  }
  // Without a flush before, this is a crash: what was not flushed is gone in both.
  void Reopen() {
    cursors_.clear();
    mem_ = mem_->AfterCrash();
    rocks_.reset();
    rocks_ = OpenRocks(Path(directory_.path()) / "state");
  }
  void CompareAll() {
    for (int table = 0; table < kTableCount; ++table) {
      auto a = mem_->Scan(static_cast<Table>(table), {}, {}, {});
      auto b = rocks_->Scan(static_cast<Table>(table), {}, {}, {});
      for (; a->Valid() && b->Valid(); a->Next(), b->Next()) {
        ASSERT_EQ(a->key(), b->key());
        ASSERT_EQ(a->value(), b->value());
      }
      ASSERT_EQ(a->Valid(), b->Valid());
      ASSERT_TRUE(b->status());
    }
  }

  Random random_ = SeededRandom("engine_differential");
  TempDir directory_;
  std::unique_ptr<MemEngine> mem_ = std::make_unique<MemEngine>();
  std::unique_ptr<RocksEngine> rocks_ = OpenRocks(Path(directory_.path()) / "state");
  std::vector<CursorPair> cursors_;
};

TEST_F(Differential, SameCallsSameAnswers) {
  const char* given = std::getenv("SLUICE_ENGINE_STEPS");
  const int steps = given == nullptr ? 20'000 : std::stoi(given);
  for (int i = 0; i < steps && !HasFatalFailure(); ++i) {
    SCOPED_TRACE(fmt::format("step {}", i));
    const uint64_t dice = random_.Below(1000);
    if (dice < 400) {
      Write();
    } else if (dice < 700) {
      Read();
    } else if (dice < 800) {
      ReadMany();
    } else if (dice < 850) {
      OpenScan();
    } else if (dice < 990) {
      Advance();
    } else if (dice < 997) {
      Flush();
    } else {
      Reopen();
      CompareAll();
    }
  }
  CompareAll();
}

}  // namespace
}  // namespace store::engine
