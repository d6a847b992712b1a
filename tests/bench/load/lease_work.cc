// SPDX-License-Identifier: Apache-2.0
// Keep-alives of many leases: the leases are granted first, then each stream renews its share in
// turn, `window` requests ahead of their answers. Answers of a stream come in the order of its
// requests (etcd promises that, and the renewed lease's id is checked).
#include "store/base/check.h"
#include "tests/bench/load/work.h"

#include <etcd/rpc.pb.h>

#include <algorithm>
#include <deque>
#include <utility>

namespace bench {
namespace {

using store::SharedBytes;
using store::TimePoint;
using store::rpc::MessageBody;
using store::rpc::RpcStatus;

constexpr int64_t kTtlSeconds = 600;
constexpr int kGrantsInFlight = 256;

class LeaseWork final : public Work {
 public:
  LeaseWork(const LoadOptions& options, LoopPlace place)
      : options_(options), place_(place), streams_(static_cast<size_t>(options.streams)) {}

  void Prepare(store::Action ready) override {
    ready_ = std::move(ready);
    const int first = std::min(kGrantsInFlight, options_.leases);
    for (int i = 0; i < first; ++i) Grant();
  }
  void Begin() override {
    for (size_t i = 0; i < streams_.size(); ++i) {
      Open(i);
      for (int j = 0; j < options_.window; ++j) Renew(streams_[i]);
    }
  }
  void Stop(store::Action idle) override {
    stopping_ = true;
    idle_ = std::move(idle);
    EndIfIdle();
  }

 private:
  struct Sent {
    int64_t lease;
    TimePoint at;
  };
  struct Stream {
    store::rpc::ClientCallPtr call;
    size_t next = 0;
    std::deque<Sent> open;
  };

  void Grant() {
    if (asked_ == options_.leases) return;
    etcdserverpb::LeaseGrantRequest request;
    request.set_ttl(kTtlSeconds);
    auto& channel = *place_.channels[static_cast<size_t>(asked_++) % place_.channels.size()];
    channel.Unary("/etcdserverpb.Lease/LeaseGrant", MessageBody(request.SerializeAsString()), {},
                  [this](const RpcStatus& status, const SharedBytes& bytes) {
                    etcdserverpb::LeaseGrantResponse response;
                    CHECK(status.ok(), "grant: {}", status.message);
                    CHECK(response.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
                    leases_.push_back(response.id());
                    if (leases_.size() == static_cast<size_t>(options_.leases)) {
                      std::exchange(ready_, nullptr)();
                    } else {
                      Grant();
                    }
                  });
  }

  void Open(size_t index) {
    Stream& stream = streams_[index];
    stream.next = index;
    stream.call = place_.channels[index % place_.channels.size()]->Start(
        "/etcdserverpb.Lease/LeaseKeepAlive");
    stream.call->OnMessage([this, &stream](const SharedBytes& bytes) { OnAnswer(stream, bytes); });
    stream.call->OnFinish([this, &stream](const RpcStatus& status) {
      if (!stopping_) tally_.Fail(status);
      in_flight_ -= static_cast<int>(std::exchange(stream.open, {}).size());
      if (stopping_) EndIfIdle();
    });
  }

  void Renew(Stream& stream) {
    etcdserverpb::LeaseKeepAliveRequest request;
    const int64_t lease = leases_[stream.next % leases_.size()];
    stream.next += streams_.size();
    request.set_id(lease);
    stream.open.push_back({lease, place_.loop.Now()});
    ++in_flight_;
    stream.call->Send(MessageBody(request.SerializeAsString()));
  }

  void OnAnswer(Stream& stream, const SharedBytes& bytes) {
    CHECK(!stream.open.empty());
    const Sent sent = stream.open.front();
    stream.open.pop_front();
    --in_flight_;
    etcdserverpb::LeaseKeepAliveResponse response;
    CHECK(response.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    if (response.id() != sent.lease || response.ttl() != kTtlSeconds) {
      tally_.Fail({store::rpc::GrpcCode::kUnknown, "the answer is not that of the request"});
    } else if (measuring_) {
      ++tally_.operations;
      tally_.latency.Add(place_.loop.Now() - sent.at);
    }
    if (!stopping_) return Renew(stream);
    EndIfIdle();
  }

  void EndIfIdle() {
    if (in_flight_ > 0 || !idle_) return;
    store::Action idle = std::exchange(idle_, nullptr);
    for (Stream& stream : streams_) stream.call->Cancel();
    idle();
  }

  const LoadOptions& options_;
  LoopPlace place_;
  std::vector<Stream> streams_;
  std::vector<int64_t> leases_;
  int asked_ = 0;
  int in_flight_ = 0;
  store::Action ready_;
  bool stopping_ = false;
  store::Action idle_;
};

}  // namespace

std::unique_ptr<Work> MakeLeaseWork(const LoadOptions& options, LoopPlace place) {
  return std::make_unique<LeaseWork>(options, place);
}

}  // namespace bench
