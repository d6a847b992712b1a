// SPDX-License-Identifier: Apache-2.0
#include "store/apply/state_machine.h"

#include "store/apply/apply_cluster.h"
#include "store/apply/apply_kv.h"
#include "store/apply/apply_lease.h"
#include "store/apply/command.h"
#include "store/apply/put_command.h"
#include "store/apply/quota.h"
#include "store/apply/scope.h"
#include "store/apply/txn.h"
#include "store/base/check.h"
#include "store/base/failpoint.h"
#include "store/raft/conf_change.h"

#include <absl/functional/function_ref.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <string>

namespace store::apply {
namespace {

using sluice::store::Command;

// How far the durable applied index is looked up behind the applied one: it only decides how much
// of the log may go, and each look-up costs a read.
constexpr size_t kDurableEveryBatches = 16;
constexpr size_t kDurableEveryBytes = 1 << 20;

// Refused while the CORRUPT alarm is active.
bool IsWrite(const Command& command) {
  switch (command.body_case()) {
    case Command::kPut:
    case Command::kDeleteRange:
    case Command::kTxn:
    case Command::kCompaction:
    case Command::kLeaseGrant:
    case Command::kLeaseRevoke:
      return true;
    default:
      return false;
  }
}

void Collect(std::vector<LoopResults>* loops, LoopId loop, CallResult result) {
  auto found = std::find_if(loops->begin(), loops->end(),
                            [loop](const LoopResults& results) { return results.loop == loop; });
  if (found == loops->end()) {
    loops->push_back({loop, {}});
    found = std::prev(loops->end());
  }
  found->results.push_back(std::move(result));
}

}  // namespace

class StateMachine::Impl {
 public:
  Impl(const ApplyLimits& limits, const ApplySelf& self, std::shared_ptr<engine::Engine> engine)
      : limits_(limits), self_(self), engine_(std::move(engine)), batch_(engine_->NewBatch()) {}
  ~Impl() { delete state_.load(std::memory_order_relaxed); }

  Status Bootstrap(const InitialState& initial);
  Status Restore();
  Status Install(std::shared_ptr<engine::Engine> engine);
  Result<BatchOutcome> Apply(std::span<const raft::EntryPtr> entries, size_t* taken);
  Result<BatchOutcome> WriteBatch();
  bool write_pending() const { return write_pending_; }

  StateRef Read() const {
    mvcc::EpochDomain::Guard guard = store_->epochs().Enter();
    const StateView* state = state_.load(std::memory_order_seq_cst);
    return StateRef(store_->ViewAt(std::move(guard), state->index), state);
  }
  mvcc::MvccStore& store() const { return *store_; }
  const lease::LeaseTable& leases() const { return leases_.table(); }
  const AppliedRow& applied() const { return applied_; }

 private:
  Status OpenStore();
  void BeginBatch();
  Status ApplyEntry(const raft::EntryPtr& entry);
  Status ApplyCommand(const raft::EntryPtr& entry);
  Status ApplyPlainPut(const raft::EntryPtr& entry, const PutCommand& command);
  using Effect = absl::FunctionRef<Result<CallResult>(CommandScope& scope)>;
  Status RunCommand(raft::Index index, const RequestId& id, int64_t cost, bool is_write,
                    Effect effect);
  Status ApplyConfChange(const raft::Entry& entry);
  // A call of this process waits for it.
  bool IsOwn(const RequestId& id) const {
    return id.counter != 0 && id.member == self_.member.value() &&
           id.boot_nonce == self_.boot_nonce;
  }
  // What the quota counts: records and leases.
  uint64_t LogicalBytes(const mvcc::MvccStats& stats) const {
    return stats.live_bytes + leases_.table().size() * uint64_t{kLeaseCost};
  }
  ErrorCode Gate(int64_t cost, bool is_write) const;
  bool HasRoom(int64_t cost) const;
  Result<CallResult> Run(CommandScope& scope, int64_t cost, bool is_write, Effect effect);
  Result<CallResult> Dispatch(CommandScope& scope);
  void PutAppliedRow();
  Result<BatchOutcome> Finish();
  void LookUpDurable();
  void PublishView();
  void ReportMembers();

