// SPDX-License-Identifier: Apache-2.0
// KeepAliveCall: one Lease.LeaseKeepAlive stream. Each request gets one response, in the order of
// the requests, whatever the order of the answers. An unknown or expired lease is a response with
// TTL 0; any other error ends the stream. On the stream's loop; held by the stream's callbacks.
// Bounded: each unanswered request is a call in PendingCalls, and kUnansweredMax of them are one
// stream's; the next is read when one is answered. Answers that wait for one before them are at
// most kSlotsMax: at a leader an ending lease's comes late. Where all calls together leave no room,
// a renewal waits for it as long as a call may take, and nothing more is read: a client sends those
// of all its leases at once.
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

  static constexpr size_t kUnansweredMax = 256;
  static constexpr size_t kSlotsMax = 4096;

  void Start();

 private:
  struct Slot {
    LeaseId lease;
    Revision revision;  // taken before the renewal
    CallHandle handle;
    std::optional<replica::LeaseAnswer> answer;
  };

  void OnRequest(LeaseId lease);
  // The newest request, which finds room or waits for it.
  void Ask();
  void OnRoom(ErrorCode code);
  void HoldInput();
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
  uint64_t first_ = 0;     // number of slots_.front()
  size_t unanswered_ = 0;  // of slots_
  uint64_t monitored_ = 0;
  std::optional<TimePoint> refused_since_;  // the newest request found no room
  bool half_closed_ = false;
  bool stopping_ = false;  // no more requests; what is under way is answered
};

}  // namespace store::api
