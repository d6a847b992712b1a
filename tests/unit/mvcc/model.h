// SPDX-License-Identifier: Apache-2.0
// The key space as a list of everything that ever happened, and every question answered by walking
// it: slow and obviously right. Tests compare MvccStore with it. Also a Fixture that runs a store
// as apply does.
#pragma once

#include "store/engine/mem_engine.h"
#include "store/mvcc/mvcc_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace store::mvcc {

struct ModelRecord {
  RecordId id;
  std::string key;
  bool tombstone = false;
  std::string value;
  int64_t create = 0;
  int64_t version = 0;
  int64_t lease = 0;
  bool operator==(const ModelRecord&) const = default;
};

class Model {
 public:
  int64_t current = 1;
  int64_t compacted = -1;
  std::vector<ModelRecord> history;  // in order

  const ModelRecord* At(const std::string& key, int64_t revision) const {
    const ModelRecord* found = nullptr;
    auto it = by_key_.find(key);
    if (it == by_key_.end()) return nullptr;
    for (size_t i : it->second) {
      if (history[i].id.main.value() <= revision) found = &history[i];
    }
    return found == nullptr || found->tombstone ? nullptr : found;
  }
  std::vector<ModelRecord> LiveIn(const KeyRange& range, int64_t revision) const {
    std::vector<ModelRecord> live;
    for (const auto& [key, unused] : by_key_) {
      if (!range.Contains(key)) continue;
      if (const ModelRecord* record = At(key, revision)) live.push_back(*record);
    }
    return live;
  }
  void Put(int64_t main, uint32_t sub, const std::string& key, const std::string& value,
           int64_t lease) {
    const ModelRecord* old = At(key, INT64_MAX);
    ModelRecord record{{Revision(main), sub},      key,  false, value, old ? old->create : main,
                       old ? old->version + 1 : 1, lease};
    Append(record);
  }
  void Delete(int64_t main, uint32_t sub, const std::string& key) {
    Append({{Revision(main), sub}, key, true, {}, 0, 0, 0});
  }
  // The records a collected store keeps: rule of README, said by quantifiers.
  std::vector<ModelRecord> Kept(int64_t at) const {
    std::vector<ModelRecord> kept;
    for (const auto& [key, indexes] : by_key_) {
      for (size_t n = 0; n < indexes.size(); ++n) {
        const ModelRecord& record = history[indexes[n]];
        const int64_t main = record.id.main.value();
        const bool has_successor =
            n + 1 < indexes.size() && history[indexes[n + 1]].id.main.value() <= at;
        if (main > at || (record.tombstone ? main == at : !has_successor)) kept.push_back(record);
      }
    }
    std::sort(kept.begin(), kept.end(),
              [](const ModelRecord& a, const ModelRecord& b) { return a.id < b.id; });
    return kept;
  }

  Result<RangeResult> Range(const RangeQuery& query) const {
    const int64_t at = query.at.value() <= 0 ? current : query.at.value();
    if (at > current) return Fail(ErrorCode::kFutureRevision);
    if (at < compacted) return Fail(ErrorCode::kCompacted);
    std::vector<ModelRecord> rows = LiveIn(query.range, at);
    RangeResult result;
    result.current = Revision(current);
    result.count = static_cast<int64_t>(rows.size());
    if (query.count_only) return result;
    const bool filter = query.min_mod || query.max_mod || query.min_create || query.max_create;
    const bool whole = query.order != SortOrder::kNone || filter || query.limit <= 0;
    if (!whole && static_cast<int64_t>(rows.size()) > query.limit + 1) {
      rows.resize(static_cast<size_t>(query.limit + 1));
    }
    std::erase_if(rows, [&](const ModelRecord& r) { return !Passes(query, r); });
    Sort(query, rows);
    if (query.limit > 0 && static_cast<int64_t>(rows.size()) > query.limit) {
      rows.resize(static_cast<size_t>(query.limit));
      result.more = true;
    }
    for (const ModelRecord& row : rows) result.kvs.push_back(ToKeyValue(query, row));
    return result;
  }

 private:
  void Append(const ModelRecord& record) {
    by_key_[record.key].push_back(history.size());
    history.push_back(record);
  }
  static bool Passes(const RangeQuery& query, const ModelRecord& r) {
    const Revision create(r.create);
    if (query.min_mod && r.id.main < query.min_mod) return false;
    if (query.max_mod && r.id.main > query.max_mod) return false;
    if (query.min_create && create < query.min_create) return false;
    return !(query.max_create && create > query.max_create);
  }
  static void Sort(const RangeQuery& query, std::vector<ModelRecord>& rows) {
    auto less = [&](const ModelRecord& a, const ModelRecord& b) {
      switch (query.target) {
        case SortTarget::kKey:
          return a.key < b.key;
        case SortTarget::kVersion:
          return a.version < b.version;
        case SortTarget::kCreate:
          return a.create < b.create;
        case SortTarget::kMod:
          return a.id.main < b.id.main;
        case SortTarget::kValue:
          return a.value < b.value;
      }
      return false;
    };
    std::stable_sort(rows.begin(), rows.end(), [&](const ModelRecord& a, const ModelRecord& b) {
      return query.order == SortOrder::kDescend ? less(b, a) : less(a, b);
    });
  }
  static KeyValue ToKeyValue(const RangeQuery& query, const ModelRecord& row) {
    KeyValue kv;
    kv.key = SharedBytes::Copy(row.key);
    if (!query.keys_only) kv.value = SharedBytes::Copy(row.value);
    kv.create = Revision(row.create);
    kv.mod = row.id.main;
    kv.version = row.version;
    const bool lease_shown = !query.keys_only || query.target == SortTarget::kValue;
    if (lease_shown) kv.lease = LeaseId(row.lease);
    return kv;
  }

