// SPDX-License-Identifier: Apache-2.0
#include "logagent/tail/reader.h"

#include "logagent/tail/splitter.h"
#include "store/base/check.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace logagent {
namespace {

constexpr size_t kScanBytes = 256 << 10;
// A search for the end of a long line gives the shard back to other files after this much.
constexpr uint64_t kScanTurnBytes = 8 << 20;

ReadStep Nothing(ReadStep::Kind kind) {
  ReadStep step;
  step.kind = kind;
  return step;
}

}  // namespace

Reader::Reader(FileSystem& files, FileHandlePtr file, BudgetSharePtr budget,
               const ReaderOptions& options)
    : files_(files), file_(std::move(file)), budget_(std::move(budget)), options_(options) {}

Result<std::unique_ptr<Reader>> Reader::Open(FileSystem& files, BudgetSharePtr budget,
                                             const ReaderOptions& options, const Path& path,
                                             const std::optional<Resume>& resume, Start start) {
  auto file = files.Open(path);
  RETURN_IF_ERROR(file);
  auto facts = files.Stat(**file);
  RETURN_IF_ERROR(facts);
  if (!facts->regular) {
    return store::Fail(store::ErrorCode::kInvalidArgument, path.string() + ": not a regular file");
  }
  auto reader =
      std::unique_ptr<Reader>(new Reader(files, std::move(*file), std::move(budget), options));
  RETURN_IF_ERROR(reader->Begin(resume, start, *facts));
  return reader;
}

Status Reader::Begin(const std::optional<Resume>& resume, Start start, const FileFacts& facts) {
  key_ = {facts.device, facts.inode, 0};
  size_seen_ = facts.size;
  if (resume) {
    auto same = Matches(files_, *file_, resume->offset, resume->head, resume->mark);
    RETURN_IF_ERROR(same);
    resumed_ = *same;
    key_.generation = *same ? resume->generation : resume->generation + 1;
    offset_ = *same ? resume->offset : 0;
  } else if (start == Start::kEnd) {
    auto end = EndOfLastLine(facts.size);
    RETURN_IF_ERROR(end);
    offset_ = *end;
  }
  auto before = ReadBefore(offset_);
  RETURN_IF_ERROR(before);
  mark_ = std::move(*before);
  return GrowHead(facts.size);
}

// A line that is being written when collecting starts is taken whole. One longer than the limit, or
// a file without any newline, starts at the very end.
Result<uint64_t> Reader::EndOfLastLine(uint64_t size) {
  uint64_t lowest = size - std::min(size, options_.max_line_bytes + 1);
  std::string buffer;
  for (uint64_t end = size; end > lowest;) {
    uint64_t begin = end - std::min<uint64_t>(end - lowest, kScanBytes);
    buffer.resize(end - begin);
    auto count = files_.ReadAt(*file_, begin, buffer);
    RETURN_IF_ERROR(count);
    size_t at = std::string_view(buffer).substr(0, *count).rfind('\n');
    if (at != std::string_view::npos) {
      return begin + at + 1;
    }
    end = begin;
  }
  return lowest == 0 ? 0 : size;
}

Result<std::string> Reader::ReadBefore(uint64_t offset) {
  std::string before(std::min<uint64_t>(offset, kTailMarkBytes), '\0');
  auto count = files_.ReadAt(*file_, offset - before.size(), before);
  RETURN_IF_ERROR(count);
  before.resize(*count);
  return before;
}

Status Reader::GrowHead(uint64_t size) {
  if (head_.length >= kHeadBytesMax || size <= head_.length) {
    return store::Ok();
  }
  auto head = ReadHead(files_, *file_, size);
  RETURN_IF_ERROR(head);
  head_ = *head;
  return store::Ok();
}

ReadStep Reader::BeginGeneration() {
  ++key_.generation;
  head_ = {};
  offset_ = 0;
  size_seen_ = 0;
  mark_.clear();
  oversize_scan_ = 0;
  no_newline_until_ = 0;
  resumed_ = false;
  return Nothing(ReadStep::Kind::kTruncated);
}

Result<ReadStep> Reader::Read() {
  auto facts = files_.Stat(*file_);
  RETURN_IF_ERROR(facts);
  uint64_t size = facts->size;
  if (size < offset_ || size < oversize_scan_) {
    return BeginGeneration();
  }
  if (size < size_seen_) {
    no_newline_until_ = 0;  // it shrank: what is behind offset_ may be new, the mark decides
  }
  size_seen_ = size;
  if (oversize_scan_ != 0) {
    return ScanOversize(size);
  }
  if (size == offset_ || size <= no_newline_until_) {
    return Nothing(ReadStep::Kind::kEnd);
  }
  return ReadLines(size);
}

Result<std::shared_ptr<Chunk>> Reader::ReadChunk(uint64_t bytes) {
  size_t mark = mark_.size();
  auto chunk = Chunk::TryMake(mark + bytes, budget_);
  if (chunk == nullptr) {
    return chunk;
  }
  auto count = files_.ReadAt(*file_, offset_ - mark, {chunk->data(), chunk->capacity()});
  RETURN_IF_ERROR(count);
  bool same = *count >= mark && std::string_view(chunk->data(), mark) == mark_;
  chunk->set_size(same ? *count : 0);
  return chunk;
}

