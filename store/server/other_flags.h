// SPDX-License-Identifier: Apache-2.0
// etcd's flags that set nothing here, so that a command line or file written for etcd starts this
// store too. Some ask for what happens anyway or for what another design does not have: accepted,
// with one line in the log when the value asks for something. Others ask for what is missing and
// must not be believed in (TLS, discovery, proxies): refused unless the value is the one that means
// "off". Constants and pure functions, any thread.
#pragma once

#include "store/base/error.h"
#include "store/server/flag_table.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace store::server {

struct OtherFlag {
  enum class Use : uint8_t { kNoEffect, kMissing };
  std::string_view name;
  // Values that need no word, separated by '|'; "*" for any. The empty one never does.
  std::string_view quiet;
  Use use;
  std::string_view reason;
  FlagKind kind = FlagKind::kValue;
};

std::span<const OtherFlag> OtherFlags();
const OtherFlag* FindOtherFlag(std::string_view name);

// What is to be said in the log, empty for nothing. kUnsupported: the flag is refused;
// kInvalidArgument: the value is none of this flag, with Go's words.
Result<std::string> JudgeOtherFlag(const OtherFlag& flag, const std::string& given);

}  // namespace store::server
