// SPDX-License-Identifier: Apache-2.0
// config get, set, rm, check: the entry list of one host. A change is one transaction: if the key
// is still as it was read, it writes the value and the history record; otherwise nothing, and both
// differences are shown. One thread.
#pragma once

#include "store/ctl/command.h"

#include <span>

namespace store::ctl {

std::span<const Command> ConfigCommands();

}  // namespace store::ctl
