// SPDX-License-Identifier: Apache-2.0
#include "store/ctl/lease_commands.h"

#include "store/ctl/go_text.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <array>
#include <ostream>

namespace store::ctl {
namespace {

constexpr auto kTimeToLiveFlags = std::to_array<FlagSpec>({
    {"keys", FlagKind::kBool, "false", "also the keys that hang on the lease"},
});
constexpr auto kKeepAliveFlags = std::to_array<FlagSpec>({
    {"once", FlagKind::kBool, "false", "one sign of life only"},
});

Result<int64_t> ParseLease(const std::string& text) {
  auto id = ParseInt(text, 16);
  if (id) return id;
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("bad lease ID arg ({}), expecting ID in Hex", id.error().message()));
}

int Grant(Session& session, const ParsedFlags& flags) {
  if (flags.positional().size() != 1) {
    return session.Usage("lease grant command needs TTL argument");
  }
  auto ttl = ParseInt(flags.positional()[0], 10);
  if (!ttl) return session.Usage(fmt::format("bad TTL ({})", ttl.error().message()));
  pb::LeaseGrantRequest request;
  request.set_ttl(*ttl);
  auto answer = session.client().LeaseGrant(request);
  if (!answer) {
    return session.Failed(
        fmt::format("failed to grant lease ({})", Session::TextOf(answer.error())));
  }
  return session.Printed(session.printer().LeaseGrant(*answer));
}

int Revoke(Session& session, const ParsedFlags& flags) {
  if (flags.positional().size() != 1) {
    return session.Usage("lease revoke command needs 1 argument");
  }
  auto lease = ParseLease(flags.positional()[0]);
  if (!lease) return session.Usage(lease.error().message());
  pb::LeaseRevokeRequest request;
  request.set_id(*lease);
  auto answer = session.client().LeaseRevoke(request);
  if (!answer) {
    return session.Failed(
        fmt::format("failed to revoke lease ({})", Session::TextOf(answer.error())));
  }
  return session.Printed(session.printer().LeaseRevoke(*lease, *answer));
}

int TimeToLive(Session& session, const ParsedFlags& flags) {
  if (flags.positional().size() != 1) {
    return session.Usage("lease timetolive command needs lease ID as argument");
  }
  auto lease = ParseLease(flags.positional()[0]);
  if (!lease) return session.Usage(lease.error().message());
  pb::LeaseTimeToLiveRequest request;
  request.set_id(*lease);
  request.set_keys(flags.Bool("keys"));
  auto answer = session.client().LeaseTimeToLive(request);
  if (!answer) return session.Failed(answer.error());
  return session.Printed(session.printer().LeaseTimeToLive(*answer, flags.Bool("keys")));
}

int List(Session& session, const ParsedFlags&) {
  auto answer = session.client().LeaseLeases();
  if (!answer) return session.Failed(answer.error());
  return session.Printed(session.printer().Leases(*answer));
}

int KeepAlive(Session& session, const ParsedFlags& flags) {
  if (flags.positional().size() != 1) {
    return session.Usage("lease keep-alive command needs lease ID as argument");
  }
  auto lease = ParseLease(flags.positional()[0]);
  if (!lease) return session.Usage(lease.error().message());
  bool once = flags.Bool("once");
  while (true) {
    auto answer = session.client().LeaseKeepAlive(*lease);
    bool gone = !answer && answer.error().code() == ErrorCode::kLeaseNotFound;
    if (gone && !once) {
      if (session.options().format == OutputFormat::kSimple) {
        fmt::print(session.out(), "lease {:016x} expired or revoked.\n",
                   static_cast<uint64_t>(*lease));
      }
      return kExitOk;
    }
    if (!answer) return session.Failed(answer.error());
    int code = session.Printed(session.printer().LeaseKeepAlive(*answer));
    session.out().flush();
    if (once || code != kExitOk) return code;
    // A third leaves two more tries before the lease runs out.
    WaitFor(std::max<Duration>(std::chrono::seconds(answer->ttl()) / 3,
                               std::chrono::milliseconds(500)));
  }
}

constexpr Command kCommands[] = {
    {"lease grant", "<ttl>", "a new lease, ttl in seconds", {}, Grant},
    {"lease revoke", "<lease>", "end a lease and delete its keys", {}, Revoke},
    {"lease timetolive", "<lease>", "how long a lease still lives", kTimeToLiveFlags, TimeToLive},
    {"lease list", "", "all leases", {}, List},
    {"lease keep-alive", "<lease>", "renew a lease until interrupted", kKeepAliveFlags, KeepAlive},
};

}  // namespace

std::span<const Command> LeaseCommands() { return kCommands; }

}  // namespace store::ctl
