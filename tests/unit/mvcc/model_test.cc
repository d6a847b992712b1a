// SPDX-License-Identifier: Apache-2.0
// Random life of a store against the model: puts, deletes, transactions, batches of several
// transactions, compactions with collection at any pace, restarts and crashes. SLUICE_MVCC_STEPS
// sets the length.
#include "tests/unit/mvcc/model.h"

#include "store/engine/mem_engine.h"
#include "store/engine/rocks_engine.h"
#include "store/mvcc/record.h"
#include "tests/unit/base/seed.h"
#include "tests/unit/base/temp_dir.h"

#include <absl/functional/any_invocable.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace store::mvcc {
namespace {

// MemEngine that can be reopened: what is flushed stays.
std::shared_ptr<engine::Engine> ReopenMem(std::shared_ptr<engine::Engine> engine) {
  return static_cast<engine::MemEngine&>(*engine).AfterCrash();
}

class Walk {
 public:
  using Reopen =
      absl::AnyInvocable<std::shared_ptr<engine::Engine>(std::shared_ptr<engine::Engine>)>;

  Walk(Random random, std::shared_ptr<engine::Engine> engine, Reopen reopen)
      : random_(random),
        engine_(std::move(engine)),
        reopen_(std::move(reopen)),
        fixture_(engine_) {}

  void Steps(int count) {
    for (int i = 0; i < count && !testing::Test::HasFailure(); ++i) {
      SCOPED_TRACE(fmt::format("step {}", i));
      const uint64_t dice = random_.Below(1000);
      if (dice < 550) {
        Batch();
      } else if (dice < 900) {
        CompareRange();
      } else if (dice < 940) {
        fixture_.Collect();
      } else if (dice < 965) {
        Compact();
      } else if (dice < 970) {
        Restart();
      } else if (dice < 975) {
        CompareRebuilt();
      } else if (dice < 990) {
        CompareLookup();
      } else {
        CompareHistory();
      }
    }
    fixture_.CollectAll();
    EXPECT_EQ(fixture_.Records(), KeptRecords());
    EXPECT_EQ(fixture_.store().stats().live_bytes, KeptBytes());
    CompareRestored();
  }

 private:
  std::string RandomKey() { return fmt::format("k{}", random_.Below(60)); }
  KeyRange RandomKeys() {
    switch (random_.Below(5)) {
      case 0:
        return KeyRange::Point(RandomKey());
      case 1:
        return All();
      case 2:
        return KeyRange::FromRequest(RandomKey(), std::string_view("\0", 1));
      default:
        return KeyRange::FromRequest(RandomKey(), RandomKey());
    }
  }
  std::string RandomValue() {
    return std::string(random_.Chance(0.1) ? 0 : random_.Between(1, 40),
                       static_cast<char>('a' + random_.Below(26)));
  }

  // One to four transactions in one engine batch.
  void Batch() {
    auto batch = engine_->NewBatch();
    size_t events = 0;
    for (uint64_t n = random_.Between(1, 4); n > 0; --n) events += Transaction(*batch);
    ASSERT_TRUE(engine_->Write(*batch));
    const EventBatchPtr published = fixture_.store().Publish();
    ASSERT_EQ(published->events.size(), events);
    ASSERT_EQ(published->last.value(), model_.current);
    for (size_t i = 0; i < events; ++i) {
      const ModelRecord& record = model_.history[model_.history.size() - events + i];
      ASSERT_EQ(published->events[i].id, record.id);
      ASSERT_EQ(published->events[i].kv.value.view(), record.value);
      ASSERT_EQ(published->events[i].type == EventType::kDelete, record.tombstone);
    }
    ASSERT_EQ(fixture_.store().current().value(), model_.current);
  }

  size_t Transaction(engine::WriteBatch& batch) {
    WriteTxn txn = fixture_.store().Begin(batch);
    const int64_t main = model_.current + 1;
    uint32_t sub = 0;
    for (uint64_t n = random_.Between(1, 3); n > 0; --n) {
      if (random_.Chance(0.7)) {
        PutInTransaction(txn, main, sub);
      } else {
        DeleteInTransaction(txn, main, sub);
      }
      if (random_.Chance(0.3)) {
        RangeQuery query;
        query.range = RandomKeys();
        Model inside = model_;
        if (sub > 0) inside.current = main;
        EXPECT_EQ(Show(txn.Range(query)), Show(inside.Range(query)));
      }
    }
    EXPECT_EQ(txn.changed(), sub > 0);
    txn.Commit();
    if (sub > 0) model_.current = main;
    return sub;
  }

