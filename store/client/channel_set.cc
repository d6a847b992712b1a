// SPDX-License-Identifier: Apache-2.0
#include "store/client/channel_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <grpc/support/time.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <utility>

namespace store::client {
namespace {

constexpr Duration kSlice = std::chrono::milliseconds(50);

int Milliseconds(Duration duration) {
  return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

gpr_timespec ToTimespec(Duration duration) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_nanos(std::max<int64_t>(duration.count(), 0), GPR_TIMESPAN));
}

grpc::ChannelArguments Arguments(const ClientOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(std::numeric_limits<int>::max());
  arguments.SetMaxSendMessageSize(std::numeric_limits<int>::max());
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options.keepalive_time));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(options.keepalive_timeout));
  // An idle watch sends no data; without this gRPC stops asking after two pings and a dead server
  // is never noticed.
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, Milliseconds(options.connect_timeout));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // Clients in one process do not share connections and their back-off.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return arguments;
}

struct KnownText {
  std::string_view text;
  ErrorCode code;
};
// Only what callers of this library decide on; the full table is the server's.
constexpr auto kKnownTexts = std::to_array<KnownText>({
    {"etcdserver: mvcc: required revision has been compacted", ErrorCode::kCompacted},
    {"etcdserver: mvcc: required revision is a future revision", ErrorCode::kFutureRevision},
    {"etcdserver: mvcc: database space exceeded", ErrorCode::kSpaceExceeded},
    {"etcdserver: requested lease not found", ErrorCode::kLeaseNotFound},
    {"etcdserver: lease already exists", ErrorCode::kLeaseExists},
    {"etcdserver: too large lease TTL", ErrorCode::kLeaseTtlTooLarge},
    {"etcdserver: key is not provided", ErrorCode::kEmptyKey},
    {"etcdserver: key not found", ErrorCode::kKeyNotFound},
    {"etcdserver: duplicate key given in txn request", ErrorCode::kDuplicateKey},
    {"etcdserver: too many operations in txn request", ErrorCode::kTooManyOps},
    {"etcdserver: request is too large", ErrorCode::kRequestTooLarge},
    {"etcdserver: too many requests", ErrorCode::kTooManyRequests},
    {"etcdserver: authentication is not enabled", ErrorCode::kAuthNotEnabled},
    {"etcdserver: authentication failed, invalid user ID or password", ErrorCode::kAuthFailed},
    {"etcdserver: invalid auth token", ErrorCode::kInvalidAuthToken},
    {"etcdserver: revision of auth store is old", ErrorCode::kAuthOldRevision},
    {"etcdserver: user name is empty", ErrorCode::kUserEmpty},
    {"etcdserver: permission denied", ErrorCode::kPermissionDenied},
    {"etcdserver: no leader", ErrorCode::kNoLeader},
    {"etcdserver: leader changed", ErrorCode::kLeaderChanged},
    {"etcdserver: request timed out", ErrorCode::kTimeout},
    {"etcdserver: server stopped", ErrorCode::kStopped},
    {"etcdserver: unhealthy cluster", ErrorCode::kUnhealthy},
    {"etcdserver: corrupt cluster", ErrorCode::kCorruptCluster},
});

struct GrpcName {
  std::string_view name;
  ErrorCode code;
};
// By grpc::StatusCode, 0 to 16.
constexpr auto kGrpcNames = std::to_array<GrpcName>({
    {"OK", ErrorCode::kOk},
    {"Canceled", ErrorCode::kCancelled},
    {"Unknown", ErrorCode::kInternal},
    {"InvalidArgument", ErrorCode::kInvalidArgument},
    {"DeadlineExceeded", ErrorCode::kDeadlineExceeded},
    {"NotFound", ErrorCode::kNotFound},
    {"AlreadyExists", ErrorCode::kAlreadyExists},
    {"PermissionDenied", ErrorCode::kPermissionDenied},
    {"ResourceExhausted", ErrorCode::kInternal},
    {"FailedPrecondition", ErrorCode::kInternal},
    {"Aborted", ErrorCode::kInternal},
    {"OutOfRange", ErrorCode::kInvalidArgument},
    {"Unimplemented", ErrorCode::kUnsupported},
    {"Internal", ErrorCode::kInternal},
    {"Unavailable", ErrorCode::kUnavailable},
    {"DataLoss", ErrorCode::kCorruption},
    {"Unauthenticated", ErrorCode::kInvalidAuthToken},
});

std::string Target(std::string_view endpoint) {
  if (constexpr std::string_view kUnix = "unix://"; endpoint.starts_with(kUnix)) {
    return fmt::format("unix:{}", endpoint.substr(kUnix.size()));
  }
  for (std::string_view scheme : {"http://", "https://"}) {
    if (endpoint.starts_with(scheme)) endpoint.remove_prefix(scheme.size());
  }
  while (endpoint.ends_with('/')) endpoint.remove_suffix(1);
  return std::string(endpoint);
}

