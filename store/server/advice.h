// SPDX-License-Identifier: Apache-2.0
// What is allowed but more than etcd recommends, said in the log at a start with etcd's words.
#pragma once

#include "store/base/log.h"
#include "store/server/config.h"

namespace store::server {

void WarnOfSizes(const ServerConfig& config, const Logger& log);

}  // namespace store::server
