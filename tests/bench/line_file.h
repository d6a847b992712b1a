// SPDX-License-Identifier: Apache-2.0
// The lines of the agent's benchmark: stream, sequence number and a filler, which hardly compresses
// or is such text as services log; always the same for the same stream and number. Pure functions
// but for the files they read and write; any thread.
#pragma once

#include "store/base/error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bench {

struct LineName {
  uint32_t stream = 0;
  uint64_t sequence = 0;
};

// Stream, blank, sequence, blank.
inline constexpr size_t kLineNameBytes = 14;

enum class Content : uint8_t {
  kEncoded,  // letters as base64 has them
  kText,     // names and values, of which lz4 leaves some 30 %
};

// Writes `lines` lines of `line_bytes` bytes each, newline included.
store::Status WriteLineFile(const std::string& path, uint32_t stream, uint64_t lines,
                            size_t line_bytes, Content content);
// Nothing if it is no such line. `line` has no newline.
std::optional<LineName> ParseLine(std::string_view line);

}  // namespace bench
