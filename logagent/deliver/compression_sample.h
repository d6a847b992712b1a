// SPDX-License-Identifier: Apache-2.0
// Whether compressing lines pays. LZ4 and snappy find repetitions and nothing else: of lines
// without any (encoded, encrypted) they make as many bytes as there were, and agent, broker and
// every consumer pay for it. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <string_view>

namespace logagent {

// What an LZ4 frame compresses at a time: repetitions further apart are not found either.
inline constexpr size_t kSampleBytes = 64 << 10;

// A codec, as librdkafka names it, that a sample can speak for. gzip and zstd also code frequent
// letters shorter, and save on lines in which nothing is repeated.
bool OnlyFindsRepetitions(std::string_view codec);

// At least a sixteenth would be saved, as kSampleBytes from the beginning of `lines` tell: some
// 0.1 ms.
bool CompressionPays(std::string_view lines);

}  // namespace logagent
