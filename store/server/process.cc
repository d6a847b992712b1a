// SPDX-License-Identifier: Apache-2.0
#include "store/server/process.h"

#include "store/base/file.h"

#include <chrono>
#include <cstdlib>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

extern char** environ;

namespace store::server {

std::map<std::string, std::string> ReadEnvironment() {
  std::map<std::string, std::string> variables;
  for (char** row = environ; *row != nullptr; ++row) {
    std::string text = *row;
    if (size_t equal = text.find('='); equal != std::string::npos) {
      variables[text.substr(0, equal)] = text.substr(equal + 1);
    }
  }
  return variables;
}

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

size_t DescriptorsMax() {
  constexpr size_t kUnlimited = 1 << 20;
  rlimit limit{};
  bool known = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  return known ? static_cast<size_t>(limit.rlim_cur) : kUnlimited;
}

sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return signals;
}

int WaitForSignal(const sigset_t& signals) {
  int signal_number = 0;
  sigwait(&signals, &signal_number);
  return signal_number;
}

bool StopRequestedWithin(Duration limit) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  // Readable while a blocked signal is pending, and not read here.
  UniqueFd pending(signalfd(-1, &signals, SFD_CLOEXEC));
  pollfd wait{pending.get(), POLLIN, 0};
  auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(limit).count();
  return poll(&wait, 1, static_cast<int>(millis)) > 0;
}

void EndBy(int signal_number, const sigset_t& signals) {
  if (getpid() == 1) std::_Exit(0);
  ::signal(signal_number, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  raise(signal_number);
  std::_Exit(128 + signal_number);
}

}  // namespace store::server
