// SPDX-License-Identifier: Apache-2.0
// What leases promise, given operations and committed transactions:
//
//   no key goes with its lease before TTL after the last acknowledged keep-alive (or the grant) was
//   sent, unless somebody revoked it
//   nobody keeps it alive: keys are gone TTL + grace after the last sign of life
//   a lease ends in one revision: all its keys, nothing else
//   nothing stays attached to a lease that ended, nothing becomes attached to it
//   a key is attached to a lease that was granted; an id is granted once; a renewal is of a lease
//   that is there and gives the time that was granted
//
// When a lease ended is known from who saw it first, so times are judged in favour of the store.
// Ids are not granted again in one history. O(n log n). One thread.
#pragma once

#include "tests/check/history.h"
#include "tests/check/problem.h"

#include <vector>

namespace store::check {

struct LeaseOptions {
  Time second = 1'000'000'000;  // in the history's unit
  Time grace = 0;               // election timeout + 3 s, in the same unit
  Time end = 0;                 // the cluster was quiet and seen until then; 0: not judged
};

std::vector<Problem> CheckLeases(const History& history, const LeaseOptions& options);

}  // namespace store::check
