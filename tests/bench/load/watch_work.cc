// SPDX-License-Identifier: Apache-2.0
// Watchers and one writer. Works: watch-one (every watcher on the same key), watch-many (each on a
// key of its own). The writer keeps `window` puts whose events are still under way, alone or
// `batch` of them in one transaction (one call and one revision for so many events), so what is
// measured is the rate at which events come, and neither server can fall behind without end. The
// value of a put carries its number and the moment it was sent. Responses are scanned, not parsed:
// at a million events a second the parser would be what is measured.
#include "store/base/check.h"
#include "store/base/random.h"
#include "tests/bench/load/work.h"

#include <etcd/rpc.pb.h>
#include <google/protobuf/io/coded_stream.h>

#include <cstring>
#include <deque>
#include <string_view>
#include <utility>

namespace bench {
namespace {

using google::protobuf::io::CodedInputStream;
using store::SharedBytes;
using store::TimePoint;
using store::rpc::MessageBody;
using store::rpc::RpcStatus;

struct Stamp {
  uint64_t number;
  int64_t sent_nanos;
};

// Wire fields of one message, in order: calls `field(number, bytes, varint)`.
template <class Visit>
bool EachField(std::string_view message, Visit visit) {
  CodedInputStream in(reinterpret_cast<const uint8_t*>(message.data()),
                      static_cast<int>(message.size()));
  while (uint32_t tag = in.ReadTag()) {
    uint64_t number = 0;
    if ((tag & 7) == 0) {
      if (!in.ReadVarint64(&number)) return false;
      visit(tag >> 3, std::string_view(), number);
      continue;
    }
    if ((tag & 7) != 2 || !in.ReadVarint64(&number)) return false;
    const auto at = static_cast<size_t>(in.CurrentPosition());
    if (number > message.size() - at || !in.Skip(static_cast<int>(number))) return false;
    visit(tag >> 3, message.substr(at, number), 0);
  }
  return true;
}

class WatchWork final : public Work {
 public:
  WatchWork(const LoadOptions& options, LoopPlace place)
      : options_(options), place_(place), random_(options.seed) {
    value_.assign(std::max(options_.value_bytes, sizeof(Stamp)), 'v');
    for (char& byte : value_) byte = static_cast<char>(random_.Next());
  }

  void Prepare(store::Action ready) override {
    ready_ = std::move(ready);
    for (int i = 0; i < options_.streams; ++i) OpenStream(i);
  }
  void Begin() override { Write(); }
  void Stop(store::Action idle) override {
    stopping_ = true;
    idle_ = std::move(idle);
    EndIfIdle();
  }

 private:
  bool OneKey() const { return options_.work == "watch-one"; }
  uint64_t EventsPerPut() const { return OneKey() ? static_cast<uint64_t>(options_.watchers) : 1; }

  void OpenStream(int stream) {
    auto& channel = *place_.channels[static_cast<size_t>(stream) % place_.channels.size()];
    auto call = channel.Start("/etcdserverpb.Watch/Watch");
    call->OnMessage([this](const SharedBytes& bytes) { OnResponse(bytes); });
    call->OnFinish([this](const RpcStatus& status) {
      if (!stopping_) tally_.Fail(status);
    });
    for (int watcher = stream; watcher < options_.watchers; watcher += options_.streams) {
      etcdserverpb::WatchRequest request;
      request.mutable_create_request()->set_key(
          KeyOf(OneKey() ? 0 : options_.key_offset + static_cast<uint64_t>(watcher)));
      call->Send(MessageBody(request.SerializeAsString()));
    }
    calls_.push_back(std::move(call));
  }

  void OnResponse(const SharedBytes& bytes) {
    bool good = EachField(bytes, [&](uint32_t field, std::string_view part, uint64_t number) {
      if (field == 3 && number == 1) OnCreated();
      if (field == 4 && number == 1) tally_.Fail({store::rpc::GrpcCode::kUnknown, "canceled"});
      if (field == 11) OnEvent(part);
    });
    CHECK(good);
    if (measuring_) ++tally_.operations;
  }

  void OnCreated() {
    if (++created_ == options_.watchers) std::exchange(ready_, nullptr)();
  }

