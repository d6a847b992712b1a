// SPDX-License-Identifier: Apache-2.0
// KvService: etcdserverpb.KV. Writes are checked here as far as that needs no state, then go
// through the log; reads wait for their ticket and are answered on the loop, all that a turn may
// answer one after the other, or, above 64 keys, on the range pool. Order of checks of a write:
// quota, static validation, admission, size, then apply (see README.md). Threads: handlers on the
// loops. Owns nothing; the context outlives it. Bounds: each waiting call is in PendingCalls,
// ranges that may be answered are the loop's until its turn ends (what one turn reads of its
// connections); a RangeStream holds one piece at a time.
#pragma once

#include "store/api/put_message.h"
#include "store/api/service_context.h"
#include "store/rpc/call.h"

#include <etcd/rpc.pb.h>

#include <vector>

namespace store::api {

class KvService {
 public:
  explicit KvService(const ServiceContext& context)
      : context_(context), ready_(context.loops.size()) {}
  KvService(const KvService&) = delete;
  KvService& operator=(const KvService&) = delete;

  void Register(rpc::MethodTable& table);

 private:
  using RangeCall = rpc::Call<etcdserverpb::RangeRequest, etcdserverpb::RangeResponse>;
  using PutCall = rpc::Call<PutMessage, etcdserverpb::PutResponse>;
  using DeleteCall = rpc::Call<etcdserverpb::DeleteRangeRequest, etcdserverpb::DeleteRangeResponse>;
  using TxnCall = rpc::Call<etcdserverpb::TxnRequest, etcdserverpb::TxnResponse>;
  using CompactCall = rpc::Call<etcdserverpb::CompactionRequest, etcdserverpb::CompactionResponse>;
  using StreamCall = rpc::Stream<etcdserverpb::RangeRequest, etcdserverpb::RangeStreamResponse>;

  using Ranges = std::vector<RangeCall>;

  void Range(RangeCall call);
  // May be answered now: together with the others of its loop, when the turn ends.
  void AddReady(RangeCall call);
  void AnswerRanges(Ranges& calls) const;
  void AnswerRange(const mvcc::ReadView& view, mvcc::KeyPlace place, RangeCall call) const;
  void Put(PutCall call) const;
  void DeleteRange(DeleteCall call) const;
  void Txn(TxnCall call) const;
  void AnswerReadOnlyTxn(TxnCall call) const;
  void Compact(CompactCall call) const;
  void AnswerCompact(CompactCall call, apply::CallResult result) const;
  void RangeStream(StreamCall stream) const;

  const ServiceContext& context_;
  std::vector<Ranges*> ready_;  // by LoopId, the loop's own; null: none. The posted action's.
};

}  // namespace store::api
