// SPDX-License-Identifier: Apache-2.0
#include "store/api/grpc_metrics.h"

#include <array>
#include <atomic>
#include <string>
#include <string_view>

namespace store::api {
namespace {

// By number, as grpc-go writes them.
constexpr std::array<std::string_view, 17> kCodeWords = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

std::string TypeOf(const rpc::Method& method) {
  if (method.kind == rpc::MethodKind::kUnary) return "unary";
  const bool both =
      method.path == "/etcdserverpb.Watch/Watch" || method.path.ends_with("KeepAlive");
  return both ? "bidi_stream" : "server_stream";
}

MetricLabels LabelsOf(const rpc::Method& method) {
  const size_t slash = method.path.rfind('/');
  return {{"grpc_method", method.path.substr(slash + 1)},
          {"grpc_service", method.path.substr(1, slash - 1)},
          {"grpc_type", TypeOf(method)}};
}

}  // namespace

GrpcMetrics::GrpcMetrics(Registry& registry, const rpc::MethodTable& methods) {
  methods.ForEach([&](const rpc::Method& method) { AddMethod(registry, method); });
  AddBytes(registry, methods);
}

void GrpcMetrics::AddBytes(Registry& registry, const rpc::MethodTable& methods) {
  using Bytes = std::atomic<uint64_t> rpc::MethodCounters::*;
  const auto add = [&](std::string_view name, std::string_view help, Bytes bytes) {
    handles_.push_back(registry.AddCallbackCounter(name, help, {}, [&methods, bytes] {
      uint64_t sum = 0;
      methods.ForEach([&](const rpc::Method& method) {
        sum += (method.counters.get()->*bytes).load(std::memory_order_relaxed);
      });
      return static_cast<double>(sum);
    }));
  };
  add("etcd_network_client_grpc_received_bytes_total", "Bytes of the gRPC messages of clients.",
      &rpc::MethodCounters::bytes_received);
  add("etcd_network_client_grpc_sent_bytes_total", "Bytes of the gRPC messages to clients.",
      &rpc::MethodCounters::bytes_sent);
}

void GrpcMetrics::AddMethod(Registry& registry, const rpc::Method& method) {
  const MetricLabels labels = LabelsOf(method);
  const auto add = [&](std::string_view name, std::string_view help, const MetricLabels& with,
                       const std::atomic<uint64_t>& counter) {
    handles_.push_back(registry.AddCallbackCounter(name, help, with, [&counter] {
      return static_cast<double>(counter.load(std::memory_order_relaxed));
    }));
  };
  const rpc::MethodCounters& counters = *method.counters;
  add("grpc_server_started_total", "Total number of RPCs started on the server.", labels,
      counters.started);
  add("grpc_server_msg_received_total",
      "Total number of RPC stream messages received on the server.", labels,
      counters.messages_received);
  add("grpc_server_msg_sent_total", "Total number of gRPC stream messages sent by the server.",
      labels, counters.messages_sent);
  for (size_t code = 0; code < kCodeWords.size(); ++code) {
    MetricLabels with = labels;
    with.insert(with.begin(), {"grpc_code", std::string(kCodeWords[code])});
    add("grpc_server_handled_total",
        "Total number of RPCs completed on the server, regardless of success or failure.", with,
        counters.handled[code]);
  }
}

}  // namespace store::api
