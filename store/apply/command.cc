// SPDX-License-Identifier: Apache-2.0
#include "store/apply/command.h"

#include "store/base/check.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>

namespace store::apply {
namespace {

// A command wraps the client's request in one more message. What the edge could parse (protobuf's
// own limit is 100) must parse here too: a member that cannot read a committed entry has to stop.
constexpr int kNestingMax = 200;

}  // namespace

sluice::store::CommandHeader MakeHeader(const RequestId& id) {
  sluice::store::CommandHeader header;
  header.set_member_id(id.member);
  header.set_boot_nonce(id.boot_nonce);
  header.set_loop(id.loop.value());
  header.set_counter(id.counter);
  return header;
}

RequestId IdOf(const sluice::store::CommandHeader& header) {
  return {header.member_id(), header.boot_nonce(), LoopId(header.loop()), header.counter()};
}

std::string EncodeCommand(const RequestId& id, sluice::store::Command& command) {
  command.set_format(kCommandFormat);
  *command.mutable_header() = MakeHeader(id);
  std::string bytes;
  CHECK(command.SerializeToString(&bytes));
  return bytes;
}

std::string EncodeMembershipChange(const RequestId& id, sluice::store::MembershipChange& command) {
  *command.mutable_header() = MakeHeader(id);
  return command.SerializeAsString();
}

std::string EncodeLeaseExpiry(std::span<const LeaseId> ids) {
  sluice::store::Command command;
  for (LeaseId id : ids) command.mutable_lease_revoke()->add_ids(id.value());
  return EncodeCommand(RequestId(), command);
}

std::string EncodeLeaseCheckpoints(std::span<const lease::LeaseClock::Checkpoint> checkpoints) {
  sluice::store::Command command;
  for (const auto& checkpoint : checkpoints) {
    auto& one = *command.mutable_lease_checkpoint()->add_checkpoints();
    one.set_id(checkpoint.id.value());
    one.set_remaining_ttl(checkpoint.remaining_seconds);
  }
  return EncodeCommand(RequestId(), command);
}

Status DecodeCommand(std::string_view bytes, sluice::store::Command* command) {
  google::protobuf::io::CodedInputStream input(reinterpret_cast<const uint8_t*>(bytes.data()),
                                               static_cast<int>(bytes.size()));
  input.SetRecursionLimit(kNestingMax);
  command->Clear();
  if (!command->ParseFromCodedStream(&input) || !input.ConsumedEntireMessage()) {
    return Fail(ErrorCode::kCorruption, "a log entry is not a command");
  }
  if (command->format() != kCommandFormat) {
    return Fail(
        ErrorCode::kUnsupported,
        fmt::format("a log entry has command format {}, this release knows {}: run the newer "
                    "release on this member",
                    command->format(), kCommandFormat));
  }
  if (command->body_case() == sluice::store::Command::BODY_NOT_SET) {
    return Fail(ErrorCode::kUnsupported,
                "a log entry holds a command this release does not know: run the newer release on "
                "this member");
  }
  return Ok();
}

}  // namespace store::apply
