// SPDX-License-Identifier: Apache-2.0
// What a service sees of a call, whatever carried it (HTTP/2, the JSON gateway, an in-process
// caller). A service registers typed handlers in a MethodTable; an adapter gives each call a
// RawCall that moves bytes.
//
// Threads: a call lives on one loop (CallInfo::executor). Handlers start there and every method
// here is called there; a handler that works elsewhere posts back. Handles may outlive the client:
// then replies go nowhere. Lifetime: handles share the RawCall; callbacks stored in it often hold a
// handle, so every adapter drops all callbacks when the call is finished or cancelled, and that
// ends the cycle. Bounds: a stream buffers at most its send limit (Write says false); a unary reply
// is bounded by what the service admits.
#pragma once

#include "store/base/bytes.h"
#include "store/base/executor.h"
#include "store/base/ids.h"

#include <absl/container/inlined_vector.h>
#include <absl/functional/any_invocable.h>
#include <absl/functional/function_ref.h>

#include <array>
#include <atomic>
#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace store::rpc {

enum class GrpcCode : uint8_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// How a call ends on the wire. Services make it from a row of their error table.
struct RpcStatus {
  GrpcCode code = GrpcCode::kOk;
  std::string message;
  bool ok() const { return code == GrpcCode::kOk; }
};

// Request metadata: lower-case names, in arrival order; pseudo and transport headers are left out.
class Metadata {
 public:
  void Add(std::string_view name, std::string_view value) {
    entries_.emplace_back(std::string(name), std::string(value));
  }
  // First value of that name.
  std::optional<std::string_view> Find(std::string_view name) const {
    for (const auto& [key, value] : entries_) {
      if (key == name) return value;
    }
    return std::nullopt;
  }
  const auto& entries() const { return entries_; }

 private:
  absl::InlinedVector<std::pair<std::string, std::string>, 4> entries_;
};

struct PeerIdentity {
  std::string address;  // "127.0.0.1:51234"
  bool tls = false;
  std::string common_name;  // of the verified client certificate
};

struct CallInfo {
  std::string_view method;  // "/etcdserverpb.KV/Put", lives as long as the MethodTable
  Metadata metadata;
  std::optional<TimePoint> deadline;
  std::shared_ptr<const PeerIdentity> peer;
  Executor* executor = nullptr;  // the call's loop
  LoopId loop;
};

// One encoded message; parts are written one after another without being joined.
class MessageBody {
 public:
  MessageBody() = default;
  explicit MessageBody(std::string bytes) { Append(SharedBytes::Of(std::move(bytes))); }
  void Append(SharedBytes part) {
    size_ += part.size();
    if (!part.empty()) parts_.push_back(std::move(part));
  }
  size_t size() const { return size_; }
  const auto& parts() const { return parts_; }

 private:
  absl::InlinedVector<SharedBytes, 2> parts_;
  size_t size_ = 0;
};

// The adapter's half. All methods on the call's loop.
class RawCall {
 public:
  virtual const CallInfo& info() const = 0;
  // Queues one message. false: more than the send limit is buffered, stop until OnDrained. No
  // effect once the call is over.
  virtual bool Send(MessageBody message) = 0;
  // Ends the call with trailers; later calls have no effect.
  virtual void Finish(RpcStatus status) = 0;
  // Gone: cancelled by the client, past its deadline, or finished.
  virtual bool done() const = 0;

  // Each message once, in order; the next one is read (and its flow-control window opened) only
  // when the action has returned.
  virtual void OnMessage(absl::AnyInvocable<void(SharedBytes)> action) = 0;
  // While held neither a message nor the half-close is delivered, and what the peer sends waits in
  // its flow-control window.
  virtual void HoldInput(bool held) = 0;
  virtual void OnHalfClose(Action action) = 0;
  virtual void OnCancel(Action action) = 0;   // not after Finish
  virtual void OnDrained(Action action) = 0;  // each time the buffer falls below half of the limit
  // The server stops: a call that would go on for ever ends itself now. Calls without this have the
  // server's grace.
  virtual void OnStop(Action action) = 0;
  virtual ~RawCall() = default;
};
using RawCallPtr = std::shared_ptr<RawCall>;

// A protobuf message, without saying so: this floor does not know protobuf.
template <class T>
concept WireMessage = requires(T message, const T constant, std::string* out, const void* data) {
  { message.ParseFromArray(data, 0) } -> std::convertible_to<bool>;
  { constant.AppendToString(out) } -> std::convertible_to<bool>;
  { constant.ByteSizeLong() } -> std::convertible_to<size_t>;
};

template <WireMessage M>
MessageBody Encode(const M& message) {
  std::string bytes;
  bytes.reserve(message.ByteSizeLong());
  message.AppendToString(&bytes);
  return MessageBody(std::move(bytes));
}

// One unary call. Movable; Reply or Fail once, now or later, on the call's loop.
template <WireMessage Request, WireMessage Response>
class Call {
 public:
  Call(RawCallPtr raw, Request request) : raw_(std::move(raw)), request_(std::move(request)) {}

  const CallInfo& info() const { return raw_->info(); }
  const Request& request() const { return request_; }
  Request& mutable_request() { return request_; }
  bool done() const { return raw_->done(); }
  void Reply(const Response& response) { Reply(Encode(response)); }
  void Reply(MessageBody body) {
    raw_->Send(std::move(body));
    raw_->Finish({});
  }
  void Fail(RpcStatus status) { raw_->Finish(std::move(status)); }
  void OnCancel(Action action) { raw_->OnCancel(std::move(action)); }
  const RawCallPtr& raw() const { return raw_; }

