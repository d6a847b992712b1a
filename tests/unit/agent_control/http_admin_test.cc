// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/http_admin.h"

#include "logagent/agent/explain_command.h"
#include "store/base/clock.h"
#include "store/base/file.h"

#include <gtest/gtest.h>
#include <time.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <vector>

namespace logagent {
namespace {

double CpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

TEST(HttpAdminTest, ConnectionThatFindsNoDescriptorWaitsWithoutASpin) {
  store::SystemClock clock;
  HttpAdmin admin(clock);
  admin.Add("/", [] { return HttpPage{.body = "page"}; });
  ASSERT_TRUE(admin.Start("127.0.0.1:0").has_value());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = 64;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  store::UniqueFd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  std::vector<store::UniqueFd> taken;
  while (true) {
    store::UniqueFd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!fd) break;
    taken.push_back(std::move(fd));
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(admin.port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  double cpu = CpuSeconds();
  ASSERT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(send(client.get(), "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
  pollfd answer{client.get(), POLLIN, 0};
  EXPECT_EQ(poll(&answer, 1, 500), 0) << "nobody could have accepted it";
  EXPECT_LT(CpuSeconds() - cpu, 0.1);
  taken.clear();
  EXPECT_EQ(poll(&answer, 1, 10'000), 1);
  char bytes[12] = {};
  EXPECT_EQ(recv(client.get(), bytes, sizeof(bytes), 0), 12);
  EXPECT_EQ(std::string(bytes, 12), "HTTP/1.1 200");
  setrlimit(RLIMIT_NOFILE, &before);
}

// A name may lead to addresses of which this machine has only one: localhost without IPv6.
TEST(HttpAdminTest, ListensOnTheFirstAddressThatThisMachineHas) {
  std::vector<sockaddr_in> resolved(2);
  std::vector<addrinfo> found(2);
  const char* texts[] = {"192.0.2.1", "127.0.0.1"};
  for (size_t i = 0; i < found.size(); ++i) {
    resolved[i].sin_family = AF_INET;
    ASSERT_EQ(inet_pton(AF_INET, texts[i], &resolved[i].sin_addr), 1);
    found[i].ai_family = AF_INET;
    found[i].ai_addr = reinterpret_cast<sockaddr*>(&resolved[i]);
    found[i].ai_addrlen = sizeof(sockaddr_in);
  }
  found[0].ai_next = &found[1];
  auto listener = ListenOnFirst(&found[0], "name:0");
  ASSERT_TRUE(listener.has_value()) << listener.error().message();
  sockaddr_in local{};
  socklen_t size = sizeof(local);
  ASSERT_EQ(getsockname(listener->get(), reinterpret_cast<sockaddr*>(&local), &size), 0);
  EXPECT_EQ(local.sin_addr.s_addr, resolved[1].sin_addr.s_addr);

  // In use is no reason to take another one: two agents would share the name.
  resolved[0] = local;
  auto in_use = ListenOnFirst(&found[0], "name:0");
  ASSERT_FALSE(in_use.has_value());
  EXPECT_NE(in_use.error().message().find("cannot listen on name:0"), std::string::npos);
}

}  // namespace
}  // namespace logagent
