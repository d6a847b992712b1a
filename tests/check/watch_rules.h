// SPDX-License-Identifier: Apache-2.0
// What every watch must deliver, given the committed transactions:
//
//   created first, once          ordered by revision             each event once
//   a revision in one response   (or in fragments of it, without anything between)
//   nothing missing between the first and the last revision told, nor, of a complete watch, at all
//   nothing of other keys, of filtered kinds, below the start, above the response's header
//   nothing at or below a progress notice after it              headers that do not go back
//   events as they were committed; previous values right, and there if and only if asked for
//   nothing before its writer called; canceled for a compaction that was asked for and is above
//
// O(n log n). One thread.
#pragma once

#include "tests/check/history.h"
#include "tests/check/problem.h"

#include <vector>

namespace store::check {

std::vector<Problem> CheckWatches(const History& history);

}  // namespace store::check
