// SPDX-License-Identifier: Apache-2.0
// Segment: one file of the log that has a header, and reading records out of it. The file handle is
// shared: a reader keeps it while the segment is released and recycled under another name; what is
// written there then fails the old salt. Value type; the file may be read by any thread.
#pragma once

#include "store/base/error.h"
#include "store/raft/types.h"
#include "store/wal/record.h"
#include "store/wal/wal_file.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace store::wal {

struct Segment {
  std::string path;
  std::shared_ptr<WalFile> file;
  SegmentHeader header;
};

// Reads records one after another, in pieces, from a position on.
class RecordCursor {
 public:
  RecordCursor(const Segment& segment, uint64_t offset) : segment_(segment), offset_(offset) {}

  // nullopt at the first bytes that are no valid record. The view lives until the next call.
  Result<std::optional<RecordView>> Next();
  // Of the record that Next will try.
  uint64_t offset() const { return offset_; }

 private:
  Status Fill(size_t bytes);

  const Segment& segment_;
  uint64_t offset_;
  std::string buffer_;
  size_t used_ = 0;  // of buffer_, which stands at offset_ - used_
};

// "<path>: damaged at offset N …", with what to do about it.
Error Damage(const std::string& path, uint64_t offset, std::string_view what);

}  // namespace store::wal
