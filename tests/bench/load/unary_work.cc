// SPDX-License-Identifier: Apache-2.0
// Clients in a closed loop: each sends its next call when the last one was answered. Works: fill
// (new keys, each once), put, range, range100, txn, mixed (9 ranges, 1 put).
#include "store/base/random.h"
#include "tests/bench/load/work.h"

#include <etcd/rpc.pb.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace bench {

using store::SharedBytes;
using store::TimePoint;
using store::rpc::MessageBody;
using store::rpc::RpcStatus;

namespace {

constexpr std::string_view kPut = "/etcdserverpb.KV/Put";
constexpr std::string_view kRange = "/etcdserverpb.KV/Range";
constexpr std::string_view kTxn = "/etcdserverpb.KV/Txn";

constexpr size_t kPoolBytes = 1 << 16;

struct Request {
  std::string_view path;
  MessageBody body;
};

}  // namespace

std::string KeyOf(uint64_t number) { return fmt::format("bench/{:026}", number); }

void Tally::Merge(const Tally& other) {
  operations += other.operations;
  events += other.events;
  if (errors == 0) first_error = other.first_error;
  errors += other.errors;
  replayed = std::max(replayed, other.replayed);
  hash ^= other.hash;
  latency.Merge(other.latency);
}

namespace {

class UnaryWork final : public Work {
 public:
  UnaryWork(const LoadOptions& options, LoopPlace place)
      : options_(options),
        place_(place),
        // Not the keys that another work has just used.
        random_(
            store::Random(options.seed).Fork(fmt::format("{} loop {}", options.work, place.part))),
        next_fill_(static_cast<uint64_t>(place.part)) {
    pool_.resize(kPoolBytes + options_.value_bytes);
    // What does not compress: a store that packs its files must not win by constant values.
    for (char& byte : pool_) byte = static_cast<char>(random_.Next());
    range_.set_serializable(options_.serializable);
  }

  void Prepare(store::Action ready) override { ready(); }
  void Begin() override {
    const int mine =
        options_.clients / options_.loops + (place_.part < options_.clients % options_.loops);
    for (int i = 0; i < mine; ++i) {
      Issue(*place_.channels[static_cast<size_t>(i) % place_.channels.size()]);
    }
  }
  void Stop(store::Action idle) override {
    stopping_ = true;
    idle_ = std::move(idle);
    if (in_flight_ == 0) std::exchange(idle_, nullptr)();
  }
  void Finish(store::Action idle) override {
    idle_ = std::move(idle);
    if (in_flight_ == 0) std::exchange(idle_, nullptr)();
  }

 private:
  void Issue(store::rpc::Channel& channel) {
    Request request;
    if (stopping_ || !Next(&request)) {
      if (in_flight_ == 0 && idle_) std::exchange(idle_, nullptr)();
      return;
    }
    ++in_flight_;
    const TimePoint sent = place_.loop.Now();
    channel.Unary(request.path, request.body, {},
                  [this, &channel, sent](const RpcStatus& status, const SharedBytes&) {
                    --in_flight_;
                    Count(status, sent);
                    Issue(channel);
                  });
  }

  void Count(const RpcStatus& status, TimePoint sent) {
    if (!status.ok()) return tally_.Fail(status);
    if (!measuring_) return;
    ++tally_.operations;
    tally_.latency.Add(place_.loop.Now() - sent);
  }

  // False: nothing left to do.
  bool Next(Request* request) {
    const std::string& work = options_.work;
    if (work == "fill") {
      if (next_fill_ >= options_.count) return false;
      const uint64_t key = options_.key_offset + next_fill_;
      next_fill_ += static_cast<uint64_t>(options_.loops);
      *request = Put(key);
    } else if (work == "put" || (work == "mixed" && random_.Below(10) == 0)) {
      *request = Put(RandomKey());
    } else if (work == "range" || work == "mixed") {
      *request = Range(RandomKey(), 1);
    } else if (work == "range100") {
      *request = Range(random_.Below(options_.keys > 100 ? options_.keys - 100 : 1), 100);
    } else {
      *request = Txn(RandomKey());
    }
    return true;
  }

  uint64_t RandomKey() { return random_.Below(options_.keys); }
  void SetValue(std::string* value) {
    value->assign(pool_, random_.Below(kPoolBytes), options_.value_bytes);
  }

  Request Put(uint64_t key) {
    put_.set_key(KeyOf(key));
    SetValue(put_.mutable_value());
    return {kPut, MessageBody(put_.SerializeAsString())};
  }
  Request Range(uint64_t key, uint64_t count) {
    range_.set_key(KeyOf(key));
    if (count > 1) range_.set_range_end(KeyOf(key + count));
    return {kRange, MessageBody(range_.SerializeAsString())};
  }
  // If the key exists: write it; else: read it.
  Request Txn(uint64_t key) {
    etcdserverpb::TxnRequest txn;
    auto* compare = txn.add_compare();
    compare->set_key(KeyOf(key));
    compare->set_target(etcdserverpb::Compare::CREATE);
    compare->set_result(etcdserverpb::Compare::GREATER);
    compare->set_create_revision(0);
    auto* put = txn.add_success()->mutable_request_put();
    put->set_key(compare->key());
    SetValue(put->mutable_value());
    txn.add_failure()->mutable_request_range()->set_key(compare->key());
    return {kTxn, MessageBody(txn.SerializeAsString())};
  }

  const LoadOptions& options_;
  LoopPlace place_;
  store::Random random_;
  std::string pool_;
  etcdserverpb::PutRequest put_;
  etcdserverpb::RangeRequest range_;
  uint64_t next_fill_;
  int in_flight_ = 0;
  bool stopping_ = false;
  store::Action idle_;
};

}  // namespace

std::unique_ptr<Work> MakeUnaryWork(const LoadOptions& options, LoopPlace place) {
  return std::make_unique<UnaryWork>(options, place);
}

}  // namespace bench