  const ApplyLimits limits_;
  const ApplySelf self_;
  std::shared_ptr<engine::Engine> engine_;
  std::unique_ptr<mvcc::MvccStore> store_;  // from Bootstrap or Restore on
  Leases leases_;
  Cluster cluster_;
  AppliedRow applied_;
  std::atomic<const StateView*> state_{nullptr};

  // The running batch.
  std::unique_ptr<engine::WriteBatch> batch_;
  BatchOutcome outcome_;
  bool write_pending_ = false;  // the engine refused batch_ for lack of space
  uint64_t bytes_before_ = 0;   // logical bytes when the batch began
  uint64_t bytes_written_ = 0;  // added by the batch
  bool index_full_ = false;     // the key index was over its limit when the batch began
  std::string row_;             // scratch
  Command command_;             // scratch

  raft::Index durable_;
  size_t batches_since_durable_ = 0;
  size_t bytes_since_durable_ = 0;
};

Status StateMachine::Impl::OpenStore() {
  auto store = mvcc::MvccStore::Open(engine_);
  RETURN_IF_ERROR(store);
  store_ = std::move(*store);
  return Ok();
}

Status StateMachine::Impl::Bootstrap(const InitialState& initial) {
  RETURN_IF_ERROR(OpenStore());
  batch_->Clear();
  for (const cluster::Member& member : initial.members) {
    if (cluster_.table().Add(member, *batch_)) continue;
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("member {:x} is named twice in the initial cluster", member.id.value()));
  }
  applied_ = {initial.index, initial.term, initial.conf, store_->current()};
  PutAppliedRow();
  RETURN_IF_ERROR(engine_->Write(*batch_));
  FAILPOINT("boot-state-written");
  RETURN_IF_ERROR(engine_->Flush());
  PublishView();
  return Ok();
}

Status StateMachine::Impl::Restore() {
  auto applied = ReadApplied(*engine_, engine::Tier::kAll);
  RETURN_IF_ERROR(applied);
  if (!*applied) {
    return Fail(ErrorCode::kCorruption, "the state has no applied row: it was never bootstrapped");
  }
  applied_ = **applied;
  RETURN_IF_ERROR(OpenStore());
  // One batch carries both, so they cannot differ unless rows were lost.
  if (store_->current() != applied_.current) {
    return Fail(ErrorCode::kCorruption,
                fmt::format("the state was applied up to revision {}, but its records end at {}",
                            applied_.current, store_->current()));
  }
  RETURN_IF_ERROR(leases_.Restore(*engine_));
  RETURN_IF_ERROR(cluster_.Restore(*engine_));
  LookUpDurable();
  PublishView();
  return Ok();
}

// All that can fail without harm comes before the key space goes over.
Status StateMachine::Impl::Install(std::shared_ptr<engine::Engine> engine) {
  CHECK(store_ != nullptr && !write_pending_);
  auto applied = ReadApplied(*engine, engine::Tier::kAll);
  RETURN_IF_ERROR(applied);
  if (!*applied) return Fail(ErrorCode::kCorruption, "the installed state has no applied row");
  if ((*applied)->index <= applied_.index) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the installed state was applied up to {}, this one up to {}",
                            (*applied)->index, applied_.index));
  }
  Leases leases;
  Cluster cluster;
  RETURN_IF_ERROR(leases.Restore(*engine));
  RETURN_IF_ERROR(cluster.Restore(*engine));
  batch_ = engine->NewBatch();
  RETURN_IF_ERROR(store_->Install(engine));
  if (store_->current() != (*applied)->current) {
    return Fail(ErrorCode::kCorruption,
                fmt::format("the installed state was applied up to revision {}, but its records "
                            "end at {}",
                            (*applied)->current, store_->current()));
  }
  engine_ = std::move(engine);
  applied_ = std::move(**applied);
  leases_ = std::move(leases);
  cluster_ = std::move(cluster);
  LookUpDurable();
  PublishView();
  return Ok();
}

