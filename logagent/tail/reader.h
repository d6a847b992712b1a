// SPDX-License-Identifier: Apache-2.0
// Reader: one open file for one entry: where it is read, and whether it is still the same content.
// It belongs to the open file, not to a name: a rename changes nothing, a deleted file is read to
// its end. A read takes whole lines only; the unfinished last line stays in the file until its
// newline arrives (and is read again then, from the page cache, so a line is never put together
// from two contents). Each read starts with the 64 bytes before the position and compares them with
// what was read before: a file that was truncated and has grown again is noticed without another
// system call. A hole of NULs at the beginning, which a writer leaves that goes on at its old
// position after a truncation, is skipped. The file may be closed while nothing is to be read and
// opened again by any of its names. Owned by one shard, its thread only. Memory: one chunk of at
// most the line limit, from the entry's share of the budget.
#pragma once

#include "logagent/tail/chunk.h"
#include "logagent/tail/file_system.h"
#include "logagent/tail/identity.h"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace logagent {

struct ReaderOptions {
  size_t chunk_bytes = 256 << 10;
  uint64_t max_line_bytes = 1 << 20;
  bool strip_cr = false;
};

// Where a checkpoint says a file was left.
struct Resume {
  uint32_t generation = 0;
  uint64_t offset = 0;
  HeadHash head;
  TailMark mark;
};

struct ReadStep {
  enum class Kind {
    kLines,      // lines of [begin, end); none when it only searched for the end of a long one
    kOversize,   // [begin, end) is one line longer than the limit, newline included: for the spool
    kEnd,        // nothing more now: end of file, or an unfinished line
    kNoBudget,   // nothing read: no memory now
    kSkipped,    // [begin, end) is a hole of NULs
    kTruncated,  // the content is another one: a new generation begins at 0; see former()
  };
  Kind kind = Kind::kEnd;
  uint64_t begin = 0;  // file offsets, newlines included
  uint64_t end = 0;
  uint64_t chunk_offset = 0;  // file offset of the chunk's first byte
  TailMark mark;              // of the bytes before `end`
  std::shared_ptr<const Chunk> chunk;
  std::vector<Line> lines;
};

// Ends of the latest reads with their marks: a copy that was made a moment before is recognised by
// one of them.
struct ReadTrail {
  static constexpr size_t kLength = 8;
  std::array<std::pair<uint64_t, TailMark>, kLength> ends;
  size_t next = 0;
  void Add(uint64_t end, const TailMark& mark) { ends[next++ % kLength] = {end, mark}; }
};

// A content that is gone from its file, as far as it was known.
struct FormerContent {
  FileKey key;
  uint64_t offset = 0;  // read up to here
  uint64_t size = 0;    // seen
  HeadHash head;
  TailMark mark;
  ReadTrail trail{};
  uint64_t lost() const { return size > offset ? size - offset : 0; }
};

class Reader {
 public:
  enum class Start { kBeginning, kEnd };

  // Opens `path`. With `resume` the position is kept if the content matches, else a new generation
  // is begun at 0; without it `start` decides: kEnd means behind the last newline.
  static Result<std::unique_ptr<Reader>> Open(FileSystem& files, BudgetSharePtr budget,
                                              const ReaderOptions& options, const Path& path,
                                              const std::optional<Resume>& resume, Start start);

  // The next run of whole lines.
  Result<ReadStep> Read();
  // The unfinished last line of a file that is finished; kEnd if there is none.
  Result<ReadStep> ReadUnfinished();
  // Goes back to a line boundary that was handed over before. False if the content there is another
  // one by now: a new generation began at 0. A file that cannot be read now counts as unchanged;
  // the next read tells.
  bool Rewind(uint64_t offset, const TailMark& mark);
  // Bytes of a range that was answered with kOversize.
  Result<size_t> Copy(uint64_t offset, std::span<char> into) {
    return files_.ReadAt(*file_, offset, into);
  }

  bool is_open() const { return file_ != nullptr; }
  // Between two reads; everything but the descriptor stays. Only Reopen may follow.
  void CloseFile() { file_.reset(); }
  // kNotFound when another file has the name by now.
  Status Reopen(const Path& path);

  // A look at the open file without reading it: what size_known tells, and nothing a read goes by.
  Result<FileFacts> Look();
  const FileHandle& file() const { return *file_; }
  // What would be former if it were gone now.
  FormerContent present() const {
    return {key_, offset_, size_known_, head_, MarkOf(mark_), trail_};
  }
  // What was there before the last kTruncated.
  const FormerContent& former() const { return *former_; }
  const FileKey& key() const { return key_; }
  const HeadHash& head() const { return head_; }
  // Of the bytes before offset().
  TailMark mark() const { return MarkOf(mark_); }
  uint64_t offset() const { return offset_; }
  // As of the last read; includes an unfinished line.
  uint64_t size_seen() const { return size_seen_; }
  // As of the last read or look: what lag is told by, and what is lost when the content goes.
  uint64_t size_known() const { return size_known_; }
  int64_t modified_ns_seen() const { return modified_ns_seen_; }
  bool resumed() const { return resumed_; }

 private:
  Reader(FileSystem& files, FileHandlePtr file, BudgetSharePtr budget,
         const ReaderOptions& options);

  Status Begin(const std::optional<Resume>& resume, Start start, const FileFacts& facts);
  Result<uint64_t> EndOfLastLine(uint64_t size);
  Result<std::string> ReadBefore(uint64_t offset);
  // False when the head is another one by now; else it covers what of it is there.
  Result<bool> CheckHead(uint64_t size);
  Result<bool> SameContent();
  void Seen(uint64_t size) { size_seen_ = size_known_ = size; }
  ReadStep BeginGeneration(uint64_t size);
  Result<ReadStep> AtEnd();
  std::optional<ReadStep> SkipHole(std::string_view bytes);
  // Null when there is no memory now, empty when the content is another one.
  Result<std::shared_ptr<Chunk>> ReadChunk(uint64_t bytes);
  Result<ReadStep> ReadLines(uint64_t size);
  Result<ReadStep> TakeLines(std::shared_ptr<Chunk> chunk, std::vector<Line> lines, size_t end);
  Result<ReadStep> ScanOversize(uint64_t size);
  Result<ReadStep> TakeOversize(uint64_t end);

  FileSystem& files_;
  FileHandlePtr file_;
  BudgetSharePtr budget_;
  ReaderOptions options_;
  FileKey key_;
  HeadHash head_;
  uint64_t offset_ = 0;  // line boundary: everything before it was handed over
  uint64_t size_seen_ = 0;
  uint64_t size_known_ = 0;   // >= size_seen_: a look may have found the same content longer
  uint64_t size_before_ = 0;  // known before the last read, of what was there then
  int64_t modified_ns_seen_ = 0;
  bool in_hole_ = false;                   // everything before offset_ is NULs
  std::unique_ptr<FormerContent> former_;  // few files ever have one
  ReadTrail trail_;
  std::string mark_;  // the up to 64 bytes before offset_
  // Not 0: the line at offset_ is too long, and its end was searched for up to here.
  uint64_t oversize_scan_ = 0;
  // [offset_, here) holds no newline: not read again before the file has grown.
  uint64_t no_newline_until_ = 0;
  bool resumed_ = false;
};

}  // namespace logagent
