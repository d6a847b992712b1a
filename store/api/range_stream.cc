// SPDX-License-Identifier: Apache-2.0
#include "store/api/range_stream.h"

#include "store/api/validate.h"
#include "store/apply/convert.h"

#include <algorithm>
#include <utility>

namespace store::api {
namespace {

constexpr size_t kFirstPieceBytes = 16 << 10;

}  // namespace

void RangeStreamCall::Start(etcdserverpb::RangeRequest request) {
  if (std::exchange(started_, true)) return;
  if (Status valid = CheckRangeStream(request); !valid) {
    return stream_.Finish(StatusOf(valid.error()));
  }
  request_ = std::move(request);
  auto self = shared_from_this();
  PendingCalls& pending = context_.At(stream_.info().loop);
  stream_.OnCancel([self, &pending] { pending.Drop(self->waiting_); });
  stream_.OnDrained([self] {
    if (std::exchange(self->write_blocked_, false)) self->ReadNext();
  });
  if (request_.serializable()) return Open();
  waiting_ = pending.Read([self](ErrorCode code) {
    self->waiting_ = {};
    if (code != ErrorCode::kOk) return self->stream_.Finish(StatusOf(code));
    self->Open();
  });
}

void RangeStreamCall::Stop() {
  if (!started_) stream_.Finish(StatusOf(ErrorCode::kStopped));
}

void RangeStreamCall::Open() {
  auto held = context_.state.mvcc().Hold(Revision(request_.revision()));
  if (!held) return stream_.Finish(StatusOf(held.error()));
  mvcc::RangeStream range(std::move(*held), apply::ToQuery(request_));
  pieces_ = std::make_shared<Pieces>(Pieces{std::move(range), kFirstPieceBytes, false});
  ReadNext();
}

void RangeStreamCall::ReadNext() {
  PendingCalls& pending = context_.At(stream_.info().loop);
  waiting_ = pending.StartWork([self = shared_from_this()](Result<rpc::MessageBody> piece) {
    self->waiting_ = {};
    self->OnPiece(std::move(piece));
  });
  if (!waiting_) return;
  auto read = [&context = context_, &pending, pieces = pieces_, id = waiting_.id] {
    pending.FinishWork(id, pieces->Next(context));
  };
  if (context_.range_pool(std::move(read))) return;
  pending.FinishWork(waiting_.id, Fail(ErrorCode::kTooManyRequests));
}

Result<rpc::MessageBody> RangeStreamCall::Pieces::Next(const ServiceContext& context) {
  auto chunk = range.Next(bytes);
  RETURN_IF_ERROR(chunk);
  last = chunk->last;
  bytes = std::min(bytes * 2, context.limits.request_bytes_max);
  return EncodeRangePiece(*chunk, context.header.Fields(chunk->current));
}

void RangeStreamCall::OnPiece(Result<rpc::MessageBody> piece) {
  if (!piece) return stream_.Finish(StatusOf(piece.error()));
  bool last = pieces_->last;
  bool room = stream_.Write(std::move(*piece));
  if (last) return stream_.Finish();
  if (room) return ReadNext();
  write_blocked_ = true;
}

}  // namespace store::api
