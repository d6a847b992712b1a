// SPDX-License-Identifier: Apache-2.0
// The main checker: strict serializability of a store that tells the order itself. Every committed
// write owns a revision, so nothing has to be searched for: given the committed transactions the
// question is whether
//
// 1  every write that was answered stands at its revision with its effect, once; every committed
//    transaction has a writer, whose answer may have been lost, or is the end of a lease; what was
//    refused is nowhere;
// 2  writes follow each other in real time: none stands before one that returned before its call;
// 3  a linearizable answer at revision R came after the call of every write up to R, before any
//    write above R had returned to its caller, and is not below what any earlier answer showed;
// 4  branch, results, versions, revisions and previous values are the model's at that revision;
// 5  serializable and historical reads are the state at their revision; those of one life of a
//    member never go back; none is answered from the future, or from below a known compaction.
//
// Every legal order must order writes by revision, so 2 and 3 are necessary and sufficient: there
// is no "unknown". O(n log n) time, memory of the order of the history. One thread.
#pragma once

#include "tests/check/history.h"
#include "tests/check/problem.h"

#include <vector>

namespace store::check {

// Empty: the history is fine. Watches count as answers (rule 3); what they delivered is judged by
// watch_rules.h.
std::vector<Problem> CheckRevisionOrder(const History& history);

}  // namespace store::check
