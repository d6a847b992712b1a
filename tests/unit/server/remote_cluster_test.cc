// SPDX-License-Identifier: Apache-2.0
// What one that joins makes of the page /members, and how it finds itself in it.
#include "store/server/remote_cluster.h"

#include "store/base/clock.h"
#include "store/base/thread.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <array>
#include <chrono>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace store::server {
namespace {

// A port whose connections stand in the kernel's queue, as those of a member that starts.
class SilentPort {
 public:
  SilentPort() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* general = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(fd_, general, size), 0);
    EXPECT_EQ(::listen(fd_, 8), 0);
    EXPECT_EQ(::getsockname(fd_, general, &size), 0);
    url_ = fmt::format("http://127.0.0.1:{}", ntohs(address.sin_port));
  }
  ~SilentPort() { ::close(fd_); }
  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;

  const std::string& url() const { return url_; }
  // It is silent no more, for one who asks.
  void AnswerOnce(std::string_view answer) const {
    int one = ::accept(fd_, nullptr, nullptr);
    std::array<char, 1024> question{};
    EXPECT_GT(::recv(one, question.data(), question.size(), 0), 0);
    EXPECT_EQ(::send(one, answer.data(), answer.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(answer.size()));
    ::close(one);
  }

 private:
  int fd_;
  std::string url_;
};

cluster::Member MakeMember(uint64_t id, std::vector<std::string> urls, std::string name = {}) {
  cluster::Member member;
  member.id = raft::NodeId(id);
  member.peer_urls = std::move(urls);
  member.name = std::move(name);
  return member;
}

RemoteCluster TwoAndOneUnstarted() {
  return {ClusterId(0xc),
          {MakeMember(1, {"http://a:1"}, "a"), MakeMember(2, {"http://b:1", "http://b:2"}, "b"),
           MakeMember(3, {"http://c:1"})}};
}

TEST(RemoteCluster, MembersSurviveTheirPage) {
  cluster::MemberList members = TwoAndOneUnstarted().members;
  members[0].client_urls = {"http://a:9"};
  members[2].learner = true;
  members[2].id = raft::NodeId(0xfedcba9876543210);  // more than a double holds
  auto read = DecodeMembers(EncodeMembers(members));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, members);
}

// As etcd writes it.
TEST(RemoteCluster, ReadsEtcdsPage) {
  auto read = DecodeMembers(
      R"([{"id":10276657743932975437,"peerURLs":["http://localhost:2380"],"name":"default",)"
      R"("clientURLs":["http://localhost:2379"]}])"
      "\n");
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), 1u);
  EXPECT_EQ(read->front().id, raft::NodeId(0x8e9e05c52164694d));
  EXPECT_EQ(read->front().name, "default");
  EXPECT_FALSE(read->front().learner);
}

TEST(RemoteCluster, WhatIsNoPageIsRefused) {
  for (std::string_view text :
       {"", "{}", "[1]", "[{}]", R"([{"id":"7"}])", R"([{"id":-1}])", "[{"}) {
    EXPECT_FALSE(DecodeMembers(text)) << text;
  }
}

TEST(RemoteCluster, AMemberFindsItselfByItsUrls) {
  const NamedMember wanted[] = {
      {"a", {"http://a:1"}}, {"b", {"http://b:2", "http://b:1"}}, {"new", {"http://c:1"}}};
  auto own = MatchMembers(TwoAndOneUnstarted(), wanted, "new");
  ASSERT_TRUE(own) << own.error().ToString();
  EXPECT_EQ(*own, raft::NodeId(3));
}

TEST(RemoteCluster, OtherMembersThanTheFlagsSayAreRefused) {
  const NamedMember two[] = {{"a", {"http://a:1"}}, {"new", {"http://c:1"}}};
  auto fewer = MatchMembers(TwoAndOneUnstarted(), two, "new");
  ASSERT_FALSE(fewer);
  EXPECT_NE(fewer.error().message().find("error validating peerURLs {ClusterID:c"),
            std::string::npos);
  EXPECT_NE(fewer.error().message().find("member count is unequal"), std::string::npos);
  const NamedMember others[] = {
      {"a", {"http://a:1"}}, {"b", {"http://b:1"}}, {"new", {"http://c:1"}}};
  auto other = MatchMembers(TwoAndOneUnstarted(), others, "new");
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().message().find("PeerURLs: no match found for existing member (2,"),
            std::string::npos);
}

TEST(RemoteCluster, NobodyAnswersAtAClosedPort) {
  const std::string closed[] = {"http://127.0.0.1:1", "https://127.0.0.1:2", "nonsense"};
  PeersAnswer answer = AskPeers(closed, raft::NodeId(1));
  EXPECT_FALSE(answer.cluster);
  EXPECT_FALSE(answer.removed);
}

// One after the other would take two seconds each.
TEST(RemoteCluster, MembersThatAllStartWaitForEachOtherOnce) {
  std::array<SilentPort, 8> starting;
  std::vector<std::string> urls;
  urls.reserve(starting.size());
  for (const SilentPort& one : starting) urls.push_back(one.url());
  SystemClock clock;
  const TimePoint began = clock.Now();
  PeersAnswer answer = AskPeers(urls, raft::NodeId(1));
  EXPECT_FALSE(answer.cluster);
  EXPECT_LT(clock.Now() - began, std::chrono::seconds(10));
}

TEST(RemoteCluster, WhoeverAnswersIsHeardAmongSilentOnes) {
  SilentPort silent;
  SilentPort speaks;
  const std::string urls[] = {silent.url(), speaks.url()};
  Thread answer_one("answer", [&speaks] {
    speaks.AnswerOnce("HTTP/1.1 200 OK\r\nX-Etcd-Cluster-Id: c\r\n\r\n[]");
  });
  PeersAnswer answer = AskPeers(urls, raft::NodeId(1));
  ASSERT_TRUE(answer.cluster);
  EXPECT_EQ(answer.cluster->id, ClusterId(0xc));
  EXPECT_FALSE(answer.removed);
  answer_one.Join();
  Thread remove_one("answer", [&speaks] { speaks.AnswerOnce("HTTP/1.1 410 Gone\r\n\r\n"); });
  EXPECT_TRUE(AskPeers(urls, raft::NodeId(1)).removed);
}

// One that is behind answers first: it does not know yet who was added (simrun, seed 902941).
TEST(RemoteCluster, WhoJoinsAsksOnUntilOneKnowsIt) {
  SilentPort behind;
  SilentPort knows;
  const std::string urls[] = {behind.url(), knows.url()};
  const auto page = [](std::string_view id) {
    return fmt::format("HTTP/1.1 200 OK\r\nX-Etcd-Cluster-Id: c\r\n\r\n[{{\"id\":{}}}]", id);
  };
  const auto fits = [](const RemoteCluster& remote) {
    return remote.members.front().id == raft::NodeId(7);
  };
  Thread answers("answer", [&] {
    behind.AnswerOnce(page("6"));
    knows.AnswerOnce(page("7"));
  });
  PeersAnswer answer = AskPeers(urls, {}, fits);
  ASSERT_TRUE(answer.cluster);
  EXPECT_TRUE(fits(*answer.cluster));
  answers.Join();
  // If nobody knows it, the first answer says why.
  Thread again("answer", [&] { behind.AnswerOnce(page("6")); });
  answer = AskPeers(urls, {}, fits);
  ASSERT_TRUE(answer.cluster);
  EXPECT_FALSE(fits(*answer.cluster));
  again.Join();
}

}  // namespace
}  // namespace store::server
