// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/kv_hash.h"

#include "store/base/coding.h"
#include "store/base/crc32c.h"
#include "store/base/wire_fields.h"
#include "store/mvcc/key_index.h"
#include "store/mvcc/mvcc_store.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

namespace store::mvcc {
namespace {

// Fields of mvccpb.KeyValue.
constexpr uint32_t kKey = 1;
constexpr uint32_t kCreate = 2;
constexpr uint32_t kMod = 3;
constexpr uint32_t kVersion = 4;
constexpr uint32_t kValue = 5;
constexpr uint32_t kLease = 6;

void AppendSigned(std::string* out, uint32_t field, int64_t value) {
  AppendNumber(out, field, static_cast<uint64_t>(value));
}

void AppendBytes(std::string* out, uint32_t field, std::string_view bytes) {
  if (bytes.empty()) return;
  AppendBytesHead(out, field, bytes.size());
  out->append(bytes);
}

// Values in record order, in step with the headers.
class ValueScan {
 public:
  ValueScan(const engine::Engine& engine, Revision last) {
    engine::ScanOptions options;
    options.fill_cache = false;
    cursor_ = engine.Scan(engine::Table::kVal, {}, RecordKey({last + 1, 0}), options);
  }
  Result<std::string_view> At(RecordId id, const RecordHeader& header) {
    if (header.value_size == 0) return std::string_view();
    const std::string key = RecordKey(id);
    while (cursor_->Valid() && cursor_->key() < key) cursor_->Next();
    if (!cursor_->Valid() || cursor_->key() != key) {
      RETURN_IF_ERROR(cursor_->status());
      return Fail(ErrorCode::kCorruption,
                  fmt::format("value of record {}.{} is missing", id.main, id.sub));
    }
    RETURN_IF_ERROR(CheckValue(header, id, cursor_->value()));
    return cursor_->value();
  }

 private:
  std::unique_ptr<engine::Cursor> cursor_;
};

}  // namespace

KvHasher::KvHasher() : crc_(Crc32c("key")) {}

void KvHasher::Add(RecordId id, const RecordHeader& header, std::string_view value) {
  scratch_.clear();
  AppendEtcdRevisionKey(id, header.tombstone, &scratch_);
  AppendEtcdKeyValue(id, header, value, &scratch_);
  crc_ = ExtendCrc32c(crc_, scratch_);
}

void AppendEtcdRevisionKey(RecordId id, bool tombstone, std::string* out) {
  AppendBigEndian64(out, static_cast<uint64_t>(id.main.value()));
  out->push_back('_');
  AppendBigEndian64(out, id.sub);
  if (tombstone) out->push_back('t');
}

void AppendEtcdKeyValue(RecordId id, const RecordHeader& header, std::string_view value,
                        std::string* out) {
  AppendBytes(out, kKey, header.key);
  if (header.tombstone) return;
  AppendSigned(out, kCreate, header.create.value());
  AppendSigned(out, kMod, id.main.value());
  AppendSigned(out, kVersion, header.version);
  AppendBytes(out, kValue, value);
  AppendSigned(out, kLease, header.lease.value());
}

// Whether the record is what a read of its key at that revision finds.
Result<bool> MvccStore::IsLive(const HeldView& held, std::string_view key, RecordId id,
                               Revision at) const {
  auto view = held.Enter();
  if (!view) return Fail(std::move(view).error());
  // Not Lookup: a compaction meanwhile ends what may be asked, but trims nothing that `held` needs.
  bool live = false;
  view->ForEach(KeyRange::Point(key), at, [&](std::string_view, const KeyFacts& facts) {
    live = facts.mod == id;
    return false;
  });
  return live;
}

Result<KvHash> MvccStore::HashByRevision(Revision at) const {
  KvHash result;
  std::shared_ptr<engine::Engine> engine;
  std::optional<HeldView> registered;
  do {
    // Registered before anything is read, so that nothing is collected meanwhile. Once more when a
    // compaction came between the two looks: the registered floor would not protect what it keeps.
    result.compacted = compacted();
    registered.emplace(HeldView(this, views_.Add(result.compacted)));
    ReadView view = View();
    if (view.compacted() != result.compacted) continue;
    result.current = view.current();
    engine = view.engine();
  } while (engine == nullptr);
  const HeldView& held = *registered;
  result.at = at.value() == 0 ? result.current : at;
  if (result.at > result.current) return Fail(ErrorCode::kFutureRevision);
  if (result.at < Revision(0)) {  // etcd refuses none of these, and hashes nothing
    result.hash = KvHasher().value();
    return result;
  }
  if (result.at < result.compacted) return Fail(ErrorCode::kCompacted);
  // As etcd has it: of the collected part only what is still live at the hashed revision counts;
  // but when nothing at all is live there, everything that was live at the compaction.
  bool any_live = false;
  View().ForEach(KeyRange{{}, {}, true}, result.at, [&](std::string_view, const KeyFacts&) {
    any_live = true;
    return false;
  });
  const Revision live_at = any_live ? result.at : result.compacted;

  KvHasher hasher;
  ValueScan values(*engine, result.at);
  for (RevisionScan scan(engine, Revision(0), result.at);; scan.Next()) {
    if (!scan.Valid()) {
      RETURN_IF_ERROR(scan.status());
      break;
    }
    if (held.cancelled()) return Fail(ErrorCode::kCompacted);
    if (scan.id().main <= result.compacted) {
      auto live = IsLive(held, scan.header().key, scan.id(), live_at);
      if (!live) return Fail(std::move(live).error());
      if (!*live) continue;
    }
    auto value = values.At(scan.id(), scan.header());
    if (!value) return Fail(std::move(value).error());
    hasher.Add(scan.id(), scan.header(), *value);
  }
  if (held.cancelled()) return Fail(ErrorCode::kCompacted);
  result.hash = hasher.value();
  return result;
}

}  // namespace store::mvcc
