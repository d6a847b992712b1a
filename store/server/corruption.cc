// SPDX-License-Identifier: Apache-2.0
#include "store/server/corruption.h"

#include "store/apply/command.h"
#include "store/server/peer_page.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <utility>

namespace store::server {
namespace {

constexpr size_t kAnswerBytesMax = 4 << 10;
constexpr Duration kAlarmPatience = std::chrono::seconds(7);

bool Comparable(const mvcc::KvHash& a, const mvcc::KvHash& b) {
  return a.at == b.at && a.compacted == b.compacted;
}

bool HasCorruptAlarm(const apply::StateMachine& machine, raft::NodeId member) {
  return machine.Read()->alarms->alarms().contains({member.value(), cluster::AlarmKind::kCorrupt});
}

}  // namespace

std::vector<raft::NodeId> Deviants(std::span<const MemberHash> hashes) {
  if (hashes.empty()) return {};
  const MemberHash& first = hashes.front();
  std::map<uint32_t, size_t> votes;
  for (const MemberHash& one : hashes) {
    if (Comparable(one.hash, first.hash)) ++votes[one.hash.hash];
  }
  uint32_t right = first.hash.hash;
  for (const auto& [hash, count] : votes) {
    if (count > votes[right]) right = hash;
  }
  std::vector<raft::NodeId> deviants;
  for (const MemberHash& one : hashes) {
    bool differs = Comparable(one.hash, first.hash) && one.hash.hash != right;
    if (differs) deviants.push_back(one.member);
  }
  return deviants;
}

std::string EncodeHash(const mvcc::KvHash& hash) {
  nlohmann::ordered_json page;
  page["hash"] = hash.hash;
  page["hashRevision"] = hash.at.value();
  page["compactRevision"] = hash.compacted.value();
  page["revision"] = hash.current.value();
  return page.dump() + "\n";
}

std::optional<mvcc::KvHash> DecodeHash(std::string_view text) {
  auto page = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!page.is_object()) return std::nullopt;
  auto number = [&page](const char* name) -> std::optional<int64_t> {
    auto found = page.find(name);
    if (found == page.end() || !found->is_number_integer()) return std::nullopt;
    return found->get<int64_t>();
  };
  auto hash = number("hash");
  auto at = number("hashRevision");
  auto compacted = number("compactRevision");
  auto current = number("revision");
  if (!hash || *hash < 0 || *hash > UINT32_MAX || !at || !compacted || !current) {
    return std::nullopt;
  }
  return mvcc::KvHash{static_cast<uint32_t>(*hash), Revision(*at), Revision(*compacted),
                      Revision(*current)};
}

std::vector<MemberHash> AskHashes(const apply::StateMachine& machine, raft::NodeId self,
                                  Revision at) {
  auto members = machine.Read()->members;
  const std::string path = fmt::format("/members/hashkv?revision={}", at);
  std::vector<MemberHash> hashes;
  for (const cluster::Member& member : *members) {
    if (member.id == self) continue;
    for (const std::string& url : member.peer_urls) {
      auto page = GetPeerPage(url, path, self, kAnswerBytesMax);
      if (!page || page->status != 200) continue;
      if (auto hash = DecodeHash(page->body)) hashes.push_back({member.id, *hash});
      break;
    }
  }
  return hashes;
}

Status CheckInitialCorruption(const apply::StateMachine& machine, raft::NodeId self,
                              const Logger& log) {
  auto own = machine.mvcc().HashByRevision(Revision(0));
  RETURN_IF_ERROR(own);
  size_t compared = 0;
  for (const MemberHash& other : AskHashes(machine, self, own->at)) {
    if (!Comparable(other.hash, *own)) continue;
    ++compared;
    if (other.hash.hash == own->hash) continue;
    return Fail(ErrorCode::kCorruption,
                fmt::format("{:x} found data inconsistency with peers: member {:x} has hash {} at "
                            "revision {}, this member {}; replace this member",
                            self, other.member, other.hash.hash, own->at, own->hash));
  }
  log.Info("initial corruption checking passed; no corruption",
           {{"revision", own->at}, {"members-compared", compared}});
  return Ok();
}

void AddHashPage(rpc::HttpRouter& router, const apply::StateMachine& machine, RunHash run_hash) {
  auto run = std::make_shared<const RunHash>(std::move(run_hash));
  router.Add("GET", "/members/hashkv", [&machine, run](const rpc::HttpExchangePtr& exchange) {
    std::vector<std::string> asked = exchange->request().Query("revision");
    int64_t at = 0;
    if (!asked.empty()) {
      (void)std::from_chars(asked[0].data(), asked[0].data() + asked[0].size(), at);
    }
    Executor* loop = exchange->request().executor;
    bool taken = (*run)([&machine, exchange, loop, at] {
      auto hash = machine.mvcc().HashByRevision(Revision(at));
      loop->Post([exchange, hash = std::move(hash)] {
        if (exchange->done()) return;
        if (!hash) return exchange->ReplyError(400, Name(hash.error().code()));
        exchange->Reply(200, "application/json", EncodeHash(*hash));
      });
    });
    if (!taken) exchange->ReplyError(503, "too many requests");
  });
}

void CorruptionMonitor::Start() {
  timer_ = parts_.executor.After(period_, [this] {
    Check();
    Start();
  });
}

void CorruptionMonitor::Stop() {
  if (timer_) parts_.executor.Cancel(*timer_);
  timer_.reset();
}

void CorruptionMonitor::Check() {
  if (!parts_.gauges.is_leader.load(std::memory_order_relaxed)) return;
  // Refused: one is under way, or the member stops.
  (void)parts_.run_hash([this] {
    auto own = parts_.machine.mvcc().HashByRevision(Revision(0));
    if (!own) {
      return parts_.log.Warn("corruption check: the own hash cannot be made", {own.error()});
    }
    std::vector<MemberHash> hashes = AskHashes(parts_.machine, parts_.self, own->at);
    hashes.insert(hashes.begin(), {parts_.self, *own});
    Raise(Deviants(hashes));
    parts_.log.Info("finished peer corruption check",
                    {{"revision", own->at}, {"members", hashes.size()}});
  });
}

void CorruptionMonitor::Raise(const std::vector<raft::NodeId>& members) {
  replica::ProposalBundle bundle;
  for (raft::NodeId member : members) {
    parts_.log.Error("found hash mismatch",
                     {{"remote-peer-id", fmt::format("{:x}", member)},
                      {"local-member-id", fmt::format("{:x}", parts_.self)}});
    if (HasCorruptAlarm(parts_.machine, member)) continue;
    sluice::store::Command command;
    etcdserverpb::AlarmRequest& alarm = *command.mutable_alarm();
    alarm.set_action(etcdserverpb::AlarmRequest::ACTIVATE);
    alarm.set_memberid(member.value());
    alarm.set_alarm(etcdserverpb::CORRUPT);
    std::string bytes = apply::EncodeCommand({}, command);
    bundle.bytes += bytes.size();
    bundle.proposals.push_back({{}, std::move(bytes), parts_.executor.Now() + kAlarmPatience});
  }
  // Refused: the next check finds the same.
  if (!bundle.proposals.empty()) (void)parts_.door.TryPropose(bundle);
}

}  // namespace store::server
