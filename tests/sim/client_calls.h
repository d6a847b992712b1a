// SPDX-License-Identifier: Apache-2.0
// ClientCalls: unary calls of simulated clients at a simulated group: counted while they are open,
// told in the trace, and their answers given to who made them. What `done` returns is the first
// broken rule. One thread; whoever calls bounds how many are open.
#pragma once

#include "tests/sim/store_group.h"
#include "tests/sim/store_services.h"

#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace store::sim {

class ClientCalls {
 public:
  // Counted while the client's closure lives: a severed call ends too.
  struct Open {
    explicit Open(std::shared_ptr<uint64_t> counter) : open(std::move(counter)) { ++*open; }
    ~Open() { --*open; }
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;

    std::shared_ptr<uint64_t> open;
    std::string bytes;
  };

  explicit ClientCalls(StoreGroup& group) : group_(group) {}

  uint64_t open() const { return *open_; }
  // For a stream that its caller runs itself.
  std::shared_ptr<Open> Begin() {
    ++group_.counts().calls;
    return std::make_shared<Open>(open_);
  }

  // Calls `done(start, status, response)` unless the member goes away before; nothing at null.
  template <class Response, class Request, class Done>
  void Call(StoreProcess* process, std::string_view path, const Request& request, Done done);

 private:
  StoreGroup& group_;
  std::shared_ptr<uint64_t> open_ = std::make_shared<uint64_t>(0);
};

template <class Response, class Request, class Done>
void ClientCalls::Call(StoreProcess* process, std::string_view path, const Request& request,
                       Done done) {
  if (process == nullptr) return;
  auto call = Begin();
  if (group_.trace()) {
    group_.Say(
        fmt::format("{} at member {}: {}", path, process->self().node, request.ShortDebugString()));
  }
  CallStart start = group_.checks().Start(process->machine().mvcc().compacted().value());
  SimCall::Client client;
  client.on_message = [call](std::string bytes) { call->bytes = std::move(bytes); };
  client.on_finish = [this, call, start, done = std::move(done)](const rpc::RpcStatus& status) {
    Response response;
    if (!response.ParseFromString(call->bytes)) return group_.Fail("an answer cannot be parsed");
    if (status.ok()) ++group_.counts().answered;
    if (group_.trace()) {
      group_.Say(fmt::format("call of {} us is told {} {{{}}}", start.at, status.message,
                             response.ShortDebugString()));
    }
    group_.Trace(static_cast<uint64_t>(response.header().revision()));
    group_.Fail(done(start, status, response));
  };
  process->services().Call(path, request.SerializeAsString(), std::move(client));
}

}  // namespace store::sim
