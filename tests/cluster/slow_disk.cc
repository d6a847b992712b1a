// SPDX-License-Identifier: Apache-2.0
// A delaying layer between one process and its files: libslow_disk.so, put before libc with
// LD_PRELOAD by tests/cluster/disks. Each sync and each write of a file below the directory
// SLOW_DISK_DIRECTORY takes that much longer than it does. How much stands in the file
// SLOW_DISK_CONTROL, mapped by both sides, so it changes while calls wait: a call that sleeps wakes
// up when its delay is taken back. Any thread; no state but the mapping. Without the two variables
// nothing is delayed.
#include <dlfcn.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

// The same struct in tests/cluster/disks.
struct Control {
  std::atomic<uint64_t> sync_delay_us;
  std::atomic<uint64_t> write_delay_us;
  std::atomic<uint64_t> syncs_delayed;
  std::atomic<uint64_t> writes_delayed;
};
static_assert(std::atomic<uint64_t>::is_always_lock_free && sizeof(Control) == 32);

constexpr uint64_t kStepUs = 1000;

Control* Map() {
  const char* path = std::getenv("SLOW_DISK_CONTROL");
  if (path == nullptr) return nullptr;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* mapped = mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return mapped == MAP_FAILED ? nullptr : static_cast<Control*>(mapped);
}

Control* Controls() {
  static Control* control = Map();
  return control;
}

bool IsOurs(int fd) {
  static const std::string directory = [] {
    const char* path = std::getenv("SLOW_DISK_DIRECTORY");
    return path == nullptr ? std::string() : std::string(path) + "/";
  }();
  if (directory.empty()) return false;
  std::array<char, 4096> target{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  ssize_t size = readlink(link.c_str(), target.data(), target.size());
  if (size < 0) return false;
  std::string_view path(target.data(), static_cast<size_t>(size));
  return path.starts_with(directory) || path == directory.substr(0, directory.size() - 1);
}

// Until it has waited as long as the delay is now.
void WaitOut(const std::atomic<uint64_t>& delay_us) {
  for (uint64_t slept = 0; slept < delay_us; slept += kStepUs) {
    timespec step{0, static_cast<long>(kStepUs) * 1000};
    nanosleep(&step, nullptr);
  }
}

void Delay(int fd, std::atomic<uint64_t> Control::* delay, std::atomic<uint64_t> Control::* count) {
  Control* control = Controls();
  if (control == nullptr || control->*delay == 0 || !IsOurs(fd)) return;
  const int error = errno;
  ++(control->*count);
  WaitOut(control->*delay);
  errno = error;
}

void DelaySync(int fd) { Delay(fd, &Control::sync_delay_us, &Control::syncs_delayed); }
void DelayWrite(int fd) { Delay(fd, &Control::write_delay_us, &Control::writes_delayed); }

// What would be called if this library were not here.
template <class Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

int fsync(int fd) {
  static auto* next = Next<decltype(fsync)>("fsync");
  DelaySync(fd);
  return next(fd);
}

int fdatasync(int fd) {
  static auto* next = Next<decltype(fdatasync)>("fdatasync");
  DelaySync(fd);
  return next(fd);
}

int sync_file_range(int fd, off64_t offset, off64_t count, unsigned int flags) {
  static auto* next = Next<decltype(sync_file_range)>("sync_file_range");
  DelaySync(fd);
  return next(fd, offset, count, flags);
}

ssize_t write(int fd, const void* bytes, size_t size) {
  static auto* next = Next<decltype(write)>("write");
  DelayWrite(fd);
  return next(fd, bytes, size);
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  static auto* next = Next<decltype(pwrite)>("pwrite");
  DelayWrite(fd);
  return next(fd, bytes, size, offset);
}

}  // extern "C"
