// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/partition.h"

namespace logagent {

// The generation is left out on purpose: a truncated file stays where it is.
int32_t PartitionOf(const FileKey& file, int32_t partitions) {
  uint64_t mixed = (file.device * 0x9E3779B97F4A7C15U) ^ (file.inode * 0xC2B2AE3D27D4EB4FU);
  mixed ^= mixed >> 29;
  mixed *= 0xBF58476D1CE4E5B9U;
  mixed ^= mixed >> 32;
  return static_cast<int32_t>(mixed % static_cast<uint64_t>(partitions));
}

}  // namespace logagent
