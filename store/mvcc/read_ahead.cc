// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/read_ahead.h"

#include "store/mvcc/record.h"
#include "store/mvcc/revision.h"

#include <memory>
#include <utility>

namespace store::mvcc {
namespace {

constexpr Revision kLastRevision{INT64_MAX - 1};

KeyFacts FactsOf(RecordId id, const RecordHeader& header) {
  KeyFacts facts;
  facts.mod = id;
  if (header.tombstone) return facts;
  facts.create = header.create;
  facts.version = header.version;
  facts.lease = header.lease;
  facts.value_size = header.value_size;
  return facts;
}

}  // namespace

// The engine is the caller's for longer than the scan: no share is needed.
ReadAhead::ReadAhead(const engine::Engine& engine)
    : scan_(std::shared_ptr<const engine::Engine>(std::shared_ptr<void>(), &engine), Revision(0),
            kLastRevision) {}

ReadAhead::~ReadAhead() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
  }
  changed_.NotifyAll();
}

std::optional<ReadAhead::Batch> ReadAhead::Next() {
  if (std::exchange(first_, false)) {
    Batch batch = ReadBatch();
    if (scan_.Valid()) {
      thread_ = Thread("read-ahead", [this] { Run(); });
    } else {
      status_ = scan_.status();
      MutexLock lock(mutex_);
      ended_ = true;
    }
    if (batch.rows.empty()) return std::nullopt;
    return batch;
  }
  std::optional<Batch> batch;
  {
    MutexLock lock(mutex_);
    while (ahead_.empty() && !ended_) changed_.Wait(mutex_);
    if (!ahead_.empty()) {
      batch = std::move(ahead_.front());
      ahead_.pop_front();
    }
  }
  if (batch) {
    changed_.NotifyAll();
  } else if (thread_.running()) {
    thread_.Join();
    status_ = scan_.status();
  }
  return batch;
}

ReadAhead::Batch ReadAhead::ReadBatch() {
  Batch batch;
  batch.rows.reserve(kBatchRows);
  while (scan_.Valid() && batch.rows.size() < kBatchRows && batch.keys.size() < kBatchBytes) {
    const RecordHeader& header = scan_.header();
    batch.rows.push_back({FactsOf(scan_.id(), header), static_cast<uint32_t>(header.key.size())});
    batch.keys += header.key;
    scan_.Next();
  }
  return batch;
}

void ReadAhead::Run() {
  while (true) {
    Batch batch = ReadBatch();
    const bool last = !scan_.Valid();
    {
      MutexLock lock(mutex_);
      while (ahead_.size() >= kBatchesAhead && !stopped_) changed_.Wait(mutex_);
      if (stopped_) return;
      if (!batch.rows.empty()) ahead_.push_back(std::move(batch));
      ended_ = last;
    }
    changed_.NotifyAll();
    if (last) return;
  }
}

}  // namespace store::mvcc
