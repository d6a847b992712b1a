// SPDX-License-Identifier: Apache-2.0
// The code that only the start needed (opening RocksDB, setting up gRPC and TLS) stays mapped and
// counts as memory of the process for ever. ReleaseStartPages takes unchanged pages of files (code
// and constants of the program and its libraries) out of the process's page table; they stay in the
// page cache, and what is used again comes back with a minor fault. Any thread, any time.
#pragma once

#include <cstddef>
#include <string_view>

namespace logagent {

// Bytes of the mappings that were let go; 0 where /proc cannot be read.
size_t ReleaseStartPages();

// One mapping of /proc/self/smaps, for ReleaseStartPages and its test: the first line, and whether
// the lines below it say that no page was changed.
struct FileMapping {
  size_t begin = 0;
  size_t end = 0;
  bool read_only_file = false;
};
FileMapping ParseMapping(std::string_view first_line);

}  // namespace logagent