std::shared_ptr<grpc::ChannelCredentials> Credentials(const ClientOptions& options,
                                                      std::string_view endpoint) {
  bool plain = endpoint.starts_with("http://") || !options.tls;
  if (plain && !endpoint.starts_with("https://")) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions ssl;
  if (options.tls) {
    ssl.pem_root_certs = options.tls->ca;
    ssl.pem_cert_chain = options.tls->certificate;
    ssl.pem_private_key = options.tls->key;
  }
  return grpc::SslCredentials(ssl);
}

}  // namespace

ChannelSet::ChannelSet(const ClientOptions& options) : options_(options) {
  CHECK(!options_.endpoints.empty(), "a client needs an endpoint");
  for (const std::string& endpoint : options_.endpoints) {
    channels_.push_back(grpc::CreateCustomChannel(Target(endpoint), Credentials(options_, endpoint),
                                                  Arguments(options_)));
  }
}

Result<ChannelSet::Pick> ChannelSet::NoAnswer() const {
  return Fail(ErrorCode::kUnavailable,
              fmt::format("no endpoint answers ({})", fmt::join(options_.endpoints, ", ")));
}

Result<ChannelSet::Pick> ChannelSet::Connect(TimePoint deadline) {
  SystemClock clock;
  size_t index = current();
  size_t failures = 0;
  TimePoint since = clock.Now();
  while (true) {
    const auto& channel = channels_[index];
    grpc_connectivity_state state = channel->GetState(/*try_to_connect=*/true);
    if (state == GRPC_CHANNEL_READY) return Pick{channel, index};
    TimePoint now = clock.Now();
    if (now >= deadline) return NoAnswer();
    if (state == GRPC_CHANNEL_TRANSIENT_FAILURE || now - since >= options_.connect_timeout) {
      Leave(index);
      index = current();
      since = now;
      // A pause only after a round, so that the first endpoint that works is found at once.
      if (++failures % channels_.size() != 0) continue;
    }
    // This is also what drives the attempts to connect: gRPC works only while somebody waits on it,
    // and the state stays "transient failure" until one of them succeeds.
    channel->WaitForStateChange(state, ToTimespec(std::min(kSlice, deadline - now)));
    if (!Pause(Duration::zero())) break;
  }
  return Fail(ErrorCode::kCancelled, "the client is stopped");
}

void ChannelSet::Leave(size_t index) {
  MutexLock lock(mutex_);
  if (current_ == index) current_ = (current_ + 1) % channels_.size();
}

size_t ChannelSet::current() const {
  MutexLock lock(mutex_);
  return current_;
}

bool ChannelSet::Register(grpc::ClientContext* context) {
  MutexLock lock(mutex_);
  if (stopped_) return false;
  running_.insert(context);
  return true;
}

void ChannelSet::Unregister(grpc::ClientContext* context) {
  MutexLock lock(mutex_);
  running_.erase(context);
}

void ChannelSet::Stop() {
  MutexLock lock(mutex_);
  stopped_ = true;
  for (grpc::ClientContext* context : running_) context->TryCancel();
  stop_.NotifyAll();
}

bool ChannelSet::Pause(Duration duration) {
  TimePoint until = SystemClock().Now() + duration;
  MutexLock lock(mutex_);
  while (!stopped_ && duration > Duration::zero()) {
    if (!stop_.WaitUntil(mutex_, until)) break;
  }
  return !stopped_;
}

std::string ChannelSet::token() const {
  MutexLock lock(mutex_);
  return token_;
}

void ChannelSet::set_token(std::string token) {
  MutexLock lock(mutex_);
  token_ = std::move(token);
}

Error ToError(const grpc::Status& status) {
  std::string text = status.error_message();
  auto known = std::ranges::find(kKnownTexts, std::string_view(text), &KnownText::text);
  if (known != kKnownTexts.end()) return Error(known->code, std::move(text));
  auto number = static_cast<size_t>(status.error_code());
  if (number >= kGrpcNames.size()) number = grpc::StatusCode::UNKNOWN;
  const GrpcName& name = kGrpcNames[number];
  if (text.starts_with("etcdserver: ") || text.starts_with("etcdclient: ")) {
    return Error(name.code, std::move(text));
  }
  return Error(name.code, fmt::format("rpc error: code = {} desc = {}", name.name, text));
}

bool NeverSent(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE &&
         status.error_message().starts_with("failed to connect to all addresses");
}

void SetDeadline(grpc::ClientContext* context, TimePoint deadline) {
  context->set_deadline(ToTimespec(deadline - SystemClock().Now()));
}

}  // namespace store::client