  void PutInTransaction(WriteTxn& txn, int64_t main, uint32_t& sub) {
    const std::string key = RandomKey();
    const std::string value = RandomValue();
    const int64_t lease = random_.Chance(0.3) ? static_cast<int64_t>(random_.Next()) : 0;
    const ModelRecord* old = model_.At(key, INT64_MAX);
    const PutOutcome outcome = txn.Put(Bytes(key), Bytes(value), LeaseId(lease));
    ASSERT_EQ(outcome.before.has_value(), old != nullptr);
    if (old != nullptr) {
      ASSERT_EQ(outcome.before->mod, old->id);
      auto previous = txn.Load(Bytes(key), *outcome.before);
      ASSERT_TRUE(previous);
      ASSERT_EQ(previous->value.view(), old->value);
      ASSERT_EQ(previous->lease.value(), old->lease);
    }
    model_.Put(main, sub++, key, value, lease);
    ASSERT_EQ(outcome.after.mod, model_.history.back().id);
    ASSERT_EQ(outcome.after.version, model_.history.back().version);
    ASSERT_EQ(outcome.after.create.value(), model_.history.back().create);
  }

  void DeleteInTransaction(WriteTxn& txn, int64_t main, uint32_t& sub) {
    const KeyRange range = random_.Chance(0.8) ? KeyRange::Point(RandomKey()) : RandomKeys();
    const std::vector<ModelRecord> live = model_.LiveIn(range, INT64_MAX);
    ASSERT_EQ(txn.Count(range), static_cast<int64_t>(live.size()));
    const std::vector<DeletedKey> deleted = txn.DeleteRange(range);
    ASSERT_EQ(deleted.size(), live.size());
    for (size_t i = 0; i < live.size(); ++i) {
      ASSERT_EQ(deleted[i].key.view(), live[i].key);
      ASSERT_EQ(deleted[i].before.mod, live[i].id);
      model_.Delete(main, sub++, live[i].key);
    }
  }

  RangeQuery RandomQuery() {
    RangeQuery query;
    query.range = RandomKeys();
    if (random_.Chance(0.5)) {
      const uint64_t span = static_cast<uint64_t>(model_.current) + 2;
      query.at = Revision(static_cast<int64_t>(random_.Below(span)));
    }
    if (random_.Chance(0.5)) query.limit = static_cast<int64_t>(random_.Below(8));
    query.order = static_cast<SortOrder>(random_.Below(3));
    query.target = static_cast<SortTarget>(random_.Below(5));
    query.keys_only = random_.Chance(0.2);
    query.count_only = random_.Chance(0.1);
    Revision* bounds[] = {&query.min_mod, &query.max_mod, &query.min_create, &query.max_create};
    for (Revision* bound : bounds) {
      if (random_.Chance(0.15)) *bound = RandomRevision();
    }
    return query;
  }
  Revision RandomRevision() {
    return Revision(
        static_cast<int64_t>(random_.Between(1, static_cast<uint64_t>(model_.current))));
  }

