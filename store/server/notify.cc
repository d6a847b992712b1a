// SPDX-License-Identifier: Apache-2.0
#include "store/server/notify.h"

#include "store/base/file.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace store::server {
namespace {

std::optional<int64_t> Number(const std::map<std::string, std::string>& environment,
                              const char* name) {
  auto found = environment.find(name);
  if (found == environment.end()) return std::nullopt;
  const std::string& text = found->second;
  int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  bool whole = error == std::errc() && end == text.data() + text.size() && number > 0;
  return whole ? std::optional(number) : std::nullopt;
}

}  // namespace

ServiceManager FindServiceManager(const std::map<std::string, std::string>& environment) {
  ServiceManager manager;
  auto socket = environment.find("NOTIFY_SOCKET");
  if (socket == environment.end()) return manager;
  manager.socket = socket->second;
  // It may be meant for whoever started this process.
  bool meant = !environment.contains("WATCHDOG_PID") ||
               Number(environment, "WATCHDOG_PID") == static_cast<int64_t>(getpid());
  if (auto micros = Number(environment, "WATCHDOG_USEC"); micros && meant) {
    manager.watchdog = std::chrono::microseconds(*micros);
  }
  return manager;
}

bool TellServiceManager(const ServiceManager& manager, std::string_view state) {
  const std::string& address = manager.socket;
  sockaddr_un to{};
  bool usable = address.starts_with('/') || address.starts_with('@');
  if (!usable || address.size() >= sizeof to.sun_path) return false;
  to.sun_family = AF_UNIX;
  std::copy(address.begin(), address.end(), to.sun_path);
  if (address.front() == '@') to.sun_path[0] = '\0';  // of the abstract namespace
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return false;
  auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
  ssize_t sent = ::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL,
                          reinterpret_cast<const sockaddr*>(&to), size);
  return sent == static_cast<ssize_t>(state.size());
}

void Watchdog::Start() {
  if (manager_.watchdog <= Duration(0)) return;
  uint64_t ticks = ticks_.load(std::memory_order_relaxed);
  if (ticks != seen_) TellServiceManager(manager_, "WATCHDOG=1");
  seen_ = ticks;
  timer_ = executor_.After(manager_.watchdog / 3, [this] { Start(); });
}

void Watchdog::Stop() {
  if (timer_) executor_.Cancel(*timer_);
  timer_.reset();
}

}  // namespace store::server
