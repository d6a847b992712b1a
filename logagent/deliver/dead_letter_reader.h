// SPDX-License-Identifier: Apache-2.0
// DeadLetterReader: the records of a spool in their order. What a kill in the middle of a record, a
// full disk or a bad one left is no end: the stretch is told and passed over, up to the next record
// that is whole. Reads what the file held when it was opened. One thread; one record in memory.
#pragma once

#include "logagent/tail/file_system.h"
#include "store/base/error.h"
#include "store/base/file.h"

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace logagent {

struct DeadLetterRecord {
  std::string topic;
  std::string path;
  FileKey file;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  std::string reason;
  int64_t time_us = 0;
  std::string payload;
};

class DeadLetterReader {
 public:
  static Result<DeadLetterReader> Open(const Path& file);
  // Nothing at the end. kCorruption tells of a damaged stretch, with file, place and length: the
  // next call goes on behind it.
  Result<std::optional<DeadLetterRecord>> Next();

  // Of a spool that nobody writes to now: where the record begins that its end cuts short, of which
  // nothing was ever acknowledged. Nothing when the file ends with a whole record, or with what is
  // not ours to judge.
  static Result<std::optional<uint64_t>> FindTorn(const Path& file);

 private:
  // A whole record at a place, or why there is none.
  struct Looked {
    std::optional<DeadLetterRecord> record;  // without its payload
    size_t begin = 0;                        // of the payload, from the place on
    size_t size = 0;
    std::string_view wrong;
    bool cut_short = false;
  };

  DeadLetterReader(store::UniqueFd fd, std::string name, uint64_t size)
      : fd_(std::move(fd)), name_(std::move(name)), size_(size) {}
  std::string_view Bytes() const { return std::string_view(buffer_).substr(taken_); }
  Status Fill(size_t bytes);
  void Drop(size_t bytes);
  Result<Looked> LookAt(size_t from);
  Result<uint64_t> PassOver();
  Result<bool> EndsWhole();

  store::UniqueFd fd_;
  std::string name_;
  uint64_t size_ = 0;
  std::string buffer_;
  size_t taken_ = 0;  // bytes of the buffer; the next one is the file's at at_
  uint64_t at_ = 0;
  std::optional<uint64_t> torn_at_;  // if the last damaged stretch is a record that was cut short
};

// `take` for each whole record, `on_damage` for each damaged stretch; the number of these. Ends
// with the first error of `take` or of the file.
Result<uint64_t> ForEachDeadLetter(const Path& file,
                                   absl::FunctionRef<Status(const DeadLetterRecord&)> take,
                                   absl::FunctionRef<void(const store::Error&)> on_damage);

}  // namespace logagent
