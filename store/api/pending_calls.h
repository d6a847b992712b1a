// SPDX-License-Identifier: Apache-2.0
// PendingCalls: the waiting calls of one io loop, and the loop's side of the door to the replica. A
// call waits for one of four things:
//
//   write   a command's result from the member's own apply            Propose
//   read    the grant of a linearizable read: a ticket number         Read
//   lease   an answer of the lease clockwork                          Lease
//   work    something done on another thread, answered as a message   StartWork / FinishWork
//
// What one turn of the loop collects goes to the replica as one bundle, one ticket number and one
// list of lease requests (flushed by an action posted to the own executor, which runs before the
// loop sleeps). What the replica refuses is kept here and offered again; it was counted at
// admission, so it cannot grow.
//
// Deadlines: writes, reads and leases fail with etcd's time-out texts after request_timeout; all
// have the same time-out, so the order of ids is the order of deadlines and one timer serves all.
// The client's own, earlier deadline and its cancellation arrive through RawCall::OnCancel, for
// which callers register Drop. A dropped call's late result is ignored; a write that was sent may
// still be applied.
//
// Threads: everything on the loop, except FinishWork. Must outlive every call of its loop. Bounded
// by CallBudget. Each `done` runs exactly once, unless its call is dropped; it may be called before
// Propose, Read or Lease return, when there is no room.
#pragma once

#include "store/api/call_budget.h"
#include "store/apply/results.h"
#include "store/base/error.h"
#include "store/base/executor.h"
#include "store/base/ids.h"
#include "store/base/metrics.h"
#include "store/peer/connections.h"
#include "store/replica/edge.h"
#include "store/replica/gauges.h"
#include "store/rpc/call.h"
#include "store_command.pb.h"

#include <absl/functional/any_invocable.h>
#include <absl/functional/function_ref.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace store::api {

struct PendingOptions {
  uint64_t member = 0;
  uint64_t boot_nonce = 0;
  LoopId loop;
  Duration request_timeout = std::chrono::seconds(7);  // 5 s + 2 election timeouts
  size_t request_bytes_max = 1'572'864;                // of an encoded command
  size_t bundle_bytes_max = 1 << 20;
  size_t bundle_proposals_max = 1000;
  Duration retry = std::chrono::milliseconds(1);      // after a refusal of the replica
  Duration room_look = std::chrono::milliseconds(5);  // while streams wait for room
  const peer::Connections* connections = nullptr;     // null: a member alone (tests)
  Counter* proposals_failed = nullptr;                // null: not counted (tests)
};

enum class WaitKind : uint8_t { kNone, kWrite, kRead, kLease, kWork };
// Names a waiting call; false when the call was answered at once. Eight bytes: with a pointer it
// fits into an AnyInvocable.
struct CallHandle {
  CallHandle() = default;
  CallHandle(WaitKind of, uint64_t number) : kind(of), id(number & kIdMask) {}
  explicit operator bool() const { return kind != WaitKind::kNone; }

  static constexpr uint64_t kIdMask = (uint64_t{1} << 56) - 1;
  WaitKind kind : 8 = WaitKind::kNone;
  uint64_t id : 56 = 0;
};
static_assert(sizeof(CallHandle) == 8);

class PendingCalls final : public replica::Edge {
 public:
  using WriteDone = absl::AnyInvocable<void(apply::CallResult)>;
  using ReadDone = absl::AnyInvocable<void(ErrorCode)>;
  using LeaseDone = absl::AnyInvocable<void(replica::LeaseAnswer)>;
  using WorkDone = absl::AnyInvocable<void(Result<rpc::MessageBody>)>;

  // All references outlive it.
  PendingCalls(const PendingOptions& options, replica::ReplicaDoor& door, Executor& executor,
               CallBudget& budget, const replica::RaftGauges& gauges);
  ~PendingCalls() override;

