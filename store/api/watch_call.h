// SPDX-License-Identifier: Apache-2.0
// One watch stream, in two halves, because the hub and the loop are different threads:
//
//   WatchOutlet   the hub's sink. Counts what is on its way to the client (128 responses or 1 MiB;
//   an empty
//                 stream takes any one) and passes responses to the loop's WatchMail: one post for
//                 all responses of all streams that a hub turn made.
//   WatchCall     on the loop: writes responses as long as the transport takes them, gives the
//   credit back for
//                 each, and turns the client's messages into requests to the hub.
//
// The outlet never holds the call, so the last handle of a call goes on its loop. While the stream
// is full, or 128 watchers are asked for and not made yet, no request is read: its answer would be
// the hub's to keep.
#pragma once

#include "store/api/gate.h"
#include "store/base/executor.h"
#include "store/base/thread.h"
#include "store/rpc/call.h"
#include "store/watch/watch_hub.h"

#include <etcd/rpc.pb.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

namespace store::api {

inline constexpr size_t kWatchResponsesMax = 128;
inline constexpr size_t kWatchBytesMax = 1 << 20;

// From the hub to one loop. Put by the hub, Take by the loop.
class WatchMail {
 public:
  using Item = std::pair<watch::StreamId, watch::WatchResponsePtr>;

  // `on_mail` runs on the executor after the first Put since the last Take.
  WatchMail(Executor& executor, Action on_mail)
      : executor_(executor), on_mail_(std::move(on_mail)) {}
  void Put(watch::StreamId stream, watch::WatchResponsePtr response);
  std::vector<Item> Take();

 private:
  Executor& executor_;
  Action on_mail_;
  Mutex mutex_;
  std::vector<Item> items_ ABSL_GUARDED_BY(mutex_);
};

class WatchOutlet final : public watch::WatchStream {
 public:
  WatchOutlet(watch::StreamId id, WatchMail& mail) : id_(id), mail_(mail) {}

  bool Offer(watch::WatchResponsePtr response) override;
  // Loop: `bytes` of one response have been written. True, once a refusal: tell the hub that there
  // is room.
  bool Return(size_t bytes);
  // An offer was refused, and the hub was not told yet that there is room.
  bool full() const;

 private:
  const watch::StreamId id_;
  WatchMail& mail_;
  // Refusal and return of credit are decided under one lock, else the last credit could slip past a
  // refusal and nobody would wake the stream again.
  mutable Mutex mutex_;
  size_t responses_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool refused_ ABSL_GUARDED_BY(mutex_) = false;
};

class WatchCall {
 public:
  using Stream = rpc::Stream<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>;

  WatchCall(watch::StreamId id, Stream stream, watch::WatchHub& hub, const HeaderSource& header,
            WatchMail& mail);
  ~WatchCall();
  WatchCall(const WatchCall&) = delete;
  WatchCall& operator=(const WatchCall&) = delete;

  // From the client.
  void OnRequest(const etcdserverpb::WatchRequest& request);
  // From the hub.
  void OnResponse(watch::WatchResponsePtr response);
  void OnDrained();
  void Finish(rpc::RpcStatus status) { stream_.Finish(std::move(status)); }
  const Stream& stream() const { return stream_; }

 private:
  void Write();
  void HoldInput();

  const watch::StreamId id_;
  Stream stream_;
  watch::WatchHub& hub_;
  const HeaderSource& header_;
  std::shared_ptr<WatchOutlet> outlet_;
  std::deque<watch::WatchResponsePtr> responses_;  // bounded by the outlet's credit
  size_t creating_ = 0;                            // each gets one response with `created`
  bool blocked_ = false;                           // the transport wants no more
  bool holding_ = false;                           // its requests
};

}  // namespace store::api
