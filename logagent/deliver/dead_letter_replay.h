// SPDX-License-Identifier: Apache-2.0
// What an operator does with the dead-letter spool once the reason is gone: send it again.
// TakeSpoolAside gives the spool's records a file of their own under the spool's lock, so a
// running agent goes on with a new one; ReplayDeadLetters sends a file's records to their topics
// and partitions and keeps what is refused again in `<file>.refused`. At least once: after a break
// the file is still there. One thread; one record and what is in flight are in memory.
#pragma once

#include "logagent/deliver/kafka_config.h"
#include "logagent/tail/file_system.h"
#include "store/base/clock.h"
#include "store/base/error.h"

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <string>

namespace logagent {

// The new name, `<spool>.replay-N`.
Result<Path> TakeSpoolAside(const Path& spool);

struct Replayed {
  uint64_t delivered = 0;
  uint64_t refused = 0;  // again for good: in `refused_file`
  Path refused_file;
  uint64_t damaged = 0;  // stretches that are no whole records: for their sake the file is kept
};
// `topic` in place of the records' own, if not empty. The file is removed when all is decided; an
// error means that it is kept. What is damaged in it is told to `on_damage`.
Result<Replayed> ReplayDeadLetters(KafkaConfig config, const Path& file, const std::string& topic,
                                   const store::Clock& clock,
                                   absl::FunctionRef<void(const store::Error&)> on_damage);

}  // namespace logagent
