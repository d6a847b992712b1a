// SPDX-License-Identifier: Apache-2.0
// member add, remove, update, promote; move-leader. Ids are hexadecimal. move-leader asks every
// endpoint whether it leads, because only the leader can move itself.
#pragma once

#include "store/ctl/command.h"

#include <span>

namespace store::ctl {

std::span<const Command> MemberCommands();

}  // namespace store::ctl
