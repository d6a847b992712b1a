// SPDX-License-Identifier: Apache-2.0
// Answers of apply without what differs between members and what the edge fills in. Pure.
#pragma once

#include <google/protobuf/message_lite.h>

#include <string>

namespace store::sim {

// Bytes that are equal for equal answers; a missing one is an empty one.
std::string Comparable(const google::protobuf::MessageLite* answer);
std::string Readable(const google::protobuf::MessageLite* answer);

}  // namespace store::sim
