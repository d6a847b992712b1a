// SPDX-License-Identifier: Apache-2.0
#include "store/client/client.h"

#include "etcd/rpc.grpc.pb.h"
#include "store/base/check.h"
#include "store/client/channel_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace store::client {
namespace {

namespace pb = etcdserverpb;

// What may be repeated after an answer that leaves open whether the request was carried out.
enum class Repeat { kAlways, kIfNeverSent };

constexpr Duration kRetryPause = std::chrono::milliseconds(25);

TimePoint DeadlineOf(const ChannelSet& channels, const CallOptions& options) {
  Duration timeout =
      options.timeout > Duration::zero() ? options.timeout : channels.options().call_timeout;
  return SystemClock().Now() + timeout;
}

template <class Service, class Request, class Response>
using Method = grpc::Status (Service::Stub::*)(grpc::ClientContext*, const Request&, Response*);

// Signs in if there is a name and no token yet. A store without authentication is none the worse.
Status SignIn(const std::shared_ptr<ChannelSet>& channels, const ChannelSet::Pick& pick,
              TimePoint deadline) {
  const ClientOptions& options = channels->options();
  if (options.username.empty() || !channels->token().empty()) return Ok();
  pb::AuthenticateRequest request;
  request.set_name(options.username);
  request.set_password(options.password);
  pb::AuthenticateResponse response;
  grpc::ClientContext context;
  SetDeadline(&context, deadline);
  RunningCall running(channels, &context);
  if (!running.ok()) return Fail(ErrorCode::kCancelled, "the client is stopped");
  grpc::Status status = pb::Auth::NewStub(pick.channel)->Authenticate(&context, request, &response);
  if (status.ok()) {
    channels->set_token(response.token());
    return Ok();
  }
  Error error = ToError(status);
  if (error.code() == ErrorCode::kAuthNotEnabled) return Ok();
  return Fail(std::move(error));
}

void AddToken(const ChannelSet& channels, grpc::ClientContext* context) {
  std::string token = channels.token();
  if (!token.empty()) context->AddMetadata("token", token);
}

// What to do after an attempt: give up, or try again after a pause.
bool WorthARetry(const std::shared_ptr<ChannelSet>& channels, const ChannelSet::Pick& pick,
                 const grpc::Status& status, Repeat repeat) {
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    channels->Leave(pick.index);
    return repeat == Repeat::kAlways || NeverSent(status);
  }
  // The server looked at the token before anything else, so nothing was done.
  if (ToError(status).code() == ErrorCode::kInvalidAuthToken && !channels->token().empty()) {
    channels->set_token({});
    return true;
  }
  return false;
}

template <class Service, class Request, class Response>
Result<Response> Call(const std::shared_ptr<ChannelSet>& channels,
                      Method<Service, Request, Response> method, const Request& request,
                      Repeat repeat, const CallOptions& options) {
  TimePoint deadline = DeadlineOf(*channels, options);
  std::optional<Error> last;
  while (true) {
    auto pick = channels->Connect(deadline);
    if (!pick) return Fail(last ? *last : std::move(pick).error());
    RETURN_IF_ERROR(SignIn(channels, *pick, deadline));
    grpc::ClientContext context;
    SetDeadline(&context, deadline);
    AddToken(*channels, &context);
    RunningCall running(channels, &context);
    if (!running.ok()) return Fail(ErrorCode::kCancelled, "the client is stopped");
    Response response;
    auto stub = Service::NewStub(pick->channel);
    grpc::Status status = (*stub.*method)(&context, request, &response);
    if (status.ok()) return response;
    last = ToError(status);
    if (!WorthARetry(channels, *pick, status, repeat)) return Fail(std::move(*last));
    if (!channels->Pause(kRetryPause)) return Fail(std::move(*last));
  }
}

bool ReadsOnly(const google::protobuf::RepeatedPtrField<pb::RequestOp>& operations) {
  return std::ranges::all_of(operations, [](const pb::RequestOp& operation) {
    if (operation.has_request_txn()) {
      return ReadsOnly(operation.request_txn().success()) &&
             ReadsOnly(operation.request_txn().failure());
    }
    return operation.has_request_range();
  });
}

}  // namespace

