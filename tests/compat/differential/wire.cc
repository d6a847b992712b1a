// SPDX-License-Identifier: Apache-2.0
#include "tests/compat/differential/wire.h"

#include "etcd/rpc.pb.h"
#include "health.pb.h"
#include "store/base/check.h"

#include <fmt/format.h>

#include <array>
#include <utility>
#include <vector>

namespace compat {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::Message;
using google::protobuf::MethodDescriptor;
using Action = absl::AnyInvocable<void(bool)>;

grpc::ByteBuffer Encode(const Message& message) {
  grpc::Slice slice(message.SerializeAsString());
  return {&slice, 1};
}

MessagePtr Decode(const grpc::ByteBuffer& bytes, const MethodDescriptor* method) {
  std::vector<grpc::Slice> slices;
  std::string text;
  if (bytes.Dump(&slices).ok()) {
    for (const grpc::Slice& slice : slices) {
      text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
  }
  MessagePtr message = NewMessage(method->output_type());
  CHECK(message->ParseFromString(text));
  return message;
}

std::string PathOf(const MethodDescriptor* method) {
  return fmt::format("/{}/{}", method->service()->full_name(), method->name());
}

std::shared_ptr<grpc::Channel> Connect(const std::string& endpoint) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  // Each store sees the call once, whatever it answers.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

const MethodDescriptor* FindMethod(std::string_view name) {
  // Linked in only if something of the files is named.
  etcdserverpb::PutRequest::descriptor();
  grpc::health::v1::HealthCheckRequest::descriptor();
  size_t slash = name.find('/');
  if (slash == std::string_view::npos) return nullptr;
  for (std::string_view package : {"etcdserverpb", "grpc.health.v1"}) {
    const auto* method = DescriptorPool::generated_pool()->FindMethodByName(
        fmt::format("{}.{}.{}", package, name.substr(0, slash), name.substr(slash + 1)));
    if (method != nullptr) return method;
  }
  return nullptr;
}

MessagePtr NewMessage(const google::protobuf::Descriptor* type) {
  const Message* prototype =
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type);
  CHECK(prototype != nullptr);
  return MessagePtr(prototype->New());
}

CallQueue::~CallQueue() {
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) delete static_cast<Action*>(tag);
}

void* CallQueue::Tag(Action action) {
  ++open_;
  return new Action(std::move(action));
}

bool CallQueue::Next(std::chrono::system_clock::time_point deadline) {
  void* tag = nullptr;
  bool ok = false;
  if (queue_.AsyncNext(&tag, &ok, deadline) != grpc::CompletionQueue::GOT_EVENT) return false;
  --open_;
  std::unique_ptr<Action> action(static_cast<Action*>(tag));
  (*action)(ok);
  return true;
}

bool CallQueue::WaitUntil(absl::FunctionRef<bool()> condition, store::Duration patience) {
  auto deadline = std::chrono::system_clock::now() +
                  std::chrono::duration_cast<std::chrono::system_clock::duration>(patience);
  while (!condition()) {
    if (!Next(deadline)) return condition();
  }
  return true;
}

struct Stream::State {
  grpc::ClientContext context;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call;
  CallQueue& queue;
  const MethodDescriptor* method;
  grpc::ByteBuffer incoming;
  std::deque<MessagePtr> responses;
  std::deque<grpc::ByteBuffer> outgoing;
  bool started = false;
  bool writing = false;
  bool closing = false;  // no more requests
  bool finished = false;
  grpc::Status status;

  State(CallQueue& calls, const MethodDescriptor* of) : queue(calls), method(of) {}

  static void Read(const std::shared_ptr<State>& self) {
    self->call->Read(&self->incoming, self->queue.Tag([self](bool ok) {
      if (!ok) return Finish(self);
      self->responses.push_back(Decode(self->incoming, self->method));
      Read(self);
    }));
  }
  static void Finish(const std::shared_ptr<State>& self) {
    self->call->Finish(&self->status, self->queue.Tag([self](bool) { self->finished = true; }));
  }
  static void Write(const std::shared_ptr<State>& self) {
    if (!self->started || self->writing) return;
    if (self->outgoing.empty()) {
      if (self->closing) {
        self->writing = true;
        self->call->WritesDone(self->queue.Tag([self](bool) {}));
      }
      return;
    }
    self->writing = true;
    self->call->Write(self->outgoing.front(), self->queue.Tag([self](bool ok) {
      self->outgoing.pop_front();
      self->writing = false;
      if (ok) Write(self);
    }));
  }
};

Stream::Stream(grpc::GenericStub& stub, CallQueue& queue, const MethodDescriptor* method)
    : state_(std::make_shared<State>(queue, method)) {
  state_->call = stub.PrepareCall(&state_->context, PathOf(method), queue.get());
  state_->call->StartCall(queue.Tag([state = state_](bool ok) {
    state->started = ok;
    if (!ok) return State::Finish(state);
    State::Read(state);
    State::Write(state);
  }));
}

Stream::~Stream() { state_->context.TryCancel(); }

void Stream::Send(const Message& request) {
  CHECK(!state_->closing);
  state_->outgoing.push_back(Encode(request));
  State::Write(state_);
}

void Stream::CloseSend() {
  state_->closing = true;
  State::Write(state_);
}

std::deque<MessagePtr>& Stream::responses() { return state_->responses; }

bool Stream::finished() const { return state_->finished; }

Reply Stream::status() const {
  return {static_cast<int>(state_->status.error_code()), state_->status.error_message(), nullptr};
}

Wire::Wire(CallQueue& queue, const std::string& endpoint)
    : queue_(queue), stub_(Connect(endpoint)) {}

std::shared_ptr<Wire::Unary> Wire::Start(const MethodDescriptor* method, const Message& request) {
  struct Open {
    grpc::ClientContext context;
    std::unique_ptr<grpc::GenericClientAsyncResponseReader> call;
    grpc::ByteBuffer answer;
    grpc::Status status;
  };
  auto result = std::make_shared<Unary>();
  auto open = std::make_shared<Open>();
  open->context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  open->call =
      stub_.PrepareUnaryCall(&open->context, PathOf(method), Encode(request), queue_.get());
  open->call->StartCall();
  open->call->Finish(&open->answer, &open->status, queue_.Tag([result, open, method](bool) {
    result->reply.code = static_cast<int>(open->status.error_code());
    result->reply.text = open->status.error_message();
    if (open->status.ok()) result->reply.message = Decode(open->answer, method);
    result->done = true;
  }));
  return result;
}

std::unique_ptr<Stream> Wire::Open(const MethodDescriptor* method) {
  return std::make_unique<Stream>(stub_, queue_, method);
}

}  // namespace compat
