// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/start_pages.h"

#include <charconv>
#include <fstream>
#include <string>
#include <sys/mman.h>

namespace logagent {
namespace {

bool IsHeader(std::string_view line) {
  size_t dash = line.find('-');
  return dash != std::string_view::npos && dash < line.find(' ');
}

// Relocated constants and breakpoints are pages that were changed: they exist nowhere else.
bool SaysChanged(std::string_view line) {
  bool of_interest = line.starts_with("Private_Dirty:") || line.starts_with("Anonymous:") ||
                     line.starts_with("Swap:");
  return of_interest && !line.ends_with(" 0 kB");
}

size_t Release(const FileMapping& mapping, bool changed) {
  if (!mapping.read_only_file || changed) {
    return 0;
  }
  size_t size = mapping.end - mapping.begin;
  void* address = reinterpret_cast<void*>(mapping.begin);
  return madvise(address, size, MADV_DONTNEED) == 0 ? size : 0;
}

}  // namespace

FileMapping ParseMapping(std::string_view line) {
  FileMapping mapping;
  const char* end = line.data() + line.size();
  auto begin = std::from_chars(line.data(), end, mapping.begin, 16);
  if (begin.ec != std::errc() || begin.ptr == end || *begin.ptr != '-') {
    return {};
  }
  auto last = std::from_chars(begin.ptr + 1, end, mapping.end, 16);
  std::string_view rest(last.ptr, static_cast<size_t>(end - last.ptr));
  bool read_only = rest.starts_with(" r-xp ") || rest.starts_with(" r--p ");
  // Libraries are not unloaded; another file's mapping might be gone, and its address given to the
  // heap, before the advice is given.
  size_t path = rest.find(" /");
  bool program = path != std::string_view::npos &&
                 (rest.find(".so", path) != std::string_view::npos || rest.ends_with("-agent"));
  mapping.read_only_file = read_only && program;
  return mapping;
}

size_t ReleaseStartPages() {
  std::ifstream maps("/proc/self/smaps");
  FileMapping mapping;
  bool changed = true;
  size_t released = 0;
  for (std::string line; std::getline(maps, line);) {
    if (IsHeader(line)) {
      released += Release(mapping, changed);
      mapping = ParseMapping(line);
      changed = false;
    } else {
      changed = changed || SaysChanged(line);
    }
  }
  return released + Release(mapping, changed);
}

}  // namespace logagent
