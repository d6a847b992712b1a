// SPDX-License-Identifier: Apache-2.0
#include "store/api/pending_calls.h"

#include "store/apply/command.h"
#include "store/base/check.h"

#include <algorithm>
#include <utility>

namespace store::api {
namespace {

// What a waiting call costs beside its bytes: the entry, its closure and the parsed request.
constexpr size_t kCallOverhead = 512;

}  // namespace

PendingCalls::PendingCalls(const PendingOptions& options, replica::ReplicaDoor& door,
                           Executor& executor, CallBudget& budget,
                           const replica::RaftGauges& gauges)
    : options_(options), door_(door), executor_(executor), budget_(budget), gauges_(gauges) {}

PendingCalls::~PendingCalls() {
  auto give_all = [this](const auto& map) {
    for (const auto& [id, entry] : map) budget_.Give(entry.bytes);
  };
  give_all(writes_);
  give_all(reads_);
  give_all(leases_);
  give_all(work_);
}

template <class Done>
uint64_t PendingCalls::Insert(WaitMap<Done>& map, Done done, size_t bytes) {
  uint64_t id = next_id_++;
  Entry<Done> entry{std::move(done), bytes, executor_.Now(),
                    gauges_.leader_changes.load(std::memory_order_relaxed)};
  map.emplace_hint(map.end(), id, std::move(entry));
  return id;
}

template <class Done>
std::optional<Done> PendingCalls::Take(WaitMap<Done>& map, uint64_t id) {
  auto found = map.find(id);
  if (found == map.end()) return std::nullopt;
  Done done = std::move(found->second.done);
  budget_.Give(found->second.bytes);
  map.erase(found);
  return done;
}

template <class Done>
bool PendingCalls::Erase(WaitMap<Done>& map, uint64_t id) {
  // The closure goes last: what it owns may call back into this object.
  return Take(map, id).has_value();
}

void PendingCalls::FailWrite(WriteDone done, ErrorCode code) {
  apply::CallResult result;
  result.error = code;
  done(std::move(result));
}

CallHandle PendingCalls::Propose(sluice::store::Command& command, std::optional<TimePoint> deadline,
                                 WriteDone done) {
  auto encode = [&command](const apply::RequestId& id) {
    return apply::EncodeCommand(id, command);
  };
  return Propose(encode, deadline, std::move(done));
}

CallHandle PendingCalls::Propose(EncodeFor command, std::optional<TimePoint> deadline,
                                 WriteDone done) {
  apply::RequestId request{options_.member, options_.boot_nonce, options_.loop, next_id_};
  std::string bytes = command(request);
  size_t cost = bytes.size() + kCallOverhead;
  // It would wait for room until its time is up.
  if (gauges_.disk_room.load(std::memory_order_relaxed) == replica::DiskRoom::kNone) {
    FailWrite(std::move(done), ErrorCode::kSpaceExceeded);
    return {};
  }
  if (!budget_.TryTake(cost)) {
    FailWrite(std::move(done), ErrorCode::kTooManyRequests);
    return {};
  }
  if (bytes.size() > options_.request_bytes_max) {
    budget_.Give(cost);
    FailWrite(std::move(done), ErrorCode::kRequestTooLarge);
    return {};
  }
  uint64_t id = Insert(writes_, std::move(done), cost);
  CHECK(id == request.counter);
  TimePoint own = executor_.Now() + options_.request_timeout;
  Queue(std::move(bytes), id, deadline ? std::min(*deadline, own) : own);
  ArmDeadline();
  return {WaitKind::kWrite, id};
}

void PendingCalls::Queue(std::string bytes, uint64_t id, TimePoint deadline) {
  bool open = !bundles_.empty() &&
              bundles_.back().proposals.size() < options_.bundle_proposals_max &&
              bundles_.back().bytes + bytes.size() <= options_.bundle_bytes_max;
  if (!open) bundles_.push_back({options_.loop, {}, 0, executor_.Now(), {}});
  replica::ProposalBundle& bundle = bundles_.back();
  bundle.bytes += bytes.size();
  apply::RequestId request{options_.member, options_.boot_nonce, options_.loop, id};
  bundle.proposals.push_back({request, std::move(bytes), deadline});
  ScheduleFlush();
}

CallHandle PendingCalls::Read(ReadDone done, size_t bytes) {
  size_t cost = kCallOverhead + bytes;
  if (!budget_.TryTake(cost)) {
    done(ErrorCode::kTooManyRequests);
    return {};
  }
  uint64_t id = Insert(reads_, std::move(done), cost);
  ScheduleFlush();
  ArmDeadline();
  return {WaitKind::kRead, id};
}

CallHandle PendingCalls::Admin(const MakeAdmin& make, std::optional<TimePoint> deadline,
                               WriteDone done) {
  if (!budget_.TryTake(kCallOverhead)) {
    FailWrite(std::move(done), ErrorCode::kTooManyRequests);
    return {};
  }
  uint64_t id = Insert(writes_, std::move(done), kCallOverhead);
  apply::RequestId request{options_.member, options_.boot_nonce, options_.loop, id};
  TimePoint own = executor_.Now() + options_.request_timeout;
  admin_requests_.push_back({request, deadline ? std::min(*deadline, own) : own, make(request)});
  ScheduleFlush();
  ArmDeadline();
  return {WaitKind::kWrite, id};
}

CallHandle PendingCalls::Lease(replica::LeaseRequest::Kind kind, LeaseId lease, LeaseDone done) {
  if (CallHandle handle = TryLease(kind, lease, done)) return handle;
  replica::LeaseAnswer refused;
  refused.error = ErrorCode::kTooManyRequests;
  done(std::move(refused));
  return {};
}

CallHandle PendingCalls::TryLease(replica::LeaseRequest::Kind kind, LeaseId lease,
                                  LeaseDone& done) {
  if (!budget_.TryTake(kCallOverhead)) return {};
  uint64_t id = Insert(leases_, std::move(done), kCallOverhead);
  lease_requests_.push_back({kind, id, lease, executor_.Now()});
  ScheduleFlush();
  ArmDeadline();
  return {WaitKind::kLease, id};
}

void PendingCalls::WhenRoom(TimePoint since, RoomAction action) {
  waiters_.push_back({since, std::move(action)});
  if (room_timer_) return;
  room_timer_ = executor_.After(options_.room_look, [this] {
    room_timer_.reset();
    LookForRoom();
  });
}

// Who finds none after all waits again before the others.
void PendingCalls::LookForRoom() {
  const TimePoint expired = executor_.Now() - options_.request_timeout;
  std::deque<Waiter> waiters = std::exchange(waiters_, {});
  for (; !waiters.empty(); waiters.pop_front()) {
    Waiter& first = waiters.front();
    const bool full = budget_.full();
    if (full && first.since > expired) break;
    first.action(full ? ErrorCode::kTooManyRequests : ErrorCode::kOk);
  }
  for (Waiter& waiter : waiters) WhenRoom(waiter.since, std::move(waiter.action));
}

CallHandle PendingCalls::StartWork(WorkDone done) {
  if (!budget_.TryTake(kCallOverhead)) {
    done(Fail(ErrorCode::kTooManyRequests));
    return {};
  }
  return {WaitKind::kWork, Insert(work_, std::move(done), kCallOverhead)};
}

void PendingCalls::FinishWork(uint64_t id, Result<rpc::MessageBody> answer) {
  executor_.Post([this, id, answer = std::move(answer)]() mutable {
    auto done = Take(work_, id);
    if (done && *done) (*done)(std::move(answer));
  });
}

void PendingCalls::Drop(CallHandle handle) {
  switch (handle.kind) {
    case WaitKind::kNone:
      break;
    case WaitKind::kWrite:
      if (Erase(writes_, handle.id)) {
        dropped_writes_ = true;
        CountFailedProposal();
      }
      break;
    case WaitKind::kRead:
      Erase(reads_, handle.id);
      break;
    case WaitKind::kLease:
      Erase(leases_, handle.id);
      break;
    case WaitKind::kWork:
      // The other thread still works: its room is given back in FinishWork.
      if (auto found = work_.find(handle.id); found != work_.end()) {
        WorkDone dropped = std::exchange(found->second.done, nullptr);
      }
      break;
  }
}

void PendingCalls::ScheduleFlush() {
  if (flush_posted_) return;
  flush_posted_ = true;
  executor_.Post([this] {
    flush_posted_ = false;
    Flush();
  });
}

void PendingCalls::Flush() {
  bool all_taken = OfferBundles();
  all_taken = OfferTickets() && all_taken;
  all_taken = OfferLeases() && all_taken;
  all_taken = OfferAdmin() && all_taken;
  if (all_taken || retry_timer_) return;
  retry_timer_ = executor_.After(options_.retry, [this] {
    retry_timer_.reset();
    Flush();
  });
}

bool PendingCalls::OfferBundles() {
  // The order of a client's writes is the order of the bundles, so the first refusal ends the
  // round.
  while (!bundles_.empty()) {
    replica::ProposalBundle& bundle = bundles_.front();
    if (dropped_writes_) PruneBundle(bundle);
    if (!bundle.proposals.empty() && !door_.TryPropose(bundle)) return false;
    bundles_.pop_front();
  }
  dropped_writes_ = false;
  return true;
}

// Nobody waits any more for what was dropped or timed out before it was sent.
void PendingCalls::PruneBundle(replica::ProposalBundle& bundle) {
  auto gone = [this](const replica::Proposal& proposal) {
    return writes_.count(proposal.id.counter) == 0;
  };
  std::erase_if(bundle.proposals, gone);
  bundle.bytes = 0;
  for (const replica::Proposal& proposal : bundle.proposals)
    bundle.bytes += proposal.command.size();
}

bool PendingCalls::OfferTickets() {
  if (reads_.empty()) return true;
  uint64_t newest = reads_.rbegin()->first;
  if (newest <= tickets_sent_) return true;
  if (!door_.TryReadTickets(options_.loop, newest)) return false;
  tickets_sent_ = newest;
  return true;
}

bool PendingCalls::OfferLeases() {
  if (lease_requests_.empty()) return true;
  if (!door_.TryLease(options_.loop, lease_requests_)) return false;
  lease_requests_.clear();
  return true;
}

bool PendingCalls::OfferAdmin() {
  while (!admin_requests_.empty()) {
    replica::AdminRequest& request = admin_requests_.front();
    bool waited_for = writes_.contains(request.id.counter);
    if (waited_for && !door_.TryAdmin(request)) return false;
    admin_requests_.pop_front();
  }
  return true;
}

void PendingCalls::OnReadsGranted(uint64_t through) { AnswerReads(through, ErrorCode::kOk); }

void PendingCalls::OnReadsFailed(uint64_t through, ErrorCode code) { AnswerReads(through, code); }

void PendingCalls::AnswerReads(uint64_t through, ErrorCode code) {
  // Reads that are added while these are answered have larger ids.
  while (!reads_.empty() && reads_.begin()->first <= through) {
    auto done = Take(reads_, reads_.begin()->first);
    (*done)(code);
  }
}

void PendingCalls::OnProposalsFailed(const std::vector<apply::RequestId>& ids, ErrorCode code) {
  for (const apply::RequestId& id : ids) {
    auto found = writes_.find(id.counter);
    if (found == writes_.end()) continue;
    ErrorCode told = code == ErrorCode::kTimeout ? TimeoutCode(found->second) : code;
    CountFailedProposal();
    FailWrite(*Take(writes_, id.counter), told);
  }
}

void PendingCalls::CountFailedProposal() {
  if (options_.proposals_failed != nullptr) options_.proposals_failed->Add();
}

void PendingCalls::OnLeaseAnswers(const std::vector<replica::LeaseAnswer>& answers) {
  for (const replica::LeaseAnswer& answer : answers) {
    if (auto done = Take(leases_, answer.tag)) (*done)(answer);
  }
}

void PendingCalls::OnAdminAnswer(const apply::RequestId& id, ErrorCode code) {
  auto found = writes_.find(id.counter);
  if (id.boot_nonce != options_.boot_nonce || found == writes_.end()) return;
  ErrorCode told = code == ErrorCode::kTimeout ? TimeoutCode(found->second) : code;
  FailWrite(*Take(writes_, id.counter), told);
}

void PendingCalls::OnResults(std::vector<apply::CallResult> results) {
  for (apply::CallResult& result : results) {
    if (result.raise_no_space) RaiseNoSpace({});
    if (auto done = Take(writes_, result.counter)) (*done)(std::move(result));
  }
}

void PendingCalls::RaiseNoSpace(WriteDone done) {
  if (raising_no_space_ && !done) return;
  raising_no_space_ = true;
  sluice::store::Command command;
  etcdserverpb::AlarmRequest& alarm = *command.mutable_alarm();
  alarm.set_action(etcdserverpb::AlarmRequest::ACTIVATE);
  alarm.set_memberid(options_.member);
  alarm.set_alarm(etcdserverpb::NOSPACE);
  Propose(command, std::nullopt, [this, done = std::move(done)](apply::CallResult result) mutable {
    raising_no_space_ = false;
    if (done) done(std::move(result));
  });
}

std::optional<TimePoint> PendingCalls::Oldest() const {
  std::optional<TimePoint> oldest;
  auto look = [&oldest](const auto& map) {
    if (map.empty()) return;
    TimePoint started = map.begin()->second.started;
    if (!oldest || started < *oldest) oldest = started;
  };
  look(writes_);
  look(reads_);
  look(leases_);
  return oldest;
}

// The timer is not moved when its call is answered: it fires at most once per time-out and looks
// again.
void PendingCalls::ArmDeadline() {
  if (deadline_timer_) return;
  auto oldest = Oldest();
  if (!oldest) return;
  Duration left = *oldest + options_.request_timeout - executor_.Now();
  deadline_timer_ = executor_.After(std::max(left, Duration(0)), [this] {
    deadline_timer_.reset();
    ExpireDue();
    ArmDeadline();
  });
}

template <class Done, class Fail>
void PendingCalls::ExpireMap(WaitMap<Done>& map, TimePoint now, Fail fail) {
  while (!map.empty() && map.begin()->second.started + options_.request_timeout <= now) {
    ErrorCode code = TimeoutCode(map.begin()->second);
    fail(*Take(map, map.begin()->first), code);
  }
}

void PendingCalls::ExpireDue() {
  TimePoint now = executor_.Now();
  ExpireMap(writes_, now, [this](WriteDone done, ErrorCode code) {
    dropped_writes_ = true;
    CountFailedProposal();
    FailWrite(std::move(done), code);
  });
  ExpireMap(reads_, now, [](ReadDone done, ErrorCode) { done(ErrorCode::kTimeout); });
  ExpireMap(leases_, now, [](LeaseDone done, ErrorCode) {
    replica::LeaseAnswer answer;
    answer.error = ErrorCode::kTimeout;
    done(std::move(answer));
  });
}

// A leader that was elected while the call waited may have lost what the old one had taken.
template <class Done>
ErrorCode PendingCalls::TimeoutCode(const Entry<Done>& entry) const {
  bool elected = gauges_.leader_changes.load(std::memory_order_relaxed) != entry.leader_changes;
  if (elected) return ErrorCode::kTimeoutLeaderFailure;
  return Connected(entry.started) ? ErrorCode::kTimeout : ErrorCode::kTimeoutConnectionLost;
}

// To the leader, or to a majority where this member leads or knows of none; all the while.
bool PendingCalls::Connected(TimePoint since) const {
  if (options_.connections == nullptr) return true;
  const uint64_t leader = gauges_.leader.load(std::memory_order_relaxed);
  if (leader == 0 || leader == options_.member) return options_.connections->ToQuorumSince(since);
  return options_.connections->ToMemberSince(raft::NodeId(leader), since);
}

void PendingCalls::FailAll(ErrorCode code) {
  bundles_.clear();
  lease_requests_.clear();
  admin_requests_.clear();
  while (!writes_.empty()) FailWrite(*Take(writes_, writes_.begin()->first), code);
  AnswerReads(next_id_ - 1, code);
  while (!leases_.empty()) {
    replica::LeaseAnswer answer;
    answer.error = code;
    (*Take(leases_, leases_.begin()->first))(std::move(answer));
  }
  while (!work_.empty()) {
    auto done = Take(work_, work_.begin()->first);
    if (*done) (*done)(Fail(code));
  }
}

}  // namespace store::api