 private:
  RawCallPtr raw_;
  Request request_;
};

// One streaming call: client, server or both directions. Copyable handle.
template <WireMessage Request, WireMessage Response>
class Stream {
 public:
  explicit Stream(RawCallPtr raw) : raw_(std::move(raw)) {}

  const CallInfo& info() const { return raw_->info(); }
  bool done() const { return raw_->done(); }
  void OnMessage(absl::AnyInvocable<void(Request&&)> action) {
    raw_->OnMessage(
        [raw = raw_.get(), action = std::move(action)](const SharedBytes& bytes) mutable {
          Request request;
          if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
            raw->Finish({GrpcCode::kInternal, "grpc: failed to unmarshal the received message"});
            return;
          }
          action(std::move(request));
        });
  }
  void HoldInput(bool held) { raw_->HoldInput(held); }
  void OnHalfClose(Action action) { raw_->OnHalfClose(std::move(action)); }
  void OnCancel(Action action) { raw_->OnCancel(std::move(action)); }
  void OnDrained(Action action) { raw_->OnDrained(std::move(action)); }
  void OnStop(Action action) { raw_->OnStop(std::move(action)); }
  bool Write(const Response& response) { return raw_->Send(Encode(response)); }
  bool Write(MessageBody body) { return raw_->Send(std::move(body)); }
  void Finish(RpcStatus status = {}) { raw_->Finish(std::move(status)); }
  const RawCallPtr& raw() const { return raw_; }

 private:
  RawCallPtr raw_;
};

// Called for each new call before its handler; a status ends the call there.
using Interceptor = absl::AnyInvocable<std::optional<RpcStatus>(const CallInfo&) const>;

enum class MethodKind : uint8_t {
  kUnary,         // the adapter collects exactly one message, then starts the handler
  kStream,        // the handler starts with the headers
  kServerStream,  // the same; a client that ends its half without a request is refused
};

// What became of a method's calls, for metrics. Written by the adapters, read by any thread.
struct MethodCounters {
  std::atomic<uint64_t> started = 0;
  std::atomic<uint64_t> messages_received = 0;
  std::atomic<uint64_t> messages_sent = 0;
  std::atomic<uint64_t> bytes_received = 0;  // of messages, without their frames
  std::atomic<uint64_t> bytes_sent = 0;
  std::array<std::atomic<uint64_t>, 17> handled{};  // by GrpcCode

  static void Add(std::atomic<uint64_t>& counter, uint64_t n = 1) {
    counter.fetch_add(n, std::memory_order_relaxed);
  }
};

struct Method {
  std::string path;
  MethodKind kind = MethodKind::kUnary;
  // kUnary: `message` is the request. Otherwise empty.
  absl::AnyInvocable<void(RawCallPtr, SharedBytes message) const> start;
  std::unique_ptr<MethodCounters> counters = std::make_unique<MethodCounters>();
};

// Filled before the server starts, read-only afterwards, shared by all loops and adapters.
class MethodTable {
 public:
  template <WireMessage Request, WireMessage Response>
  void AddUnary(std::string path, absl::AnyInvocable<void(Call<Request, Response>) const> handler) {
    Add(std::move(path), MethodKind::kUnary,
        [handler = std::move(handler)](RawCallPtr raw, const SharedBytes& message) {
          Request request;
          if (!request.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
            raw->Finish({GrpcCode::kInternal, "grpc: failed to unmarshal the received message"});
            return;
          }
          handler(Call<Request, Response>(std::move(raw), std::move(request)));
        });
  }
  template <WireMessage Request, WireMessage Response>
  void AddStream(std::string path,
                 absl::AnyInvocable<void(Stream<Request, Response>) const> handler,
                 MethodKind kind = MethodKind::kStream) {
    Add(std::move(path), kind, [handler = std::move(handler)](RawCallPtr raw, const SharedBytes&) {
      handler(Stream<Request, Response>(std::move(raw)));
    });
  }
  void SetInterceptor(Interceptor interceptor) { interceptor_ = std::move(interceptor); }

  const Method* Find(std::string_view path) const {
    auto found = methods_.find(path);
    return found == methods_.end() ? nullptr : found->second.get();
  }
  // `service` as it stands in paths: "etcdserverpb.KV".
  bool HasService(std::string_view service) const {
    std::string prefix = "/" + std::string(service) + "/";
    auto first = methods_.lower_bound(prefix);
    return first != methods_.end() && first->first.starts_with(prefix);
  }
  // In the order of their paths.
  void ForEach(absl::FunctionRef<void(const Method&)> visit) const {
    for (const auto& [path, method] : methods_) visit(*method);
  }
  std::optional<RpcStatus> Intercept(const CallInfo& info) const {
    return interceptor_ ? interceptor_(info) : std::nullopt;
  }

 private:
  void Add(std::string path, MethodKind kind,
           absl::AnyInvocable<void(RawCallPtr, SharedBytes) const> start) {
    auto method = std::make_unique<Method>(
        Method{path, kind, std::move(start), std::make_unique<MethodCounters>()});
    methods_.emplace(std::move(path), std::move(method));
  }

  std::map<std::string, std::unique_ptr<Method>, std::less<>> methods_;
  Interceptor interceptor_;
};

}  // namespace store::rpc
