// SPDX-License-Identifier: Apache-2.0
// What an operator does with the dead-letter spool: read it, and send it again once the reason is
// gone. TakeSpoolAside gives the spool's records a file of their own under the spool's lock, so a
// running agent goes on with a new one; ReplayDeadLetters sends a file's records to their topics
// and partitions and keeps what is refused again in `<file>.refused`. At least once: after a break
// the file is still there. One thread; one record and what is in flight are in memory.
#pragma once

#include "logagent/deliver/kafka_config.h"
#include "logagent/tail/file_system.h"
#include "store/base/clock.h"
#include "store/base/file.h"

#include <cstdint>
#include <optional>
#include <string>

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
  // Nothing at the end. A record that is not whole is kCorruption, with its place.
  Result<std::optional<DeadLetterRecord>> Next();

 private:
  DeadLetterReader(store::UniqueFd fd, std::string name)
      : fd_(std::move(fd)), name_(std::move(name)) {}
  Result<bool> Fill(size_t bytes);
  store::Error Damaged(std::string_view what) const;

  store::UniqueFd fd_;
  std::string name_;
  std::string buffer_;  // of the file, from at_ on
  uint64_t at_ = 0;
};

// The new name, `<spool>.replay-N`.
Result<Path> TakeSpoolAside(const Path& spool);

struct Replayed {
  uint64_t delivered = 0;
  uint64_t refused = 0;  // again for good: in `refused_file`
  Path refused_file;
};
// `topic` in place of the records' own, if not empty. The file is removed when all is decided; an
// error means that it is kept.
Result<Replayed> ReplayDeadLetters(KafkaConfig config, const Path& file, const std::string& topic,
                                   const store::Clock& clock);

}  // namespace logagent
