// SPDX-License-Identifier: Apache-2.0
#include "store/peer/snapshot_receiver.h"

#include "peer.pb.h"
#include "store/base/failpoint.h"
#include "store/engine/checkpoint.h"
#include "store/peer/snapshot_sender.h"
#include "store/peer/snapshot_wire.h"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace store::peer {
namespace {

constexpr WorkClass kWrite{0};
constexpr size_t kWorkWaitingMax = 1024;
constexpr Duration kStallLook = std::chrono::seconds(1);

rpc::GrpcCode CodeOf(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kNoSpace:
      return rpc::GrpcCode::kResourceExhausted;
    case ErrorCode::kCorruption:
      return rpc::GrpcCode::kDataLoss;
    case ErrorCode::kUnsupported:
    case ErrorCode::kInvalidArgument:
      return rpc::GrpcCode::kFailedPrecondition;
    default:
      return rpc::GrpcCode::kInternal;
  }
}

}  // namespace

// One snapshot that arrives. On its loop, except the writer, which is the pool's.
class SnapshotReceiver::Incoming : public std::enable_shared_from_this<Incoming> {
 public:
  Incoming(SnapshotReceiver& receiver, rpc::RawCallPtr call)
      : receiver_(receiver), call_(std::move(call)), executor_(*call_->info().executor) {}
  ~Incoming() {
    if (has_slot_) receiver_.FreeSlot(Slot::kReceiving);
  }

  void Begin();

 private:
  void OnMessage(const SharedBytes& bytes);
  void OnManifest(SnapshotManifest manifest);
  Status Check(const SnapshotManifest& manifest) const;
  void OnPart(engine::CheckpointPart part);
  void OnHalfClose();
  void LookForStall();
  // `work` returns what the sender is told; on the pool, in order.
  template <class Work, class Then>
  void OnPool(Work work, Then then);
  Status Complete();
  void Fail(rpc::GrpcCode code, const std::string& message);
  void Fail(const Error& error) { Fail(CodeOf(error), error.message()); }

  SnapshotReceiver& receiver_;
  const rpc::RawCallPtr call_;
  Executor& executor_;
  std::optional<SnapshotManifest> manifest_;
  uint64_t total_bytes_ = 0;
  uint64_t received_bytes_ = 0;
  uint64_t written_bytes_ = 0;
  TimePoint progress_{};
  bool has_slot_ = false;
  bool ended_ = false;
  // The pool's.
  std::unique_ptr<engine::CheckpointWriter> writer_;
  bool broken_ = false;
};

void SnapshotReceiver::Incoming::Begin() {
  progress_ = executor_.Now();
  auto self = shared_from_this();
  call_->OnMessage([self](const SharedBytes& bytes) { self->OnMessage(bytes); });
  call_->OnHalfClose([self] { self->OnHalfClose(); });
  call_->OnCancel([self] { self->Fail(rpc::GrpcCode::kCancelled, "the sender is gone"); });
  LookForStall();
}

template <class Work, class Then>
void SnapshotReceiver::Incoming::OnPool(Work work, Then then) {
  Action action = [self = shared_from_this(), work = std::move(work),
                   then = std::move(then)]() mutable {
    Status status = self->broken_ ? Ok() : work(*self);
    if (!status) {
      self->broken_ = true;
      self->writer_.reset();
    }
    Executor& executor = self->executor_;
    executor.Post(
        [self = std::move(self), then = std::move(then), status = std::move(status)]() mutable {
          if (self->ended_) return;
          if (!status) return self->Fail(status.error());
          then(*self);
        });
  };
  if (!receiver_.pool_.TrySubmit(kWrite, std::move(action))) {
    Fail(rpc::GrpcCode::kUnavailable, "the member stops or its disk is too slow");
  }
}

void SnapshotReceiver::Incoming::OnMessage(const SharedBytes& bytes) {
  if (ended_) return;
  auto chunk = DecodeChunk(bytes);
  if (!chunk) return Fail(chunk.error());
  if (auto* manifest = std::get_if<SnapshotManifest>(&*chunk)) {
    OnManifest(std::move(*manifest));
  } else {
    OnPart(std::move(std::get<engine::CheckpointPart>(*chunk)));
  }
}

