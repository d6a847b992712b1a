// SPDX-License-Identifier: Apache-2.0
#include "store/server/process_metrics.h"

#include "store/server/process.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <unistd.h>

namespace store::server {
namespace {

// Field of /proc/self/stat, numbered from 1 as proc(5) does; 0 if it cannot be read.
double StatField(int number) {
  std::ifstream in("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  // The name may hold anything; field 3 follows its last parenthesis.
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_end + 1));
  std::string word;
  for (int field = 3; field <= number; ++field) fields >> word;
  return std::strtod(word.c_str(), nullptr);
}

double TicksToSeconds(double ticks) { return ticks / static_cast<double>(sysconf(_SC_CLK_TCK)); }

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

double ResidentBytes() {
  constexpr int kRssPages = 24;
  return StatField(kRssPages) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
}

// Without a limit 2^64 - 1, as Go programs say it.
double VirtualBytesMax() {
  rlimit limit{};
  return getrlimit(RLIMIT_AS, &limit) == 0 ? static_cast<double>(limit.rlim_max) : 0;
}

double StartSeconds() {
  constexpr int kStartTicks = 22;
  std::ifstream in("/proc/stat");
  std::string line;
  while (std::getline(in, line)) {
    if (!line.starts_with("btime ")) continue;
    return std::strtod(line.c_str() + 6, nullptr) + TicksToSeconds(StatField(kStartTicks));
  }
  return 0;
}

double OpenDescriptors() {
  std::error_code error;
  std::filesystem::directory_iterator entries("/proc/self/fd", error);
  if (error) return 0;
  return static_cast<double>(std::distance(begin(entries), end(entries)));
}

}  // namespace

ProcessMetrics::ProcessMetrics(Registry& registry) {
  constexpr int kVirtualBytes = 23;
  handles_.push_back(registry.AddCallbackCounter("process_cpu_seconds_total",
                                                 "Total user and system CPU time spent in seconds.",
                                                 {}, CpuSeconds));
  const auto gauge = [&](std::string_view name, std::string_view help,
                         absl::AnyInvocable<double() const> read) {
    handles_.push_back(registry.AddCallbackGauge(name, help, {}, std::move(read)));
  };
  gauge("process_resident_memory_bytes", "Resident memory size in bytes.", ResidentBytes);
  gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.",
        [] { return StatField(kVirtualBytes); });
  gauge("process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.",
        VirtualBytesMax);
  gauge("process_open_fds", "Number of open file descriptors.", OpenDescriptors);
  gauge("process_max_fds", "Maximum number of open file descriptors.",
        [] { return static_cast<double>(DescriptorsMax()); });
  gauge("os_fd_used", "The number of used file descriptors.", OpenDescriptors);
  gauge("os_fd_limit", "The file descriptor limit.",
        [] { return static_cast<double>(DescriptorsMax()); });
  gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
        StartSeconds);
}

}  // namespace store::server
