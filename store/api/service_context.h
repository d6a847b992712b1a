// SPDX-License-Identifier: Apache-2.0
// ServiceContext: what every service gets through its constructor: the member's identity and
// gauges, its state for reading, the loops' pending calls, and limits. Built once by the server
// before the first call; it and all it names outlive the services. And the ways a call goes through
// the member, as templates over its messages:
//
//   ProposeCall   a command into the log; its result, with the header filled, is the answer
//   AwaitRead     `action` on the loop once a linearizable read may be served (at once if
//   serializable) ParkCall      the call waits on its loop for an answer that another thread makes
//   RunInPool     the same with work for the range pool
//
// All of them: on the call's loop, and the client's cancellation drops the call.
#pragma once

#include "store/api/errors.h"
#include "store/api/gate.h"
#include "store/api/pending_calls.h"
#include "store/api/wire.h"
#include "store/apply/state_machine.h"
#include "store/base/check.h"
#include "store/base/executor.h"
#include "store/replica/disk_allowance.h"
#include "store/replica/edge.h"
#include "store/replica/gauges.h"
#include "store/rpc/call.h"
#include "store_command.pb.h"

#include <absl/functional/any_invocable.h>
#include <google/protobuf/message_lite.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace store::api {

struct ServiceLimits {
  int64_t quota_bytes = 2LL << 30;  // <= 0: none
  size_t txn_ops_max = 128;
  size_t request_bytes_max = 1'572'864;
  Duration heartbeat = std::chrono::milliseconds(100);
  Duration election_timeout = std::chrono::seconds(1);
  uint32_t learners_max = 1;
  int64_t inline_keys_max = 64;  // larger ranges go to the pool
  // Answers that wait for clients to read them; above it no range is begun.
  int64_t unsent_bytes_max = 512 << 20;
};

// Runs a long read on another thread; false: full or stopping. In the simulator an event.
using RangePool = absl::AnyInvocable<bool(Action&&) const>;

// Whether a write may be admitted, or what is full.
enum class Room : uint8_t { kEnough, kOverQuota, kDiskFull };

struct ServiceContext {
  HeaderSource header;
  const replica::RaftGauges& gauges;
  const apply::StateMachine& state;
  replica::ReplicaDoor& door;
  RangePool range_pool;
  ServiceLimits limits;
  std::vector<PendingCalls*> loops;                    // index: LoopId
  const std::atomic<int64_t>* unsent_bytes = nullptr;  // of the transport; null: none
  const Gate* gate = nullptr;                          // null: calls have no metadata
  replica::DiskAllowance* disk_allowance = nullptr;    // null: as much as disk_room says

  PendingCalls& At(LoopId loop) const {
    CHECK(loop.value() < loops.size());
    return *loops[loop.value()];
  }
  // Bytes the quota compares, what apply counts; and this member's disk. kEnough takes them of what
  // the disk allows: once a call.
  Room TakeRoom(int64_t cost) const;
  // A range of any size may be answered now.
  bool MayAnswer() const {
    return unsent_bytes == nullptr ||
           unsent_bytes->load(std::memory_order_relaxed) <= limits.unsent_bytes_max;
  }
};

// The client's cancellation drops what waits. `raw` is the call that was moved into the waiting
// closure.
inline void DropOnCancel(const rpc::RawCallPtr& raw, PendingCalls& pending, CallHandle handle) {
  if (handle) raw->OnCancel([&pending, handle] { pending.Drop(handle); });
}

// The response that apply made, or an empty one, with the header of the result.
template <class Response, class Request>
void ReplyResult(const ServiceContext& context, rpc::Call<Request, Response>& call,
                 apply::CallResult& result) {
  if (result.error != ErrorCode::kOk) return call.Fail(StatusOf(result.error));
  if (result.response == nullptr) {
    return call.Reply(EncodeHeaderOnly(context.header.Fields(result.revision)));
  }
  auto& response = static_cast<Response&>(*result.response);
  context.header.Fill(result.revision, response.mutable_header());
  call.Reply(response);
}

// `command`: the message, or what encodes it (PendingCalls::EncodeFor).
template <class Request, class Response, class Command>
void ProposeCall(const ServiceContext& context, rpc::Call<Request, Response> call,
                 Command&& command) {
  rpc::RawCallPtr raw = call.raw();
  PendingCalls& pending = context.At(call.info().loop);
  CallHandle handle =
      pending.Propose(command, raw->info().deadline,
                      [&context, call = std::move(call)](apply::CallResult result) mutable {
                        ReplyResult(context, call, result);
                      });
  DropOnCancel(raw, pending, handle);
}

// Refused for lack of room: etcd answers only when the alarm stands, so that every member refuses
// from then on. A full disk is this member's own trouble and passes without an operator.
template <class Request, class Response>
void RefuseNoSpace(const ServiceContext& context, Room room, rpc::Call<Request, Response> call) {
  if (room == Room::kDiskFull) return call.Fail(StatusOf(ErrorCode::kSpaceExceeded));
  PendingCalls& pending = context.At(call.info().loop);
  pending.RaiseNoSpace([call = std::move(call)](apply::CallResult) mutable {
    call.Fail(StatusOf(ErrorCode::kSpaceExceeded));
  });
}

// `action(call)` once the member's own state is new enough.
template <class Request, class Response, class Action>
void AwaitRead(const ServiceContext& context, rpc::Call<Request, Response> call, bool serializable,
               Action action) {
  if (serializable) return action(std::move(call));
  rpc::RawCallPtr raw = call.raw();
  PendingCalls& pending = context.At(call.info().loop);
  size_t bytes = call.request().ByteSizeLong();
  CallHandle handle = pending.Read(
      [call = std::move(call), action = std::move(action)](ErrorCode code) mutable {
        if (code != ErrorCode::kOk) return call.Fail(StatusOf(code));
        action(std::move(call));
      },
      bytes);
  DropOnCancel(raw, pending, handle);
}

// Keeps the call on its loop; whoever holds `finish` may answer it once, from any thread.
using FinishCall = absl::AnyInvocable<void(Result<rpc::MessageBody>)>;
template <class Request, class Response>
FinishCall ParkCall(const ServiceContext& context, rpc::Call<Request, Response> call) {
  rpc::RawCallPtr raw = call.raw();
  PendingCalls& pending = context.At(call.info().loop);
  CallHandle handle =
      pending.StartWork([call = std::move(call)](Result<rpc::MessageBody> answer) mutable {
        if (!answer) return call.Fail(StatusOf(answer.error()));
        call.Reply(std::move(*answer));
      });
  DropOnCancel(raw, pending, handle);
  if (!handle) return nullptr;
  return [&pending, id = handle.id](Result<rpc::MessageBody> answer) {
    pending.FinishWork(id, std::move(answer));
  };
}

// `work` on a pool thread; its result is the answer.
using PoolWork = absl::AnyInvocable<Result<rpc::MessageBody>()>;
template <class Request, class Response>
void RunInPool(const ServiceContext& context, rpc::Call<Request, Response> call, PoolWork work) {
  auto finish = std::make_shared<FinishCall>(ParkCall(context, std::move(call)));
  if (!*finish) return;
  bool taken =
      context.range_pool([finish, work = std::move(work)]() mutable { (*finish)(work()); });
  if (!taken) (*finish)(Fail(ErrorCode::kTooManyRequests));
}

}  // namespace store::api
