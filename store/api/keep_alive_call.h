// SPDX-License-Identifier: Apache-2.0
// KeepAliveCall: one Lease.LeaseKeepAlive stream. Each request gets one response, in the order of
// the requests, whatever the order of the answers. An unknown or expired lease is a response with
// TTL 0; any other error ends the stream. On the stream's loop; held by the stream's callbacks.
// Bounded: each unanswered request is a call in PendingCalls.
#pragma once

#include "store/api/leader_monitor.h"
#include "store/api/service_context.h"

#include <etcd/rpc.pb.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

namespace store::api {

class KeepAliveCall : public std::enable_shared_from_this<KeepAliveCall> {
 public:
  using Stream =
      rpc::Stream<etcdserverpb::LeaseKeepAliveRequest, etcdserverpb::LeaseKeepAliveResponse>;

  KeepAliveCall(const ServiceContext& context, Stream stream, LeaderMonitor& monitor)
      : context_(context), stream_(std::move(stream)), monitor_(monitor) {}
  ~KeepAliveCall() { monitor_.Remove(monitored_); }

  void Start();

 private:
  struct Slot {
    LeaseId lease;
    Revision revision;  // taken before the renewal
    CallHandle handle;
    std::optional<replica::LeaseAnswer> answer;
  };

  void OnRequest(LeaseId lease);
  void OnAnswer(uint64_t number, replica::LeaseAnswer answer);
  // Answers from the front as far as they are there.
  void Write();
  bool WriteOne(const Slot& slot);
  void Stop();
  void Finish(rpc::RpcStatus status);
  void DropAll();

  const ServiceContext& context_;
  Stream stream_;
  LeaderMonitor& monitor_;
  std::deque<Slot> slots_;
  uint64_t first_ = 0;  // number of slots_.front()
  uint64_t monitored_ = 0;
  bool half_closed_ = false;
  bool stopping_ = false;  // no more requests; what is under way is answered
};

}  // namespace store::api
