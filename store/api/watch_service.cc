// SPDX-License-Identifier: Apache-2.0
#include "store/api/watch_service.h"

#include "store/api/errors.h"
#include "store/base/check.h"

#include <absl/cleanup/cleanup.h>

#include <utility>

namespace store::api {

class WatchService::Loop {
 public:
  Loop(const ServiceContext& context, watch::WatchHub& hub, uint64_t number, Executor& executor)
      : context_(context),
        hub_(hub),
        next_stream_((number << 48) + 1),
        mail_(executor, [this] { Deliver(); }),
        monitor_(executor, context.gauges, context.limits.election_timeout) {}

  // Calls that go with it must not find it half destroyed.
  ~Loop() { auto streams = std::exchange(streams_, {}); }

  void Open(WatchCall::Stream stream);

 private:
  struct Row {
    std::unique_ptr<WatchCall> call;
    uint64_t monitored = 0;  // 0: does not need a leader
  };

  void Deliver();
  void OnRequest(watch::StreamId id, const etcdserverpb::WatchRequest& request);
  // The stream has ended; `status` only if it is ended from here.
  void Close(watch::StreamId id, std::optional<rpc::RpcStatus> status);

  const ServiceContext& context_;
  watch::WatchHub& hub_;
  uint64_t next_stream_;  // unique over all loops
  WatchMail mail_;
  LeaderMonitor monitor_;
  absl::flat_hash_map<watch::StreamId, Row> streams_;
};

void WatchService::Loop::Open(WatchCall::Stream stream) {
  watch::StreamId id(next_stream_++);
  Row row;
  row.call = std::make_unique<WatchCall>(id, stream, hub_, context_.header, mail_);
  if (WantsLeader(stream.info())) {
    row.monitored = monitor_.Add([this, id] { Close(id, StatusOf(ErrorCode::kNoLeader)); });
  }
  streams_.emplace(id, std::move(row));
  stream.OnMessage([this, id](etcdserverpb::WatchRequest&& request) { OnRequest(id, request); });
  // A client that ends its half goes on to get events, as at etcd: no OnHalfClose.
  // The transport drops the callback when the call is over, also when it ended the call itself (a
  // message that is too large or malformed), of which handlers are not told.
  stream.OnCancel([end = absl::MakeCleanup([this, id] { Close(id, std::nullopt); })] {});
  stream.OnStop([this, id] { Close(id, StatusOf(ErrorCode::kStopped)); });
  stream.OnDrained([this, id] {
    if (auto found = streams_.find(id); found != streams_.end()) found->second.call->OnDrained();
  });
}

void WatchService::Loop::OnRequest(watch::StreamId id, const etcdserverpb::WatchRequest& request) {
  auto found = streams_.find(id);
  if (found != streams_.end()) found->second.call->OnRequest(request);
}

void WatchService::Loop::Deliver() {
  for (auto& [id, response] : mail_.Take()) {
    auto found = streams_.find(id);
    if (found != streams_.end()) found->second.call->OnResponse(std::move(response));
  }
}

void WatchService::Loop::Close(watch::StreamId id, std::optional<rpc::RpcStatus> status) {
  auto found = streams_.find(id);
  if (found == streams_.end()) return;
  Row row = std::move(found->second);
  streams_.erase(found);
  monitor_.Remove(row.monitored);
  if (status) row.call->Finish(std::move(*status));
}

WatchService::WatchService(const ServiceContext& context, watch::WatchHub& hub) {
  for (size_t i = 0; i < context.loops.size(); ++i) {
    loops_.push_back(std::make_unique<Loop>(context, hub, i, context.loops[i]->executor()));
  }
}

WatchService::~WatchService() = default;

void WatchService::Register(rpc::MethodTable& table) {
  table.AddStream<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>(
      "/etcdserverpb.Watch/Watch", [this](WatchCall::Stream stream) {
        LoopId loop = stream.info().loop;
        CHECK(loop.value() < loops_.size());
        loops_[loop.value()]->Open(std::move(stream));
      });
}

}  // namespace store::api