Result<BatchOutcome> StateMachine::Impl::Apply(std::span<const raft::EntryPtr> entries,
                                               size_t* taken) {
  CHECK(store_ != nullptr && !write_pending_);
  *taken = 0;
  BeginBatch();
  size_t applied = 0;
  for (const raft::EntryPtr& entry : entries) {
    size_t bytes = outcome_.report.bytes + entry->data.size();
    bool full = applied == limits_.batch_entries_max || bytes > limits_.batch_bytes_max;
    if (full && applied > 0) break;
    ++*taken;
    if (entry->index <= applied_.index) continue;
    RETURN_IF_ERROR(ApplyEntry(entry));
    outcome_.report.bytes = bytes;
    ++applied;
  }
  if (applied == 0) return Finish();
  applied_.current = store_->pending_current();
  PutAppliedRow();  // the last row: a batch that is there is there whole
  return WriteBatch();
}

void StateMachine::Impl::BeginBatch() {
  batch_->Clear();
  outcome_ = BatchOutcome();
  mvcc::MvccStats stats = store_->stats();
  bytes_before_ = LogicalBytes(stats);
  bytes_written_ = 0;
  index_full_ = limits_.index_memory_max > 0 && stats.index_bytes > limits_.index_memory_max;
}

Status StateMachine::Impl::ApplyEntry(const raft::EntryPtr& pointer) {
  const raft::Entry& entry = *pointer;
  CHECK(entry.index == applied_.index + 1, "entry {} after applied {}", entry.index,
        applied_.index);
  // A member that joins begins with a snapshot; the founders would be missing from all that
  // follows.
  if (applied_.conf.voters.empty()) {
    return Fail(
        ErrorCode::kUnsupported,
        fmt::format("log index {}: an early build has made this cluster, its log begins without "
                    "the founders, and no member can join it by the log",
                    entry.index));
  }
  switch (entry.kind) {
    case raft::EntryKind::kNoop:
      break;
    case raft::EntryKind::kCommand:
      RETURN_IF_ERROR(ApplyCommand(pointer));
      break;
    case raft::EntryKind::kConfChange:
      RETURN_IF_ERROR(ApplyConfChange(entry));
      break;
  }
  applied_.index = entry.index;
  applied_.term = entry.term;
  return Ok();
}

Status StateMachine::Impl::ApplyCommand(const raft::EntryPtr& entry) {
  if (auto put = ReadPutCommand(entry->data)) return ApplyPlainPut(entry, *put);
  Status decoded = DecodeCommand(entry->data, &command_);
  if (!decoded) {
    return Fail(decoded.error().WithContext(fmt::format("log index {}", entry->index)));
  }
  RequestId id = IdOf(command_.header());
  if (command_.has_lease_revoke() && id.counter == 0) ++outcome_.report.expiry_entries;
  return RunCommand(entry->index, id, CostOf(command_), IsWrite(command_),
                    [this](CommandScope& scope) { return Dispatch(scope); });
}

Status StateMachine::Impl::ApplyPlainPut(const raft::EntryPtr& entry, const PutCommand& command) {
  return RunCommand(entry->index, command.id, CostOf(command.put), true,
                    [&](CommandScope& scope) -> Result<CallResult> {
                      return ApplyPut(scope, SharePut(command.put, entry));
                    });
}

Status StateMachine::Impl::RunCommand(raft::Index index, const RequestId& id, int64_t cost,
                                      bool is_write, Effect effect) {
  bool waited_for = IsOwn(id);
  CommandScope scope{*store_, *batch_, leases_, outcome_.report, bytes_written_, waited_for};
  auto result = Run(scope, cost, is_write, effect);
  if (!result && !IsAnswer(result.error().code())) {
    return Fail(result.error().WithContext(fmt::format("log index {}", index)));
  }
  if (!waited_for) return Ok();
  CallResult answer = result ? std::move(*result) : Done(store_->pending_current());
  if (!result) answer.error = result.error().code();
  answer.counter = id.counter;
  Collect(&outcome_.results, id.loop, std::move(answer));
  return Ok();
}

