// SPDX-License-Identifier: Apache-2.0
// Which partition a file's lines go to: all to one, chosen by the file's identity, so that their
// order is visible to a consumer; also after the file was renamed or truncated. Pure function, any
// thread. The benchmark's ceiling uses it too, so that both sides partition alike.
#pragma once

#include "logagent/tail/file_system.h"

#include <cstdint>

namespace logagent {

// `partitions` is greater than 0.
int32_t PartitionOf(const FileKey& file, int32_t partitions);

}  // namespace logagent