Result<ReadStep> Reader::ReadLines(uint64_t size) {
  uint64_t known = no_newline_until_ > offset_ ? no_newline_until_ - offset_ : 0;
  uint64_t wanted = std::max<uint64_t>(options_.chunk_bytes, known * 2);
  while (true) {
    uint64_t limit = std::max<uint64_t>(options_.max_line_bytes + 1, options_.chunk_bytes);
    wanted = std::min({wanted, limit, size - offset_});
    auto chunk = ReadChunk(wanted);
    RETURN_IF_ERROR(chunk);
    if (*chunk == nullptr) {
      return Nothing(ReadStep::Kind::kNoBudget);
    }
    if ((*chunk)->size() < mark_.size() || (*chunk)->size() == 0) {
      return BeginGeneration();
    }
    RETURN_IF_ERROR(GrowHead(size));
    std::string_view bytes((*chunk)->data(), (*chunk)->size());
    std::vector<Line> lines;
    lines.reserve(bytes.size() / 64 + 1);
    size_t end = SplitLines(bytes, mark_.size(), options_.strip_cr, lines);
    if (!lines.empty()) {
      return TakeLines(std::move(*chunk), std::move(lines), end);
    }
    uint64_t have = bytes.size() - mark_.size();
    if (have > options_.max_line_bytes) {
      oversize_scan_ = offset_ + have;
      return ScanOversize(size);
    }
    no_newline_until_ = offset_ + have;
    if (have < wanted || no_newline_until_ >= size) {
      return Nothing(ReadStep::Kind::kEnd);
    }
    wanted *= 4;
  }
}

Result<ReadStep> Reader::TakeLines(std::shared_ptr<Chunk> chunk, std::vector<Line> lines,
                                   size_t end) {
  auto too_long = [&](const Line& line) { return line.length > options_.max_line_bytes; };
  if (chunk->capacity() > options_.max_line_bytes) {
    auto long_line = std::find_if(lines.begin(), lines.end(), too_long);
    if (long_line == lines.begin()) {
      size_t line_end = lines.size() > 1 ? lines[1].begin : end;
      return TakeOversize(offset_ + line_end - mark_.size());
    }
    if (long_line != lines.end()) {
      end = long_line->begin;
      lines.erase(long_line, lines.end());
    }
  }
  ReadStep step;
  step.kind = ReadStep::Kind::kLines;
  step.begin = offset_;
  step.chunk_offset = offset_ - mark_.size();
  offset_ = step.chunk_offset + end;
  step.end = offset_;
  size_t mark = std::min<size_t>(end, kTailMarkBytes);
  mark_.assign(chunk->data() + end - mark, mark);
  step.mark = MarkOf(mark_);
  chunk->ChargeLines(lines.size());
  step.chunk = std::move(chunk);
  step.lines = std::move(lines);
  no_newline_until_ = 0;
  return step;
}

Result<ReadStep> Reader::ScanOversize(uint64_t size) {
  std::string buffer(kScanBytes, '\0');
  uint64_t turn_end = std::min(size, oversize_scan_ + kScanTurnBytes);
  while (oversize_scan_ < turn_end) {
    auto count = files_.ReadAt(*file_, oversize_scan_, buffer);
    RETURN_IF_ERROR(count);
    if (*count == 0) {
      break;
    }
    size_t at = std::string_view(buffer).substr(0, *count).find('\n');
    if (at != std::string_view::npos) {
      return TakeOversize(oversize_scan_ + at + 1);
    }
    oversize_scan_ += *count;
  }
  bool more = oversize_scan_ < size;
  ReadStep step = Nothing(more ? ReadStep::Kind::kLines : ReadStep::Kind::kEnd);
  step.begin = step.end = offset_;
  return step;
}

Result<ReadStep> Reader::TakeOversize(uint64_t end) {
  auto before = ReadBefore(end);
  RETURN_IF_ERROR(before);
  ReadStep step = Nothing(ReadStep::Kind::kOversize);
  step.begin = offset_;
  step.end = end;
  mark_ = std::move(*before);
  step.mark = MarkOf(mark_);
  offset_ = end;
  oversize_scan_ = 0;
  no_newline_until_ = 0;
  return step;
}

Result<ReadStep> Reader::ReadUnfinished() {
  auto facts = files_.Stat(*file_);
  RETURN_IF_ERROR(facts);
  uint64_t size = facts->size;
  if (size <= offset_) {
    return Nothing(ReadStep::Kind::kEnd);
  }
  if (size - offset_ > options_.max_line_bytes) {
    return TakeOversize(size);
  }
  auto chunk = ReadChunk(size - offset_);
  RETURN_IF_ERROR(chunk);
  if (*chunk == nullptr) {
    return Nothing(ReadStep::Kind::kNoBudget);
  }
  if ((*chunk)->size() <= mark_.size()) {
    return BeginGeneration();
  }
  std::string_view bytes((*chunk)->data(), (*chunk)->size());
  if (LastLineEnd(bytes, mark_.size()) != mark_.size()) {
    no_newline_until_ = 0;
    return Read();  // it was finished after all
  }
  size_t begin = mark_.size();
  std::vector<Line> lines = {
      {static_cast<uint32_t>(begin), static_cast<uint32_t>(bytes.size() - begin)}};
  return TakeLines(std::move(*chunk), std::move(lines), bytes.size());
}

bool Reader::Rewind(uint64_t offset, const TailMark& mark) {
  CHECK(offset <= offset_, "rewind to {} of {}", offset, offset_);
  auto before = ReadBefore(offset);
  if (before && MarkOf(*before) != mark) {
    BeginGeneration();
    return false;
  }
  offset_ = offset;
  mark_ = before ? std::move(*before) : std::string();
  oversize_scan_ = 0;
  no_newline_until_ = 0;
  return true;
}

}  // namespace logagent
