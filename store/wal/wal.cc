// SPDX-License-Identifier: Apache-2.0
#include "store/wal/wal.h"

#include "store/base/check.h"
#include "store/base/failpoint.h"
#include "store/base/file.h"
#include "store/wal/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace store::wal {
namespace {

const size_t kMarkRecordBytes = RecordBytes(16);

}  // namespace

WalLogStore::WalLogStore(WalFileSystem& files, WalOptions options)
    : files_(files),
      options_(std::move(options)),
      pool_(files, options_.directory, options_.segment_bytes, options_.helper_thread),
      random_(options_.seed) {
  CHECK(options_.segment_bytes > kHeaderBytes + 2 * kMarkRecordBytes);
}

WalLogStore::~WalLogStore() { pool_.Stop(); }

Result<LogImage> WalLogStore::Load() {
  RETURN_IF_ERROR(files_.MakeDirectory(options_.directory));
  RETURN_IF_ERROR(files_.SyncDirectory(DirectoryOf(options_.directory)));
  Result<Recovered> recovered = Recover(files_, options_.directory, options_.identity);
  if (!recovered) return Fail(std::move(recovered).error());
  {
    MutexLock lock(mutex_);
    state_ = std::move(recovered->state);
    segments_.assign(recovered->chain.begin(), recovered->chain.end());
  }
  pool_.Start(recovered->next_sequence);
  std::vector<raft::EntryPtr> entries = std::move(recovered->entries);
  RETURN_IF_ERROR(StartAfter(recovered->end, recovered->tail, &entries));
  // Only now is nothing of them needed any more.
  for (std::string& path : recovered->unused) pool_.Recycle(std::move(path));
  MutexLock lock(mutex_);
  return LogImage{.hard_state = state_.hard_state,
                  .truncated = state_.table.truncated().index,
                  .truncated_term = state_.table.truncated().term,
                  .conf = state_.conf,
                  .runs = state_.table.runs(),
                  .entries = std::move(entries)};
}

// Never appends to an old segment: bytes there may come from a page cache whose fsync failed in a
// former life. What was valid behind the last mark is written anew, made durable, and only then
// does a header make the new segment part of the log.
Status WalLogStore::StartAfter(const Position& end, const std::vector<Change>& tail,
                               std::vector<raft::EntryPtr>* entries) {
  uint64_t bytes_needed = kMarkRecordBytes;
  for (const Change& change : tail) {
    // At worst each record starts a write of its own, with a mark before it.
    bytes_needed += RecordBytes(EncodeChange(change).second.size()) + kMarkRecordBytes;
  }
  RETURN_IF_ERROR(OpenSegment(MakeHeader(end), bytes_needed, SegmentPool::WhenFull::kRefuse));
  for (const Change& change : tail) {
    RETURN_IF_ERROR(Put(change));
    ApplyToEntries(change, entries);
  }
  RETURN_IF_ERROR(WriteBuffer());
  RETURN_IF_ERROR(active_.file->Sync());
  FAILPOINT("wal-recovery-copied");
  RETURN_IF_ERROR(WriteHeader());
  RETURN_IF_ERROR(SyncActive());
  FAILPOINT("wal-recovery-done");
  return Ok();
}

SegmentHeader WalLogStore::MakeHeader(const Position& predecessor) {
  MutexLock lock(mutex_);
  return SegmentHeader{.identity = options_.identity,
                       .sequence = 0,
                       .salt = random_.Next(),
                       .predecessor = predecessor,
                       .before = state_.table.end(),
                       .truncated = state_.table.truncated(),
                       .hard_state = state_.hard_state,
                       .conf = state_.conf};
}

Status WalLogStore::OpenSegment(SegmentHeader header, uint64_t bytes_needed,
                                SegmentPool::WhenFull when_full) {
  Result<SegmentPool::Spare> spare = pool_.Take(when_full);
  if (!spare) return Fail(std::move(spare).error());
  header.sequence = spare->sequence;
  active_bytes_ = std::max(spare->bytes, kHeaderBytes + bytes_needed);
  if (active_bytes_ > spare->bytes) {
    // One record larger than a segment: this one is longer than the others.
    RETURN_IF_ERROR(spare->file->Preallocate(active_bytes_));
    RETURN_IF_ERROR(spare->file->Sync());
  }
  active_ = Segment{spare->path, spare->file, std::move(header)};
  end_ = kHeaderBytes;
  MutexLock lock(mutex_);
  segments_.push_back(active_);
  return Ok();
}

