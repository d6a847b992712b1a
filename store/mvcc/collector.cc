// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/collector.h"

#include "store/base/failpoint.h"
#include "store/mvcc/mvcc_store.h"
#include "store/mvcc/restore.h"

#include <algorithm>
#include <utility>

namespace store::mvcc {
namespace {

// Headers looked at in one step, when few of them lead to a delete.
constexpr size_t kScansPerDelete = 16;
// Of keys in one step's trim.
constexpr size_t kTrimBytesMax = 1 << 20;

void RemoveRecord(engine::WriteBatch& batch, RecordId id, bool has_value) {
  const std::string key = RecordKey(id);
  batch.Delete(engine::Table::kRev, key);
  if (has_value) batch.Delete(engine::Table::kVal, key);
}

}  // namespace

Collector::Collector(MvccStore& store) : store_(store) {}

Result<CollectStep> Collector::Step(TimePoint now) {
  auto engine = store_.engine();
  if (run_ && run_->engine != engine) run_.reset();  // a snapshot was installed
  if (!run_) {
    const Revision target = store_.compacted();
    const Revision finished = store_.collected();
    if (target <= finished) return CollectStep();
    if (!ViewsAllow(target, now)) {
      CollectStep waiting;
      waiting.state = CollectStep::State::kWaiting;
      return waiting;
    }
    // From the last target on, inclusive: its tombstones were kept for it.
    run_ = Run{std::move(engine), target, {std::max(finished, Revision(0)), 0}};
  }
  return CollectBatch();
}

bool Collector::ViewsAllow(Revision target, TimePoint now) {
  const auto lowest = store_.views_.Lowest();
  if (!lowest || *lowest >= target) {
    waiting_since_.reset();
    return true;
  }
  if (!waiting_since_) waiting_since_ = now;
  if (now - *waiting_since_ < store_.options_.view_hold_max) return false;
  store_.views_cancelled_.fetch_add(store_.views_.CancelBelow(target), std::memory_order_relaxed);
  waiting_since_.reset();
  return true;
}

Result<CollectStep> Collector::CollectBatch() {
  const size_t removed_max =
      FAILPOINT_BRANCH("mvcc-collect-one") ? 1 : store_.options_.collect_batch;
  const size_t scanned_max = removed_max * kScansPerDelete;
  CollectStep step;
  step.trim.target = run_->target;
  auto batch = run_->engine->NewBatch();
  RevisionScan scan(run_->engine, run_->next, run_->target);
  size_t scanned = 0;
  size_t trim_bytes = 0;
  std::vector<std::string>& keys = step.trim.keys;
  for (; scan.Valid() && step.removed < removed_max && scanned < scanned_max &&
         trim_bytes < kTrimBytesMax;
       scan.Next()) {
    ++scanned;
    const RecordHeader& header = scan.header();
    const bool dead_tombstone = header.tombstone && scan.id().main < run_->target;
    if (!header.previous.valid() && !dead_tombstone) continue;
    // Both in one batch: without the tombstone nothing would point to its predecessor any more.
    if (header.previous.valid()) RemoveRecord(*batch, header.previous, true);
    if (dead_tombstone) RemoveRecord(*batch, scan.id(), false);
    step.removed += (header.previous.valid() ? 1U : 0U) + (dead_tombstone ? 1U : 0U);
    if (!keys.empty() && keys.back() == header.key) continue;
    keys.emplace_back(header.key);
    trim_bytes += header.key.size();
  }
  RETURN_IF_ERROR(scan.status());
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  const bool finished = !scan.Valid();
  if (finished) batch->Put(engine::Table::kSys, CompactFinishedKey(), CompactRow(run_->target));
  FAILPOINT("mvcc-collect");
  RETURN_IF_ERROR(run_->engine->Write(*batch));
  FAILPOINT("mvcc-collected");
  if (!finished) {
    run_->next = scan.id();
    step.state = CollectStep::State::kMore;
    return step;
  }
  store_.collected_.store(run_->target.value(), std::memory_order_release);
  run_.reset();
  step.state = CollectStep::State::kFinished;
  return step;
}

}  // namespace store::mvcc
