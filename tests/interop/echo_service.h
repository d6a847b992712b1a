// SPDX-License-Identifier: Apache-2.0
// The service the interop tests call, registered through store/rpc/call.h like every real one.
// Messages are google.protobuf.BytesValue, so no generated code is needed on either side. Counters:
// any thread.
//
//   /sluice.test.Echo/Unary    the request as the answer
//   /sluice.test.Echo/Fail     the request as the text of an INTERNAL error
//   /sluice.test.Echo/Hang     no answer; counts cancellations
//   /sluice.test.Echo/Later    echoes 20 ms later, from a timer
//   /sluice.test.Echo/Bidi     each message back; finishes at half-close
//   /sluice.test.Echo/OneByOne the same, with its input held until a message is answered
//   /sluice.test.Echo/Collect  sizes of all messages summed, answered at half-close
//   /sluice.test.Echo/Source   "<count> <size>": that many messages, as the window allows
//   /sluice.test.Echo/Lasting  nothing, until the server stops: UNAVAILABLE "stopped"
//   /sluice.test.Echo/Deaf     a stream that reads nothing; counts cancellations
#pragma once

#include "store/rpc/call.h"
#include "store/rpc/http_router.h"

#include <atomic>

namespace store::rpc::test {

struct EchoCounters {
  std::atomic<int> cancelled = 0;
  std::atomic<int> hanging = 0;
  std::atomic<int> source_waits = 0;  // Write said false
};

void RegisterEcho(MethodTable* methods, EchoCounters* counters);
// GET /ping, POST /echo, GET /stream (three pieces), GET /later.
void RegisterEchoHttp(HttpRouter* router);

}  // namespace store::rpc::test
