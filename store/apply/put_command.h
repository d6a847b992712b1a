// SPDX-License-Identifier: Apache-2.0
// A plain put without generated messages: what a PutRequest says, read in place, and the log
// command around it. Most writes are plain puts, and their messages would cost seven allocations at
// apply and as many at the edge, and copy key and value three times; so the client's bytes go into
// the command as they came, and key and value are views of the log entry.
//
// Only what every encoder writes is read here: known fields in their order, each once. So the bytes
// are not much more than key and value, which is what those who hold the entry count. For anything
// else the readers say nullopt, and the generated messages have the word; so they never disagree
// with these (tests/fuzz/log_command.cc holds them against each other). Pure functions, any thread.
#pragma once

#include "store/apply/report.h"
#include "store/base/ids.h"

#include <etcd/rpc.pb.h>

#include <optional>
#include <string>
#include <string_view>

namespace store::apply {

// The bytes must outlive it.
struct PutFields {
  std::string_view key;
  std::string_view value;
  LeaseId lease;
  bool prev_kv = false;
  bool ignore_value = false;
  bool ignore_lease = false;
};

PutFields FieldsOf(const etcdserverpb::PutRequest& request);
// `request`: an encoded PutRequest.
std::optional<PutFields> ReadPutFields(std::string_view request);

// The bytes of EncodeCommand with this put.
std::string EncodePutCommand(const RequestId& id, std::string_view request);

struct PutCommand {
  RequestId id;
  PutFields put;
};
std::optional<PutCommand> ReadPutCommand(std::string_view command);

}  // namespace store::apply
