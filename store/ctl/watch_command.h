// SPDX-License-Identifier: Apache-2.0
// watch: events as they come, until it is interrupted, with an optional program that is run for
// each. A stream that breaks is opened again from the revision after the last one printed, so
// nothing is missed or printed twice. Interactive, each line begins one more watch with a thread of
// its own; printing is under one lock.
#pragma once

#include "store/ctl/command.h"

#include <span>

namespace store::ctl {

std::span<const Command> WatchCommands();

}  // namespace store::ctl
