// SPDX-License-Identifier: Apache-2.0
// A mixed load that knows what the store must say: reads, puts, deletes and guarded puts of one
// writer on an empty store, a watch of everything, a compaction now and then. What is answered and
// what the watch tells is replayed in the order of revisions (history.h); at the end every key is
// read, the store compacted, and its HashKV compared with that of the replay. Paced: `rate`
// operations a second (0: as fast as they are answered), at most `clients` at once.
#include "store/base/check.h"
#include "store/base/random.h"
#include "tests/bench/load/history.h"
#include "tests/bench/load/work.h"

#include <etcd/rpc.pb.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace bench {
namespace {

using store::SharedBytes;
using store::TimePoint;
using store::rpc::MessageBody;
using store::rpc::RpcStatus;

constexpr std::string_view kPut = "/etcdserverpb.KV/Put";
constexpr std::string_view kRange = "/etcdserverpb.KV/Range";
constexpr std::string_view kDelete = "/etcdserverpb.KV/DeleteRange";
constexpr std::string_view kTxn = "/etcdserverpb.KV/Txn";
constexpr std::string_view kCompact = "/etcdserverpb.KV/Compact";
constexpr std::string_view kHash = "/etcdserverpb.Maintenance/HashKV";

constexpr auto kPace = std::chrono::milliseconds(1);
constexpr auto kCompactEvery = std::chrono::seconds(20);
constexpr int64_t kKeptRevisions = 20'000;
constexpr uint64_t kPageKeys = 1000;
constexpr size_t kPoolBytes = 1 << 16;
constexpr size_t kStampBytes = 20;

class SoakWork final : public Work {
 public:
  SoakWork(const LoadOptions& options, LoopPlace place)
      : options_(options),
        place_(place),
        random_(options.seed),
        bytes_(std::max(options.value_bytes, kStampBytes)) {
    CHECK(options.loops == 1, "soak: one loop");
    store::Random noise(options.seed + 1);
    pool_.resize(kPoolBytes + bytes_);
    for (char& byte : pool_) byte = static_cast<char>(noise.Next());
  }

  void Prepare(store::Action ready) override {
    etcdserverpb::RangeRequest all;
    all.set_key("\0", 1);
    all.set_range_end("\0", 1);
    all.set_count_only(true);
    Ask<etcdserverpb::RangeResponse>(
        kRange, all, [this, ready = std::move(ready)](const auto& answer) mutable {
          CHECK(answer.count() == 0, "soak: the store must be empty");
          history_.emplace(options_.keys, answer.header().revision() + 1);
          WatchEverything(std::move(ready));
        });
  }
  void Begin() override {
    began_ = place_.loop.Now();
    Pace();
    CompactLater();
  }
  void Stop(store::Action idle) override {
    stopping_ = true;
    idle_ = std::move(idle);
    EndIfIdle();
  }

 private:
  enum class Stage { kLoad, kLastPut, kChecks, kDone };

  std::string ValueOf(uint64_t stamp) const {
    std::string value = fmt::format("{:020}", stamp);
    return value + pool_.substr(stamp * 131 % kPoolBytes, bytes_ - kStampBytes);
  }
  static std::optional<uint64_t> NumberIn(std::string_view text) {
    uint64_t number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
    return number;
  }
  static std::optional<uint64_t> KeyIn(std::string_view key) {
    return key.starts_with("bench/") ? NumberIn(key.substr(6)) : std::nullopt;
  }
  void Wrong(std::string text) { tally_.Fail({store::rpc::GrpcCode::kUnknown, std::move(text)}); }
  store::rpc::Channel& NextChannel() {
    return *place_.channels[next_channel_++ % place_.channels.size()];
  }

  // One call that must succeed. `running` (may be null) counts it too.
  template <class Response, class Then>
  void Ask(std::string_view path, const google::protobuf::Message& request, Then then,
           int* running = nullptr) {
    ++in_flight_;
    if (running != nullptr) ++*running;
    NextChannel().Unary(
        path, MessageBody(request.SerializeAsString()), {},
        [this, running, then = std::move(then)](const RpcStatus& status,
                                                const SharedBytes& bytes) mutable {
          --in_flight_;
          if (running != nullptr) --*running;
          Response response;
          if (!status.ok()) {
            tally_.Fail(status);
          } else if (!response.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
            Wrong("an answer that is no message");
          } else {
            then(response);
          }
          EndIfIdle();
        });
  }

