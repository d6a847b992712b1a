// SPDX-License-Identifier: Apache-2.0
// Wire: any call of the public API at one store, given and answered as messages, without the
// conveniences of a client library: status codes and texts arrive as they were sent. Two or more
// stores share one CallQueue, so that a caller can start a call at each and wait for both.
// Threads: one, which also runs the callbacks inside CallQueue::WaitUntil. Ownership: a call is
// kept by its starter until it is done; a Stream cancels itself when it goes. Bounds: one call at a
// time per store; a stream keeps every response until it is taken.
#pragma once

#include "store/base/clock.h"

#include <absl/functional/any_invocable.h>
#include <absl/functional/function_ref.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <deque>
#include <memory>
#include <string>
#include <string_view>

namespace compat {

using MessagePtr = std::unique_ptr<google::protobuf::Message>;

// "KV/Put" of the public services, or null.
const google::protobuf::MethodDescriptor* FindMethod(std::string_view name);
MessagePtr NewMessage(const google::protobuf::Descriptor* type);

struct Reply {
  int code = 0;
  std::string text;
  MessagePtr message;  // empty unless code is 0
};

class CallQueue {
 public:
  ~CallQueue();

  // Runs what has completed until `condition` holds; false when `patience` is over before.
  bool WaitUntil(absl::FunctionRef<bool()> condition, store::Duration patience);
  grpc::CompletionQueue* get() { return &queue_; }
  // The tag of one operation; `action` is told whether it succeeded.
  void* Tag(absl::AnyInvocable<void(bool)> action);

 private:
  bool Next(std::chrono::system_clock::time_point deadline);

  grpc::CompletionQueue queue_;
  size_t open_ = 0;  // tags that have not come back
};

class Stream {
 public:
  Stream(grpc::GenericStub& stub, CallQueue& queue,
         const google::protobuf::MethodDescriptor* method);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void Send(const google::protobuf::Message& request);
  void CloseSend();
  // Taken from the front by the owner.
  std::deque<MessagePtr>& responses();
  bool finished() const;
  // Once it is finished.
  Reply status() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // also held by the operations that are open
};

class Wire {
 public:
  // `endpoint` is host:port.
  Wire(CallQueue& queue, const std::string& endpoint);

  struct Unary {
    bool done = false;
    Reply reply;
  };
  std::shared_ptr<Unary> Start(const google::protobuf::MethodDescriptor* method,
                               const google::protobuf::Message& request);
  // A call of a method whose answer is a stream.
  std::unique_ptr<Stream> Open(const google::protobuf::MethodDescriptor* method);

 private:
  CallQueue& queue_;
  grpc::GenericStub stub_;
};

}  // namespace compat