  std::map<std::string, std::vector<size_t>> by_key_;
};

inline std::string Show(const KeyValue& kv) {
  return fmt::format("{}={} c{} m{} v{} l{}", kv.key.view(), kv.value.view(), kv.create, kv.mod,
                     kv.version, kv.lease);
}
inline std::string Show(const Result<RangeResult>& result) {
  if (!result) return std::string(Name(result.error().code()));
  std::string out =
      fmt::format("count {} more {} current {}:", result->count, result->more, result->current);
  for (const KeyValue& kv : result->kvs) out += " [" + Show(kv) + "]";
  return out;
}

inline KeyRange All() { return {std::string(1, '\0'), {}, true}; }
inline SharedBytes Bytes(std::string_view text) { return SharedBytes::Copy(text); }

// A store with its engine, run as the apply thread runs it: one batch, one write, one publish.
class Fixture {
 public:
  explicit Fixture(std::shared_ptr<engine::Engine> engine = std::make_shared<engine::MemEngine>(),
                   MvccOptions options = {})
      : engine_(std::move(engine)), options_(options) {
    Reopen(engine_);
  }
  // Lets go of the engine.
  void Close() {
    collector_.reset();
    store_.reset();
    engine_.reset();
  }
  void Reopen(std::shared_ptr<engine::Engine> engine) {
    collector_.reset();
    store_.reset();
    engine_ = std::move(engine);
    auto opened = MvccStore::Open(engine_, options_);
    ASSERT_TRUE(opened) << opened.error().ToString();
    store_ = std::move(*opened);
    collector_ = std::make_unique<Collector>(*store_);
  }

  MvccStore& store() { return *store_; }
  engine::Engine& engine() { return *engine_; }

  // Runs `change` as one transaction in a batch of its own.
  template <class Change>
  EventBatchPtr Run(Change change) {
    auto batch = engine_->NewBatch();
    WriteTxn txn = store_->Begin(*batch);
    change(txn);
    txn.Commit();
    EXPECT_TRUE(engine_->Write(*batch));
    return store_->Publish();
  }
  Revision Put(std::string_view key, std::string_view value, int64_t lease = 0) {
    Run([&](WriteTxn& txn) { txn.Put(Bytes(key), Bytes(value), LeaseId(lease)); });
    return store_->current();
  }
  Revision Delete(std::string_view key) {
    Run([&](WriteTxn& txn) { txn.DeleteRange(KeyRange::Point(key)); });
    return store_->current();
  }
  Status Compact(int64_t at) {
    auto batch = engine_->NewBatch();
    RETURN_IF_ERROR(store_->Compact(Revision(at), *batch));
    RETURN_IF_ERROR(engine_->Write(*batch));
    store_->Publish();
    return Ok();
  }
  // One collector step and its trim, as apply interleaves them.
  CollectStep Collect(TimePoint now = TimePoint()) {
    auto step = collector_->Step(now);
    EXPECT_TRUE(step) << step.error().ToString();
    store_->Trim(step->trim);
    store_->Publish();
    return *step;
  }
  void CollectAll() {
    for (int i = 0; i < 1'000'000; ++i) {
      if (Collect().state == CollectStep::State::kIdle) return;
    }
    FAIL() << "collection does not end";
  }
  // Every record in the engine.
  std::vector<ModelRecord> Records() {
    std::vector<ModelRecord> records;
    RevisionScan scan(engine_, Revision(0), Revision(INT64_MAX - 1));
    for (; scan.Valid(); scan.Next()) {
      auto event = scan.Load();
      EXPECT_TRUE(event) << event.error().ToString();
      const KeyValue& kv = event->kv;
      records.push_back({event->id, std::string(kv.key.view()), event->type == EventType::kDelete,
                         std::string(kv.value.view()), kv.create.value(), kv.version,
                         kv.lease.value()});
    }
    EXPECT_TRUE(scan.status());
    return records;
  }

 private:
  std::shared_ptr<engine::Engine> engine_;
  MvccOptions options_;
  std::unique_ptr<MvccStore> store_;
  std::unique_ptr<Collector> collector_;
};

}  // namespace store::mvcc
