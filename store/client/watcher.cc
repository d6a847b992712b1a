// SPDX-License-Identifier: Apache-2.0
#include "store/client/watcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace store::client {
namespace {

namespace pb = etcdserverpb;

WatchedKey ToKey(const mvccpb::KeyValue& kv, bool deleted) {
  return {kv.key(), kv.value(), kv.mod_revision(), deleted};
}

}  // namespace

Watcher::Watcher(Client& client, WatcherOptions options, WatchHandlers handlers)
    : client_(client),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      random_(options_.seed != 0 ? options_.seed : EntropySeed()) {}

void Watcher::Start() {
  thread_ = Thread("watcher", [this] { Run(); });
}

void Watcher::Stop() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    if (stream_ != nullptr) stream_->Cancel();
    stop_.NotifyAll();
  }
  thread_.Join();
}

bool Watcher::stopped() const {
  MutexLock lock(mutex_);
  return stopped_;
}

void Watcher::SetStream(WatchStream* stream) {
  MutexLock lock(mutex_);
  stream_ = stream;
  if (stopped_ && stream_ != nullptr) stream_->Cancel();
}

void Watcher::Run() {
  while (!stopped()) {
    Status status = need_snapshot_ ? ReadSnapshot() : Ok();
    if (status) status = Follow();
    if (stopped()) return;
    // Starting over because of a compaction is no failure.
    if (!status && status.error().code() == ErrorCode::kCompacted) continue;
    if (!status && handlers_.on_error) handlers_.on_error(status.error());
    client_.LeaveEndpoint();
    if (!BackOff()) return;
  }
}

Status Watcher::ReadSnapshot() {
  pb::RangeRequest request;
  request.set_key(options_.key);
  request.set_range_end(options_.range_end);
  auto response = client_.Range(request);
  if (!response) return Fail(std::move(response).error());
  std::vector<WatchedKey> keys;
  keys.reserve(static_cast<size_t>(response->kvs_size()));
  for (const auto& kv : response->kvs()) keys.push_back(ToKey(kv, /*deleted=*/false));
  int64_t revision = response->header().revision();
  cluster_id_ = response->header().cluster_id();
  next_revision_ = revision + 1;
  need_snapshot_ = false;
  handlers_.on_snapshot(std::move(keys), revision);
  return Ok();
}

Status Watcher::Follow() {
  auto stream = client_.OpenWatch();
  if (!stream) return Fail(std::move(stream).error());
  SetStream(stream->get());
  pb::WatchRequest request;
  auto* create = request.mutable_create_request();
  create->set_key(options_.key);
  create->set_range_end(options_.range_end);
  create->set_start_revision(next_revision_);
  create->set_progress_notify(true);
  Status status = Ok();
  pb::WatchResponse response;
  if ((*stream)->Write(request)) {
    while (status && (*stream)->Read(&response)) status = Handle(response);
  }
  SetStream(nullptr);
  Status end = (*stream)->Finish();
  if (!status) return status;
  if (!end) return end;
  return Fail(ErrorCode::kUnavailable, "the store ended the watch stream");
}

Status Watcher::Handle(const pb::WatchResponse& response) {
  if (response.compact_revision() != 0) {
    need_snapshot_ = true;
    return Fail(ErrorCode::kCompacted,
                fmt::format("the watch was compacted at {}", response.compact_revision()));
  }
  if (response.canceled()) {
    return Fail(ErrorCode::kWatchCanceled, response.cancel_reason().empty()
                                               ? "the store cancelled the watch"
                                               : response.cancel_reason());
  }
  const auto& header = response.header();
  if (response.created()) {
    if (header.cluster_id() != cluster_id_ || header.revision() + 1 < next_revision_) {
      need_snapshot_ = true;
      return Fail(ErrorCode::kUnavailable, "the store is another one or went back in time");
    }
    back_off_ = Duration::zero();
    return Ok();
  }
  if (response.events_size() == 0) {
    next_revision_ = std::max(next_revision_, header.revision() + 1);
    return Ok();
  }
  std::vector<WatchedKey> events;
  for (const auto& event : response.events()) {
    if (event.kv().mod_revision() < next_revision_) continue;
    events.push_back(ToKey(event.kv(), event.type() == mvccpb::Event::DELETE));
  }
  if (events.empty()) return Ok();
  next_revision_ = events.back().mod_revision + 1;
  handlers_.on_events(std::move(events));
  return Ok();
}

bool Watcher::BackOff() {
  back_off_ = std::clamp(back_off_ * 2, options_.back_off_min, options_.back_off_max);
  // Between half and one and a half of it, so that a fleet does not come back in one beat.
  auto nanos = static_cast<uint64_t>(back_off_.count());
  Duration wait(static_cast<Duration::rep>(nanos / 2 + random_.Below(nanos + 1)));
  TimePoint until = SystemClock().Now() + wait;
  MutexLock lock(mutex_);
  while (!stopped_) {
    if (!stop_.WaitUntil(mutex_, until)) break;
  }
  return !stopped_;
}

}  // namespace store::client
