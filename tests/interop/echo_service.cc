// SPDX-License-Identifier: Apache-2.0
#include "tests/interop/echo_service.h"

#include <fmt/format.h>
#include <google/protobuf/wrappers.pb.h>

#include <cstdio>
#include <memory>
#include <utility>

namespace store::rpc::test {
namespace {

using google::protobuf::BytesValue;
using EchoCall = Call<BytesValue, BytesValue>;
using EchoStream = Stream<BytesValue, BytesValue>;

BytesValue Value(std::string bytes) {
  BytesValue value;
  value.set_value(std::move(bytes));
  return value;
}

void Hang(EchoCall call, EchoCounters* counters) {
  ++counters->hanging;
  auto held = std::make_shared<EchoCall>(std::move(call));
  held->OnCancel([held, counters] { ++counters->cancelled; });
}

void Later(EchoCall call) {
  Executor* executor = call.info().executor;
  executor->After(std::chrono::milliseconds(20),
                  [call = std::move(call)]() mutable { call.Reply(call.request()); });
}

void Bidi(EchoStream stream) {
  stream.OnMessage([stream](BytesValue&& message) mutable { stream.Write(message); });
  stream.OnHalfClose([stream]() mutable { stream.Finish(); });
}

void OneByOne(EchoStream stream) {
  auto held = std::make_shared<bool>(false);
  stream.OnMessage([stream, held](BytesValue&& message) mutable {
    if (std::exchange(*held, true)) stream.Finish({GrpcCode::kInternal, "delivered while held"});
    stream.HoldInput(true);
    stream.info().executor->Post([stream, held, message]() mutable {
      stream.Write(message);
      *held = false;
      stream.HoldInput(false);
    });
  });
  stream.OnHalfClose([stream]() mutable { stream.Finish(); });
}

void Collect(EchoStream stream) {
  auto total = std::make_shared<size_t>(0);
  stream.OnMessage([total](BytesValue&& message) { *total += message.value().size(); });
  stream.OnHalfClose([stream, total]() mutable {
    stream.Write(Value(std::to_string(*total)));
    stream.Finish();
  });
}

struct SourceState {
  int left = 0;
  std::string bytes;
};

void Pump(EchoStream stream, const std::shared_ptr<SourceState>& state, EchoCounters* counters) {
  while (state->left > 0) {
    --state->left;
    if (!stream.Write(Value(state->bytes)) && state->left > 0) {
      ++counters->source_waits;
      return;
    }
  }
  stream.Finish();
}

void Source(EchoStream stream, EchoCounters* counters) {
  stream.OnMessage([stream, counters](BytesValue&& message) mutable {
    auto state = std::make_shared<SourceState>();
    unsigned size = 0;
    if (std::sscanf(message.value().c_str(), "%d %u", &state->left, &size) != 2) {
      stream.Finish({GrpcCode::kInvalidArgument, "want \"<count> <size>\""});
      return;
    }
    state->bytes.assign(size, 'x');
    stream.OnDrained([stream, state, counters] { Pump(stream, state, counters); });
    stream.OnCancel([counters] { ++counters->cancelled; });
    Pump(stream, state, counters);
  });
}

void Lasting(EchoStream stream, EchoCounters* counters) {
  ++counters->hanging;
  stream.OnStop([stream]() mutable { stream.Finish({GrpcCode::kUnavailable, "stopped"}); });
}

void Deaf(EchoStream stream, EchoCounters* counters) {
  ++counters->hanging;
  stream.OnCancel([stream, counters] { ++counters->cancelled; });
}

}  // namespace

void RegisterEcho(MethodTable* methods, EchoCounters* counters) {
  const std::string service = "/sluice.test.Echo/";
  methods->AddUnary<BytesValue, BytesValue>(service + "Unary",
                                            [](EchoCall call) { call.Reply(call.request()); });
  methods->AddUnary<BytesValue, BytesValue>(service + "Fail", [](EchoCall call) {
    call.Fail({GrpcCode::kInternal, call.request().value()});
  });
  methods->AddUnary<BytesValue, BytesValue>(
      service + "Hang", [counters](EchoCall call) { Hang(std::move(call), counters); });
  methods->AddUnary<BytesValue, BytesValue>(service + "Later", Later);
  methods->AddStream<BytesValue, BytesValue>(service + "Bidi", Bidi);
  methods->AddStream<BytesValue, BytesValue>(service + "OneByOne", OneByOne);
  methods->AddStream<BytesValue, BytesValue>(service + "Collect", Collect);
  methods->AddStream<BytesValue, BytesValue>(
      service + "Source", [counters](EchoStream stream) { Source(std::move(stream), counters); });
  methods->AddStream<BytesValue, BytesValue>(
      service + "Lasting", [counters](EchoStream stream) { Lasting(std::move(stream), counters); });
  methods->AddStream<BytesValue, BytesValue>(
      service + "Deaf", [counters](EchoStream stream) { Deaf(std::move(stream), counters); });
}

void RegisterEchoHttp(HttpRouter* router) {
  router->Add("GET,HEAD", "/ping", [](const HttpExchangePtr& exchange) {
    exchange->Reply(200, "text/plain", "pong\n");
  });
  router->Add("POST", "/echo", [](const HttpExchangePtr& exchange) {
    exchange->Reply(200, "application/octet-stream", exchange->request().body);
  });
  router->Add("GET", "/stream", [](const HttpExchangePtr& exchange) {
    exchange->Begin(200, "text/plain");
    for (const char* piece : {"one\n", "two\n", "three\n"}) {
      exchange->Write(SharedBytes::Copy(piece));
    }
    exchange->End();
  });
  router->Add("GET", "/later", [](const HttpExchangePtr& exchange) {
    Executor* executor = exchange->request().executor;
    executor->After(std::chrono::milliseconds(20),
                    [exchange] { exchange->Reply(200, "text/plain", "late\n"); });
  });
}

}  // namespace store::rpc::test