Status StateMachine::Impl::ApplyConfChange(const raft::Entry& entry) {
  auto change = raft::DecodeConfChange(entry.data);
  sluice::store::MembershipChange command;
  if (!change || !command.ParseFromString(change->context)) {
    return Fail(ErrorCode::kCorruption,
                fmt::format("log index {} is not a configuration change", entry.index));
  }
  auto decided = cluster_.Decide(*change, command, applied_.conf, *batch_);
  if (!decided) {
    return Fail(decided.error().WithContext(fmt::format("log index {}", entry.index)));
  }
  applied_.conf = raft::Changed(applied_.conf, decided->change);
  outcome_.report.conf_changes.push_back(decided->change);
  RequestId id = IdOf(command.header());
  if (!IsOwn(id)) return Ok();
  CallResult answer = Done(store_->pending_current());
  answer.error = decided->error;
  answer.counter = id.counter;
  if (answer.error == ErrorCode::kOk) answer.response = cluster_.ResponseOf(command, change->node);
  Collect(&outcome_.results, id.loop, std::move(answer));
  return Ok();
}

// Alarms, in the order in which etcd looks at them.
ErrorCode StateMachine::Impl::Gate(int64_t cost, bool is_write) const {
  const cluster::AlarmTable& alarms = *cluster_.alarms();
  if (is_write && alarms.Any(cluster::AlarmKind::kCorrupt)) {
    return ErrorCode::kCorruptCluster;
  }
  if (cost > 0 && alarms.Any(cluster::AlarmKind::kNoSpace)) return ErrorCode::kSpaceExceeded;
  return ErrorCode::kOk;
}

bool StateMachine::Impl::HasRoom(int64_t cost) const {
  if (cost == 0) return true;
  return !index_full_ && FitsQuota(limits_.quota_bytes, bytes_before_ + bytes_written_, cost);
}

Result<CallResult> StateMachine::Impl::Run(CommandScope& scope, int64_t cost, bool is_write,
                                           Effect effect) {
  if (ErrorCode refused = Gate(cost, is_write); refused != ErrorCode::kOk) return Fail(refused);
  bool has_room = HasRoom(cost);
  auto result = effect(scope);
  if (!result || has_room) return result;
  // Committed, so it counts everywhere, however much room this member thinks there is.
  result->error = ErrorCode::kSpaceExceeded;
  result->raise_no_space = true;
  result->response.reset();
  return result;
}

Result<CallResult> StateMachine::Impl::Dispatch(CommandScope& scope) {
  switch (command_.body_case()) {
    case Command::kPut:
      return ApplyPut(scope, TakePut(*command_.mutable_put()));
    case Command::kDeleteRange:
      return ApplyDeleteRange(scope, command_.delete_range());
    case Command::kTxn:
      return ApplyTxn(scope, *command_.mutable_txn());
    case Command::kCompaction:
      return ApplyCompaction(scope, command_.compaction());
    case Command::kLeaseGrant:
      return ApplyLeaseGrant(scope, command_.lease_grant());
    case Command::kLeaseRevoke:
      return ApplyLeaseRevoke(scope, command_.lease_revoke());
    case Command::kLeaseCheckpoint:
      return ApplyLeaseCheckpoint(scope, command_.lease_checkpoint());
    case Command::kAlarm:
      return cluster_.Alarm(scope, command_.alarm());
    case Command::kMemberAttributes:
      return cluster_.PublishMember(scope, command_.member_attributes());
    case Command::kClusterVersion:
      return cluster_.SetVersion(scope, command_.cluster_version());
    case Command::kMemberUpdate:
      return cluster_.UpdateMember(scope, command_.member_update());
    case Command::kDowngradeInfo:
      return cluster_.SetDowngrade(scope, command_.downgrade_info());
    case Command::BODY_NOT_SET:
      break;
  }
  return Fail(ErrorCode::kUnsupported, "unknown command");  // DecodeCommand refuses it first
}

void StateMachine::Impl::PutAppliedRow() {
  row_.clear();
  EncodeApplied(applied_, &row_);
  batch_->Put(engine::Table::kSys, AppliedKey(), row_);
}

