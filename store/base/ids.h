// SPDX-License-Identifier: Apache-2.0
// The integers that several floors pass to each other, each as its own type. Value types, any
// thread.
#pragma once

#include "store/base/strong_type.h"

#include <cstdint>

namespace store {

// Main revision of the key space: 1 is the empty store, each effective transaction adds exactly
// one.
struct RevisionTag {
  static constexpr bool kArithmetic = true;
};
using Revision = StrongInt<RevisionTag, int64_t>;

// Any non-zero int64 a client chose, negative ones included; 0 is "no lease".
struct LeaseIdTag {
  static constexpr bool kArithmetic = false;
};
using LeaseId = StrongInt<LeaseIdTag, int64_t>;

// Which io loop of this process; 0-based and dense, so it can index a vector.
struct LoopIdTag {
  static constexpr bool kArithmetic = false;
};
using LoopId = StrongInt<LoopIdTag, uint32_t>;

struct ClusterIdTag {
  static constexpr bool kArithmetic = false;
};
using ClusterId = StrongInt<ClusterIdTag, uint64_t>;

}  // namespace store
