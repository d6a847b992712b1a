// SPDX-License-Identifier: Apache-2.0
#include "store/api/watch_call.h"

#include "store/api/wire.h"
#include "store/base/key_range.h"

#include <string_view>

namespace store::api {
namespace {

using etcdserverpb::WatchCreateRequest;
using etcdserverpb::WatchRequest;

watch::WatchSpec SpecOf(const WatchCreateRequest& request) {
  watch::WatchSpec spec;
  spec.id = request.watch_id();
  // An empty key is the smallest one.
  std::string_view key = request.key().empty() ? std::string_view("\0", 1) : request.key();
  spec.range = KeyRange::FromRequest(key, request.range_end());
  spec.start = Revision(request.start_revision());
  spec.prev_kv = request.prev_kv();
  spec.progress_notify = request.progress_notify();
  spec.fragment = request.fragment();
  for (int filter : request.filters()) {
    spec.no_put = spec.no_put || filter == WatchCreateRequest::NOPUT;
    spec.no_delete = spec.no_delete || filter == WatchCreateRequest::NODELETE;
  }
  return spec;
}

}  // namespace

void WatchMail::Put(watch::StreamId stream, watch::WatchResponsePtr response) {
  bool first = false;
  {
    MutexLock lock(mutex_);
    first = items_.empty();
    items_.emplace_back(stream, std::move(response));
  }
  if (first) executor_.Post([this] { on_mail_(); });
}

std::vector<WatchMail::Item> WatchMail::Take() {
  MutexLock lock(mutex_);
  return std::exchange(items_, {});
}

bool WatchOutlet::Offer(watch::WatchResponsePtr response) {
  size_t bytes = response->bytes();
  {
    MutexLock lock(mutex_);
    bool fits = responses_ < kWatchResponsesMax && bytes_ + bytes <= kWatchBytesMax;
    refused_ = !fits && responses_ > 0;
    if (refused_) return false;
    ++responses_;
    bytes_ += bytes;
  }
  mail_.Put(id_, std::move(response));
  return true;
}

bool WatchOutlet::Return(size_t bytes) {
  MutexLock lock(mutex_);
  --responses_;
  bytes_ -= bytes;
  const bool half_empty = responses_ < kWatchResponsesMax / 2 && bytes_ < kWatchBytesMax / 2;
  return half_empty && std::exchange(refused_, false);
}

bool WatchOutlet::full() const {
  MutexLock lock(mutex_);
  return refused_;
}

WatchCall::WatchCall(watch::StreamId id, Stream stream, watch::WatchHub& hub,
                     const HeaderSource& header, WatchMail& mail)
    : id_(id),
      stream_(std::move(stream)),
      hub_(hub),
      header_(header),
      outlet_(std::make_shared<WatchOutlet>(id, mail)) {
  hub_.Open(id_, outlet_);
}

WatchCall::~WatchCall() { hub_.Close(id_); }

void WatchCall::OnRequest(const WatchRequest& request) {
  if (request.has_create_request()) {
    ++creating_;
    hub_.Create(id_, SpecOf(request.create_request()));
  } else if (request.has_cancel_request()) {
    hub_.Cancel(id_, request.cancel_request().watch_id());
  } else if (request.has_progress_request()) {
    hub_.RequestProgress(id_);
  }
  HoldInput();
}

void WatchCall::HoldInput() {
  holding_ = creating_ >= kWatchResponsesMax || outlet_->full();
  stream_.HoldInput(holding_);
}

void WatchCall::OnResponse(watch::WatchResponsePtr response) {
  if (response->created) --creating_;
  responses_.push_back(std::move(response));
  Write();
}

void WatchCall::OnDrained() {
  blocked_ = false;
  Write();
}

void WatchCall::Write() {
  bool room = false;
  while (!blocked_ && !responses_.empty()) {
    watch::WatchResponsePtr response = std::move(responses_.front());
    responses_.pop_front();
    blocked_ = !stream_.Write(EncodeWatchResponse(header_.Fields(response->header), *response));
    room = outlet_->Return(response->bytes()) || room;
  }
  if (room) hub_.OnDrained(id_);
  // Behind OnDrained in the hub's mailbox, so the next requests find an open stream.
  if (holding_) HoldInput();
}

}  // namespace store::api
