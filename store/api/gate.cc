// SPDX-License-Identifier: Apache-2.0
#include "store/api/gate.h"

#include "store/api/errors.h"

#include <algorithm>
#include <array>

namespace store::api {
namespace {

constexpr std::array<std::string_view, 6> kStreams = {
    "/etcdserverpb.Watch/Watch",    "/etcdserverpb.Lease/LeaseKeepAlive",
    "/etcdserverpb.KV/RangeStream", "/etcdserverpb.Maintenance/Snapshot",
    "/grpc.health.v1.Health/Watch", "/v3electionpb.Election/Observe"};

bool IsStream(std::string_view method) {
  return std::find(kStreams.begin(), kStreams.end(), method) != kStreams.end();
}

constexpr std::string_view kRange = "/etcdserverpb.KV/Range";

// And of Range what is serializable.
bool ServedByLearner(std::string_view method) {
  return method == "/etcdserverpb.Maintenance/Status" ||
         method == "/etcdserverpb.Maintenance/Snapshot";
}

// Bytes of the sequence that starts with `lead`, and the range its second byte must be in (that
// excludes overlong forms, surrogates and what is above U+10FFFF); 0: no start.
struct Sequence {
  size_t length;
  uint8_t low;
  uint8_t high;
};
Sequence SequenceOf(uint8_t lead) {
  if (lead < 0x80) return {1, 0, 0};
  if (lead < 0xC2) return {0, 0, 0};
  if (lead < 0xE0) return {2, 0x80, 0xBF};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};
  if (lead < 0xF0) return {3, 0x80, 0xBF};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead < 0xF4) return {4, 0x80, 0xBF};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

bool IsContinuation(uint8_t byte) { return (byte & 0xC0) == 0x80; }

// Length of the valid sequence at the front; 0: none.
size_t ValidPrefix(std::string_view text) {
  Sequence sequence = SequenceOf(static_cast<uint8_t>(text[0]));
  if (sequence.length <= 1) return sequence.length;
  if (text.size() < sequence.length) return 0;
  auto second = static_cast<uint8_t>(text[1]);
  if (second < sequence.low || second > sequence.high) return 0;
  for (size_t i = 2; i < sequence.length; ++i) {
    if (!IsContinuation(static_cast<uint8_t>(text[i]))) return 0;
  }
  return sequence.length;
}

}  // namespace

bool IsValidUtf8(std::string_view text) {
  while (!text.empty()) {
    size_t length = ValidPrefix(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

void HeaderSource::Fill(Revision revision, etcdserverpb::ResponseHeader* header) const {
  HeaderFields fields = Fields(revision);
  header->set_cluster_id(fields.cluster);
  header->set_member_id(fields.member);
  header->set_revision(fields.revision.value());
  header->set_raft_term(fields.term);
}

bool IsVoter(const apply::StateView& state, uint64_t member) {
  return state.members != nullptr &&
         std::any_of(state.members->begin(), state.members->end(), [member](const auto& row) {
           return row.id.value() == member && !row.learner;
         });
}

bool WantsLeader(const rpc::CallInfo& info) {
  auto value = info.metadata.Find("hasleader");
  return value && *value == "true";
}

Gate::Gate(const replica::RaftGauges& gauges, Registry& registry)
    : gauges_(gauges),
      requests_(registry.AddCounters("etcd_server_client_requests_total",
                                     "The total number of client requests per client version.",
                                     {"client_api_version", "type"})) {}

Gate::~Gate() {
  for (auto& row : rows_) delete row.load(std::memory_order_relaxed);
}

std::optional<rpc::RpcStatus> Gate::Check(const rpc::CallInfo& info) const {
  if (gauges_.is_learner.load(std::memory_order_relaxed)) {
    if (info.method == kRange) return std::nullopt;
    if (!ServedByLearner(info.method)) return StatusOf(ErrorCode::kNotSupportedForLearner);
  }
  return CheckMetadata(info);
}

std::optional<rpc::RpcStatus> Gate::CheckRange(const rpc::CallInfo& info, bool serializable) const {
  if (!gauges_.is_learner.load(std::memory_order_relaxed)) return std::nullopt;
  if (!serializable) return StatusOf(ErrorCode::kNotSupportedForLearner);
  return CheckMetadata(info);
}

std::optional<rpc::RpcStatus> Gate::CheckMetadata(const rpc::CallInfo& info) const {
  std::string_view version = info.metadata.Find("client-api-version").value_or("unknown");
  if (!IsValidUtf8(version)) return StatusOf(ErrorCode::kInvalidClientApiVersion);
  Count(version, IsStream(info.method));
  if (WantsLeader(info) && gauges_.leader.load(std::memory_order_relaxed) == 0) {
    return StatusOf(ErrorCode::kNoLeader);
  }
  return std::nullopt;
}

void Gate::Count(std::string_view version, bool stream) const {
  const Row* row = FindRow(version);
  if (row != nullptr) {
    (stream ? row->stream : row->unary)->Add();
    return;
  }
  requests_.With({std::string(version), stream ? "stream" : "unary"}).Add();
}

// Rows are only ever added, so readers need no lock; null when all eight places are taken by other
// versions.
const Gate::Row* Gate::FindRow(std::string_view version) const {
  for (const auto& place : rows_) {
    const Row* row = place.load(std::memory_order_acquire);
    if (row == nullptr) break;
    if (row->version == version) return row;
  }
  MutexLock lock(mutex_);
  for (auto& place : rows_) {
    const Row* row = place.load(std::memory_order_relaxed);
    if (row != nullptr && row->version != version) continue;
    if (row != nullptr) return row;
    auto added = std::make_unique<Row>();
    added->version = std::string(version);
    added->unary = &requests_.With({added->version, "unary"});
    added->stream = &requests_.With({added->version, "stream"});
    row = added.release();
    place.store(row, std::memory_order_release);
    return row;
  }
  return nullptr;
}

}  // namespace store::api
