// SPDX-License-Identifier: Apache-2.0
// Client: the v3 API of the store, or of an etcd, as plain calls. Requests and responses are the
// messages of the public API (proto/etcd/rpc.proto), which is this layer's own language; gRPC
// itself stays inside.
//
// A call blocks its thread for at most its timeout (ClientOptions::call_timeout or
// CallOptions::timeout) and may be made from any thread, several at once. It goes to one endpoint
// and stays there while it works; when an endpoint does not answer the next one is taken. Retries
// follow etcd's own client: a read is repeated while the answer is Unavailable, a write only if it
// certainly never left this process. With a user name the client authenticates before its first
// call and again when its token is refused. Stop (also called by the destructor) cancels what runs
// and refuses what comes; streams may outlive the client, cancelled.
#pragma once

#include "etcd/rpc.pb.h"
#include "store/base/clock.h"
#include "store/base/error.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace store::client {

// PEM texts, not file names; an empty `ca` means the system's roots.
struct TlsOptions {
  std::string ca;
  std::string certificate;
  std::string key;
};

struct ClientOptions {
  // host:port, also with http:// or https:// (which needs `tls`) before it.
  std::vector<std::string> endpoints;
  Duration call_timeout = std::chrono::seconds(5);
  // An endpoint that has not accepted a connection in this time is left for the next one.
  Duration connect_timeout = std::chrono::seconds(2);
  // A connection with open calls is asked for a sign of life this often, and closed if none comes.
  Duration keepalive_time = std::chrono::seconds(10);
  Duration keepalive_timeout = std::chrono::seconds(6);
  std::string username;
  std::string password;
  std::optional<TlsOptions> tls;
};

struct CallOptions {
  Duration timeout = Duration::zero();  // zero: the client's
};

// The smallest key after every key that begins with `prefix`; "\0" (no end) if there is none.
std::string PrefixEnd(std::string_view prefix);

class ChannelSet;
class StreamCall;

// One Watch stream of one endpoint. Read and Write each by one thread at a time, Cancel by any
// thread. A stream that failed stays failed: the owner opens another.
class WatchStream {
 public:
  explicit WatchStream(std::unique_ptr<StreamCall> call);
  ~WatchStream();

  // False when the stream is broken.
  bool Write(const etcdserverpb::WatchRequest& request);
  // Blocks until a response comes; false when the stream has ended.
  bool Read(etcdserverpb::WatchResponse* response);
  void Cancel();
  // Why it ended; after Read or Write said false. Once.
  Status Finish();

 private:
  std::unique_ptr<StreamCall> call_;
};

class Client {
 public:
  explicit Client(ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void Stop();
  const ClientOptions& options() const { return options_; }
  // The endpoint the next call tries first.
  std::string current_endpoint() const;
  // Takes the next endpoint; for owners of a stream that broke.
  void LeaveEndpoint();

  // KV. A Txn counts as a read if all of its operations are ranges.
  Result<etcdserverpb::RangeResponse> Range(const etcdserverpb::RangeRequest& request,
                                            CallOptions options = {});
  Result<etcdserverpb::PutResponse> Put(const etcdserverpb::PutRequest& request,
                                        CallOptions options = {});
  Result<etcdserverpb::DeleteRangeResponse> DeleteRange(
      const etcdserverpb::DeleteRangeRequest& request, CallOptions options = {});
  Result<etcdserverpb::TxnResponse> Txn(const etcdserverpb::TxnRequest& request,
                                        CallOptions options = {});
  Result<etcdserverpb::CompactionResponse> Compact(const etcdserverpb::CompactionRequest& request,
                                                   CallOptions options = {});

  // Leases.
  Result<etcdserverpb::LeaseGrantResponse> LeaseGrant(
      const etcdserverpb::LeaseGrantRequest& request, CallOptions options = {});
  Result<etcdserverpb::LeaseRevokeResponse> LeaseRevoke(
      const etcdserverpb::LeaseRevokeRequest& request, CallOptions options = {});
  // One sign of life. A lease that is gone is kLeaseNotFound.
  Result<etcdserverpb::LeaseKeepAliveResponse> LeaseKeepAlive(int64_t lease,
                                                              CallOptions options = {});
  Result<etcdserverpb::LeaseTimeToLiveResponse> LeaseTimeToLive(
      const etcdserverpb::LeaseTimeToLiveRequest& request, CallOptions options = {});
  Result<etcdserverpb::LeaseLeasesResponse> LeaseLeases(CallOptions options = {});

  // Cluster and maintenance; these answer for the endpoint that is asked.
  Result<etcdserverpb::MemberListResponse> MemberList(
      const etcdserverpb::MemberListRequest& request, CallOptions options = {});
  Result<etcdserverpb::MemberAddResponse> MemberAdd(const etcdserverpb::MemberAddRequest& request,
                                                    CallOptions options = {});
  Result<etcdserverpb::MemberRemoveResponse> MemberRemove(uint64_t id, CallOptions options = {});
  Result<etcdserverpb::MemberUpdateResponse> MemberUpdate(
      const etcdserverpb::MemberUpdateRequest& request, CallOptions options = {});
  Result<etcdserverpb::MemberPromoteResponse> MemberPromote(uint64_t id, CallOptions options = {});
  // To be asked of the leader.
  Result<etcdserverpb::DowngradeResponse> Downgrade(const etcdserverpb::DowngradeRequest& request,
                                                    CallOptions options = {});
  Result<etcdserverpb::MoveLeaderResponse> MoveLeader(uint64_t to, CallOptions options = {});
  Result<etcdserverpb::StatusResponse> EndpointStatus(CallOptions options = {});
  Result<etcdserverpb::HashKVResponse> HashKV(int64_t revision, CallOptions options = {});
  Result<etcdserverpb::HashResponse> Hash(CallOptions options = {});
  Result<etcdserverpb::AlarmResponse> Alarm(const etcdserverpb::AlarmRequest& request,
                                            CallOptions options = {});
  Result<etcdserverpb::DefragmentResponse> Defragment(CallOptions options = {});
  // A linearizable read of the key "health", as etcdctl does it: ok if a leader answers, also if it
  // denies the permission.
  store::Status Health(CallOptions options = {});

  // Opens a stream to an endpoint that is connected; `require_leader` has the server end it when it
  // loses its leader.
  Result<std::unique_ptr<WatchStream>> OpenWatch(bool require_leader = true,
                                                 CallOptions options = {});

 private:
  const ClientOptions options_;
  std::shared_ptr<ChannelSet> channels_;
};

}  // namespace store::client
