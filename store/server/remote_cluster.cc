// SPDX-License-Identifier: Apache-2.0
#include "store/server/remote_cluster.h"

#include "store/base/thread.h"
#include "store/server/bootstrap.h"
#include "store/server/peer_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>

namespace store::server {
namespace {

constexpr size_t kAnswerBytesMax = 1 << 20;
constexpr std::string_view kClusterHeader = "x-etcd-cluster-id: ";

PeersAnswer Ask(PeerPageRequest& request, const std::string& url, raft::NodeId own) {
  auto page = request.Get(url, "/members", own, kAnswerBytesMax);
  if (!page) return {};
  if (page->status == 410) return {.cluster = {}, .removed = true};
  size_t id = page->head.find(kClusterHeader);
  if (page->status != 200 || id == std::string::npos) return {};
  uint64_t number = 0;
  const char* begin = page->head.data() + id + kClusterHeader.size();
  auto [end, error] = std::from_chars(begin, page->head.data() + page->head.size(), number, 16);
  if (error != std::errc()) return {};
  auto members = DecodeMembers(page->body);
  if (!members) return {};
  return {.cluster = RemoteCluster{ClusterId(number), std::move(*members)}};
}

// The first answer that fits, else the first that says something.
class Answers {
 public:
  Answers(size_t expected, absl::FunctionRef<bool(const RemoteCluster&)> fits)
      : fits_(fits), expected_(expected) {}

  void Put(PeersAnswer answer) {
    MutexLock lock(mutex_);
    --expected_;
    if (!done_ && (answer.cluster || answer.removed)) {
      done_ = answer.removed || fits_(*answer.cluster);
      if (done_ || !said_) said_ = std::move(answer);
    }
    changed_.NotifyAll();
  }
  PeersAnswer Wait() {
    MutexLock lock(mutex_);
    while (!done_ && expected_ > 0) changed_.Wait(mutex_);
    return said_ ? std::move(*said_) : PeersAnswer();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  const absl::FunctionRef<bool(const RemoteCluster&)> fits_;
  size_t expected_ ABSL_GUARDED_BY(mutex_);
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<PeersAnswer> said_ ABSL_GUARDED_BY(mutex_);
};

bool SameUrls(std::vector<std::string> a, std::vector<std::string> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  return a == b;
}

tl::unexpected<Error> Mismatch(const RemoteCluster& remote, std::string_view reason) {
  std::vector<std::string> members;
  for (const cluster::Member& member : remote.members) {
    members.push_back(fmt::format("{:x}={}", member.id, fmt::join(member.peer_urls, ",")));
  }
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("error validating peerURLs {{ClusterID:{:x} Members:[{}]}}: {}",
                          remote.id, fmt::join(members, " "), reason));
}

}  // namespace

PeersAnswer AskPeers(std::span<const std::string> peer_urls, raft::NodeId own,
                     absl::FunctionRef<bool(const RemoteCluster&)> fits) {
  Answers answers(peer_urls.size(), fits);
  std::vector<PeerPageRequest> requests(peer_urls.size());
  std::vector<Thread> threads;
  threads.reserve(peer_urls.size());
  for (size_t i = 0; i < peer_urls.size(); ++i) {
    threads.emplace_back("ask-peer", [&answers, &request = requests[i], &url = peer_urls[i], own] {
      answers.Put(Ask(request, url, own));
    });
  }
  PeersAnswer answer = answers.Wait();
  for (PeerPageRequest& request : requests) request.Cancel();
  for (Thread& thread : threads) thread.Join();
  return answer;
}

Result<raft::NodeId> MatchMembers(const RemoteCluster& remote, std::span<const NamedMember> wanted,
                                  std::string_view name) {
  if (remote.members.size() != wanted.size()) return Mismatch(remote, "member count is unequal");
  raft::NodeId own;
  for (const cluster::Member& member : remote.members) {
    auto same = std::find_if(wanted.begin(), wanted.end(), [&](const NamedMember& one) {
      return SameUrls(one.peer_urls, member.peer_urls);
    });
    if (same == wanted.end()) {
      return Mismatch(remote, fmt::format("PeerURLs: no match found for existing member ({:x}, "
                                          "[{}])",
                                          member.id, fmt::join(member.peer_urls, " ")));
    }
    if (same->name == name) own = member.id;
  }
  if (own == raft::NodeId()) {
    return Mismatch(remote, fmt::format("no member has the peer URLs of \"{}\"", name));
  }
  return own;
}

std::string EncodeMembers(const cluster::MemberList& members) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const cluster::Member& member : members) {
    nlohmann::ordered_json row;
    row["id"] = member.id.value();
    row["peerURLs"] = member.peer_urls;
    if (member.learner) row["isLearner"] = true;
    if (!member.name.empty()) row["name"] = member.name;
    if (!member.client_urls.empty()) row["clientURLs"] = member.client_urls;
    list.push_back(std::move(row));
  }
  // Text that is not UTF-8 cannot be in JSON.
  return list.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Result<cluster::MemberList> DecodeMembers(std::string_view text) {
  auto list = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  auto bad = [] { return Fail(ErrorCode::kInvalidArgument, "not a list of members"); };
  if (!list.is_array()) return bad();
  auto texts = [](const nlohmann::json& row, const char* name) {
    std::vector<std::string> out;
    auto found = row.find(name);
    if (found == row.end() || !found->is_array()) return out;
    for (const auto& one : *found) {
      if (one.is_string()) out.push_back(one.get<std::string>());
    }
    return out;
  };
  cluster::MemberList members;
  for (const auto& row : list) {
    if (!row.is_object()) return bad();
    auto id = row.find("id");
    if (id == row.end() || !id->is_number_unsigned()) return bad();
    cluster::Member member;
    member.id = raft::NodeId(id->get<uint64_t>());
    member.peer_urls = texts(row, "peerURLs");
    member.client_urls = texts(row, "clientURLs");
    auto name = row.find("name");
    if (name != row.end() && name->is_string()) member.name = name->get<std::string>();
    auto learner = row.find("isLearner");
    member.learner = learner != row.end() && learner->is_boolean() && learner->get<bool>();
    members.push_back(std::move(member));
  }
  std::sort(members.begin(), members.end(),
            [](const cluster::Member& a, const cluster::Member& b) { return a.id < b.id; });
  return members;
}

void AddMembersPage(rpc::HttpRouter& router, MembersPage page) {
  auto serve = [page = std::make_shared<const MembersPage>(std::move(page))](
                   const rpc::HttpExchangePtr& exchange) {
    MembersPage::Lists lists = page->read();
    std::string_view asker = exchange->request().Header("x-server-from").value_or("0");
    uint64_t id = 0;
    (void)std::from_chars(asker.data(), asker.data() + asker.size(), id, 16);
    bool removed = std::find(lists.removed->begin(), lists.removed->end(), raft::NodeId(id)) !=
                   lists.removed->end();
    if (removed) return exchange->ReplyError(410, kRemovedText);
    exchange->SetHeader("x-etcd-cluster-id", fmt::format("{:x}", page->id));
    exchange->Reply(200, "application/json", EncodeMembers(*lists.members));
  };
  router.Add("GET", "/members", std::move(serve));
}

}  // namespace store::server