Status WalLogStore::WriteHeader() { return active_.file->Write(0, EncodeHeader(active_.header)); }

Status WalLogStore::Append(std::span<const raft::PersistUnit* const> group) {
  CHECK(active_.file != nullptr && !closed_, "append to a log that is not open");
  if (failed_) return Fail(*failed_);
  Status appended = AppendGroup(group);
  if (!appended) failed_ = appended.error();
  return appended;
}

Status WalLogStore::AppendGroup(std::span<const raft::PersistUnit* const> group) {
  bool must_sync = false;
  for (const raft::PersistUnit* unit : group) {
    must_sync |= unit->must_sync;
    RETURN_IF_ERROR(AppendUnit(*unit));
  }
  RETURN_IF_ERROR(WriteBuffer());
  return must_sync ? SyncActive() : Ok();
}

Status WalLogStore::AppendUnit(const raft::PersistUnit& unit) {
  // The hard state goes first: an entry must never be on disk with a term this member has not
  // entered. But where the unit replaces entries its commit index goes behind the mark that takes
  // the old ones back: torn before it, it would declare them committed. It goes before the new
  // ones: who holds a change of the members must know that the one before it is committed.
  bool replaces = unit.reset_to || unit.truncate_from;
  if (unit.hard_state) {
    raft::HardState first = *unit.hard_state;
    if (replaces) {
      MutexLock lock(mutex_);
      first.commit = state_.hard_state.commit;
    }
    RETURN_IF_ERROR(Put(first));
  }
  if (unit.reset_to) RETURN_IF_ERROR(Put(*unit.reset_to));
  if (unit.truncate_from) {
    SuffixMark mark{*unit.truncate_from, {}};
    bool anything = false;
    {
      MutexLock lock(mutex_);
      anything = mark.from <= state_.table.last();
      if (anything) mark.term_before = state_.table.TermAt(mark.from - 1);
    }
    if (anything) RETURN_IF_ERROR(Put(mark));
  }
  if (replaces && unit.hard_state) RETURN_IF_ERROR(Put(*unit.hard_state));
  for (const raft::EntryPtr& entry : unit.entries) RETURN_IF_ERROR(Put(entry));
  return Ok();
}

Status WalLogStore::Put(const Change& change) {
  auto [type, payload] = EncodeChange(change);
  RETURN_IF_ERROR(MakeRoom(RecordBytes(payload.size())));
  Position position{active_.header.sequence, end_ + buffer_.size()};
  AppendRecord(&buffer_, active_.header.salt, type, payload);
  MutexLock lock(mutex_);
  state_.Apply(change, position);
  return Ok();
}

Status WalLogStore::MakeRoom(size_t record_bytes) {
  if (!buffer_.empty() && buffer_.size() + record_bytes > options_.write_bytes_max) {
    RETURN_IF_ERROR(WriteBuffer());
  }
  size_t mark = buffer_.empty() ? kMarkRecordBytes : 0;
  if (end_ + buffer_.size() + mark + record_bytes > active_bytes_) {
    // Synced to its end before the next one gets a header: only the newest segment may end early.
    RETURN_IF_ERROR(WriteBuffer());
    RETURN_IF_ERROR(SyncActive());
    FAILPOINT("wal-next-segment");
    Position end{active_.header.sequence, end_};
    RETURN_IF_ERROR(OpenSegment(MakeHeader(end), kMarkRecordBytes + record_bytes,
                                SegmentPool::WhenFull::kWait));
    RETURN_IF_ERROR(WriteHeader());
    FAILPOINT("wal-segment-begun");
  }
  if (buffer_.empty()) PutMark();
  return Ok();
}

void WalLogStore::PutMark() {
  AppendRecord(&buffer_, active_.header.salt, RecordType::kSyncMark, EncodeSyncMark(synced_));
}

Status WalLogStore::WriteBuffer() {
  if (buffer_.empty()) return Ok();
  RETURN_IF_ERROR(active_.file->Write(end_, buffer_));
  end_ += buffer_.size();
  written_bytes_.fetch_add(buffer_.size(), std::memory_order_relaxed);
  buffer_.clear();
  return Ok();
}