std::string PrefixEnd(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (end.empty()) return std::string(1, '\0');
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

// The parts of a stream, in the order in which they must go.
class StreamCall {
 public:
  StreamCall(std::shared_ptr<ChannelSet> set, ChannelSet::Pick picked)
      : channels(std::move(set)), pick(std::move(picked)), running(channels, &context) {}

  std::shared_ptr<ChannelSet> channels;
  ChannelSet::Pick pick;
  grpc::ClientContext context;
  RunningCall running;
  std::unique_ptr<pb::Watch::Stub> stub;
  std::unique_ptr<grpc::ClientReaderWriter<pb::WatchRequest, pb::WatchResponse>> stream;
  bool finished = false;
};

WatchStream::WatchStream(std::unique_ptr<StreamCall> call) : call_(std::move(call)) {}

WatchStream::~WatchStream() {
  Cancel();
  // gRPC wants each stream finished before it goes; cancelled, this returns at once.
  if (!call_->finished) call_->stream->Finish().IgnoreError();
}

bool WatchStream::Write(const pb::WatchRequest& request) { return call_->stream->Write(request); }

bool WatchStream::Read(pb::WatchResponse* response) { return call_->stream->Read(response); }

void WatchStream::Cancel() { call_->context.TryCancel(); }

Status WatchStream::Finish() {
  CHECK(!call_->finished, "Finish is for once");
  Cancel();
  call_->finished = true;
  grpc::Status status = call_->stream->Finish();
  if (status.ok()) return Ok();
  Error error = ToError(status);
  // The token is refused only here, as the stream had none to compare before.
  if (error.code() == ErrorCode::kInvalidAuthToken) call_->channels->set_token({});
  return Fail(std::move(error));
}

Client::Client(ClientOptions options)
    : options_(std::move(options)), channels_(std::make_shared<ChannelSet>(options_)) {}

Client::~Client() { Stop(); }

void Client::Stop() { channels_->Stop(); }

std::string Client::current_endpoint() const { return channels_->endpoint(channels_->current()); }

void Client::LeaveEndpoint() { channels_->Leave(channels_->current()); }

Result<pb::RangeResponse> Client::Range(const pb::RangeRequest& request, CallOptions options) {
  return Call<pb::KV>(channels_, &pb::KV::Stub::Range, request, Repeat::kAlways, options);
}

Result<pb::PutResponse> Client::Put(const pb::PutRequest& request, CallOptions options) {
  return Call<pb::KV>(channels_, &pb::KV::Stub::Put, request, Repeat::kIfNeverSent, options);
}

Result<pb::DeleteRangeResponse> Client::DeleteRange(const pb::DeleteRangeRequest& request,
                                                    CallOptions options) {
  return Call<pb::KV>(channels_, &pb::KV::Stub::DeleteRange, request, Repeat::kIfNeverSent,
                      options);
}

Result<pb::TxnResponse> Client::Txn(const pb::TxnRequest& request, CallOptions options) {
  bool reads = ReadsOnly(request.success()) && ReadsOnly(request.failure());
  return Call<pb::KV>(channels_, &pb::KV::Stub::Txn, request,
                      reads ? Repeat::kAlways : Repeat::kIfNeverSent, options);
}

Result<pb::CompactionResponse> Client::Compact(const pb::CompactionRequest& request,
                                               CallOptions options) {
  return Call<pb::KV>(channels_, &pb::KV::Stub::Compact, request, Repeat::kIfNeverSent, options);
}

Result<pb::LeaseGrantResponse> Client::LeaseGrant(const pb::LeaseGrantRequest& request,
                                                  CallOptions options) {
  // A grant done twice is an unused lease that expires; etcd's client repeats it too.
  return Call<pb::Lease>(channels_, &pb::Lease::Stub::LeaseGrant, request, Repeat::kAlways,
                         options);
}

Result<pb::LeaseRevokeResponse> Client::LeaseRevoke(const pb::LeaseRevokeRequest& request,
                                                    CallOptions options) {
  return Call<pb::Lease>(channels_, &pb::Lease::Stub::LeaseRevoke, request, Repeat::kAlways,
                         options);
}

Result<pb::LeaseKeepAliveResponse> Client::LeaseKeepAlive(int64_t lease, CallOptions options) {
  TimePoint deadline = DeadlineOf(*channels_, options);
  auto pick = channels_->Connect(deadline);
  if (!pick) return Fail(std::move(pick).error());
  RETURN_IF_ERROR(SignIn(channels_, *pick, deadline));
  grpc::ClientContext context;
  SetDeadline(&context, deadline);
  AddToken(*channels_, &context);
  RunningCall running(channels_, &context);
  if (!running.ok()) return Fail(ErrorCode::kCancelled, "the client is stopped");
  auto stub = pb::Lease::NewStub(pick->channel);
  auto stream = stub->LeaseKeepAlive(&context);
  pb::LeaseKeepAliveRequest request;
  request.set_id(lease);
  pb::LeaseKeepAliveResponse response;
  bool answered = stream->Write(request) && stream->Read(&response);
  if (answered) context.TryCancel();
  grpc::Status status = stream->Finish();
  if (!answered) {
    channels_->Leave(pick->index);
    if (status.ok()) return Fail(ErrorCode::kUnavailable, "the stream ended without an answer");
    return Fail(ToError(status));
  }
  if (response.ttl() <= 0) {
    return Fail(ErrorCode::kLeaseNotFound, "etcdserver: requested lease not found");
  }
  return response;
}

Result<pb::LeaseTimeToLiveResponse> Client::LeaseTimeToLive(
    const pb::LeaseTimeToLiveRequest& request, CallOptions options) {
  return Call<pb::Lease>(channels_, &pb::Lease::Stub::LeaseTimeToLive, request, Repeat::kAlways,
                         options);
}

Result<pb::LeaseLeasesResponse> Client::LeaseLeases(CallOptions options) {
  return Call<pb::Lease>(channels_, &pb::Lease::Stub::LeaseLeases, pb::LeaseLeasesRequest(),
                         Repeat::kAlways, options);
}

Result<pb::MemberListResponse> Client::MemberList(const pb::MemberListRequest& request,
                                                  CallOptions options) {
  return Call<pb::Cluster>(channels_, &pb::Cluster::Stub::MemberList, request, Repeat::kAlways,
                           options);
}

Result<pb::MemberAddResponse> Client::MemberAdd(const pb::MemberAddRequest& request,
                                                CallOptions options) {
  return Call<pb::Cluster>(channels_, &pb::Cluster::Stub::MemberAdd, request, Repeat::kIfNeverSent,
                           options);
}

Result<pb::MemberRemoveResponse> Client::MemberRemove(uint64_t id, CallOptions options) {
  pb::MemberRemoveRequest request;
  request.set_id(id);
  return Call<pb::Cluster>(channels_, &pb::Cluster::Stub::MemberRemove, request,
                           Repeat::kIfNeverSent, options);
}

Result<pb::MemberUpdateResponse> Client::MemberUpdate(const pb::MemberUpdateRequest& request,
                                                      CallOptions options) {
  return Call<pb::Cluster>(channels_, &pb::Cluster::Stub::MemberUpdate, request,
                           Repeat::kIfNeverSent, options);
}

Result<pb::MemberPromoteResponse> Client::MemberPromote(uint64_t id, CallOptions options) {
  pb::MemberPromoteRequest request;
  request.set_id(id);
  return Call<pb::Cluster>(channels_, &pb::Cluster::Stub::MemberPromote, request,
                           Repeat::kIfNeverSent, options);
}

Result<pb::DowngradeResponse> Client::Downgrade(const pb::DowngradeRequest& request,
                                                CallOptions options) {
  return Call<pb::Maintenance>(channels_, &pb::Maintenance::Stub::Downgrade, request,
                               Repeat::kIfNeverSent, options);
}

Result<pb::MoveLeaderResponse> Client::MoveLeader(uint64_t to, CallOptions options) {
  pb::MoveLeaderRequest request;
  request.set_targetid(to);
  return Call<pb::Maintenance>(channels_, &pb::Maintenance::Stub::MoveLeader, request,
                               Repeat::kIfNeverSent, options);
}

Result<pb::StatusResponse> Client::EndpointStatus(CallOptions options) {
  return Call<pb::Maintenance>(channels_, &pb::Maintenance::Stub::Status, pb::StatusRequest(),
                               Repeat::kAlways, options);
}

Result<pb::HashKVResponse> Client::HashKV(int64_t revision, CallOptions options) {
  pb::HashKVRequest request;
  request.set_revision(revision);
  return Call<pb::Maintenance>(channels_, &pb::Maintenance::Stub::HashKV, request, Repeat::kAlways,
                               options);
}

Result<pb::HashResponse> Client::Hash(CallOptions options) {
  return Call<pb::Maintenance>(channels_, &pb::Maintenance::Stub::Hash, pb::HashRequest(),
                               Repeat::kAlways, options);
}

Result<pb::AlarmResponse> Client::Alarm(const pb::AlarmRequest& request, CallOptions options) {
  bool reads = request.action() == pb::AlarmRequest::GET;
  return Call<pb::Maintenance>(channels_, &pb::Maintenance::Stub::Alarm, request,
                               reads ? Repeat::kAlways : Repeat::kIfNeverSent, options);
}

Result<pb::DefragmentResponse> Client::Defragment(CallOptions options) {
  return Call<pb::Maintenance>(channels_, &pb::Maintenance::Stub::Defragment,
                               pb::DefragmentRequest(), Repeat::kIfNeverSent, options);
}

Status Client::Health(CallOptions options) {
  pb::RangeRequest request;
  request.set_key("health");
  auto answer = Range(request, options);
  if (answer || answer.error().code() == ErrorCode::kPermissionDenied) return Ok();
  return Fail(std::move(answer).error());
}

Result<std::unique_ptr<WatchStream>> Client::OpenWatch(bool require_leader, CallOptions options) {
  TimePoint deadline = DeadlineOf(*channels_, options);
  auto pick = channels_->Connect(deadline);
  if (!pick) return Fail(std::move(pick).error());
  RETURN_IF_ERROR(SignIn(channels_, *pick, deadline));
  auto call = std::make_unique<StreamCall>(channels_, std::move(*pick));
  if (!call->running.ok()) return Fail(ErrorCode::kCancelled, "the client is stopped");
  AddToken(*channels_, &call->context);
  if (require_leader) call->context.AddMetadata("hasleader", "true");
  call->stub = pb::Watch::NewStub(call->pick.channel);
  call->stream = call->stub->Watch(&call->context);
  return std::make_unique<WatchStream>(std::move(call));
}

}  // namespace store::client
