// SPDX-License-Identifier: Apache-2.0
// lease grant, revoke, timetolive, list, keep-alive. Ids are hexadecimal. keep-alive renews at a
// third of the TTL until it is interrupted or the lease is gone. One thread.
#pragma once

#include "store/ctl/command.h"

#include <span>

namespace store::ctl {

std::span<const Command> LeaseCommands();

}  // namespace store::ctl
