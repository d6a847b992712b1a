// SPDX-License-Identifier: Apache-2.0
// member list, endpoint health, status and hashkv, alarm, defrag: what is asked of members. The
// endpoint verbs ask each endpoint by itself and tell the ones that failed on stderr; one that does
// not answer does not keep the others from being shown. One thread.
#pragma once

#include "store/ctl/command.h"

#include <span>

namespace store::ctl {

std::span<const Command> ClusterCommands();

}  // namespace store::ctl
