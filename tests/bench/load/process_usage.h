// SPDX-License-Identifier: Apache-2.0
// CPU time of another process, from /proc. Any thread.
#pragma once

namespace bench {

// Seconds of user and system time of all threads of the process; 0 if it is gone.
double CpuSeconds(int pid);

}  // namespace bench
