// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/grpc_call.h"

#include "store/rpc/h2_session.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

namespace store::rpc {
namespace {

constexpr H2Header kResponseHeaders[] = {{":status", "200", true},
                                         {"content-type", "application/grpc", true}};
constexpr size_t kSendBytesMax = std::numeric_limits<int32_t>::max();

// Texts of small numbers that live as long as the program.
constexpr std::string_view kCodeTexts[] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                           "9", "10", "11", "12", "13", "14", "15", "16"};

std::string_view CodeText(GrpcCode code) { return kCodeTexts[static_cast<size_t>(code)]; }

}  // namespace

struct GrpcCall::RequestHeaders {
  std::string_view method;
  std::string_view path;
  std::string_view content_type;
  std::string_view timeout;
  std::string_view encoding;

  // Takes a header of the transport; false if it is the caller's own metadata.
  bool Take(std::string_view name, std::string_view value) {
    if (name.empty()) return true;
    switch (name.front()) {
      case ':':
        if (name == ":method") method = value;
        if (name == ":path") path = value;
        return true;
      case 'c':
        if (name == "content-type") content_type = value;
        return name == "content-type" || name == "content-length";
      case 'g':
        if (name == "grpc-timeout") timeout = value;
        if (name == "grpc-encoding") encoding = value;
        return name.starts_with("grpc-") && !name.ends_with("-bin");
      case 't':
        return name == "te";
      case 'u':
        return name == "user-agent";
      case 'a':
        return name == "accept-encoding";
      default:
        return false;
    }
  }
};

GrpcCall::GrpcCall(const MethodTable& methods, const Limits& limits, EventLoop& loop,
                   std::shared_ptr<const PeerIdentity> peer)
    : methods_(methods), limits_(limits), loop_(loop), reader_(limits.message_bytes_max) {
  info_.peer = std::move(peer);
  info_.executor = &loop;
  info_.loop = loop.id();
}

void GrpcCall::OnHeaders(const HeaderBlock& headers, bool) {
  if (begun_ || over_ || method_ != nullptr) return;  // trailers of a request mean nothing in gRPC
  RequestHeaders request;
  for (size_t i = 0; i < headers.count(); ++i) {
    HeaderBlock::Header header = headers.at(i);
    if (!request.Take(header.name, header.value)) info_.metadata.Add(header.name, header.value);
  }
  if (!CheckHeaders(request)) return;
  if (info_.deadline) StartDeadline();
  if (method_->kind != MethodKind::kUnary) Begin({});
}

bool GrpcCall::CheckHeaders(const RequestHeaders& request) {
  if (!IsGrpcContentType(request.content_type)) {
    RefuseWithHttp("415",
                   fmt::format("invalid gRPC request content-type \"{}\"", request.content_type));
    return false;
  }
  if (request.method != "POST") {
    RefuseWithHttp("405", fmt::format("Received a HEADERS frame with :method \"{}\" which should "
                                      "be POST",
                                      request.method));
    return false;
  }
  if (!request.timeout.empty()) {
    std::optional<Duration> timeout = ParseGrpcTimeout(request.timeout);
    if (!timeout) {
      RefuseWithHttp("400", fmt::format("malformed grpc-timeout: \"{}\"", request.timeout));
      return false;
    }
    info_.deadline = loop_.Now() + *timeout;
  }
  if (!FindMethod(request.path)) return false;
  if (!request.encoding.empty() && request.encoding != "identity") {
    Finish({GrpcCode::kUnimplemented,
            fmt::format("grpc: Decompressor is not installed for grpc-encoding \"{}\"",
                        request.encoding)});
    return false;
  }
  return true;
}

bool GrpcCall::FindMethod(std::string_view path) {
  method_ = methods_.Find(path);
  if (method_ != nullptr) {
    info_.method = method_->path;
    MethodCounters::Add(method_->counters->started);
    return true;
  }
  size_t slash = path.rfind('/');
  if (path.empty() || path.front() != '/' || slash == 0) {
    Finish({GrpcCode::kUnimplemented, fmt::format("malformed method name: \"{}\"", path)});
    return false;
  }
  std::string_view service = path.substr(1, slash - 1);
  std::string text = methods_.HasService(service) ? fmt::format("unknown method {} for service {}",
                                                                path.substr(slash + 1), service)
                                                  : fmt::format("unknown service {}", service);
  Finish({GrpcCode::kUnimplemented, std::move(text)});
  return false;
}

// A request that is not gRPC's gets an HTTP status, with the gRPC one for clients that look for it.
void GrpcCall::RefuseWithHttp(std::string_view status, std::string_view text) {
  EndWith(GrpcCode::kInternal);
  if (!attached()) return;
  std::string message = PercentEncode(text);
  H2Header headers[] = {{":status", status},
                        {"content-type", "application/grpc", true},
                        {"grpc-status", CodeText(GrpcCode::kInternal), true},
                        {"grpc-message", message}};
  EnqueueEnd();
  session()->SubmitHeaders(*this, headers, true);
}

