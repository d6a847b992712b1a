// SPDX-License-Identifier: Apache-2.0
#include "logagent/config/source.h"

#include "logagent/model/entry_list.h"
#include "logagent/model/model.h"
#include "store/base/file.h"

#include <algorithm>
#include <sys/stat.h>
#include <utility>

namespace logagent {

using store::MutexLock;
using store::TimePoint;
using store::client::WatchedKey;

namespace {

// A FIFO that nobody writes to would hold up this thread, and with it the stop.
store::Result<std::string> ReadList(const std::string& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    return store::Fail(store::ErrorCode::kInvalidArgument, path + ": not a regular file");
  }
  return store::ReadFile(path, kEntryListBytesMax);
}

}  // namespace

void ChangeGate::Offer(ConfigText config, TimePoint now) {
  if (config.text && ParseEntryList(*config.text)) {
    list_ = Waiting{std::move(config), now};
    other_.reset();
    return;
  }
  TimePoint due = now;
  if (!config.text && (present_ || list_)) {
    // A second look at a key that is still gone does not start the grace anew.
    bool going_already = other_ && !other_->config.text;
    due = going_already ? other_->due : now + timing_.delete_grace;
  }
  other_ = Waiting{std::move(config), due};
}

std::optional<TimePoint> ChangeGate::Due() const {
  const auto& next = list_ ? list_ : other_;
  if (!next) return std::nullopt;
  if (!last_taken_) return next->due;
  return std::max(next->due, *last_taken_ + timing_.apply_interval);
}

std::optional<ConfigText> ChangeGate::Take(TimePoint now) {
  auto due = Due();
  if (!due || now < *due) return std::nullopt;
  last_taken_ = now;
  ConfigText taken = std::move((list_ ? list_ : other_)->config);
  (list_ ? list_ : other_).reset();
  present_ = taken.text.has_value();
  return taken;
}

StoreSource::StoreSource(store::client::Client& client, std::string key, SourceTiming timing,
                         SourceHandlers handlers)
    : client_(client),
      key_(std::move(key)),
      timing_(timing),
      handlers_(std::move(handlers)),
      random_(timing.seed != 0 ? timing.seed : store::EntropySeed()),
      gate_(timing) {}

void StoreSource::Start() {
  store::client::WatchHandlers handlers;
  handlers.on_snapshot = [this](std::vector<WatchedKey> keys, int64_t revision) {
    ConfigText config{std::nullopt, revision};
    if (!keys.empty()) config = {std::move(keys[0].value), keys[0].mod_revision};
    {
      // The watcher starts over when the store went back in time; then so do we.
      MutexLock lock(mutex_);
      seen_revision_ = 0;
    }
    Offer(std::move(config), revision);
  };
  handlers.on_events = [this](std::vector<WatchedKey> events) {
    for (WatchedKey& event : events) {
      ConfigText config{std::nullopt, event.mod_revision};
      if (!event.deleted) config.text = std::move(event.value);
      Offer(std::move(config), event.mod_revision);
    }
  };
  handlers.on_error = [this](const store::Error& error) {
    if (handlers_.on_error) handlers_.on_error(error);
  };
  watcher_ = std::make_unique<store::client::Watcher>(
      client_, store::client::WatcherOptions{.key = key_, .range_end = {}, .seed = timing_.seed},
      std::move(handlers));
  watcher_->Start();
  thread_ = store::Thread("config-source", [this] { Run(); });
}

void StoreSource::Stop() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    changed_.NotifyAll();
  }
  if (watcher_ != nullptr) watcher_->Stop();
  thread_.Join();
}

void StoreSource::Offer(ConfigText config, int64_t seen_revision) {
  MutexLock lock(mutex_);
  if (seen_revision < seen_revision_) return;
  seen_revision_ = seen_revision;
  gate_.Offer(std::move(config), clock_.Now());
  changed_.NotifyAll();
}

TimePoint StoreSource::NextReread() {
  auto span = static_cast<uint64_t>((timing_.reread_max - timing_.reread_min).count());
  auto extra = static_cast<store::Duration::rep>(random_.Below(span + 1));
  return clock_.Now() + timing_.reread_min + store::Duration(extra);
}

void StoreSource::Run() {
  TimePoint reread = NextReread();
  while (true) {
    std::optional<ConfigText> config;
    {
      MutexLock lock(mutex_);
      TimePoint wake = std::min(reread, gate_.Due().value_or(TimePoint::max()));
      if (!stopped_ && clock_.Now() < wake) changed_.WaitUntil(mutex_, wake);
      if (stopped_) return;
      config = gate_.Take(clock_.Now());
    }
    if (config) handlers_.on_config(std::move(*config));
    if (clock_.Now() < reread) continue;
    Reread();
    reread = NextReread();
  }
}

void StoreSource::Reread() {
  etcdserverpb::RangeRequest request;
  request.set_key(key_);
  auto response = client_.Range(request);
  // The watcher reports what does not work.
  if (!response) return;
  ConfigText config{std::nullopt, response->header().revision()};
  if (response->kvs_size() > 0) {
    config = {response->kvs(0).value(), response->kvs(0).mod_revision()};
  }
  Offer(std::move(config), response->header().revision());
}

FileSource::FileSource(std::string path, SourceTiming timing, SourceHandlers handlers)
    : path_(std::move(path)), timing_(timing), handlers_(std::move(handlers)), gate_(timing) {}

void FileSource::Start() {
  thread_ = store::Thread("config-source", [this] { Run(); });
}

void FileSource::Stop() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    stop_.NotifyAll();
  }
  thread_.Join();
}

void FileSource::Look() {
  auto text = ReadList(path_);
  std::optional<std::string> now;
  if (text) {
    now = std::move(*text);
  } else if (text.error().code() != store::ErrorCode::kNotFound) {
    if (handlers_.on_error) handlers_.on_error(text.error());
    return;
  }
  if (looked_ && now == last_text_) return;
  looked_ = true;
  last_text_ = now;
  gate_.Offer({std::move(now), ++revision_}, clock_.Now());
}

void FileSource::Run() {
  while (true) {
    Look();
    if (auto config = gate_.Take(clock_.Now())) handlers_.on_config(std::move(*config));
    TimePoint wake = clock_.Now() + timing_.file_interval;
    wake = std::min(wake, gate_.Due().value_or(TimePoint::max()));
    MutexLock lock(mutex_);
    if (!stopped_) stop_.WaitUntil(mutex_, wake);
    if (stopped_) return;
  }
}

}  // namespace logagent