  void WatchEverything(store::Action ready) {
    ready_ = std::move(ready);
    watch_ = place_.channels[0]->Start("/etcdserverpb.Watch/Watch");
    watch_->OnMessage([this](const SharedBytes& bytes) { OnWatch(bytes); });
    watch_->OnFinish([this](const RpcStatus& status) {
      if (!ended_) tally_.Fail(status);
    });
    etcdserverpb::WatchRequest request;
    request.mutable_create_request()->set_key("\0", 1);
    request.mutable_create_request()->set_range_end("\0", 1);
    watch_->Send(MessageBody(request.SerializeAsString()));
  }
  void OnWatch(const SharedBytes& bytes) {
    etcdserverpb::WatchResponse response;
    CHECK(response.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    if (response.created()) return std::exchange(ready_, nullptr)();
    if (response.canceled()) return Wrong("the watch was cancelled: " + response.cancel_reason());
    for (const mvccpb::Event& event : response.events()) {
      Change change{KeyIn(event.kv().key()).value_or(options_.keys),
                    event.type() == mvccpb::Event::PUT, 0};
      if (change.put) change.stamp = StampOf(event.kv());
      if (change.key >= options_.keys) {
        Wrong("an event of a foreign key");
        continue;
      }
      history_->Seen(event.kv().mod_revision(), change);
      if (measuring_) ++tally_.events;
    }
    EndIfIdle();
  }
  // 0, and an error, if it is no value of this run.
  uint64_t StampOf(const mvccpb::KeyValue& kv) {
    const auto stamp = NumberIn(std::string_view(kv.value()).substr(0, kStampBytes));
    if (stamp && kv.value() == ValueOf(*stamp)) return *stamp;
    Wrong("a value that was never put, at revision " + std::to_string(kv.mod_revision()));
    return 0;
  }

  void Pace() {
    if (stopping_) return;
    const double seconds = std::chrono::duration<double>(place_.loop.Now() - began_).count();
    const auto due = static_cast<uint64_t>(seconds * static_cast<double>(options_.rate));
    while (running_ < options_.clients && (options_.rate == 0 || issued_ < due)) Issue();
    // What was late is not made up for without end.
    if (options_.rate != 0 && issued_ + options_.rate < due) issued_ = due - options_.rate;
    place_.loop.After(kPace, [this] { Pace(); });
  }

  void Issue() {
    ++issued_;
    const uint64_t key = random_.Below(options_.keys);
    const uint64_t draw = random_.Below(100);
    if (draw < 80) return Read(key);
    if (draw < 92) return Put(key);
    if (draw < 96) return Delete(key);
    GuardedPut(key);
  }
  template <class Response, class Then>
  void Operation(std::string_view path, const google::protobuf::Message& request, Then then) {
    const TimePoint sent = place_.loop.Now();
    const auto count = [this, sent, then = std::move(then)](const Response& response) {
      if (measuring_) {
        ++tally_.operations;
        tally_.latency.Add(place_.loop.Now() - sent);
      }
      then(response);
      if (options_.rate == 0 && !stopping_ && running_ < options_.clients) Issue();
    };
    Ask<Response>(path, request, count, &running_);
  }

  void Read(uint64_t key) {
    etcdserverpb::RangeRequest request;
    request.set_key(KeyOf(key));
    const int64_t least = history_->row(key).mod;
    const int64_t replayed = history_->replayed();
    Operation<etcdserverpb::RangeResponse>(
        kRange, request, [this, key, least, replayed](const etcdserverpb::RangeResponse& answer) {
          if (answer.header().revision() < replayed) Wrong("a read of the past");
          if (answer.kvs_size() == 0) return;
          const mvccpb::KeyValue& kv = answer.kvs(0);
          if (kv.mod_revision() < least) Wrong("a read found an older change of its key");
          const uint64_t stamp = StampOf(kv);
          const History::Row& row = history_->row(key);
          if (row.mod == kv.mod_revision() && row.stamp != stamp) Wrong("a read of another value");
        });
  }
  void Put(uint64_t key) {
    const uint64_t stamp = ++stamps_;
    etcdserverpb::PutRequest request;
    request.set_key(KeyOf(key));
    request.set_value(ValueOf(stamp));
    Operation<etcdserverpb::PutResponse>(kPut, request, [this, key, stamp](const auto& answer) {
      history_->Acknowledged(answer.header().revision(), {key, true, stamp});
    });
  }
  void Delete(uint64_t key) {
    etcdserverpb::DeleteRangeRequest request;
    request.set_key(KeyOf(key));
    Operation<etcdserverpb::DeleteRangeResponse>(kDelete, request, [this, key](const auto& answer) {
      if (answer.deleted() > 0) {
        history_->Acknowledged(answer.header().revision(), {key, false, 0});
      }
    });
  }
  // If the key is there.
  void GuardedPut(uint64_t key) {
    const uint64_t stamp = ++stamps_;
    etcdserverpb::TxnRequest request;
    auto& compare = *request.add_compare();
    compare.set_key(KeyOf(key));
    compare.set_target(etcdserverpb::Compare::CREATE);
    compare.set_result(etcdserverpb::Compare::GREATER);
    compare.set_create_revision(0);
    auto& put = *request.add_success()->mutable_request_put();
    put.set_key(compare.key());
    put.set_value(ValueOf(stamp));
    Operation<etcdserverpb::TxnResponse>(kTxn, request, [this, key, stamp](const auto& answer) {
      if (answer.succeeded()) {
        history_->Acknowledged(answer.header().revision(), {key, true, stamp});
      }
    });
  }

  void CompactLater() {
    place_.loop.After(kCompactEvery, [this] {
      if (stopping_) return;
      const int64_t at = history_->replayed() - kKeptRevisions;
      if (at > compacted_) Compact(at, false, [] {});
      CompactLater();
    });
  }
  template <class Then>
  void Compact(int64_t at, bool physical, Then then) {
    compacted_ = at;
    etcdserverpb::CompactionRequest request;
    request.set_revision(at);
    request.set_physical(physical);
    Ask<etcdserverpb::CompactionResponse>(kCompact, request, [then](const auto&) { then(); });
  }

  // The end: what is under way, a last put, every key, a compaction, the hash.
  void EndIfIdle() {
    if (history_ && !history_->fault().empty() && !faulty_) {
      faulty_ = true;
      Wrong(history_->fault());
    }
    if (!idle_ || in_flight_ > 0) return;
    // Without an answer, or with a fault, the rest cannot be compared.
    if (tally_.errors > 0) return End();
    if (!history_->settled()) return;
    switch (std::exchange(stage_, static_cast<Stage>(static_cast<int>(stage_) + 1))) {
      case Stage::kLoad:
        // HashKV leaves a deletion at the compacted revision out.
        return Put(0);
      case Stage::kLastPut:
        return CheckPage(0);
      default:
        return End();
    }
  }
  void End() {
    if (std::exchange(ended_, true)) return;
    watch_->Cancel();
    tally_.replayed = history_->replayed();
    std::exchange(idle_, nullptr)();
  }

  void CheckPage(uint64_t first) {
    if (first >= options_.keys) return CheckHash();
    etcdserverpb::RangeRequest request;
    request.set_key(KeyOf(first));
    request.set_range_end(KeyOf(std::min(first + kPageKeys, options_.keys)));
    Ask<etcdserverpb::RangeResponse>(kRange, request, [this, first](const auto& answer) {
      ComparePage(first, answer);
      if (tally_.errors == 0) CheckPage(first + kPageKeys);
    });
  }
  void ComparePage(uint64_t first, const etcdserverpb::RangeResponse& answer) {
    int at = 0;
    for (uint64_t key = first; key < std::min(first + kPageKeys, options_.keys); ++key) {
      const History::Row& row = history_->row(key);
      if (row.create == 0) continue;
      if (at == answer.kvs_size()) return Wrong(fmt::format("key {} is missing", key));
      const mvccpb::KeyValue& kv = answer.kvs(at++);
      if (KeyIn(kv.key()) != key || kv.create_revision() != row.create ||
          kv.mod_revision() != row.mod || kv.version() != row.version || StampOf(kv) != row.stamp) {
        return Wrong(fmt::format("key {} is not what the history says", key));
      }
    }
    if (at != answer.kvs_size()) Wrong("keys that nobody put");
  }
  void CheckHash() {
    Compact(history_->replayed(), true, [this] {
      Ask<etcdserverpb::HashKVResponse>(
          kHash, etcdserverpb::HashKVRequest(), [this](const etcdserverpb::HashKVResponse& answer) {
            const uint32_t expected =
                history_->Hash([](uint64_t key) { return KeyOf(key); },
                               [this](uint64_t stamp) { return ValueOf(stamp); });
            tally_.hash = answer.hash();
            if (answer.hash() != expected) {
              Wrong("HashKV is not that of the history");
            }
          });
    });
  }

  const LoadOptions& options_;
  LoopPlace place_;
  store::Random random_;
  const size_t bytes_;
  std::string pool_;
  std::optional<History> history_;
  store::rpc::ClientCallPtr watch_;
  TimePoint began_;
  uint64_t issued_ = 0;
  uint64_t stamps_ = 0;
  size_t next_channel_ = 0;
  int running_ = 0;    // operations
  int in_flight_ = 0;  // all calls
  int64_t compacted_ = 0;
  bool stopping_ = false;
  bool faulty_ = false;
  Stage stage_ = Stage::kLoad;
  bool ended_ = false;
  store::Action ready_;
  store::Action idle_;
};

}  // namespace

std::unique_ptr<Work> MakeSoakWork(const LoadOptions& options, LoopPlace place) {
  return std::make_unique<SoakWork>(options, place);
}

}  // namespace bench
