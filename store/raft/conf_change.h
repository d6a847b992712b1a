// SPDX-License-Identifier: Apache-2.0
// Membership changes as a pure function of configuration and change, one member at a time
// (thesis 4.1), and the bytes of a change inside an entry of kind kConfChange:
//
//   kind u8 · node u64 big endian · context (the rest)
//
// Any thread.
#pragma once

#include "store/raft/types.h"

#include <optional>
#include <string>
#include <string_view>

namespace store::raft {

// The configuration after the change. Changes that are already so, and kNone, give the same
// configuration; so does the removal of the last voter: a group without voters could never change
// again.
ConfState Changed(const ConfState& conf, const ConfChange& change);

// Sorted, unique, learners do not vote. What Restart::conf and snapshots must fulfil.
bool IsValid(const ConfState& conf);

std::string EncodeConfChange(const ConfChange& change);
// nullopt: these bytes are not a change.
std::optional<ConfChange> DecodeConfChange(std::string_view bytes);

}  // namespace store::raft
