// SPDX-License-Identifier: Apache-2.0
// The address by which others reach a machine that listens everywhere: that of the interface its
// default route leads through, as etcd has it. Sends nothing. Any thread.
#pragma once

#include <absl/functional/function_ref.h>

#include <optional>
#include <string>

namespace store::server {

// FindDefaultHost, or what a test says.
using DefaultHost = absl::FunctionRef<std::optional<std::string>()>;

// nullopt: there is no default route.
std::optional<std::string> FindDefaultHost();

}  // namespace store::server
