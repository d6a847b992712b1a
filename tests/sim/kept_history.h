// SPDX-License-Identifier: Apache-2.0
// What a member's engine may still hold below its last finished collection. Pure.
#pragma once

#include "store/mvcc/mvcc_store.h"

#include <string>

namespace store::sim {

// The first record or value that collection should have removed, as a sentence; empty if there is
// none: of each key only the newest record stays, and a deletion only at the collected revision
// itself (etcd 18089, 19179).
std::string LeftBelowCollected(const mvcc::MvccStore& store);

}  // namespace store::sim