Status SnapshotReceiver::Incoming::Check(const SnapshotManifest& manifest) const {
  const SnapshotReceiverOptions& options = receiver_.options_;
  if (manifest.cluster != options.cluster || manifest.to != options.self) {
    return store::Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("a snapshot for member {:x} of cluster {:x}; this is {:x} of {:x}", manifest.to,
                    manifest.cluster, options.self, options.cluster));
  }
  if (manifest.format != options.format) {
    return store::Fail(
        ErrorCode::kUnsupported,
        fmt::format("a state of format {}, this member's is {}", manifest.format, options.format));
  }
  if (manifest.meta.index == raft::Index(0)) {
    return store::Fail(ErrorCode::kInvalidArgument, "a snapshot at index 0");
  }
  return engine::CheckFiles(manifest.files);
}

void SnapshotReceiver::Incoming::OnManifest(SnapshotManifest manifest) {
  if (manifest_) return Fail(rpc::GrpcCode::kFailedPrecondition, "a second manifest");
  if (const auto& check = receiver_.options_.check_sender) {
    const FrameHeader header{manifest.cluster, manifest.from, manifest.to, kSnapshotProtocol};
    if (auto refusal = check(header, call_->info().peer->address)) {
      receiver_.stats_.refused.fetch_add(1, std::memory_order_relaxed);
      return Fail(refusal->code, refusal->message);
    }
  }
  if (Status checked = Check(manifest); !checked) {
    receiver_.stats_.refused.fetch_add(1, std::memory_order_relaxed);
    return Fail(checked.error());
  }
  if (!receiver_.TakeSlot()) {
    receiver_.stats_.refused.fetch_add(1, std::memory_order_relaxed);
    return Fail(rpc::GrpcCode::kUnavailable, "another snapshot is being received or installed");
  }
  has_slot_ = true;
  total_bytes_ = engine::TotalBytes(manifest.files);
  manifest_ = std::move(manifest);
  receiver_.log_.Info("receiving a snapshot", {{"from", fmt::format("{:x}", manifest_->from)},
                                               {"snapshot-index", manifest_->meta.index},
                                               {"bytes", total_bytes_}});
  OnPool(
      [](Incoming& self) -> Status {
        auto writer = engine::CheckpointWriter::Begin(self.receiver_.options_.directory,
                                                      self.manifest_->meta.index.value(),
                                                      self.manifest_->files);
        RETURN_IF_ERROR(writer);
        self.writer_ = std::move(*writer);
        return Ok();
      },
      [](Incoming&) {});
}

void SnapshotReceiver::Incoming::OnPart(engine::CheckpointPart part) {
  if (!manifest_) return Fail(rpc::GrpcCode::kFailedPrecondition, "a file without a manifest");
  const size_t bytes = part.data.size();
  progress_ = executor_.Now();
  received_bytes_ += bytes;
  if (received_bytes_ - written_bytes_ > receiver_.options_.buffered_bytes_max) {
    return Fail(rpc::GrpcCode::kResourceExhausted, "more than was acknowledged room for");
  }
  OnPool([part = std::move(part)](
             Incoming& self) { return self.writer_->Write(part.file, part.offset, part.data); },
         [bytes](Incoming& self) {
           self.written_bytes_ += bytes;
           self.progress_ = self.executor_.Now();
           self.receiver_.stats_.bytes.fetch_add(bytes, std::memory_order_relaxed);
           self.call_->Send(EncodeAck(self.manifest_->meta.index, self.written_bytes_));
         });
}

void SnapshotReceiver::Incoming::OnHalfClose() {
  if (ended_) return;
  if (!manifest_) return Fail(rpc::GrpcCode::kFailedPrecondition, "no manifest");
  OnPool([](Incoming& self) { return self.Complete(); },
         [](Incoming& self) {
           self.ended_ = true;
           self.receiver_.stats_.received.fetch_add(1, std::memory_order_relaxed);
           self.receiver_.log_.Info("received a snapshot",
                                    {{"from", fmt::format("{:x}", self.manifest_->from)},
                                     {"snapshot-index", self.manifest_->meta.index},
                                     {"bytes", self.total_bytes_}});
           self.call_->Finish({});
         });
}

