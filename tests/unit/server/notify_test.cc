// SPDX-License-Identifier: Apache-2.0
#include "store/server/notify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace store::server {
namespace {

// A service manager's socket.
class Manager {
 public:
  explicit Manager(const std::string& address) : fd_(socket(AF_UNIX, SOCK_DGRAM, 0)) {
    sockaddr_un own{};
    own.sun_family = AF_UNIX;
    std::copy(address.begin(), address.end(), own.sun_path);
    if (address.front() == '@') own.sun_path[0] = '\0';
    auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&own), size), 0);
  }
  ~Manager() { close(fd_); }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  std::string Read() {
    std::array<char, 64> bytes{};
    ssize_t size = recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    return size < 0 ? "" : std::string(bytes.data(), static_cast<size_t>(size));
  }

 private:
  int fd_;
};

ServiceManager At(const std::string& socket, Duration watchdog = Duration(0)) {
  return {socket, watchdog};
}

TEST(Notify, TellsTheManagerThroughAPathOrAnAbstractName) {
  const std::string unique = "sluice-notify-test." + std::to_string(getpid());
  for (const std::string& address : {testing::TempDir() + unique, "@" + unique}) {
    Manager manager(address);
    EXPECT_TRUE(TellServiceManager(At(address), "READY=1"));
    EXPECT_EQ(manager.Read(), "READY=1");
    if (address.front() == '/') unlink(address.c_str());
  }
}

TEST(Notify, WithoutAManagerNothingHappens) {
  EXPECT_FALSE(TellServiceManager(At(""), "READY=1"));
  EXPECT_FALSE(TellServiceManager(At("relative"), "READY=1"));
  EXPECT_FALSE(TellServiceManager(At("/nobody/listens/here"), "READY=1"));
  EXPECT_FALSE(TellServiceManager(At("/" + std::string(500, 'x')), "READY=1"));
}

TEST(Notify, TheEnvironmentSaysWhoWaitsAndWhetherItWatches) {
  const std::string own = std::to_string(getpid());
  EXPECT_EQ(FindServiceManager({{"WATCHDOG_USEC", "3000000"}}).watchdog, Duration(0));
  ServiceManager found =
      FindServiceManager({{"NOTIFY_SOCKET", "@s"}, {"WATCHDOG_USEC", "3000000"}});
  EXPECT_EQ(found.socket, "@s");
  EXPECT_EQ(found.watchdog, std::chrono::seconds(3));
  auto watched = [](const std::string& micros, const std::string& pid) {
    return FindServiceManager(
               {{"NOTIFY_SOCKET", "@s"}, {"WATCHDOG_USEC", micros}, {"WATCHDOG_PID", pid}})
        .watchdog;
  };
  EXPECT_EQ(watched("3000000", own), std::chrono::seconds(3));
  EXPECT_EQ(watched("3000000", own + "0"), Duration(0)) << "meant for another process";
  EXPECT_EQ(watched("3000000", ""), Duration(0));
  for (const char* odd : {"", "0", "-1", "3s", "99999999999999999999"}) {
    EXPECT_EQ(watched(odd, own), Duration(0)) << odd;
  }
}

// Timers run by hand.
class Timers final : public Executor {
 public:
  void Post(Action action) override { action(); }
  TimerId After(Duration delay, Action action) override {
    delays.push_back(delay);
    next = std::move(action);
    return ++ids_;
  }
  void Cancel(TimerId timer) override {
    if (timer == ids_) next = nullptr;
  }
  TimePoint Now() const override { return {}; }
  void Fire() { std::exchange(next, nullptr)(); }

  Action next;
  std::vector<Duration> delays;

 private:
  TimerId ids_ = 0;
};

TEST(Watchdog, SpeaksOnlyWhileTheReplicaTicks) {
  const std::string address = "@sluice-watchdog-test." + std::to_string(getpid());
  Manager manager(address);
  Timers timers;
  std::atomic<uint64_t> ticks{1};
  Watchdog watchdog(At(address, std::chrono::seconds(3)), ticks, timers);
  watchdog.Start();
  EXPECT_EQ(manager.Read(), "WATCHDOG=1");
  EXPECT_EQ(timers.delays, std::vector<Duration>{std::chrono::seconds(1)});
  timers.Fire();
  EXPECT_EQ(manager.Read(), "") << "the replica stands still";
  ticks = 2;
  timers.Fire();
  EXPECT_EQ(manager.Read(), "WATCHDOG=1");
  watchdog.Stop();
  EXPECT_FALSE(timers.next);
}

TEST(Watchdog, NobodyAskedForIt) {
  Timers timers;
  std::atomic<uint64_t> ticks{1};
  Watchdog watchdog(At("@nobody"), ticks, timers);
  watchdog.Start();
  EXPECT_FALSE(timers.next);
  watchdog.Stop();
}

}  // namespace
}  // namespace store::server