Status WalLogStore::SyncActive() {
  const TimePoint began = sync_timing_.Begin();
  RETURN_IF_ERROR(active_.file->Sync());
  sync_timing_.End(began);
  syncs_.fetch_add(1, std::memory_order_relaxed);
  synced_ = {active_.header.sequence, end_};
  MutexLock lock(mutex_);
  durable_header_ = active_.header.sequence;
  return Ok();
}

Status WalLogStore::Close() {
  pool_.Stop();
  if (closed_ || active_.file == nullptr) return Ok();
  closed_ = true;
  if (failed_) return Fail(*failed_);
  RETURN_IF_ERROR(SyncActive());
  // Without room for it the mark is left out: recovery then only copies a little more.
  if (end_ + kMarkRecordBytes > active_bytes_) return Ok();
  PutMark();
  RETURN_IF_ERROR(WriteBuffer());
  return SyncActive();
}

std::vector<WalLogStore::Source> WalLogStore::FindSources(raft::Index from, raft::Index to) const {
  MutexLock lock(mutex_);
  std::vector<Source> sources;
  if (from <= state_.table.truncated().index) return sources;
  to = std::min(to, state_.table.last());
  if (from > to) return sources;
  for (const IndexTable::Extent& extent : state_.table.Find(from, to)) {
    auto segment = std::find_if(segments_.begin(), segments_.end(), [&](const Segment& one) {
      return one.header.sequence == extent.position.sequence;
    });
    CHECK(segment != segments_.end(), "segment {} of entry {} is gone", extent.position.sequence,
          extent.first);
    if (!sources.empty()) sources.back().end = extent.first;
    sources.push_back({*segment, extent.position.offset, to + 1});
  }
  return sources;
}

Result<std::vector<raft::EntryPtr>> WalLogStore::Read(raft::Index from, raft::Index to,
                                                      size_t bytes_max) const {
  std::vector<raft::EntryPtr> entries;
  size_t bytes = 0;
  for (const Source& source : FindSources(from, to)) {
    Status read = ReadSource(source, from, bytes_max, &bytes, &entries);
    if (!read) {
      // Released and written over while it was read?
      MutexLock lock(mutex_);
      if (from <= state_.table.truncated().index) return std::vector<raft::EntryPtr>();
      return Fail(std::move(read).error());
    }
    if (bytes >= bytes_max) break;
  }
  return entries;
}

Status WalLogStore::ReadSource(const Source& source, raft::Index from, size_t bytes_max,
                               size_t* bytes, std::vector<raft::EntryPtr>* entries) {
  RecordCursor cursor(source.segment, source.offset);
  raft::Index next;
  while (next + 1 < source.end) {
    uint64_t offset = cursor.offset();
    Result<std::optional<RecordView>> record = cursor.Next();
    if (!record) return Fail(std::move(record).error());
    if (!*record) return Fail(Damage(source.segment.path, offset, "an entry cannot be read back"));
    if ((*record)->type != RecordType::kEntry) continue;
    std::optional<raft::Entry> entry = DecodeEntry((*record)->payload);
    if (!entry) return Fail(Damage(source.segment.path, offset, "an entry record is malformed"));
    next = entry->index;
    if (next < from) continue;
    *bytes += entry->data.size();
    if (*bytes > bytes_max && !entries->empty()) return Ok();
    entries->push_back(std::make_shared<const raft::Entry>(*std::move(entry)));
  }
  return Ok();
}

Status WalLogStore::TruncatePrefix(raft::Index through, raft::Term term) {
  std::vector<std::string> released;
  {
    MutexLock lock(mutex_);
    state_.table.TruncatePrefix({through, term});
    raft::Index truncated = state_.table.truncated().index;
    // Until the next one's header is durable, an older one is where a restart finds term and vote.
    while (segments_.size() > 1 && segments_[1].header.before.index <= truncated &&
           segments_[1].header.sequence <= durable_header_) {
      released.push_back(segments_.front().path);
      segments_.pop_front();
    }
  }
  FAILPOINT("wal-prefix-cut");
  for (std::string& path : released) pool_.Recycle(std::move(path));
  return Ok();
}

size_t WalLogStore::segments() const {
  MutexLock lock(mutex_);
  return segments_.size();
}

}  // namespace store::wal