Result<BatchOutcome> StateMachine::Impl::WriteBatch() {
  Status written = engine_->Write(*batch_);
  write_pending_ = !written && written.error().code() == ErrorCode::kNoSpace;
  RETURN_IF_ERROR(written);
  ++batches_since_durable_;
  bytes_since_durable_ += outcome_.report.bytes;
  return Finish();
}

Result<BatchOutcome> StateMachine::Impl::Finish() {
  FAILPOINT("apply-publish");
  outcome_.events = store_->Publish();
  ReportMembers();
  PublishView();
  if (batches_since_durable_ >= kDurableEveryBatches ||
      bytes_since_durable_ >= kDurableEveryBytes) {
    LookUpDurable();
  }
  outcome_.report.applied = applied_.index;
  outcome_.report.durable = durable_;
  outcome_.report.current = applied_.current;
  return std::move(outcome_);
}

void StateMachine::Impl::LookUpDurable() {
  batches_since_durable_ = 0;
  bytes_since_durable_ = 0;
  auto row = ReadApplied(*engine_, engine::Tier::kPersisted);
  // Unreadable: the log just stays longer. The engine reports the trouble itself.
  if (row && *row) durable_ = (*row)->index;
}

// Told once: against the view that is still published.
void StateMachine::Impl::ReportMembers() {
  const StateView* before = state_.load(std::memory_order_relaxed);
  if (before->members == cluster_.table().members()) return;
  outcome_.report.members = cluster_.table().members();
  outcome_.report.removed = cluster_.table().removed();
}

// Before the next MvccStore::Publish, as epoch.h wants it: until then the old view names the old
// root.
void StateMachine::Impl::PublishView() {
  auto view = std::make_unique<StateView>();
  view->applied = applied_.index;
  view->applied_term = applied_.term;
  view->current = store_->current();
  view->compacted = store_->compacted();
  view->logical_bytes = LogicalBytes(store_->stats());
  view->members = cluster_.table().members();
  view->removed = cluster_.table().removed();
  view->alarms = cluster_.alarms();
  view->cluster_version = cluster_.table().version();
  view->downgrade = cluster_.table().downgrade();
  view->index = store_->root();
  const StateView* old = state_.exchange(view.release(), std::memory_order_seq_cst);
  if (old != nullptr) store_->epochs().RetireObject(old);
}

StateMachine::StateMachine(const ApplyLimits& limits, const ApplySelf& self,
                           std::shared_ptr<engine::Engine> engine)
    : impl_(std::make_unique<Impl>(limits, self, std::move(engine))) {}
StateMachine::~StateMachine() = default;

Status StateMachine::Bootstrap(const InitialState& initial) { return impl_->Bootstrap(initial); }
Status StateMachine::Restore() { return impl_->Restore(); }
Status StateMachine::Install(std::shared_ptr<engine::Engine> engine) {
  return impl_->Install(std::move(engine));
}

Result<std::optional<AppliedRow>> StateMachine::ReadApplied(const engine::Engine& engine,
                                                            engine::Tier tier) {
  auto bytes = engine.Get(engine::Table::kSys, AppliedKey(), tier);
  RETURN_IF_ERROR(bytes);
  if (!bytes->has_value()) return std::optional<AppliedRow>();
  auto row = DecodeApplied(**bytes);
  RETURN_IF_ERROR(row);
  return std::optional<AppliedRow>(std::move(*row));
}

Result<BatchOutcome> StateMachine::Apply(std::span<const raft::EntryPtr> entries, size_t* taken) {
  return impl_->Apply(entries, taken);
}
Result<BatchOutcome> StateMachine::RetryWrite() {
  CHECK(impl_->write_pending());
  return impl_->WriteBatch();
}
bool StateMachine::write_pending() const { return impl_->write_pending(); }

StateRef StateMachine::Read() const { return impl_->Read(); }
mvcc::MvccStore& StateMachine::mvcc() { return impl_->store(); }
const mvcc::MvccStore& StateMachine::mvcc() const { return impl_->store(); }
const lease::LeaseTable& StateMachine::leases() const { return impl_->leases(); }
const AppliedRow& StateMachine::applied() const { return impl_->applied(); }

}  // namespace store::apply
