// SPDX-License-Identifier: Apache-2.0
// The lines that `txn` and `watch -i` read: words with quotes as a shell and Go have them, and
// comparisons such as mod("key") > "0". Pure functions, any thread.
#pragma once

#include "etcd/rpc.pb.h"
#include "store/base/error.h"

#include <string>
#include <string_view>
#include <vector>

namespace store::ctl {

// "…" with Go's escapes, '…' as it is, anything else up to a blank.
std::vector<std::string> SplitWords(std::string_view line);

// target("key") op "value": targets ver, version, c, create, m, mod, val, value, lease (hex);
// operators =, !=, <, >. Errors are etcdctl's.
Result<etcdserverpb::Compare> ParseCompare(std::string_view line);

}  // namespace store::ctl
