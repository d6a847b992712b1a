// SPDX-License-Identifier: Apache-2.0
#include "store/api/kv_service.h"

#include "store/api/held_read.h"
#include "store/api/range_stream.h"
#include "store/api/validate.h"
#include "store/apply/convert.h"
#include "store/apply/put_command.h"
#include "store/apply/quota.h"
#include "store/apply/txn.h"

#include <absl/container/inlined_vector.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <utility>

namespace store::api {
namespace {

using sluice::store::Command;

// Ranges of single keys whose look-ups wait for memory together; more would push each other out of
// the caches.
constexpr size_t kRangesTogether = 64;

// How often a physical compaction looks whether its revision is collected.
constexpr Duration kCollectedPoll = std::chrono::milliseconds(10);

// Values that are read on the loop; beyond it a range is read in the pool, however few its keys: 64
// values of 1.4 MB took 190 ms.
constexpr uint64_t kInlineValueBytesMax = 4 << 20;

// Whether the index alone decides where the answer ends, so that `limit` bounds the work.
bool StopsAtLimit(const mvcc::RangeQuery& query) {
  bool filtered = query.min_mod || query.max_mod || query.min_create || query.max_create;
  return query.limit > 0 && query.order == mvcc::SortOrder::kNone && !filtered;
}

// Bytes of the values that a range of few keys reads, as the index knows them; none is read, and
// what is above the limit of the loop is not added up.
uint64_t ValueBytes(const mvcc::ReadView& view, const mvcc::RangeQuery& query) {
  bool no_values = query.keys_only && query.target != mvcc::SortTarget::kValue;
  if (no_values || query.count_only) return 0;
  int64_t left = StopsAtLimit(query) ? query.limit : std::numeric_limits<int64_t>::max();
  uint64_t bytes = 0;
  view.ForEach(query.range, Revision(), [&](std::string_view, const mvcc::KeyFacts& facts) {
    bytes += facts.value_size;
    return --left > 0 && bytes <= kInlineValueBytesMax;
  });
  return bytes;
}

// More keys than the loop may look at. Counting at an old revision walks the keys.
bool HasManyKeys(const mvcc::ReadView& view, const mvcc::RangeQuery& query, int64_t keys_max) {
  if (query.range.IsPoint() || query.range.Empty()) return false;
  bool newest = query.at.value() <= 0 || query.at == view.current();
  if (newest && (query.count_only || (StopsAtLimit(query) && query.limit <= keys_max)))
    return false;
  return view.Count(query.range) > keys_max || !newest;
}

// A range that would keep the loop from its other calls.
bool IsLong(const mvcc::ReadView& view, const mvcc::RangeQuery& query, int64_t keys_max) {
  if (query.range.IsPoint() || query.range.Empty()) return false;
  return HasManyKeys(view, query, keys_max) || ValueBytes(view, query) > kInlineValueBytesMax;
}

mvcc::RangeQuery ToQuery(const etcdserverpb::Compare& compare) {
  mvcc::RangeQuery query;
  query.range = apply::RangeOf(compare);
  query.keys_only = compare.target() != etcdserverpb::Compare::VALUE;
  return query;
}

// The same of all compares and of both branches; values together.
bool IsLong(const mvcc::ReadView& view, const etcdserverpb::TxnRequest& txn, int64_t keys_max) {
  uint64_t bytes = 0;
  auto is_much = [&](const mvcc::RangeQuery& query) {
    if (HasManyKeys(view, query, keys_max)) return true;
    bytes += ValueBytes(view, query);
    return bytes > kInlineValueBytesMax;
  };
  auto compares_much = [&](const auto& compare) { return is_much(ToQuery(compare)); };
  auto reads_much = [&](const etcdserverpb::RequestOp& op) {
    return is_much(apply::ToQuery(op.request_range()));
  };
  return std::ranges::any_of(txn.compare(), compares_much) ||
         std::ranges::any_of(txn.success(), reads_much) ||
         std::ranges::any_of(txn.failure(), reads_much);
}

}  // namespace

void KvService::Register(rpc::MethodTable& table) {
  using namespace etcdserverpb;
  table.AddUnary<RangeRequest, RangeResponse>("/etcdserverpb.KV/Range",
                                              [this](RangeCall call) { Range(std::move(call)); });
  table.AddUnary<PutMessage, PutResponse>("/etcdserverpb.KV/Put",
                                          [this](PutCall call) { Put(std::move(call)); });
  table.AddUnary<DeleteRangeRequest, DeleteRangeResponse>(
      "/etcdserverpb.KV/DeleteRange", [this](DeleteCall call) { DeleteRange(std::move(call)); });
  table.AddUnary<TxnRequest, TxnResponse>("/etcdserverpb.KV/Txn",
                                          [this](TxnCall call) { Txn(std::move(call)); });
  table.AddUnary<CompactionRequest, CompactionResponse>(
      "/etcdserverpb.KV/Compact", [this](CompactCall call) { Compact(std::move(call)); });
  table.AddStream<RangeRequest, RangeStreamResponse>(
      "/etcdserverpb.KV/RangeStream", [this](StreamCall stream) { RangeStream(std::move(stream)); },
      rpc::MethodKind::kServerStream);
}

void KvService::Range(RangeCall call) {
  if (context_.gate != nullptr) {
    auto refused = context_.gate->CheckRange(call.info(), call.request().serializable());
    if (refused) return call.Fail(std::move(*refused));
  }
  if (Status valid = CheckRange(call.request()); !valid) {
    return call.Fail(StatusOf(valid.error()));
  }
  bool serializable = call.request().serializable();
  AwaitRead(context_, std::move(call), serializable,
            [this](RangeCall granted) { AddReady(std::move(granted)); });
}

void KvService::AddReady(RangeCall call) {
  LoopId loop = call.info().loop;
  Ranges*& ready = ready_[loop.value()];
  if (ready == nullptr) {
    auto calls = std::make_unique<Ranges>();
    ready = calls.get();
    // The loop's: it drops the calls with its other actions when it ends.
    context_.At(loop).executor().Post([this, &ready, calls = std::move(calls)] {
      if (ready == calls.get()) ready = nullptr;
      AnswerRanges(*calls);
    });
  }
  ready->push_back(std::move(call));
  if (ready->size() == kRangesTogether) ready = nullptr;
}

void KvService::AnswerRanges(Ranges& calls) const {
  const mvcc::ReadView view = context_.state.mvcc().View();
  absl::InlinedVector<std::string_view, kRangesTogether> keys;
  for (const RangeCall& call : calls) {
    if (call.request().range_end().empty()) keys.push_back(call.request().key());
  }
  absl::InlinedVector<mvcc::KeyPlace, kRangesTogether> places(keys.size());
  if (keys.size() > 1) view.FindKeys(keys, std::span(places.data(), places.size()));
  auto place = places.begin();
  for (RangeCall& call : calls) {
    const bool single = call.request().range_end().empty();
    AnswerRange(view, single ? *place++ : mvcc::KeyPlace(), std::move(call));
  }
}

void KvService::AnswerRange(const mvcc::ReadView& view, mvcc::KeyPlace place,
                            RangeCall call) const {
  if (!context_.MayAnswer()) return call.Fail(StatusOf(ErrorCode::kTooManyRequests));
  mvcc::RangeQuery query = apply::ToQuery(call.request());
  if (IsLong(view, query, context_.limits.inline_keys_max)) {
    auto work = [&context = context_, query = std::move(query)]() -> Result<rpc::MessageBody> {
      if (!context.MayAnswer()) return Fail(ErrorCode::kTooManyRequests);
      return ReadHeldRange(context, query);
    };
    return RunInPool(context_, std::move(call), std::move(work));
  }
  auto result = view.Range(query, place);
  if (!result) return call.Fail(StatusOf(result.error()));
  call.Reply(EncodeRangeResponse(context_.header.Fields(result->current), *result));
}

void KvService::Put(PutCall call) const {
  const apply::PutFields& put = call.request().fields();
  if (Room room = context_.TakeRoom(apply::CostOf(put)); room != Room::kEnough) {
    return RefuseNoSpace(context_, room, std::move(call));
  }
  if (Status valid = CheckPut(put); !valid) return call.Fail(StatusOf(valid.error()));
  std::string_view bytes = call.request().bytes();
  ProposeCall(context_, std::move(call),
              [bytes](const apply::RequestId& id) { return apply::EncodePutCommand(id, bytes); });
}

void KvService::DeleteRange(DeleteCall call) const {
  if (Status valid = CheckDeleteRange(call.request()); !valid) {
    return call.Fail(StatusOf(valid.error()));
  }
  Command command;
  *command.mutable_delete_range() = std::move(call.mutable_request());
  ProposeCall(context_, std::move(call), command);
}

void KvService::Txn(TxnCall call) const {
  if (Room room = context_.TakeRoom(apply::CostOf(call.request())); room != Room::kEnough) {
    return RefuseNoSpace(context_, room, std::move(call));
  }
  if (Status valid = CheckTxn(call.request(), context_.limits.txn_ops_max); !valid) {
    return call.Fail(StatusOf(valid.error()));
  }
  if (apply::IsReadOnlyTxn(call.request())) {
    bool serializable = apply::IsSerializableTxn(call.request());
    return AwaitRead(context_, std::move(call), serializable,
                     [this](TxnCall granted) { AnswerReadOnlyTxn(std::move(granted)); });
  }
  Command command;
  *command.mutable_txn() = std::move(call.mutable_request());
  ProposeCall(context_, std::move(call), command);
}

void KvService::AnswerReadOnlyTxn(TxnCall call) const {
  if (!context_.MayAnswer()) return call.Fail(StatusOf(ErrorCode::kTooManyRequests));
  mvcc::ReadView view = context_.state.mvcc().View();
  if (IsLong(view, call.request(), context_.limits.inline_keys_max)) {
    auto work = [&context = context_,
                 txn = std::move(call.mutable_request())]() -> Result<rpc::MessageBody> {
      if (!context.MayAnswer()) return Fail(ErrorCode::kTooManyRequests);
      return ReadHeldTxn(context, txn);
    };
    return RunInPool(context_, std::move(call), std::move(work));
  }
  auto response = apply::EvaluateReadOnlyTxn(view, call.request());
  if (!response) return call.Fail(StatusOf(response.error()));
  context_.state.mvcc().CountTxn(call.request().compare_size() + (*response)->responses_size());
  context_.header.Fill(view.current(), (*response)->mutable_header());
  call.Reply(**response);
}

void KvService::Compact(CompactCall call) const {
  Command command;
  *command.mutable_compaction() = std::move(call.mutable_request());
  rpc::RawCallPtr raw = call.raw();
  PendingCalls& pending = context_.At(call.info().loop);
  CallHandle handle =
      pending.Propose(command, raw->info().deadline,
                      [this, call = std::move(call)](apply::CallResult result) mutable {
                        AnswerCompact(std::move(call), std::move(result));
                      });
  DropOnCancel(raw, pending, handle);
}

// A physical compaction also waits when it was refused as compacted already: its space may still be
// under way.
void KvService::AnswerCompact(CompactCall call, apply::CallResult result) const {
  if (call.done()) return;
  bool collected = context_.state.mvcc().collected() >= result.wait_collected;
  if (result.wait_collected.value() <= 0 || collected) {
    return ReplyResult(context_, call, result);
  }
  Executor& executor = context_.At(call.info().loop).executor();
  executor.After(kCollectedPoll,
                 [this, call = std::move(call), result = std::move(result)]() mutable {
                   AnswerCompact(std::move(call), std::move(result));
                 });
}

void KvService::RangeStream(StreamCall stream) const {
  auto call = std::make_shared<RangeStreamCall>(context_, stream);
  stream.OnMessage(
      [call](etcdserverpb::RangeRequest&& request) { call->Start(std::move(request)); });
  stream.OnStop([call] { call->Stop(); });
}

}  // namespace store::api
