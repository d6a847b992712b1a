// SPDX-License-Identifier: Apache-2.0
// The log command: the data of a raft entry of kind command, as proto/store_command.proto describes
// it. Encoded once, on the io loop that took the request; decoded by apply on every member. Free
// functions, any thread.
#pragma once

#include "store/apply/report.h"
#include "store/base/error.h"
#include "store/base/ids.h"
#include "store/lease/lease_clock.h"
#include "store_command.pb.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace store::apply {

inline constexpr uint32_t kCommandFormat = 1;

// Who asked. Counter 0: nobody waits for the result.
sluice::store::CommandHeader MakeHeader(const RequestId& id);
RequestId IdOf(const sluice::store::CommandHeader& header);

// Sets format and header and encodes.
std::string EncodeCommand(const RequestId& id, sluice::store::Command& command);

// The context of a configuration change; sets its header.
std::string EncodeMembershipChange(const RequestId& id, sluice::store::MembershipChange& command);

// Revoke of overdue leases by the leader itself.
std::string EncodeLeaseExpiry(std::span<const LeaseId> ids);

// What is left of leases, by the leader itself; 0 seconds clear a checkpoint.
std::string EncodeLeaseCheckpoints(std::span<const lease::LeaseClock::Checkpoint> checkpoints);

// kUnsupported for a newer format or an unknown body: the member must stop, because skipping an
// entry would let its state differ from the others'. kCorruption when the bytes are no command.
Status DecodeCommand(std::string_view bytes, sluice::store::Command* command);

}  // namespace store::apply
