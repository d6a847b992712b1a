// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/compression_sample.h"

#include <lz4.h>

#include <string>

namespace logagent {
namespace {

constexpr size_t kSavedShare = 16;

}  // namespace

bool OnlyFindsRepetitions(std::string_view codec) { return codec == "lz4" || codec == "snappy"; }

bool CompressionPays(std::string_view lines) {
  const std::string_view sample = lines.substr(0, kSampleBytes);
  // LZ4 gives up, with 0, when it is clear that there is not room enough.
  std::string room(sample.size() - sample.size() / kSavedShare, '\0');
  return LZ4_compress_default(sample.data(), room.data(), static_cast<int>(sample.size()),
                              static_cast<int>(room.size())) > 0;
}

}  // namespace logagent
