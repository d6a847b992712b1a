// SPDX-License-Identifier: Apache-2.0
#include "store/ctl/cluster_commands.h"

#include "store/ctl/go_text.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <array>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace store::ctl {
namespace {

constexpr auto kMemberListFlags = std::to_array<FlagSpec>({
    {"consistency", FlagKind::kText, "l", "linearizable (l) or serializable (s)"},
});
constexpr auto kEndpointFlags = std::to_array<FlagSpec>({
    {"cluster", FlagKind::kBool, "false", "all endpoints of the member list"},
});
constexpr auto kHashFlags = std::to_array<FlagSpec>({
    {"cluster", FlagKind::kBool, "false", "all endpoints of the member list"},
    {"rev", FlagKind::kInt, "0", "hash up to this revision; 0: the current one"},
});

int MemberList(Session& session, const ParsedFlags& flags) {
  std::string consistency = flags.Text("consistency");
  if (consistency != "l" && consistency != "s") {
    return session.Usage(fmt::format("unknown consistency flag {}", Quoted(consistency)));
  }
  pb::MemberListRequest request;
  request.set_linearizable(consistency == "l");
  auto answer = session.client().MemberList(request);
  if (!answer) return session.Failed(answer.error());
  return session.Printed(session.printer().MemberList(*answer));
}

Result<std::vector<std::string>> Endpoints(Session& session, const ParsedFlags& flags) {
  if (!flags.Bool("cluster")) return session.options().client.endpoints;
  pb::MemberListRequest request;
  request.set_linearizable(true);
  auto answer = session.client().MemberList(request);
  if (!answer) {
    return Fail(answer.error().code(),
                fmt::format("failed to fetch endpoints from etcd cluster member list: {}",
                            Session::TextOf(answer.error())));
  }
  std::vector<std::string> endpoints;
  for (const pb::Member& member : answer->members()) {
    endpoints.insert(endpoints.end(), member.clienturls().begin(), member.clienturls().end());
  }
  return endpoints;
}

// A member that works but raised an alarm is not healthy.
std::string AlarmText(const pb::AlarmResponse& answer) {
  std::string text;
  for (const pb::AlarmMember& alarm : answer.alarms()) {
    if (text.empty()) text = "Active Alarm(s): ";
    text += pb::AlarmType_Name(alarm.alarm()) + " ";
  }
  return text;
}

EndpointHealth Ask(Session& session, const std::string& endpoint) {
  SystemClock clock;
  auto client = session.ClientOf(endpoint);
  EndpointHealth health{.endpoint = endpoint};
  TimePoint begin = clock.Now();
  auto answer = client->Health();
  health.took = clock.Now() - begin;
  health.healthy = answer.has_value();
  if (!answer) {
    health.error = Session::TextOf(answer.error());
    return health;
  }
  auto alarms = client->Alarm({});
  if (alarms && alarms->alarms_size() > 0) {
    health.healthy = false;
    health.error = AlarmText(*alarms);
  }
  return health;
}

int Health(Session& session, const ParsedFlags& flags) {
  auto endpoints = Endpoints(session, flags);
  if (!endpoints) return session.Failed(endpoints.error());
  std::vector<EndpointHealth> list;
  bool all = true;
  for (const std::string& endpoint : *endpoints) {
    list.push_back(Ask(session, endpoint));
    all = all && list.back().healthy;
  }
  if (int code = session.Printed(session.printer().Health(list)); code != kExitOk) return code;
  if (session.options().format == OutputFormat::kSimple) {
    for (const EndpointHealth& one : list) {
      if (one.healthy) continue;
      fmt::print(session.err(), "{} is unhealthy: failed to commit proposal: {}\n", one.endpoint,
                 one.error);
    }
  }
  return all ? kExitOk : session.Failed("unhealthy cluster");
}

// Asks every endpoint; what failed is told on stderr. `last` is the error of the last one that did.
template <class One, class Call>
  requires std::invocable<Call, client::Client&>
Result<std::vector<One>> AskAll(Session& session, const ParsedFlags& flags, std::string_view what,
                                Call call, std::optional<Error>* last) {
  auto endpoints = Endpoints(session, flags);
  if (!endpoints) return Fail(std::move(endpoints).error());
  std::vector<One> list;
  for (const std::string& endpoint : *endpoints) {
    auto client = session.ClientOf(endpoint);
    auto answer = call(*client);
    if (answer) {
      list.push_back({endpoint, std::move(*answer)});
      continue;
    }
    *last = answer.error();
    fmt::print(session.err(), "Failed to get the {} of endpoint {} ({})\n", what, endpoint,
               Session::TextOf(answer.error()));
  }
  return list;
}

int EndpointStatusOf(Session& session, const ParsedFlags& flags) {
  std::optional<Error> failed;
  auto list = AskAll<EndpointStatus>(
      session, flags, "status", [](client::Client& one) { return one.EndpointStatus(); }, &failed);
  if (!list) return session.Failed(list.error());
  int code = session.Printed(session.printer().Statuses(*list));
  return code == kExitOk && failed ? kExitFailed : code;
}

int EndpointHashKv(Session& session, const ParsedFlags& flags) {
  std::optional<Error> failed;
  int64_t revision = flags.Int("rev");
  auto list = AskAll<EndpointHash>(
      session, flags, "hash", [revision](client::Client& one) { return one.HashKV(revision); },
      &failed);
  if (!list) return session.Failed(list.error());
  int code = session.Printed(session.printer().Hashes(*list));
  return code == kExitOk && failed ? session.Failed(*failed) : code;
}

int Alarms(Session& session, pb::AlarmRequest::AlarmAction action) {
  pb::AlarmRequest request;
  request.set_action(action);
  auto answer = session.client().Alarm(request);
  if (!answer) return session.Failed(answer.error());
  return session.Printed(session.printer().Alarms(*answer));
}

int AlarmList(Session& session, const ParsedFlags& flags) {
  if (!flags.positional().empty()) {
    return session.Usage("alarm list command accepts no arguments");
  }
  return Alarms(session, pb::AlarmRequest::GET);
}

constexpr Command kCommands[] = {
    {"member list", "", "the members of the cluster", kMemberListFlags, MemberList},
    {"endpoint health", "", "whether each endpoint can commit", kEndpointFlags, Health},
    {"endpoint status", "", "version, size, leader and indexes of each endpoint", kEndpointFlags,
     EndpointStatusOf},
    {"endpoint hashkv", "", "hash of each endpoint's history", kHashFlags, EndpointHashKv},
    {"alarm list", "", "the alarms that are raised", {}, AlarmList},
};

}  // namespace

std::span<const Command> ClusterCommands() { return kCommands; }

}  // namespace store::ctl
