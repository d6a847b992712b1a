// SPDX-License-Identifier: Apache-2.0
#include "store/wal/mem_log_store.h"

#include "store/base/check.h"

#include <algorithm>

namespace store::wal {
namespace {

void RebuildRuns(LogImage* image) {
  image->runs.clear();
  for (const raft::EntryPtr& entry : image->entries) {
    if (image->runs.empty() || image->runs.back().term != entry->term) {
      image->runs.push_back({entry->index, entry->term});
    }
  }
}

}  // namespace

void MemLogStore::Write(const raft::PersistUnit& unit, LogImage* image) {
  if (unit.hard_state) image->hard_state = *unit.hard_state;
  if (unit.reset_to) {
    image->truncated = unit.reset_to->index;
    image->truncated_term = unit.reset_to->term;
    image->conf = unit.reset_to->conf;
    image->entries.clear();
  }
  if (unit.truncate_from) {
    while (!image->entries.empty() && image->entries.back()->index >= *unit.truncate_from) {
      image->entries.pop_back();
    }
  }
  for (const raft::EntryPtr& entry : unit.entries) {
    raft::Index last = image->truncated + image->entries.size();
    CHECK(entry->index == last + 1, "entry {} behind {}", entry->index, last);
    image->entries.push_back(entry);
  }
}

Result<LogImage> MemLogStore::Load() {
  MutexLock lock(mutex_);
  LogImage image = written_;
  RebuildRuns(&image);
  return image;
}

Status MemLogStore::Append(std::span<const raft::PersistUnit* const> group) {
  MutexLock lock(mutex_);
  bool must_sync = false;
  for (const raft::PersistUnit* unit : group) {
    Write(*unit, &written_);
    unsynced_.push_back(*unit);
    must_sync |= unit->must_sync;
  }
  if (!must_sync) return Ok();
  holding_ = hold_;
  while (hold_) changed_.Wait(mutex_);
  holding_ = false;
  for (const raft::PersistUnit& unit : unsynced_) Write(unit, &durable_);
  unsynced_.clear();
  return Ok();
}

Result<std::vector<raft::EntryPtr>> MemLogStore::Read(raft::Index from, raft::Index to,
                                                      size_t bytes_max) const {
  MutexLock lock(mutex_);
  std::vector<raft::EntryPtr> entries;
  if (from <= written_.truncated) return entries;
  to = std::min(to, written_.truncated + written_.entries.size());
  size_t bytes = 0;
  for (raft::Index i = from; i <= to; ++i) {
    const raft::EntryPtr& entry = written_.entries[static_cast<size_t>(i - written_.truncated) - 1];
    bytes += entry->data.size();
    if (bytes > bytes_max && !entries.empty()) break;
    entries.push_back(entry);
  }
  return entries;
}

Status MemLogStore::TruncatePrefix(raft::Index through, raft::Term term) {
  MutexLock lock(mutex_);
  for (LogImage* image : {&written_, &durable_}) {
    if (through <= image->truncated) continue;
    image->truncated = through;
    image->truncated_term = term;
    std::erase_if(image->entries,
                  [through](const raft::EntryPtr& entry) { return entry->index <= through; });
  }
  return Ok();
}

void MemLogStore::Crash() {
  MutexLock lock(mutex_);
  written_ = durable_;
  unsynced_.clear();
}

void MemLogStore::HoldSyncs() {
  MutexLock lock(mutex_);
  hold_ = true;
}

void MemLogStore::ReleaseSyncs() {
  {
    MutexLock lock(mutex_);
    hold_ = false;
  }
  changed_.NotifyAll();
}

bool MemLogStore::holding() const {
  MutexLock lock(mutex_);
  return holding_;
}

}  // namespace store::wal