// On the pool. Who is told of it decides what becomes of it, also if the sender is gone meanwhile.
Status SnapshotReceiver::Incoming::Complete() {
  RETURN_IF_ERROR(writer_->Complete());
  auto meta = ReadSnapshotMeta(writer_->part_directory(), manifest_->format);
  RETURN_IF_ERROR(meta);
  if (*meta != manifest_->meta) {
    return store::Fail(
        ErrorCode::kCorruption,
        fmt::format("the snapshot says it is at {} of term {}, its sender {} of {}", meta->index,
                    meta->term, manifest_->meta.index, manifest_->meta.term));
  }
  RETURN_IF_ERROR(writer_->Commit());
  writer_.reset();
  has_slot_ = false;
  receiver_.slot_.store(Slot::kHeld);
  receiver_.events_.OnSnapshot(
      replica::SnapshotReceived{manifest_->from, manifest_->term, manifest_->meta});
  FAILPOINT("snapshot-told");
  return Ok();
}

void SnapshotReceiver::Incoming::LookForStall() {
  executor_.After(kStallLook, [weak = weak_from_this()] {
    auto self = weak.lock();
    if (self == nullptr || self->ended_) return;
    if (self->executor_.Now() - self->progress_ >= self->receiver_.options_.stall_max) {
      return self->Fail(rpc::GrpcCode::kDeadlineExceeded, "the sender is silent");
    }
    self->LookForStall();
  });
}

void SnapshotReceiver::Incoming::Fail(rpc::GrpcCode code, const std::string& message) {
  if (std::exchange(ended_, true)) return;
  if (manifest_) {
    receiver_.stats_.failed.fetch_add(1, std::memory_order_relaxed);
    receiver_.log_.Warn("a snapshot was not received",
                        {{"from", fmt::format("{:x}", manifest_->from)},
                         {"snapshot-index", manifest_->meta.index},
                         {"received-bytes", received_bytes_},
                         {"reason", message}});
  }
  call_->Finish({code, message});
  // Behind what is being written, so that the slot is free only when the files are gone.
  Action drop = [self = shared_from_this()] {
    self->broken_ = true;
    self->writer_.reset();
  };
  (void)receiver_.pool_.TrySubmit(kWrite, std::move(drop));
}

SnapshotReceiver::SnapshotReceiver(SnapshotReceiverOptions options, replica::PeerEvents& events,
                                   Logger log)
    : options_(std::move(options)),
      events_(events),
      log_(std::move(log)),
      pool_("snapshot-recv", 1, {{"write", 1, kWorkWaitingMax}}) {
  pool_.Start();
}

SnapshotReceiver::~SnapshotReceiver() { Stop(); }

void SnapshotReceiver::Stop() { pool_.Stop(); }

void SnapshotReceiver::Register(rpc::MethodTable& methods) {
  using Call = rpc::Stream<sluice::peer::Chunk, sluice::peer::SnapshotAck>;
  methods.AddStream<sluice::peer::Chunk, sluice::peer::SnapshotAck>(
      std::string(kSnapshotPath),
      [this](const Call& call) { std::make_shared<Incoming>(*this, call.raw())->Begin(); });
}

bool SnapshotReceiver::TakeSlot() {
  Slot free = Slot::kFree;
  if (!slot_.compare_exchange_strong(free, Slot::kReceiving)) return false;
  stats_.running.store(1, std::memory_order_relaxed);
  return true;
}

void SnapshotReceiver::FreeSlot(Slot from) {
  if (slot_.compare_exchange_strong(from, Slot::kFree)) {
    stats_.running.store(0, std::memory_order_relaxed);
  }
}

void SnapshotReceiver::Release(raft::Index index) {
  Action remove = [this, index] {
    (void)engine::RemoveIncoming(options_.directory, index.value());
    FreeSlot(Slot::kHeld);
  };
  (void)pool_.TrySubmit(kWrite, std::move(remove));
}

}  // namespace store::peer