  void CompareRange() {
    RangeQuery query = RandomQuery();
    const std::string expected = Show(model_.Range(query));
    ASSERT_EQ(Show(fixture_.store().View().Range(query)), expected);
    auto held = fixture_.store().Hold(query.at);
    if (held) {
      ASSERT_EQ(Show(held->Range(query)), expected);
    }
  }
  void CompareLookup() {
    const std::string key = RandomKey();
    const int64_t low = std::max<int64_t>(model_.compacted, 1);
    const auto at = static_cast<int64_t>(
        random_.Between(static_cast<uint64_t>(low), static_cast<uint64_t>(model_.current)));
    const ModelRecord* expected = model_.At(key, at);
    const auto facts = fixture_.store().View().Lookup(key, Revision(at));
    ASSERT_EQ(facts.has_value(), expected != nullptr);
    if (expected != nullptr) {
      ASSERT_EQ(facts->mod, expected->id);
    }
  }
  // What a watcher would see: every record above the compacted revision, in order.
  void CompareHistory() {
    const int64_t from = std::max<int64_t>(model_.compacted, 0);
    size_t next = 0;
    while (next < model_.history.size() && model_.history[next].id.main.value() < from) ++next;
    RevisionScan scan = fixture_.store().Scan(Revision(from), Revision(INT64_MAX - 1));
    for (; scan.Valid(); scan.Next()) {
      while (next < model_.history.size() && scan.id().main.value() == from &&
             model_.history[next].id != scan.id()) {
        ++next;  // several changes of one key at the compacted revision itself
      }
      ASSERT_LT(next, model_.history.size());
      ASSERT_EQ(scan.id(), model_.history[next].id);
      ASSERT_EQ(scan.header().key, model_.history[next].key);
      ++next;
    }
    ASSERT_TRUE(scan.status());
    ASSERT_EQ(next, model_.history.size());
  }
  void Compact() {
    const Revision at = RandomRevision();
    const Status status = fixture_.Compact(at.value());
    ASSERT_EQ(status.has_value(), at.value() > model_.compacted);
    if (status) model_.compacted = at.value();
  }
  void Restart() {
    ASSERT_TRUE(engine_->Flush());
    fixture_.Close();
    engine_ = reopen_(std::move(engine_));
    fixture_.Reopen(engine_);
    ASSERT_EQ(fixture_.store().current().value(), model_.current);
    ASSERT_EQ(fixture_.store().compacted().value(), model_.compacted);
  }
  // What a restart here would find: the records on disk give the index that is in memory.
  void CompareRebuilt() {
    fixture_.store().CheckInvariants();
    auto rebuilt = MvccStore::Open(engine_);
    ASSERT_TRUE(rebuilt) << rebuilt.error().ToString();
    (*rebuilt)->CheckInvariants();
    const MvccStats live = fixture_.store().stats();
    const MvccStats restored = (*rebuilt)->stats();
    ASSERT_EQ(restored.current, live.current);
    ASSERT_EQ(restored.compacted, live.compacted);
    ASSERT_EQ(restored.collected, live.collected);
    ASSERT_EQ(restored.keys, live.keys);
    // In the middle of a collection the index is ahead: it drops all of a key at once.
    ASSERT_GE(restored.live_bytes, live.live_bytes);
    if (live.collected == live.compacted) {
      ASSERT_EQ(restored.live_bytes, live.live_bytes);
    }
    RangeQuery everything;
    everything.range = All();
    everything.at = Revision(std::max<int64_t>(model_.compacted, 1));
    ASSERT_EQ(Show((*rebuilt)->View().Range(everything)), Show(model_.Range(everything)));
  }
  // The model's own count of what the quota sees, once everything is collected.
  uint64_t KeptBytes() const {
    uint64_t bytes = 0;
    for (const ModelRecord& record : KeptRecords()) {
      bytes += RecordBytes(record.key.size(), record.value.size());
    }
    return bytes;
  }
  std::vector<ModelRecord> KeptRecords() const { return model_.Kept(model_.compacted); }

  void CompareRestored() {
    const MvccStats before = fixture_.store().stats();
    const auto hash = fixture_.store().HashByRevision(Revision());
    Restart();
    const MvccStats after = fixture_.store().stats();
    EXPECT_EQ(after.live_bytes, before.live_bytes);
    EXPECT_EQ(after.keys, before.keys);
    EXPECT_EQ(after.collected, before.collected);
    EXPECT_EQ(fixture_.store().HashByRevision(Revision())->hash, hash->hash);
    RangeQuery everything;
    everything.range = All();
    EXPECT_EQ(Show(fixture_.store().View().Range(everything)), Show(model_.Range(everything)));
  }

  Random random_;
  std::shared_ptr<engine::Engine> engine_;
  Reopen reopen_;
  Model model_;
  Fixture fixture_;
};

int StepsFromEnvironment(int steps) {
  const char* given = std::getenv("SLUICE_MVCC_STEPS");
  return given == nullptr ? steps : std::stoi(given);
}

// The model walks all history for each answer, so a long life is many short ones.
constexpr int kLife = 1000;

TEST(MvccModel, RandomLifeOnMemEngine) {
  Random random = SeededRandom("mvcc_model");
  const int steps = StepsFromEnvironment(20'000);
  for (int life = 0; life * kLife < steps && !HasFailure(); ++life) {
    SCOPED_TRACE(fmt::format("life {}", life));
    Walk(random.Fork(std::to_string(life)), std::make_shared<engine::MemEngine>(), &ReopenMem)
        .Steps(kLife);
  }
}

TEST(MvccModel, RandomLifeOnRocksEngine) {
  Random random = SeededRandom("mvcc_model_rocks");
  const int steps = StepsFromEnvironment(20'000) / 10;
  for (int life = 0; life * kLife < steps && !HasFailure(); ++life) {
    SCOPED_TRACE(fmt::format("life {}", life));
    TempDir directory;
    auto open = [&directory] {
      auto engine = engine::RocksEngine::Open(engine::Path(directory.path()) / "state", {});
      EXPECT_TRUE(engine) << engine.error().ToString();
      return std::shared_ptr<engine::Engine>(std::move(*engine));
    };
    Walk(random.Fork(std::to_string(life)), open(),
         [&open](std::shared_ptr<engine::Engine> engine) {
           EXPECT_EQ(engine.use_count(), 1);
           engine.reset();
           return open();
         })
        .Steps(kLife);
  }
}

}  // namespace
}  // namespace store::mvcc
