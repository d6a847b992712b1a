// SPDX-License-Identifier: Apache-2.0
// Reader: one open file for one entry: where it is read, and whether it is still the same content.
// It belongs to the open file, not to a name: a rename changes nothing, a deleted file is read to
// its end. A read takes whole lines only; the unfinished last line stays in the file until its
// newline arrives (and is read again then, from the page cache, so a line is never put together
// from two contents). Each read starts with the 64 bytes before the position and compares them with
// what was read before: a file that was truncated and has grown again is noticed without another
// system call. Owned by one shard, its thread only. Memory: one chunk of at most the line limit,
// from the entry's share of the budget.
#pragma once

#include "logagent/tail/chunk.h"
#include "logagent/tail/file_system.h"
#include "logagent/tail/identity.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
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
    kTruncated,  // the content is another one: a new generation begins at 0
  };
  Kind kind = Kind::kEnd;
  uint64_t begin = 0;  // file offsets, newlines included
  uint64_t end = 0;
  uint64_t chunk_offset = 0;  // file offset of the chunk's first byte
  TailMark mark;              // of the bytes before `end`
  std::shared_ptr<const Chunk> chunk;
  std::vector<Line> lines;
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

  Result<FileFacts> Facts() const { return files_.Stat(*file_); }
  const FileKey& key() const { return key_; }
  const HeadHash& head() const { return head_; }
  // Of the bytes before offset().
  TailMark mark() const { return MarkOf(mark_); }
  uint64_t offset() const { return offset_; }
  // As of the last read; includes an unfinished line.
  uint64_t size_seen() const { return size_seen_; }
  bool resumed() const { return resumed_; }

 private:
  Reader(FileSystem& files, FileHandlePtr file, BudgetSharePtr budget,
         const ReaderOptions& options);

  Status Begin(const std::optional<Resume>& resume, Start start, const FileFacts& facts);
  Result<uint64_t> EndOfLastLine(uint64_t size);
  Result<std::string> ReadBefore(uint64_t offset);
  Status GrowHead(uint64_t size);
  ReadStep BeginGeneration();
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
  std::string mark_;  // the up to 64 bytes before offset_
  // Not 0: the line at offset_ is too long, and its end was searched for up to here.
  uint64_t oversize_scan_ = 0;
  // [offset_, here) holds no newline: not read again before the file has grown.
  uint64_t no_newline_until_ = 0;
  bool resumed_ = false;
};

}  // namespace logagent
