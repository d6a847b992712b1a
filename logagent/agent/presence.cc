// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/presence.h"

#include <algorithm>
#include <utility>

namespace logagent {
namespace {

using store::ErrorCode;
using store::Fail;
using store::MutexLock;
using store::Ok;
using store::TimePoint;

constexpr store::Duration kStatusInterval = std::chrono::seconds(1);
constexpr store::Duration kLagInterval = std::chrono::seconds(10);
constexpr store::Duration kBackOffMax = std::chrono::seconds(10);
constexpr uint64_t kTtlMin = 48;
constexpr uint64_t kTtlMax = 72;

}  // namespace

Presence::Presence(store::client::Client& client, const AgentIdentity& identity,
                   const store::Clock& clock, store::Logger log)
    : client_(client),
      live_key_("/logagent/_/live/" + identity.id),
      status_key_("/logagent/_/status/" + identity.id),
      live_document_(LiveDocument(identity)),
      clock_(clock),
      log_(std::move(log)),
      random_(store::EntropySeed()),
      quiet_(clock),
      ttl_seconds_(static_cast<int64_t>(random_.Between(kTtlMin, kTtlMax))) {}

void Presence::Start() {
  thread_ = store::Thread("presence", [this] { Run(); });
}

void Presence::Stop() {
  {
    MutexLock lock(mutex_);
    if (std::exchange(stopped_, true)) return;
    changed_.NotifyAll();
  }
  thread_.Join();
  if (lease_ == 0) return;
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(lease_);
  // Best effort: without it the key goes when the lease runs out.
  if (auto revoked = client_.LeaseRevoke(request, {.timeout = std::chrono::seconds(1)}); !revoked) {
    log_.Info("the lease could not be given back", {revoked.error()});
  }
}

void Presence::Update(StatusDocument document) {
  MutexLock lock(mutex_);
  bool news = document.stable != wanted_.stable;
  wanted_ = std::move(document);
  if (news) changed_.NotifyAll();
}

void Presence::Run() {
  store::Duration back_off = kStatusInterval;
  while (true) {
    auto next = Step();
    TimePoint wake = clock_.Now() + back_off;
    if (next) {
      wake = *next;
      back_off = kStatusInterval;
    } else {
      if (quiet_.Due("store")) log_.Warn("cannot report to the store", {next.error()});
      double factor = 1.0 + random_.Unit();
      wake = clock_.Now() + store::Duration(static_cast<store::Duration::rep>(
                                static_cast<double>(back_off.count()) * factor / 2));
      back_off = std::min(back_off * 2, kBackOffMax);
    }
    MutexLock lock(mutex_);
    // News do not shorten a back-off.
    while (!stopped_ && clock_.Now() < wake) {
      bool news = next.has_value() && wanted_.stable != written_.stable;
      if (news && clock_.Now() >= next_status_) break;
      changed_.WaitUntil(mutex_, news ? std::min(wake, next_status_) : wake);
    }
    if (stopped_) return;
  }
}

store::Result<TimePoint> Presence::Step() {
  RETURN_IF_ERROR(KeepLease());
  RETURN_IF_ERROR(WriteStatus());
  return std::min(next_sign_, clock_.Now() + kLagInterval);
}

store::Status Presence::KeepLease() {
  if (lease_ != 0 && clock_.Now() < next_sign_) return Ok();
  if (lease_ != 0) {
    auto alive = client_.LeaseKeepAlive(lease_);
    if (!alive && alive.error().code() != ErrorCode::kLeaseNotFound) {
      return Fail(std::move(alive).error());
    }
    if (!alive) lease_ = 0;
  }
  if (lease_ == 0) {
    etcdserverpb::LeaseGrantRequest request;
    request.set_ttl(ttl_seconds_);
    auto granted = client_.LeaseGrant(request);
    if (!granted) return Fail(std::move(granted).error());
    RETURN_IF_ERROR(Put(live_key_, live_document_, granted->id()));
    lease_ = granted->id();
  }
  next_sign_ = clock_.Now() + std::chrono::seconds(ttl_seconds_ / 3);
  return Ok();
}

store::Status Presence::WriteStatus() {
  StatusDocument wanted;
  {
    MutexLock lock(mutex_);
    wanted = wanted_;
  }
  TimePoint now = clock_.Now();
  if (wanted.text.empty() || now < next_status_) return Ok();
  bool news = wanted.stable != written_.stable;
  bool lag = wanted.text != written_.text && now >= next_lag_;
  if (!news && !lag) return Ok();
  RETURN_IF_ERROR(Put(status_key_, wanted.text, 0));
  MutexLock lock(mutex_);
  written_ = std::move(wanted);
  next_status_ = clock_.Now() + kStatusInterval;
  next_lag_ = clock_.Now() + kLagInterval;
  return Ok();
}

store::Status Presence::Put(const std::string& key, const std::string& value, int64_t lease) {
  etcdserverpb::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  request.set_lease(lease);
  auto put = client_.Put(request);
  if (!put) return Fail(std::move(put).error());
  return Ok();
}

}  // namespace logagent