void GrpcCall::StartDeadline() {
  deadline_timer_ = loop_.After(*info_.deadline - loop_.Now(), [this] {
    deadline_timer_.reset();
    // The handler hears of it last, when its call is over in every respect.
    Action cancel = std::move(on_cancel_);
    auto keep = shared_from_this();
    Finish({GrpcCode::kDeadlineExceeded, "context deadline exceeded"});
    if (cancel) cancel();
  });
}

void GrpcCall::Begin(SharedBytes message) {
  begun_ = true;
  if (std::optional<RpcStatus> refused = methods_.Intercept(info_)) {
    Finish(std::move(*refused));
    return;
  }
  method_->start(shared_from_this(), std::move(message));
}

// A client that sends without reading its answers waits: else each of its messages would add one.
bool GrpcCall::reading() const {
  if (over_ || delivering_ || input_held_) return false;
  if (queued_cost() > limits_.send_buffer_bytes) return false;
  return method_->kind == MethodKind::kUnary ? !begun_ : static_cast<bool>(on_message_);
}

void GrpcCall::OnData(std::string_view bytes) {
  bool dropped = over_ || (method_->kind == MethodKind::kUnary && begun_);
  if (dropped) {
    ConsumeInput(bytes.size());
  } else if (reading() && held_.empty()) {
    held_.append(Feed(bytes));
  } else {
    held_.append(bytes);
  }
}

std::string_view GrpcCall::Feed(std::string_view bytes) {
  while (!bytes.empty() && reading()) {
    if (!Take(&bytes)) break;
  }
  if (bytes.empty() || (!over_ && method_->kind != MethodKind::kUnary)) return bytes;
  ConsumeInput(bytes.size());
  return {};
}

// Reads one message, or a part of one. False: the call ended here.
bool GrpcCall::Take(std::string_view* bytes) {
  size_t before = bytes->size();
  SharedBytes message;
  MessageReader::Outcome outcome = reader_.Read(bytes, &message);
  size_t used = before - bytes->size();
  switch (outcome) {
    case MessageReader::Outcome::kNeedMore:
      // The handler waits for this message, so its bytes may be followed by the rest of it.
      ConsumeInput(used);
      return TakePart();
    case MessageReader::Outcome::kMessage:
      ReleasePartial();
      Deliver(std::move(message));
      ConsumeInput(used);
      return !over_;
    case MessageReader::Outcome::kTooLarge:
      Finish({GrpcCode::kResourceExhausted,
              fmt::format("grpc: received message larger than max ({} vs. {})", reader_.announced(),
                          reader_.bytes_max())});
      break;
    case MessageReader::Outcome::kCompressed:
      Finish({GrpcCode::kInternal, "grpc: compressed flag set with identity or empty encoding"});
      break;
  }
  ConsumeInput(used);
  return false;
}

bool GrpcCall::TakePart() {
  if (partial_reserved_ > 0 || !reader_.in_message() || !attached()) return true;
  size_t wanted = reader_.announced();
  if (wanted == 0 || !reader_.prefix_complete()) return true;
  if (!Keep(wanted)) {
    Finish({GrpcCode::kResourceExhausted, "grpc: too many unfinished messages on this connection"});
    return false;
  }
  partial_reserved_ = wanted;
  return true;
}

void GrpcCall::Deliver(SharedBytes message) {
  MethodCounters::Add(method_->counters->messages_received);
  MethodCounters::Add(method_->counters->bytes_received, message.size());
  received_ = true;
  if (method_->kind == MethodKind::kUnary) {
    Begin(std::move(message));
    return;
  }
  // Held here while it runs: it may finish the call or set another action.
  auto action = std::move(on_message_);
  on_message_ = nullptr;
  delivering_ = true;
  action(std::move(message));
  delivering_ = false;
  if (!over_ && !on_message_) on_message_ = std::move(action);
}

void GrpcCall::FeedHeld() {
  std::string held = std::exchange(held_, {});
  const size_t from = std::exchange(held_from_, 0);
  const std::string_view left = Feed(std::string_view(held).substr(from));
  if (!left.empty()) {
    held_from_ = held.size() - left.size();
    held_ = std::move(held);
    // Not at each message of a megabyte of them.
    if (held_from_ > held_.size() / 2) held_.erase(0, std::exchange(held_from_, 0));
  }
  CheckHalfClose();
}

void GrpcCall::OnRemoteEnd() {
  remote_ended_ = true;
  CheckHalfClose();
}

