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
    kLines,      // lines of [begin, end)
    kOversize,   // [begin, end) is one line longer than the limit, newline included: for the spool
    kEnd,        // nothing more now: end of file, or an unfinished line
    kNoBudget,   // nothing read: no memory now
    kTruncated,  // the content is another one: a new generation begins at 0
  };
  Kind kind = Kind::kEnd;
  uint64_t begin = 0;  // file offsets, newlines included
  uint64_t end = 0;
  uint64_t chunk_offset = 0;  // file offset of the chunk's first byte
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
  // Goes back to a position that was read before, which is a line boundary.
  Status Rewind(uint64_t offset);
  // The tail mark of a position at or before the current one, for its checkpoint.
  Result<TailMark> Mark(uint64_t offset);
  // Bytes of a range that was answered with kOversize.
  Result<size_t> Copy(uint64_t offset, std::span<char> into) {
    return files_.ReadAt(*file_, offset, into);
  }

  Result<FileFacts> Facts() const { return files_.Stat(*file_); }
  const FileKey& key() const { return key_; }
  const HeadHash& head() const { return head_; }
  uint64_t offset() const { return offset_; }
  // As of the last read; includes an unfinished line.
  uint64_t size_seen() const { return size_seen_; }
  bool resumed() const { return resumed_; }

 private:
  Reader(FileSystem& files, FileHandlePtr file, BudgetSharePtr budget,
         const ReaderOptions& options);

  Status Begin(const std::optional<Resume>& resume, Start start, const FileFacts& facts);
  Status SeekEnd(uint64_t size);
  Status RememberMark();
  Status GrowHead(uint64_t size);
  void BeginGeneration();
  Result<ReadStep> ReadAtPosition(uint64_t size, size_t line_bytes);
  Result<ReadStep> ScanOversize(uint64_t size);
  bool MarkMatches(const Chunk& chunk, size_t mark_bytes) const;

  FileSystem& files_;
  FileHandlePtr file_;
  BudgetSharePtr budget_;
  ReaderOptions options_;
  FileKey key_;
  HeadHash head_;
  uint64_t offset_ = 0;  // line boundary: everything before it was handed over
  uint64_t size_seen_ = 0;
  std::string mark_;  // the up to 64 bytes before offset_
  uint64_t oversize_scan_ =
      0;  // 0, or up to where a line that is too long was searched for its end
  uint64_t no_newline_until_ =
      0;  // [offset_, here) holds no newline: not read again before it grows
  bool resumed_ = false;
};

}  // namespace logagent