  void OnEvent(std::string_view event) {
    std::string_view value;
    EachField(event, [&](uint32_t field, std::string_view kv, uint64_t) {
      if (field != 2) return;
      EachField(kv, [&](uint32_t inner, std::string_view part, uint64_t) {
        if (inner == 5) value = part;
      });
    });
    Stamp stamp{};
    CHECK(value.size() >= sizeof stamp);
    std::memcpy(&stamp, value.data(), sizeof stamp);
    if (measuring_) {
      ++tally_.events;
      tally_.latency.Add(place_.loop.Now().time_since_epoch() - store::Duration(stamp.sent_nanos));
    }
    CountDelivery(stamp.number);
  }

  // A put is over when every watcher has its event and the put is answered.
  void CountDelivery(uint64_t number) {
    CHECK(number >= first_open_ && number - first_open_ < open_.size(), "event of put {} twice",
          number);
    uint64_t& left = open_[number - first_open_];
    CHECK(left > 0, "event of put {} once too often", number);
    if (--left > 0) return;
    --under_way_;
    while (!open_.empty() && open_.front() == 0) {
      open_.pop_front();
      ++first_open_;
    }
    Write();
  }

  void Write() {
    const auto batch = static_cast<size_t>(options_.batch);
    while (!stopping_ && under_way_ + batch <= static_cast<size_t>(options_.window)) {
      const uint64_t first = first_open_ + open_.size();
      // Neighbours, because a transaction may name a key once.
      const uint64_t watched = random_.Below(static_cast<uint64_t>(options_.watchers));
      etcdserverpb::TxnRequest txn;
      for (size_t i = 0; i < batch; ++i) {
        FillPut(watched + i, *txn.add_success()->mutable_request_put());
      }
      if (batch == 1) {
        Send("/etcdserverpb.KV/Put", txn.success(0).request_put(), first);
      } else {
        Send("/etcdserverpb.KV/Txn", txn, first);
      }
    }
    EndIfIdle();
  }
  void FillPut(uint64_t watched, etcdserverpb::PutRequest& put) {
    Stamp stamp{first_open_ + open_.size(), place_.loop.Now().time_since_epoch().count()};
    std::memcpy(value_.data(), &stamp, sizeof stamp);
    watched %= static_cast<uint64_t>(options_.watchers);
    put.set_key(KeyOf(OneKey() ? 0 : options_.key_offset + watched));
    put.set_value(value_);
    open_.push_back(EventsPerPut() + 1);
    ++under_way_;
  }
  void Send(std::string_view method, const google::protobuf::Message& request, uint64_t first) {
    Channel(first / static_cast<uint64_t>(options_.batch))
        .Unary(method, MessageBody(request.SerializeAsString()), {},
               [this, first](const RpcStatus& status, const SharedBytes&) {
                 if (!status.ok()) tally_.Fail(status);
                 const uint64_t end = first + static_cast<uint64_t>(options_.batch);
                 for (uint64_t number = first; number < end; ++number) CountDelivery(number);
               });
  }
  store::rpc::Channel& Channel(uint64_t number) {
    return *place_.channels[number % place_.channels.size()];
  }

  void EndIfIdle() {
    if (!stopping_ || !open_.empty() || !idle_) return;
    for (auto& call : calls_) call->Cancel();
    std::exchange(idle_, nullptr)();
  }

  const LoadOptions& options_;
  LoopPlace place_;
  store::Random random_;
  std::string value_;
  std::vector<store::rpc::ClientCallPtr> calls_;
  int created_ = 0;
  store::Action ready_;
  // What is still expected of each put from first_open_ on, the oldest that is not over. Those
  // behind it that are over leave their places to new ones: it is puts that the window counts.
  std::deque<uint64_t> open_;
  size_t under_way_ = 0;
  uint64_t first_open_ = 0;
  bool stopping_ = false;
  store::Action idle_;
};

}  // namespace

std::unique_ptr<Work> MakeWatchWork(const LoadOptions& options, LoopPlace place) {
  return std::make_unique<WatchWork>(options, place);
}

}  // namespace bench