void GrpcCall::CheckHalfClose() {
  if (over_ || !remote_ended_ || !held_.empty() || input_held_) return;
  if (reader_.in_message()) {
    Finish({GrpcCode::kInternal, "unexpected EOF"});
    return;
  }
  if (method_->kind != MethodKind::kStream && !received_) {
    Finish({GrpcCode::kInternal,
            "cardinality violation: received no request message from non-client-streaming RPC"});
    return;
  }
  if (!on_half_close_) return;
  Action action = std::move(on_half_close_);
  on_half_close_ = nullptr;
  action();
}

bool GrpcCall::Send(MessageBody message) {
  if (over_ || !attached()) return true;
  if (message.size() > kSendBytesMax) {
    Finish({GrpcCode::kResourceExhausted,
            fmt::format("grpc: trying to send message larger than max ({} vs. {})", message.size(),
                        kSendBytesMax)});
    return true;
  }
  MethodCounters::Add(method_->counters->messages_sent);
  MethodCounters::Add(method_->counters->bytes_sent, message.size());
  EnqueueMessage(message);
  if (headers_sent_) {
    session()->Resume(*this);
  } else {
    headers_sent_ = true;
    session()->SubmitHeaders(*this, kResponseHeaders, false);
  }
  if (queued_cost() <= limits_.send_buffer_bytes) return true;
  WantDrained();
  return false;
}

void GrpcCall::Finish(RpcStatus status) {
  if (over_) return;
  EndWith(status.code);
  if (!attached()) return;
  status_ = std::move(status);
  EnqueueEnd();
  if (headers_sent_) {
    session()->Resume(*this);
    return;
  }
  // Nothing was sent: one block says it all.
  std::string message = PercentEncode(status_.message);
  absl::InlinedVector<H2Header, 5> headers = {
      kResponseHeaders[0], kResponseHeaders[1], {"grpc-status", CodeText(status_.code), true}};
  if (!message.empty()) headers.push_back({"grpc-message", message});
  if (status_.code == GrpcCode::kUnimplemented) {
    headers.push_back({"grpc-accept-encoding", "identity", true});
  }
  session()->SubmitHeaders(*this, headers, true);
}

bool GrpcCall::SubmitTrailers() {
  std::string message = PercentEncode(status_.message);
  absl::InlinedVector<H2Header, 2> trailers = {{"grpc-status", CodeText(status_.code), true}};
  if (!message.empty()) trailers.push_back({"grpc-message", message});
  session()->SubmitTrailers(*this, trailers);
  return true;
}

Action GrpcCall::EndWith(GrpcCode code) {
  over_ = true;
  if (method_ != nullptr)
    MethodCounters::Add(method_->counters->handled[static_cast<size_t>(code)]);
  if (deadline_timer_) loop_.Cancel(*deadline_timer_);
  deadline_timer_.reset();
  ReleasePartial();
  ConsumeInput(std::exchange(held_, {}).size() - std::exchange(held_from_, 0));
  // Callbacks hold handles of this call; keeping one would keep the call for ever.
  on_message_ = nullptr;
  on_half_close_ = nullptr;
  on_drained_ = nullptr;
  on_stop_ = nullptr;
  return std::exchange(on_cancel_, nullptr);
}

void GrpcCall::ReleasePartial() { Release(std::exchange(partial_reserved_, 0)); }

void GrpcCall::OnStreamClosed(uint32_t) {
  if (over_) return;
  Action cancel = EndWith(GrpcCode::kCancelled);
  if (cancel) cancel();
}

void GrpcCall::OnQueueDrained() {
  if (over_) return;
  if (Action action = std::exchange(on_drained_, nullptr)) {
    action();
    if (!over_ && !on_drained_) on_drained_ = std::move(action);
  }
  FeedHeldLater();
}

void GrpcCall::OnServerStops() {
  if (Action action = std::exchange(on_stop_, nullptr)) action();
}

// Not from inside a call of the handler's, which may not be ready.
void GrpcCall::FeedHeldLater() {
  if (over_ || (held_.empty() && !remote_ended_)) return;
  loop_.Post([self = shared_from_this()] {
    if (!self->over_) self->FeedHeld();
  });
}

void GrpcCall::OnMessage(absl::AnyInvocable<void(SharedBytes)> action) {
  if (over_) return;
  on_message_ = std::move(action);
  FeedHeldLater();
}

void GrpcCall::HoldInput(bool held) {
  if (std::exchange(input_held_, held) && !held) FeedHeldLater();
}

void GrpcCall::OnHalfClose(Action action) {
  if (over_) return;
  on_half_close_ = std::move(action);
  FeedHeldLater();
}

void GrpcCall::OnCancel(Action action) {
  if (!over_) on_cancel_ = std::move(action);
}

void GrpcCall::OnDrained(Action action) {
  if (!over_) on_drained_ = std::move(action);
}

void GrpcCall::OnStop(Action action) {
  if (!over_) on_stop_ = std::move(action);
}

}  // namespace store::rpc
