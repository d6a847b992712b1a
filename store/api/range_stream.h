// SPDX-License-Identifier: Apache-2.0
// RangeStreamCall: one KV.RangeStream under way. Pieces are read on the range pool, one at a time,
// at the revision the first one fixed, and written on the call's loop; the next is read when the
// transport has room again. Pieces begin small, so that the first keys arrive early, and grow to
// about max-request-bytes. Lives as long as the callbacks of its stream or its entry in
// PendingCalls. Bounded: one piece.
#pragma once

#include "store/api/service_context.h"
#include "store/mvcc/read_view.h"

#include <etcd/rpc.pb.h>

#include <memory>

namespace store::api {

class RangeStreamCall : public std::enable_shared_from_this<RangeStreamCall> {
 public:
  using Stream = rpc::Stream<etcdserverpb::RangeRequest, etcdserverpb::RangeStreamResponse>;

  RangeStreamCall(const ServiceContext& context, Stream stream)
      : context_(context), stream_(std::move(stream)) {}

  // The first message; the read may wait for its ticket.
  void Start(etcdserverpb::RangeRequest request);
  // The server stops: only a read that has begun goes on.
  void Stop();

 private:
  // What the pool works on; it must not hold the call, whose last handle has to go on its loop.
  struct Pieces {
    mvcc::RangeStream range;
    size_t bytes = 0;
    bool last = false;
    Result<rpc::MessageBody> Next(const ServiceContext& context);
  };

  void Open();
  void ReadNext();
  void OnPiece(Result<rpc::MessageBody> piece);

  const ServiceContext& context_;
  Stream stream_;
  etcdserverpb::RangeRequest request_;
  std::shared_ptr<Pieces> pieces_;
  CallHandle waiting_;
  bool started_ = false;
  bool write_blocked_ = false;
};

}  // namespace store::api
