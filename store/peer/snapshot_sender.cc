// SPDX-License-Identifier: Apache-2.0
#include "store/peer/snapshot_sender.h"

#include "store/base/failpoint.h"
#include "store/engine/checkpoint.h"
#include "store/peer/snapshot_wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace store::peer {
namespace {

constexpr WorkClass kRead{0};
constexpr size_t kThreads = 2;
constexpr size_t kWorkWaitingMax = 64;
constexpr Duration kStallLook = std::chrono::seconds(1);
// What may leave at once although the pace says later: timers are coarse.
constexpr Duration kBurst = std::chrono::milliseconds(20);

}  // namespace

// One snapshot on its way. Everything on the loop, except what runs on the pool: one action at a
// time.
class SnapshotSender::Transfer : public std::enable_shared_from_this<Transfer> {
 public:
  Transfer(SnapshotSender& sender, const raft::SnapshotOrder& order, std::string address,
           uint64_t number)
      : sender_(sender),
        order_(order),
        address_(std::move(address)),
        directory_(engine::OutgoingDirectory(sender.options_.directory,
                                             fmt::format("{:x}-{}", order.peer.value(), number))) {}

  void Begin();
  void Cancel() { End("it is not wanted any more"); }
  // Without a word to anybody.
  void Abandon();

 private:
  struct Made {
    engine::Checkpoint checkpoint;
    raft::SnapshotMeta meta;
  };
  struct Part {
    rpc::MessageBody message;
    size_t bytes = 0;
  };

  template <class Work, class Then>
  void OnPool(Work work, Then then);
  Result<Made> Make();
  Result<std::optional<Part>> ReadPart();
  void OnMade(Result<Made> made);
  void Connect(const Made& made);
  void Pump();
  void OnPart(Result<std::optional<Part>> part);
  void OnAck(const SharedBytes& bytes);
  void OnFinish(const rpc::RpcStatus& status);
  void LookForStall();
  // Empty: the peer has it whole.
  void End(const std::string& failure);
  void Release();

  SnapshotSender& sender_;
  const raft::SnapshotOrder order_;
  const std::string address_;
  const engine::Path directory_;
  raft::Index index_;
  std::unique_ptr<engine::CheckpointReader> reader_;  // the pool's while reading_
  uint64_t total_bytes_ = 0;
  uint64_t sent_bytes_ = 0;
  uint64_t written_bytes_ = 0;  // by the receiver
  bool working_ = false;        // an action of this transfer is on the pool
  bool all_sent_ = false;
  bool ended_ = false;
  TimePoint progress_{};
  std::optional<Executor::TimerId> pace_timer_;
  std::optional<Executor::TimerId> stall_timer_;
  std::shared_ptr<rpc::Channel> channel_;
  rpc::ClientCallPtr call_;
};

// `then` gets what `work` returned, on the loop.
template <class Work, class Then>
void SnapshotSender::Transfer::OnPool(Work work, Then then) {
  working_ = true;
  Action action = [self = shared_from_this(), alive = sender_.alive_, loop = &sender_.loop_, work,
                   then]() mutable {
    auto result = work(*self);
    loop->Post([self = std::move(self), alive = std::move(alive), then,
                result = std::move(result)]() mutable {
      if (!*alive) return;
      self->working_ = false;
      then(*self, std::move(result));
    });
  };
  if (sender_.pool_.TrySubmit(kRead, std::move(action))) return;
  working_ = false;
  End("the member stops");
}

void SnapshotSender::Transfer::Begin() {
  progress_ = sender_.loop_.Now();
  OnPool([](Transfer& self) { return self.Make(); },
         [](Transfer& self, Result<Made> made) { self.OnMade(std::move(made)); });
}

// What the checkpoint is, it says itself: the live state has gone on.
Result<SnapshotSender::Transfer::Made> SnapshotSender::Transfer::Make() {
  FAILPOINT("snapshot-make");
  RETURN_IF_ERROR(RemoveAll(directory_.string()));
  auto checkpoint = sender_.machine_.mvcc().engine()->MakeCheckpoint(directory_);
  RETURN_IF_ERROR(checkpoint);
  auto meta = ReadSnapshotMeta(directory_, checkpoint->format);
  RETURN_IF_ERROR(meta);
  FAILPOINT("snapshot-made");
  return Made{std::move(*checkpoint), std::move(*meta)};
}

