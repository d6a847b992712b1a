// SPDX-License-Identifier: Apache-2.0
// What main and the start-up need of the process: its environment and its signals. Called by main's
// thread; ReadEnvironment and BlockSignals before any other thread exists.
#pragma once

#include "store/base/clock.h"

#include <cstddef>
#include <map>
#include <signal.h>
#include <string>

namespace store::server {

std::map<std::string, std::string> ReadEnvironment();

// Sockets and files it may have open: the soft limit, raised to the hard one at start as Go
// programs do. Many systems start with a soft limit of 1024 for the sake of select(2).
void RaiseDescriptorLimit();
size_t DescriptorsMax();

// SIGINT and SIGTERM are taken by WaitForSignal alone: every thread started later inherits the
// mask. SIGPIPE is ignored; a closed connection is an error of its write.
sigset_t BlockSignals();
int WaitForSignal(const sigset_t& signals);
// Waits until one of them has come, which stays to be taken by WaitForSignal; false when `limit`
// has passed without.
bool StopRequestedWithin(Duration limit);

// Ends as if the signal had not been handled, so that a supervisor sees what it sent (143 for
// SIGTERM); as process 1, whose default action is to ignore, by exit 0.
[[noreturn]] void EndBy(int signal_number, const sigset_t& signals);

}  // namespace store::server
