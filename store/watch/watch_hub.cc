// SPDX-License-Identifier: Apache-2.0
#include "store/watch/watch_hub.h"

#include "store/base/check.h"
#include "store/base/failpoint.h"
#include "store/base/mailbox.h"
#include "store/base/thread.h"
#include "store/mvcc/mvcc_store.h"
#include "store/watch/hub_core.h"

#include <algorithm>
#include <atomic>
#include <utility>
#include <variant>
#include <vector>

namespace store::watch {
namespace {

struct ResetPost {
  Revision installed;
};
struct OpenPost {
  StreamId stream;
  std::shared_ptr<WatchStream> sink;
};
struct ClosePost {
  StreamId stream;
};
struct CreatePost {
  StreamId stream;
  WatchSpec spec;
  Revision published;
};
struct RefusePost {
  StreamId stream;
  std::string reason;
  Revision published;
};
struct CancelPost {
  StreamId stream;
  WatchId watch;
  Revision published;
};
struct DrainedPost {
  StreamId stream;
};
struct ProgressPost {
  StreamId stream;
  Revision published;
};
using Post = std::variant<mvcc::EventBatchPtr, ResetPost, OpenPost, ClosePost, CreatePost,
                          RefusePost, CancelPost, DrainedPost, ProgressPost>;

// What a queued batch costs beside its keys and values; also what bounds the number of empty ones.
constexpr size_t kBatchOverhead = 256;

size_t QueuedBytes(const mvcc::EventBatch& batch) {
  return kBatchOverhead + batch.bytes + batch.events.size() * sizeof(mvcc::Event);
}

}  // namespace

class WatchHub::Impl {
 public:
  Impl(const WatchLimits& limits, const mvcc::MvccStore& store, const Clock& clock, Encoder encoder)
      : store_(store),
        core_(limits, store, clock, std::move(encoder)),
        inbox_(
            {std::max<size_t>(1, limits.queue_bytes_max / kBatchOverhead), limits.queue_bytes_max},
            [this] { Wake(); }) {}

  Revision published() const { return store_.current(); }
  void SetWake(absl::AnyInvocable<void()> wake) { wake_ = std::move(wake); }
  // Bounded by the requests a client may have open: the transport stops reading when its stream is
  // full.
  void Request(Post post) { inbox_.PostReserved(std::move(post)); }

  void Publish(mvcc::EventBatchPtr batch) {
    const size_t bytes = QueuedBytes(*batch);
    const Revision last = batch->last;
    if (!FAILPOINT_BRANCH("hub-drop") && inbox_.TryPost(Post(std::move(batch)), bytes)) return;
    dropped_.fetch_add(1, std::memory_order_relaxed);
    dropped_upto_.store(last.value(), std::memory_order_release);
    // The hub may have emptied the queue between the refusal and the line above.
    Wake();
  }

  void Reset(Revision installed) {
    dropped_upto_.store(0, std::memory_order_release);
    Request(ResetPost{installed});
  }

  bool RunTurn() {
    std::vector<Post> posts;
    inbox_.Drain(&posts);
    for (Post& post : posts) {
      std::visit([this](auto& what) { Handle(what); }, post);
    }
    core_.SkipTo(Revision(dropped_upto_.load(std::memory_order_acquire)));
    core_.Work();
    WatchStats stats = core_.stats();
    MutexLock lock(mutex_);
    stats_ = stats;
    return core_.HasWork() || inbox_.items() > 0;
  }

  TimePoint NextDeadline() const { return core_.NextDeadline(); }

  WatchStats stats() const {
    WatchStats stats;
    {
      MutexLock lock(mutex_);
      stats = stats_;
    }
    stats.queue_bytes = inbox_.bytes();
    stats.batches_dropped = dropped_.load(std::memory_order_relaxed);
    return stats;
  }

 private:
  void Wake() {
    if (wake_) wake_();
  }

  void Handle(const mvcc::EventBatchPtr& batch) { core_.Batch(*batch); }
  void Handle(const ResetPost& post) { core_.Reset(post.installed); }
  void Handle(OpenPost& post) { core_.Open(post.stream, std::move(post.sink)); }
  void Handle(const ClosePost& post) { core_.Close(post.stream); }
  void Handle(CreatePost& post) { core_.Create(post.stream, std::move(post.spec), post.published); }
  void Handle(RefusePost& post) {
    core_.Refuse(post.stream, std::move(post.reason), post.published);
  }
  void Handle(const CancelPost& post) { core_.Cancel(post.stream, post.watch, post.published); }
  void Handle(const DrainedPost& post) { core_.Drained(post.stream); }
  void Handle(const ProgressPost& post) { core_.RequestProgress(post.stream, post.published); }

  const mvcc::MvccStore& store_;
  HubCore core_;  // owner thread
  absl::AnyInvocable<void()> wake_;
  Mailbox<Post> inbox_;
  std::atomic<int64_t> dropped_upto_{0};  // newest revision of a batch that did not fit
  std::atomic<uint64_t> dropped_{0};
  mutable Mutex mutex_;
  WatchStats stats_ ABSL_GUARDED_BY(mutex_);  // of the last turn
};

WatchHub::WatchHub(const WatchLimits& limits, const mvcc::MvccStore& store, const Clock& clock,
                   Encoder encoder)
    : impl_(std::make_unique<Impl>(limits, store, clock, std::move(encoder))) {}
WatchHub::~WatchHub() = default;

void WatchHub::Publish(mvcc::EventBatchPtr batch) { impl_->Publish(std::move(batch)); }
void WatchHub::Reset(Revision installed) { impl_->Reset(installed); }
void WatchHub::Open(StreamId stream, std::shared_ptr<WatchStream> sink) {
  impl_->Request(OpenPost{stream, std::move(sink)});
}
void WatchHub::Close(StreamId stream) { impl_->Request(ClosePost{stream}); }
void WatchHub::Create(StreamId stream, WatchSpec spec) {
  impl_->Request(CreatePost{stream, std::move(spec), impl_->published()});
}
void WatchHub::Refuse(StreamId stream, std::string reason) {
  impl_->Request(RefusePost{stream, std::move(reason), impl_->published()});
}
void WatchHub::Cancel(StreamId stream, WatchId watch) {
  impl_->Request(CancelPost{stream, watch, impl_->published()});
}
void WatchHub::OnDrained(StreamId stream) { impl_->Request(DrainedPost{stream}); }
void WatchHub::RequestProgress(StreamId stream) {
  impl_->Request(ProgressPost{stream, impl_->published()});
}
bool WatchHub::RunTurn() { return impl_->RunTurn(); }
void WatchHub::SetWake(absl::AnyInvocable<void()> wake) { impl_->SetWake(std::move(wake)); }
TimePoint WatchHub::NextDeadline() const { return impl_->NextDeadline(); }
WatchStats WatchHub::stats() const { return impl_->stats(); }

}  // namespace store::watch
