// SPDX-License-Identifier: Apache-2.0
#include "store/wal/recovery.h"

#include "store/base/file.h"
#include "store/wal/segment_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace store::wal {
namespace {

// The sequence in a segment's name; nullopt for other files.
std::optional<uint64_t> ParseName(std::string_view name) {
  constexpr std::string_view kSuffix = ".wal";
  if (name.size() <= kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  uint64_t sequence = 0;
  for (char digit : name.substr(0, name.size() - kSuffix.size())) {
    if (digit < '0' || digit > '9') return std::nullopt;
    sequence = sequence * 10 + static_cast<uint64_t>(digit - '0');
  }
  return sequence;
}

struct Directory {
  std::map<uint64_t, Segment> segments;    // with a valid header of that sequence
  std::map<uint64_t, std::string> unused;  // path by the sequence in its name
};

Result<Directory> ReadDirectory(WalFileSystem& files, const std::string& directory) {
  Result<std::vector<std::string>> names = files.List(directory);
  if (!names) return Fail(std::move(names).error());
  Directory found;
  for (const std::string& name : *names) {
    std::optional<uint64_t> sequence = ParseName(name);
    if (!sequence) continue;
    Segment segment;
    segment.path = JoinPath(directory, name);
    Result<std::unique_ptr<WalFile>> file = files.Open(segment.path);
    if (!file) return Fail(std::move(file).error());
    segment.file = *std::move(file);
    Result<std::string> bytes = segment.file->Read(0, kHeaderBytes);
    if (!bytes) return Fail(std::move(bytes).error());
    Result<std::optional<SegmentHeader>> header = DecodeHeader(*bytes, *sequence);
    if (!header && header.error().code() == ErrorCode::kCorruption) {
      return Fail(Damage(segment.path, 0, header.error().message()));
    }
    if (!header) return Fail(header.error().WithContext(segment.path));
    if (!*header) {
      found.unused[*sequence] = segment.path;
      continue;
    }
    segment.header = **header;
    found.segments.emplace(*sequence, std::move(segment));
  }
  return found;
}

Status CheckIdentity(const Segment& segment, const Identity& expected) {
  const Identity& found = segment.header.identity;
  if (found == expected) return Ok();
  return Fail(
      ErrorCode::kInvalidArgument,
      fmt::format("{} belongs to member {:x} of cluster {:x}, this is member {:x} of cluster "
                  "{:x}: is this another member's data directory?",
                  segment.path, found.member.value(), found.cluster.value(),
                  expected.member.value(), expected.cluster.value()));
}

// Newest first back along the predecessors, then turned round; what is not in it moves to `unused`.
Result<std::vector<Segment>> TakeChain(Directory* found) {
  std::vector<Segment> chain;
  if (found->segments.empty()) return chain;
  uint64_t sequence = found->segments.rbegin()->first;
  while (true) {
    auto at = found->segments.find(sequence);
    if (at == found->segments.end()) {
      auto damaged = found->unused.find(sequence);
      // Names are never used twice, so a predecessor without a header once had one.
      if (damaged != found->unused.end()) {
        return Fail(Damage(damaged->second, 0, "its header is not valid"));
      }
      break;  // released
    }
    sequence = at->second.header.predecessor.sequence;
    chain.push_back(std::move(at->second));
    found->segments.erase(at);
    if (sequence == 0) break;
  }
  for (auto& [orphan, segment] : found->segments) found->unused[orphan] = segment.path;
  found->segments.clear();
  std::reverse(chain.begin(), chain.end());
  return chain;
}

Result<std::optional<Change>> Decode(const Segment& segment, uint64_t offset,
                                     const RecordView& record) {
  Result<std::optional<Change>> change = DecodeChange(record);
  if (!change) return Fail(Damage(segment.path, offset, change.error().message()));
  return change;
}

// Applies the records of [kHeaderBytes, end), which must all be valid.
Status Replay(const Segment& segment, uint64_t end, Recovered* recovered) {
  RecordCursor cursor(segment, kHeaderBytes);
  while (cursor.offset() < end) {
    uint64_t offset = cursor.offset();
    Result<std::optional<RecordView>> record = cursor.Next();
    if (!record) return Fail(std::move(record).error());
    if (!*record || cursor.offset() > end) {
      return Fail(Damage(segment.path, offset,
                         fmt::format("no valid record, although synced up to {}", end)));
    }
    Result<std::optional<Change>> change = Decode(segment, offset, **record);
    if (!change) return Fail(std::move(change).error());
    if (!*change) continue;
    if (Status fits = recovered->state.Check(**change); !fits) {
      return Fail(Damage(segment.path, offset, fits.error().message()));
    }
    recovered->state.Apply(**change, {segment.header.sequence, offset});
    ApplyToEntries(**change, &recovered->entries);
  }
  return Ok();
}

struct Extent {
  uint64_t synced = kHeaderBytes;  // by the highest mark
  uint64_t end = kHeaderBytes;     // of the valid records
};

Result<Extent> ScanLast(const Segment& segment) {
  Result<uint64_t> size = segment.file->Size();
  if (!size) return Fail(std::move(size).error());
  Result<std::string> bytes = segment.file->Read(0, *size);
  if (!bytes) return Fail(std::move(bytes).error());
  Extent extent;
  std::string_view view = *bytes;
  while (extent.end < view.size()) {
    std::optional<RecordView> record = DecodeRecord(view.substr(extent.end), segment.header.salt);
    if (!record) break;
    extent.end += record->bytes;
  }
  // Pages of an unsynced group reach the disk in any order: behind a bad record there may be good
  // ones, and only a mark tells whether the bad one had been synced.
  uint64_t mark = HighestMark(view, kHeaderBytes, segment.header.sequence, segment.header.salt);
  extent.synced = std::max(extent.synced, mark);
  if (extent.synced > extent.end) {
    return Fail(Damage(segment.path, extent.end,
                       fmt::format("no valid record, although synced up to {}", extent.synced)));
  }
  return extent;
}

Status CollectTail(const Segment& segment, const Extent& extent, Recovered* recovered) {
  // What is written anew goes through the same door as an append, which takes it for granted that
  // it fits.
  LogState state = recovered->state;
  RecordCursor cursor(segment, extent.synced);
  while (cursor.offset() < extent.end) {
    uint64_t offset = cursor.offset();
    Result<std::optional<RecordView>> record = cursor.Next();
    if (!record) return Fail(std::move(record).error());
    if (!*record) return Fail(Damage(segment.path, offset, "it changed while it was read"));
    Result<std::optional<Change>> change = Decode(segment, offset, **record);
    if (!change) return Fail(std::move(change).error());
    if (!*change) continue;
    if (Status fits = state.Check(**change); !fits) {
      return Fail(Damage(segment.path, offset, fits.error().message()));
    }
    state.Apply(**change, {segment.header.sequence, offset});
    recovered->tail.push_back(**std::move(change));
  }
  return Ok();
}

Status ReplayChain(Recovered* recovered) {
  std::vector<Segment>& chain = recovered->chain;
  const SegmentHeader& oldest = chain.front().header;
  recovered->state.hard_state = oldest.hard_state;
  recovered->state.conf = oldest.conf;
  recovered->state.table.Reset(oldest.before);
  for (size_t i = 0; i + 1 < chain.size(); ++i) {
    RETURN_IF_ERROR(Replay(chain[i], chain[i + 1].header.predecessor.offset, recovered));
    const SegmentHeader& next = chain[i + 1].header;
    if (recovered->state.table.end() != next.before) {
      return Fail(Damage(chain[i + 1].path, 0,
                         fmt::format("it begins behind entry {}, its predecessor ends with {}",
                                     next.before.index, recovered->state.table.last())));
    }
    recovered->state.table.TruncatePrefix(next.truncated);
  }
  const Segment& last = chain.back();
  Result<Extent> extent = ScanLast(last);
  if (!extent) return Fail(std::move(extent).error());
  RETURN_IF_ERROR(Replay(last, extent->synced, recovered));
  RETURN_IF_ERROR(CollectTail(last, *extent, recovered));
  recovered->end = {last.header.sequence, extent->synced};
  if (extent->synced == kHeaderBytes) {
    // Nothing of it is known to be on disk, not even its header: the next segment stands in its
    // place.
    recovered->end = last.header.predecessor;
    recovered->unused.push_back(last.path);
    chain.pop_back();
  }
  return Ok();
}

}  // namespace

Result<Recovered> Recover(WalFileSystem& files, const std::string& directory,
                          const Identity& identity) {
  Result<Directory> found = ReadDirectory(files, directory);
  if (!found) return Fail(std::move(found).error());
  Recovered recovered;
  for (const auto& [sequence, segment] : found->segments) {
    RETURN_IF_ERROR(CheckIdentity(segment, identity));
    recovered.next_sequence = std::max(recovered.next_sequence, sequence + 1);
  }
  for (const auto& [sequence, path] : found->unused) {
    recovered.next_sequence = std::max(recovered.next_sequence, sequence + 1);
  }
  Result<std::vector<Segment>> chain = TakeChain(&*found);
  if (!chain) return Fail(std::move(chain).error());
  recovered.chain = *std::move(chain);
  for (auto& [sequence, path] : found->unused) recovered.unused.push_back(path);
  if (!recovered.chain.empty()) RETURN_IF_ERROR(ReplayChain(&recovered));
  std::erase_if(recovered.entries, [&](const raft::EntryPtr& entry) {
    return entry->index <= recovered.state.table.truncated().index;
  });
  return recovered;
}

Result<std::optional<Identity>> ReadIdentity(WalFileSystem& files, const std::string& directory) {
  Result<Directory> found = ReadDirectory(files, directory);
  if (!found) return Fail(std::move(found).error());
  if (found->segments.empty()) return std::nullopt;
  return found->segments.rbegin()->second.header.identity;
}

}  // namespace store::wal
