// SPDX-License-Identifier: Apache-2.0
// How scenario files show the core's values: one short line each, terms after '@'. Pure.
#pragma once

#include "store/raft/message.h"
#include "store/raft/output.h"
#include "store/raft/types.h"

#include <string>

namespace store::raft {

std::string Print(const Entry& entry);
std::string Print(const Envelope& envelope);
std::string Print(const PersistUnit& unit);
// Everything of an output, one line each with `indent` before it.
std::string Print(const Output& output, const std::string& indent);

}  // namespace store::raft
