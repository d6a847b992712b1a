// SPDX-License-Identifier: Apache-2.0
// The global flags of every verb, the ETCDCTL_ variables that stand for them, and what they mean
// for the client library. A variable and a flag that say the same thing at once are refused, as
// etcdctl does it. Values; one thread.
#pragma once

#include "store/base/error.h"
#include "store/client/client.h"
#include "store/ctl/flags.h"

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace store::ctl {

enum class OutputFormat : uint8_t { kSimple, kJson, kFields, kTable, kProtobuf };

struct GlobalOptions {
  OutputFormat format = OutputFormat::kSimple;
  bool hex = false;
  client::ClientOptions client;
};

// "NAME=value" each, as the process was given them.
using Environment = std::vector<std::string>;

std::span<const FlagSpec> GlobalFlags();

// Puts the variables into `flags`; a note for each that has no flag goes to `warn`.
Status ApplyEnvironment(const Environment& environment, ParsedFlags* flags,
                        absl::FunctionRef<void(const std::string&)> warn);

// Asks for a missing password if stdin is a terminal. Reads the certificate files.
Result<GlobalOptions> ReadGlobalOptions(const ParsedFlags& flags);

}  // namespace store::ctl
