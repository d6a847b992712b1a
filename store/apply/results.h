// SPDX-License-Identifier: Apache-2.0
// The result of one command, on its way from apply to the loop that waits for it. The response
// message has no header yet: the loop knows member, cluster and term and sets them. Moved, never
// shared.
#pragma once

#include "store/apply/report.h"
#include "store/base/error.h"
#include "store/base/ids.h"

#include <google/protobuf/message_lite.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace store::apply {

struct CallResult {
  uint64_t counter = 0;  // RequestId::counter
  ErrorCode error = ErrorCode::kOk;
  Revision revision;  // for the response header
  // The response of the command's kind without header; null: an empty one (a plain put allocates
  // nothing).
  std::unique_ptr<google::protobuf::MessageLite> response;
  bool raise_no_space = false;  // the write was applied, but the quota is now used up
  // Compact with `physical` answers only when the collector has passed this revision.
  Revision wait_collected;
};

struct LoopResults {
  LoopId loop;
  std::vector<CallResult> results;
};

}  // namespace store::apply
