// SPDX-License-Identifier: Apache-2.0
// The flags that mean something here, one row each: etcd's name, what --help says, and what a value
// does to the configuration. Usage, environment, file and command line all read this table, so they
// cannot differ. Flags of etcd that mean nothing here: other_flags.h. Constants, any thread.
#pragma once

#include "store/base/error.h"
#include "store/server/config.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace store::server {

enum class FlagKind : uint8_t {
  kValue,
  kSwitch,    // may stand without a value on the command line
  kDuration,  // Go's syntax; in a file a bare number means nanoseconds
};

struct Flag {
  std::string_view name;
  std::string_view default_text;
  std::string_view help;
  // kInvalidArgument with Go's words for what is wrong.
  Status (*set)(ServerConfig& config, const std::string& value);
  FlagKind kind = FlagKind::kValue;
};

// As Go's strconv.ParseBool. kInvalidArgument.
Result<bool> ParseBool(std::string_view text);

std::span<const Flag> Flags();
// By its present name; null if there is none.
const Flag* FindFlag(std::string_view name);

// etcd 3.4 to 3.6 called a flag otherwise; it means the same, and both at once are refused.
struct FormerName {
  std::string_view former;
  std::string_view now;  // of a row here or in other_flags.h
};
std::span<const FormerName> FormerNames();
// The present name of a former one, any other name unchanged.
std::string_view PresentName(std::string_view name);

}  // namespace store::server
