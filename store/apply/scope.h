// SPDX-License-Identifier: Apache-2.0
// CommandScope: what one command may touch while it is applied. Made by the state machine for each
// entry and handed to the functions in apply_*.h and txn.h. Apply thread only; owns nothing.
#pragma once

#include "store/apply/report.h"
#include "store/apply/results.h"
#include "store/base/error.h"
#include "store/engine/engine.h"
#include "store/mvcc/mvcc_store.h"

#include <cstdint>
#include <memory>

namespace store::apply {

class Leases;

struct CommandScope {
  mvcc::MvccStore& store;
  engine::WriteBatch& batch;
  Leases& leases;
  ApplyReport& report;      // lease changes are told here
  uint64_t& bytes_written;  // by puts, tombstones and leases of the batch, as the quota counts
  // Somebody on this member waits for the response. Otherwise none is made, and what only serves it
  // (ranges, previous values) is not read: it has no effect on the state.
  bool answer = false;
};

// Success with an empty response at revision `at`.
inline CallResult Done(Revision at) {
  CallResult result;
  result.revision = at;
  return result;
}

// Errors of a command are either its answer, or a failure of this member's disk or memory, which no
// other member has: then it must stop, because its state would differ from theirs.
inline bool IsAnswer(ErrorCode code) { return code >= ErrorCode::kEmptyKey; }

}  // namespace store::apply
