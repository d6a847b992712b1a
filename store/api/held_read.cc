// SPDX-License-Identifier: Apache-2.0
#include "store/api/held_read.h"

#include "store/api/wire.h"
#include "store/apply/compare.h"
#include "store/apply/txn.h"
#include "store/mvcc/mvcc_store.h"

#include <absl/functional/function_ref.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace store::api {
namespace {

using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;

// What a ViewSource is for the view of one moment, for a held revision. Where the interface has no
// room for an error, the answer is that of an empty store and lost() says so.
class HeldSource final : public apply::ReadSource {
 public:
  HeldSource(const mvcc::MvccStore& store, const mvcc::HeldView& held)
      : store_(store), held_(held) {}

  bool lost() const { return lost_; }

  std::optional<mvcc::KeyFacts> Lookup(std::string_view key) const override {
    std::optional<mvcc::KeyFacts> found;
    ForEach(KeyRange::Point(key), [&found](std::string_view, const mvcc::KeyFacts& facts) {
      found = facts;
      return false;
    });
    return found;
  }
  void ForEach(const KeyRange& range, Visit visit) const override {
    if (!held_.ForEach(range, visit)) lost_ = true;
  }
  Result<mvcc::RangeResult> Range(const mvcc::RangeQuery& query) const override {
    auto result = IsHeld(query.at) ? held_.Range(query) : RangeAt(query);
    if (result) result->current = held_.revision();
    return result;
  }
  Status CheckRevision(Revision at) const override {
    if (at == held_.revision()) return Ok();
    if (at > held_.revision()) return Fail(ErrorCode::kFutureRevision);
    return store_.View().CheckRevision(at);
  }

 private:
  bool IsHeld(Revision at) const { return at.value() <= 0 || at == held_.revision(); }
  // A revision that the client named is not covered by what is held: it is below.
  Result<mvcc::RangeResult> RangeAt(const mvcc::RangeQuery& query) const {
    auto held = store_.Hold(query.at);
    RETURN_IF_ERROR(held);
    return held->Range(query);
  }

  const mvcc::MvccStore& store_;
  const mvcc::HeldView& held_;
  mutable bool lost_ = false;
};

bool NamesRevision(const TxnRequest& request) {
  auto names = [](const RequestOp& op) { return op.request_range().revision() != 0; };
  return std::ranges::any_of(request.success(), names) ||
         std::ranges::any_of(request.failure(), names);
}

Result<rpc::MessageBody> RangeOnce(const ServiceContext& context, const mvcc::RangeQuery& query) {
  auto held = context.state.mvcc().Hold(query.at);
  RETURN_IF_ERROR(held);
  auto result = held->Range(query);
  RETURN_IF_ERROR(result);
  return EncodeRangeResponse(context.header.Fields(result->current), *result);
}

Result<rpc::MessageBody> TxnOnce(const ServiceContext& context, const TxnRequest& request) {
  const mvcc::MvccStore& store = context.state.mvcc();
  auto held = store.Hold();
  RETURN_IF_ERROR(held);
  HeldSource source(store, *held);
  auto response = apply::EvaluateReadOnlyTxn(source, request);
  if (source.lost()) return Fail(ErrorCode::kCompacted);
  RETURN_IF_ERROR(response);
  store.CountTxn(request.compare_size() + (*response)->responses_size());
  context.header.Fill(held->revision(), (*response)->mutable_header());
  return rpc::Encode(**response);
}

Result<rpc::MessageBody> TwiceIfCancelled(bool newest,
                                          absl::FunctionRef<Result<rpc::MessageBody>()> read) {
  Result<rpc::MessageBody> answer = read();
  bool cancelled = newest && !answer && answer.error().code() == ErrorCode::kCompacted;
  return cancelled ? read() : std::move(answer);
}

}  // namespace

Result<rpc::MessageBody> ReadHeldRange(const ServiceContext& context,
                                       const mvcc::RangeQuery& query) {
  return TwiceIfCancelled(query.at.value() <= 0, [&] { return RangeOnce(context, query); });
}

Result<rpc::MessageBody> ReadHeldTxn(const ServiceContext& context, const TxnRequest& request) {
  return TwiceIfCancelled(!NamesRevision(request), [&] { return TxnOnce(context, request); });
}

}  // namespace store::api
