// SPDX-License-Identifier: Apache-2.0
// Splitter: newlines at memory speed. The bytes are compared 64 at a time into a bitmap of newlines
// and only the set bits are visited, so short lines cost no call each. Pure functions, any thread.
#pragma once

#include "logagent/tail/chunk.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace logagent {

// Appends the lines of [from, bytes.size()) that end with a newline; positions count from the first
// byte of `bytes`. Returns the position behind the last newline (`from` if there is none).
size_t SplitLines(std::string_view bytes, size_t from, bool strip_cr, std::vector<Line>& lines);

// Position behind the last newline at or after `from`, or `from` when there is none.
size_t LastLineEnd(std::string_view bytes, size_t from);

}  // namespace logagent
