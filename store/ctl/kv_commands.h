// SPDX-License-Identifier: Apache-2.0
// get, put, del, txn, compaction: flags into requests, answers to the printer. The requests are
// built by pure functions, because the lines of a transaction are the same commands. One thread.
#pragma once

#include "etcd/rpc.pb.h"
#include "store/base/error.h"
#include "store/ctl/command.h"

#include <absl/functional/function_ref.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace store::ctl {

std::span<const Command> KvCommands();

// Key and range end as --prefix and --from-key make them; an empty key means everything there.
struct KeyRange {
  std::string key;
  std::string end;
};
KeyRange MakeKeyRange(std::string key, std::string end, bool prefix, bool from_key);

// Errors are etcdctl's sentences about wrong use.
Result<etcdserverpb::RangeRequest> MakeRange(const ParsedFlags& flags);
Result<etcdserverpb::DeleteRangeRequest> MakeDelete(const ParsedFlags& flags);
// `read_value` gives the value if the arguments do not have it; nothing if there is none.
Result<etcdserverpb::PutRequest> MakePut(
    const ParsedFlags& flags, absl::FunctionRef<std::optional<std::string>()> read_value);
// A line of a transaction: get, put or del with their flags.
Result<etcdserverpb::RequestOp> ParseRequest(const std::string& line);

}  // namespace store::ctl
