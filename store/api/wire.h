// SPDX-License-Identifier: Apache-2.0
// Hand-written protobuf encoding of the answers that carry keys and values: RangeResponse, its
// streamed pieces, and WatchResponse. Two passes, size and bytes, into one allocation of the exact
// size; values are copied once, from the engine's bytes to the answer. The bytes equal those of the
// generated code, which tests compare. The events of a watch batch are encoded once and shared by
// all watchers; only the prefix (header and watch id) is made for each. Pure functions, any thread.
#pragma once

#include "store/base/bytes.h"
#include "store/base/ids.h"
#include "store/mvcc/event.h"
#include "store/mvcc/range.h"
#include "store/mvcc/read_view.h"
#include "store/rpc/call.h"
#include "store/watch/watch_hub.h"

#include <cstdint>
#include <vector>

namespace store::api {

// etcdserverpb.ResponseHeader.
struct HeaderFields {
  uint64_t cluster = 0;
  uint64_t member = 0;
  Revision revision;
  uint64_t term = 0;
};

// A response with nothing but its header; `header` is field 1 of every response message.
rpc::MessageBody EncodeHeaderOnly(const HeaderFields& header);

rpc::MessageBody EncodeRangeResponse(const HeaderFields& header, const mvcc::RangeResult& result);

// One RangeStreamResponse. Only the last piece has header, count and more.
rpc::MessageBody EncodeRangePiece(const mvcc::RangeChunk& chunk, const HeaderFields& header);

// The `events` part of a WatchResponse, as many fields as there are events (the hub's Encoder).
SharedBytes EncodeWatchEvents(const std::vector<watch::WatchEvent>& events);
// The whole WatchResponse; the events are shared, not copied.
rpc::MessageBody EncodeWatchResponse(const HeaderFields& header,
                                     const watch::WatchResponse& response);

}  // namespace store::api