  // `deadline`: the client's, if it has one.
  using EncodeFor = absl::FunctionRef<std::string(const apply::RequestId& id)>;
  CallHandle Propose(EncodeFor command, std::optional<TimePoint> deadline, WriteDone done);
  CallHandle Propose(sluice::store::Command& command, std::optional<TimePoint> deadline,
                     WriteDone done);
  // `bytes`: what the waiting request holds.
  CallHandle Read(ReadDone done, size_t bytes = 0);
  // A change of the membership, encoded with this call's id, or a leader move; the result is
  // apply's, or what refused it.
  using MakeAdmin =
      absl::AnyInvocable<decltype(replica::AdminRequest::what)(const apply::RequestId& id) const>;
  CallHandle Admin(const MakeAdmin& make, std::optional<TimePoint> deadline, WriteDone done);
  CallHandle Lease(replica::LeaseRequest::Kind kind, LeaseId id, LeaseDone done);
  // Without room: false, and `done` stays the caller's, who may wait for it.
  CallHandle TryLease(replica::LeaseRequest::Kind kind, LeaseId id, LeaseDone& done);
  // kOk: there may be room again. kTooManyRequests: there was none for request_timeout after
  // `since`. In the order of waiting; one of each stream.
  using RoomAction = absl::AnyInvocable<void(ErrorCode)>;
  void WhenRoom(TimePoint since, RoomAction action);
  // Room for a call whose answer another thread makes; the handle's id goes with the work. Without
  // room `done` gets kTooManyRequests.
  CallHandle StartWork(WorkDone done);
  // Any thread: answers it on the loop.
  void FinishWork(uint64_t id, Result<rpc::MessageBody> answer);

  // The client is gone. No `done` for it; work goes on and its budget is held until it ends.
  void Drop(CallHandle handle);
  // The member stops: everything that waits fails, also what was not sent yet.
  void FailAll(ErrorCode code);
  // Activates the NOSPACE alarm of this member, unless that is under way already; `done` may be
  // empty.
  void RaiseNoSpace(WriteDone done);

  // Edge.
  void OnReadsGranted(uint64_t through) override;
  void OnReadsFailed(uint64_t through, ErrorCode code) override;
  void OnProposalsFailed(const std::vector<apply::RequestId>& ids, ErrorCode code) override;
  void OnLeaseAnswers(const std::vector<replica::LeaseAnswer>& answers) override;
  void OnAdminAnswer(const apply::RequestId& id, ErrorCode code) override;
  void OnResults(std::vector<apply::CallResult> results) override;

  Executor& executor() const { return executor_; }
  size_t waiting() const { return writes_.size() + reads_.size() + leases_.size() + work_.size(); }

 private:
  template <class Done>
  struct Entry {
    Done done;
    size_t bytes = 0;
    TimePoint started;
    uint64_t leader_changes = 0;  // when it started
  };
  struct Waiter {
    TimePoint since;
    RoomAction action;
  };
  // By id, hence by deadline.
  template <class Done>
  using WaitMap = std::map<uint64_t, Entry<Done>>;

  template <class Done>
  uint64_t Insert(WaitMap<Done>& map, Done done, size_t bytes);
  template <class Done>
  std::optional<Done> Take(WaitMap<Done>& map, uint64_t id);
  template <class Done>
  bool Erase(WaitMap<Done>& map, uint64_t id);

  void Queue(std::string bytes, uint64_t id, TimePoint deadline);
  void ScheduleFlush();
  void Flush();
  bool OfferBundles();
  bool OfferTickets();
  bool OfferLeases();
  bool OfferAdmin();
  void PruneBundle(replica::ProposalBundle& bundle);

  void LookForRoom();
  void ArmDeadline();
  void ExpireDue();
  template <class Done, class Fail>
  void ExpireMap(WaitMap<Done>& map, TimePoint now, Fail fail);
  std::optional<TimePoint> Oldest() const;
  template <class Done>
  ErrorCode TimeoutCode(const Entry<Done>& entry) const;
  bool Connected(TimePoint since) const;
  void FailWrite(WriteDone done, ErrorCode code);
  void CountFailedProposal();
  void AnswerReads(uint64_t through, ErrorCode code);

  const PendingOptions options_;
  replica::ReplicaDoor& door_;
  Executor& executor_;
  CallBudget& budget_;
  const replica::RaftGauges& gauges_;

  uint64_t next_id_ = 1;  // shared by all kinds
  WaitMap<WriteDone> writes_;
  WaitMap<ReadDone> reads_;
  WaitMap<LeaseDone> leases_;
  WaitMap<WorkDone> work_;  // no deadline of ours

  // Not yet taken by the replica.
  std::deque<replica::ProposalBundle> bundles_;
  uint64_t tickets_sent_ = 0;  // reads up to here were asked for
  std::vector<replica::LeaseRequest> lease_requests_;
  std::deque<replica::AdminRequest> admin_requests_;

  bool dropped_writes_ = false;  // a write was dropped while bundles_ may hold it
  bool flush_posted_ = false;
  bool raising_no_space_ = false;
  std::deque<Waiter> waiters_;
  std::optional<Executor::TimerId> room_timer_;
  std::optional<Executor::TimerId> retry_timer_;
  std::optional<Executor::TimerId> deadline_timer_;
};

}  // namespace store::api