void SnapshotSender::Transfer::OnMade(Result<Made> made) {
  if (ended_) return Release();
  if (!made) return End(made.error().ToString());
  index_ = made->meta.index;
  if (index_ < order_.at_least) {
    return End(fmt::format("the state is at {}, {} was ordered", index_, order_.at_least));
  }
  sender_.events_.OnSnapshot(replica::SnapshotTaken{order_.peer, index_});
  total_bytes_ = engine::TotalBytes(made->checkpoint.files);
  sender_.log_.Info("sending a snapshot", {{"to", fmt::format("{:x}", order_.peer)},
                                           {"snapshot-index", index_},
                                           {"files", made->checkpoint.files.size()},
                                           {"bytes", total_bytes_}});
  Connect(*made);
  reader_ = std::make_unique<engine::CheckpointReader>(std::move(made->checkpoint));
  LookForStall();
  Pump();
}

void SnapshotSender::Transfer::Connect(const Made& made) {
  rpc::ChannelOptions options;
  options.address = address_;
  channel_ = std::make_shared<rpc::Channel>(sender_.loop_, std::move(options));
  channel_->Connect();
  call_ = channel_->Start(kSnapshotPath);
  std::weak_ptr<Transfer> weak = weak_from_this();
  call_->OnMessage([weak](const SharedBytes& bytes) {
    if (auto self = weak.lock()) self->OnAck(bytes);
  });
  call_->OnFinish([weak](const rpc::RpcStatus& status) {
    if (auto self = weak.lock()) self->OnFinish(status);
  });
  call_->Send(EncodeManifest({.cluster = sender_.options_.cluster,
                              .from = sender_.options_.self,
                              .to = order_.peer,
                              .term = order_.term,
                              .meta = made.meta,
                              .format = made.checkpoint.format,
                              .files = made.checkpoint.files}));
}

void SnapshotSender::Transfer::Pump() {
  if (ended_ || working_ || all_sent_ || pace_timer_) return;
  if (sent_bytes_ - written_bytes_ >= sender_.options_.window_bytes) return;
  const TimePoint now = sender_.loop_.Now();
  const TimePoint next = sender_.Pace(0);
  if (next > now) {
    pace_timer_ = sender_.loop_.After(next - now, [weak = weak_from_this()] {
      auto self = weak.lock();
      if (self == nullptr) return;
      self->pace_timer_.reset();
      self->Pump();
    });
    return;
  }
  OnPool([](Transfer& self) { return self.ReadPart(); },
         [](Transfer& self, Result<std::optional<Part>> part) { self.OnPart(std::move(part)); });
}

Result<std::optional<SnapshotSender::Transfer::Part>> SnapshotSender::Transfer::ReadPart() {
  RETURN_IF_ERROR(FAILPOINT_STATUS("snapshot-read"));
  auto part = reader_->Next(sender_.options_.part_bytes);
  RETURN_IF_ERROR(part);
  if (!*part) return std::optional<Part>();
  const size_t bytes = (*part)->data.size();
  return std::optional<Part>(Part{EncodePart(std::move(**part)), bytes});
}

void SnapshotSender::Transfer::OnPart(Result<std::optional<Part>> part) {
  if (ended_) return Release();
  if (!part) return End(part.error().ToString());
  if (!*part) {
    all_sent_ = true;
    call_->CloseSend();
    return;
  }
  sent_bytes_ += (*part)->bytes;
  (void)sender_.Pace((*part)->bytes);
  sender_.stats_.bytes.fetch_add((*part)->bytes, std::memory_order_relaxed);
  call_->Send((*part)->message);
  Pump();
}

void SnapshotSender::Transfer::OnAck(const SharedBytes& bytes) {
  auto written = DecodeAck(bytes);
  if (!written || *written > sent_bytes_ || *written < written_bytes_) {
    return End("the peer acknowledged what was not sent");
  }
  written_bytes_ = *written;
  progress_ = sender_.loop_.Now();
  Pump();
}

void SnapshotSender::Transfer::OnFinish(const rpc::RpcStatus& status) {
  if (!status.ok()) return End(status.message.empty() ? "the call ended" : status.message);
  if (!all_sent_ || written_bytes_ != total_bytes_) return End("the peer ended it early");
  End({});
}

void SnapshotSender::Transfer::LookForStall() {
  stall_timer_ = sender_.loop_.After(kStallLook, [weak = weak_from_this()] {
    auto self = weak.lock();
    if (self == nullptr || self->ended_) return;
    self->stall_timer_.reset();
    if (self->sender_.loop_.Now() - self->progress_ >= self->sender_.options_.stall_max) {
      return self->End("no progress");
    }
    self->LookForStall();
  });
}

