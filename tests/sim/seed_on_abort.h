// SPDX-License-Identifier: Apache-2.0
// A broken CHECK of production code ends the process: which seed it was must be known. Once per
// process; the text is cut at 2 KiB.
#pragma once

#include <string_view>

namespace store::sim {

void PrintSeedOnAbort();
void RememberSeed(std::string_view text);

}  // namespace store::sim
