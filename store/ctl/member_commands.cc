// SPDX-License-Identifier: Apache-2.0
#include "store/ctl/member_commands.h"

#include "store/ctl/go_text.h"

#include <fmt/format.h>
#include <fmt/ostream.h>
#include <fmt/ranges.h>

#include <array>
#include <charconv>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

namespace store::ctl {
namespace {

constexpr auto kAddFlags = std::to_array<FlagSpec>({
    {"peer-urls", FlagKind::kText, "", "comma separated peer URLs for the new member"},
    {"learner", FlagKind::kBool, "false", "the new member is a learner"},
});
constexpr auto kUpdateFlags = std::to_array<FlagSpec>({
    {"peer-urls", FlagKind::kText, "", "comma separated peer URLs for the updated member"},
});

std::optional<uint64_t> ParseHexId(std::string_view text) {
  uint64_t id = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return id;
}

std::vector<std::string> Split(std::string_view list) {
  std::vector<std::string> parts;
  for (;;) {
    size_t comma = list.find(',');
    parts.emplace_back(list.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    list.remove_prefix(comma + 1);
  }
}

// What the new member's environment has to say; of the list as the cluster has it now.
void PrintEnvironment(std::ostream& out, const pb::MemberAddResponse& answer,
                      const std::string& name, const std::string& urls) {
  std::vector<std::string> cluster;
  for (const pb::Member& member : answer.members()) {
    bool added = member.id() == answer.member().id();
    for (const std::string& url : member.peerurls()) {
      cluster.push_back(fmt::format("{}={}", added ? name : member.name(), url));
    }
  }
  fmt::print(out, "\nETCD_NAME={}\nETCD_INITIAL_CLUSTER={}\n", Quoted(name),
             Quoted(fmt::format("{}", fmt::join(cluster, ","))));
  fmt::print(out, "ETCD_INITIAL_ADVERTISE_PEER_URLS={}\nETCD_INITIAL_CLUSTER_STATE=\"existing\"\n",
             Quoted(urls));
}

int MemberAdd(Session& session, const ParsedFlags& flags) {
  if (flags.positional().empty()) return session.Usage("member name not provided");
  if (flags.positional().size() > 1) return session.Usage("too many arguments");
  std::string urls = flags.Text("peer-urls");
  if (urls.empty()) return session.Usage("member peer urls not provided");
  pb::MemberAddRequest request;
  for (const std::string& url : Split(urls)) request.add_peerurls(url);
  request.set_islearner(flags.Bool("learner"));
  auto answer = session.client().MemberAdd(request);
  if (!answer) return session.Failed(answer.error());
  std::string line = fmt::format("Member {:16x} added to cluster {:16x}", answer->member().id(),
                                 answer->header().cluster_id());
  int code = session.Printed(session.printer().Done(line, *answer));
  if (code == kExitOk && session.options().format == OutputFormat::kSimple) {
    PrintEnvironment(session.out(), *answer, flags.positional()[0], urls);
  }
  return code;
}

// The verbs that take one id.
template <class Call>
int WithId(Session& session, const ParsedFlags& flags, std::string_view done, Call call) {
  if (flags.positional().size() != 1) return session.Usage("member ID is not provided");
  const std::string& text = flags.positional()[0];
  auto id = ParseHexId(text);
  if (!id) {
    return session.Usage(
        fmt::format("bad member ID arg (strconv.ParseUint: parsing {}: invalid "
                    "syntax), expecting ID in Hex",
                    Quoted(text)));
  }
  auto answer = call(*id);
  if (!answer) return session.Failed(answer.error());
  std::string line =
      fmt::format("Member {:16x} {} cluster {:16x}", *id, done, answer->header().cluster_id());
  return session.Printed(session.printer().Done(line, *answer));
}

int MemberRemove(Session& session, const ParsedFlags& flags) {
  return WithId(session, flags, "removed from",
                [&](uint64_t id) { return session.client().MemberRemove(id); });
}

int MemberPromote(Session& session, const ParsedFlags& flags) {
  return WithId(session, flags, "promoted in",
                [&](uint64_t id) { return session.client().MemberPromote(id); });
}

int MemberUpdate(Session& session, const ParsedFlags& flags) {
  std::string urls = flags.Text("peer-urls");
  if (flags.positional().size() == 1 && urls.empty()) {
    return session.Usage("member peer urls not provided");
  }
  return WithId(session, flags, "updated in", [&](uint64_t id) {
    pb::MemberUpdateRequest request;
    request.set_id(id);
    for (const std::string& url : Split(urls)) request.add_peerurls(url);
    return session.client().MemberUpdate(request);
  });
}

int MoveLeader(Session& session, const ParsedFlags& flags) {
  if (flags.positional().size() != 1) {
    return session.Usage("move-leader command needs 1 argument");
  }
  auto target = ParseHexId(flags.positional()[0]);
  if (!target) {
    return session.Usage(fmt::format("strconv.ParseUint: parsing {}: invalid syntax",
                                     Quoted(flags.positional()[0])));
  }
  const std::vector<std::string>& endpoints = session.options().client.endpoints;
  for (const std::string& endpoint : endpoints) {
    auto client = session.ClientOf(endpoint);
    auto status = client->EndpointStatus();
    if (!status) return session.Failed(status.error());
    if (status->header().member_id() != status->leader()) continue;
    auto answer = client->MoveLeader(*target);
    if (!answer) return session.Failed(answer.error());
    return session.Printed(session.printer().Done(
        fmt::format("Leadership transferred from {:x} to {:x}", status->leader(), *target),
        *answer));
  }
  return session.Usage(fmt::format("no leader endpoint given at [{}]", fmt::join(endpoints, " ")));
}

// `verb` as etcdctl prints it.
int Downgrade(Session& session, const ParsedFlags& flags,
              pb::DowngradeRequest::DowngradeAction action, std::string_view verb) {
  pb::DowngradeRequest request;
  request.set_action(action);
  if (action != pb::DowngradeRequest::CANCEL) {
    if (flags.positional().empty()) return session.Usage("TARGET_VERSION not provided");
    if (flags.positional().size() > 1) return session.Usage("too many arguments");
    request.set_version(flags.positional()[0]);
  }
  auto answer = session.client().Downgrade(request);
  if (!answer) return session.Failed(answer.error());
  return session.Printed(session.printer().Done(
      fmt::format("Downgrade {} success, cluster version {}", verb, answer->version()), *answer));
}

int DowngradeValidate(Session& session, const ParsedFlags& flags) {
  return Downgrade(session, flags, pb::DowngradeRequest::VALIDATE, "validate");
}
int DowngradeEnable(Session& session, const ParsedFlags& flags) {
  return Downgrade(session, flags, pb::DowngradeRequest::ENABLE, "enable");
}
int DowngradeCancel(Session& session, const ParsedFlags& flags) {
  return Downgrade(session, flags, pb::DowngradeRequest::CANCEL, "cancel");
}

constexpr Command kCommands[] = {
    {"downgrade validate",
     "VERSION",
     "whether the cluster may go back to it",
     {},
     DowngradeValidate},
    {"downgrade enable", "VERSION", "lets the cluster go back to it", {}, DowngradeEnable},
    {"downgrade cancel", "", "ends a downgrade", {}, DowngradeCancel},
    {"member add", "NAME", "lets a new member join", kAddFlags, MemberAdd},
    {"member remove", "ID", "removes a member for good", {}, MemberRemove},
    {"member update", "ID", "gives a member other peer URLs", kUpdateFlags, MemberUpdate},
    {"member promote", "ID", "makes a voter of a learner", {}, MemberPromote},
    {"move-leader", "ID", "hands leadership to another member", {}, MoveLeader},
};

}  // namespace

std::span<const Command> MemberCommands() { return kCommands; }

}  // namespace store::ctl
