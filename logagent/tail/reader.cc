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
// Fewer NULs at the beginning of a file are taken for its text (UTF-16 and UTF-32 begin so).
constexpr size_t kHoleBytesMin = 8;

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
  Seen(facts.size);
  modified_ns_seen_ = facts.modified_ns;
  if (resume) {
    auto same = Matches(files_, *file_, resume->offset, resume->head, resume->mark);
    RETURN_IF_ERROR(same);
    resumed_ = *same;
    key_.generation = *same ? resume->generation : resume->generation + 1;
    offset_ = *same ? resume->offset : 0;
    head_ = *same ? resume->head : HeadHash();
  } else if (start == Start::kEnd) {
    auto end = EndOfLastLine(facts.size);
    RETURN_IF_ERROR(end);
    offset_ = *end;
  }
  auto before = ReadBefore(offset_);
  RETURN_IF_ERROR(before);
  mark_ = std::move(*before);
  in_hole_ = !mark_.empty() && mark_.find_first_not_of('\0') == std::string::npos;
  RETURN_IF_ERROR(CheckHead(facts.size));
  return store::Ok();
}

Status Reader::Reopen(const Path& path) {
  auto file = files_.Open(path);
  RETURN_IF_ERROR(file);
  auto facts = files_.Stat(**file);
  RETURN_IF_ERROR(facts);
  if (facts->device != key_.device || facts->inode != key_.inode) {
    return store::Fail(store::ErrorCode::kNotFound,
                       path.string() + ": another file has this name by now");
  }
  file_ = std::move(*file);
  return store::Ok();
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

Result<bool> Reader::CheckHead(uint64_t size) {
  bool whole = head_.length >= kHeadBytesMax || size <= head_.length;
  if (whole && offset_ >= head_.length) {
    return true;  // the mark before offset_ tells of another content
  }
  std::string head(std::min<uint64_t>(size, kHeadBytesMax), '\0');
  auto count = files_.ReadAt(*file_, 0, head);
  RETURN_IF_ERROR(count);
  head.resize(*count);
  std::string_view known = std::string_view(head).substr(0, head_.length);
  if (HashHead(known) != head_) {
    return false;
  }
  head_ = HashHead(head);
  return true;
}

// `size` is what the new content was seen with: it may be gone again before it is read.
ReadStep Reader::BeginGeneration(uint64_t size) {
  former_ = std::make_unique<FormerContent>(
      FormerContent{key_, offset_, size_before_, head_, MarkOf(mark_), std::exchange(trail_, {})});
  ++key_.generation;
  head_ = {};
  offset_ = 0;
  Seen(size);
  mark_.clear();
  oversize_scan_ = 0;
  no_newline_until_ = 0;
  in_hole_ = false;
  resumed_ = false;
  (void)CheckHead(size);  // cannot be read now: the first read takes it
  return Nothing(ReadStep::Kind::kTruncated);
}

Result<ReadStep> Reader::Read() {
  auto facts = files_.Stat(*file_);
  RETURN_IF_ERROR(facts);
  uint64_t size = facts->size;
  size_before_ = size_known_;
  bool cut = offset_ == 0 && size < size_known_;  // what was seen and not read is lost
  if (size < offset_ || size < oversize_scan_ || cut) {
    return BeginGeneration(size);
  }
  bool touched = facts->modified_ns != modified_ns_seen_;
  if (size < size_seen_ || (touched && size <= no_newline_until_)) {
    no_newline_until_ = 0;  // what is behind offset_ may be new; the mark decides
  }
  Seen(size);
  modified_ns_seen_ = facts->modified_ns;
  if (oversize_scan_ != 0) {
    return ScanOversize(size);
  }
  if (size == offset_) {
    return touched ? AtEnd() : Nothing(ReadStep::Kind::kEnd);
  }
  if (size <= no_newline_until_) {
    return Nothing(ReadStep::Kind::kEnd);
  }
  return ReadLines(size);
}

// Written to, and yet not longer: it may have been truncated and have grown to the same size.
Result<ReadStep> Reader::AtEnd() {
  auto before = ReadBefore(offset_);
  RETURN_IF_ERROR(before);
  bool same = mark_.empty() || *before == mark_;  // empty: Rewind could not read it
  return same ? Nothing(ReadStep::Kind::kEnd) : BeginGeneration(size_seen_);
}

// Only a longer file is news, and only while it is the content that was read: what has replaced it
// is not what would be lost with it.
Result<FileFacts> Reader::Look() {
  auto facts = files_.Stat(*file_);
  RETURN_IF_ERROR(facts);
  if (facts->size > size_known_) {
    auto same = SameContent();
    size_known_ = same && *same ? facts->size : size_known_;
  }
  return facts;
}

Result<bool> Reader::SameContent() {
  if (!mark_.empty()) {
    auto before = ReadBefore(offset_);
    RETURN_IF_ERROR(before);
    return *before == mark_;
  }
  std::string head(head_.length, '\0');
  auto count = files_.ReadAt(*file_, 0, head);
  RETURN_IF_ERROR(count);
  head.resize(*count);
  return HashHead(head) == head_;
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
      return BeginGeneration(size);
    }
    auto same_head = CheckHead(size);
    RETURN_IF_ERROR(same_head);
    if (!*same_head) {
      return BeginGeneration(size);
    }
    std::string_view bytes((*chunk)->data(), (*chunk)->size());
    if (auto hole = SkipHole(bytes)) {
      return *hole;
    }
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

std::optional<ReadStep> Reader::SkipHole(std::string_view bytes) {
  if (offset_ != 0 && !in_hole_) {
    return std::nullopt;
  }
  size_t end = std::min(bytes.find_first_not_of('\0', mark_.size()), bytes.size());
  size_t nuls = end - mark_.size();
  if (nuls < (in_hole_ ? 1 : kHoleBytesMin)) {
    in_hole_ = false;
    return std::nullopt;
  }
  ReadStep step = Nothing(ReadStep::Kind::kSkipped);
  step.begin = offset_;
  offset_ += nuls;
  step.end = offset_;
  in_hole_ = true;
  mark_.assign(std::min<uint64_t>(offset_, kTailMarkBytes), '\0');
  step.mark = MarkOf(mark_);
  return step;
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
  trail_.Add(offset_, step.mark);
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
  auto start = ReadBefore(offset_);
  RETURN_IF_ERROR(start);
  auto same_head = CheckHead(size_seen_);
  RETURN_IF_ERROR(same_head);
  if ((!mark_.empty() && *start != mark_) || !*same_head) {
    return BeginGeneration(size_seen_);  // it became another one during the search
  }
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
  size_before_ = size_known_;
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
    return BeginGeneration(size);
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
  size_before_ = size_known_;
  auto before = is_open() ? ReadBefore(offset)
                          : Result<std::string>(store::Fail(store::ErrorCode::kNotFound));
  offset_ = offset;
  if (before && MarkOf(*before) != mark) {
    BeginGeneration(0);
    former_->mark = mark;
    return false;
  }
  mark_ = before ? std::move(*before) : std::string();
  oversize_scan_ = 0;
  no_newline_until_ = 0;
  return true;
}

}  // namespace logagent