void SnapshotSender::Transfer::End(const std::string& failure) {
  if (ended_) return;
  auto self = shared_from_this();  // Forget lets go of it
  Abandon();
  if (!failure.empty() && written_bytes_ == 0) ++sender_.missed_[order_.peer];
  SnapshotSendStats& stats = sender_.stats_;
  (failure.empty() ? stats.sent : stats.failed).fetch_add(1, std::memory_order_relaxed);
  if (failure.empty()) {
    sender_.log_.Info("sent a snapshot", {{"to", fmt::format("{:x}", order_.peer)},
                                          {"snapshot-index", index_},
                                          {"bytes", total_bytes_}});
  } else {
    sender_.log_.Warn("a snapshot was not sent", {{"to", fmt::format("{:x}", order_.peer)},
                                                  {"snapshot-index", index_},
                                                  {"sent-bytes", sent_bytes_},
                                                  {"reason", failure}});
  }
  sender_.Forget(order_.peer);
  sender_.events_.OnSnapshot(replica::SnapshotSent{order_.peer, index_, failure.empty()});
}

void SnapshotSender::Transfer::Abandon() {
  if (std::exchange(ended_, true)) return;
  if (pace_timer_) sender_.loop_.Cancel(*std::exchange(pace_timer_, {}));
  if (stall_timer_) sender_.loop_.Cancel(*std::exchange(stall_timer_, {}));
  if (call_ != nullptr) call_->Cancel();
  // Not inside one of its callbacks.
  if (channel_ != nullptr) {
    channel_->Close();
    sender_.loop_.Post([channel = std::move(channel_), call = std::move(call_)] {});
  }
  if (!working_) Release();
}

// What cannot be removed now, the next start removes.
void SnapshotSender::Transfer::Release() {
  reader_.reset();
  Action remove = [directory = directory_] { (void)RemoveAll(directory.string()); };
  (void)sender_.pool_.TrySubmit(kRead, std::move(remove));
}

SnapshotSender::SnapshotSender(SnapshotSenderOptions options, rpc::EventLoop& loop,
                               apply::StateMachine& machine, replica::PeerEvents& events,
                               Logger log)
    : options_(std::move(options)),
      loop_(loop),
      machine_(machine),
      events_(events),
      log_(std::move(log)),
      pool_("snapshot-send", kThreads, {{"read", kThreads, kWorkWaitingMax}}) {
  pool_.Start();
}

SnapshotSender::~SnapshotSender() { pool_.Stop(); }

void SnapshotSender::Send(const raft::SnapshotOrder& order) {
  loop_.Post([this, alive = alive_, order] {
    if (*alive) Begin(order);
  });
}

std::string SnapshotSender::AddressOf(raft::NodeId peer) const {
  const std::vector<std::string> all = options_.addresses_of(peer);
  if (all.empty()) return {};
  auto missed = missed_.find(peer);
  return all[missed == missed_.end() ? 0 : missed->second % all.size()];
}

void SnapshotSender::Begin(const raft::SnapshotOrder& order) {
  if (stopped_) return;
  std::string address = AddressOf(order.peer);
  auto [at, fresh] = transfers_.try_emplace(order.peer);
  if (!fresh || address.empty()) {
    if (fresh) transfers_.erase(at);
    return events_.OnSnapshot(replica::SnapshotSent{order.peer, {}, false});
  }
  at->second = std::make_shared<Transfer>(*this, order, std::move(address), ++last_number_);
  stats_.started.fetch_add(1, std::memory_order_relaxed);
  stats_.running.store(transfers_.size(), std::memory_order_relaxed);
  const std::shared_ptr<Transfer> transfer = at->second;
  transfer->Begin();
}

void SnapshotSender::Cancel(raft::NodeId peer) {
  loop_.Post([this, alive = alive_, peer] {
    if (!*alive) return;
    auto found = transfers_.find(peer);
    if (found == transfers_.end()) return;
    const std::shared_ptr<Transfer> transfer = found->second;
    transfer->Cancel();
  });
}

void SnapshotSender::Forget(raft::NodeId peer) {
  transfers_.erase(peer);
  stats_.running.store(transfers_.size(), std::memory_order_relaxed);
}

TimePoint SnapshotSender::Pace(size_t bytes) {
  const auto per_second = static_cast<double>(options_.bytes_per_second);
  const std::chrono::duration<double> takes(static_cast<double>(bytes) / per_second);
  free_at_ = std::max(free_at_, loop_.Now() - kBurst) + std::chrono::duration_cast<Duration>(takes);
  return free_at_;
}

void SnapshotSender::Stop() {
  stopped_ = true;
  for (auto& [peer, transfer] : std::exchange(transfers_, {})) transfer->Abandon();
  *alive_ = false;
}

}  // namespace store::peer
