// SPDX-License-Identifier: Apache-2.0
// Between the messages of the API and the key space: shared by apply (operations of a Txn) and by
// the edge (reads that never enter the log). Values are copied once, into the message; protobuf
// forces that much. Free functions, any thread.
#pragma once

#include "store/base/ids.h"
#include "store/base/key_range.h"
#include "store/mvcc/event.h"
#include "store/mvcc/range.h"

#include <etcd/rpc.pb.h>

namespace store::apply {

void ToProto(const mvcc::KeyValue& from, mvccpb::KeyValue* to);

// All options; an unknown order or target (refused at the edge) means none.
mvcc::RangeQuery ToQuery(const etcdserverpb::RangeRequest& request);

// Everything but the header.
void ToProto(const mvcc::RangeResult& from, etcdserverpb::RangeResponse* to);

template <class Request>
  requires requires(const Request& request) {
    request.key();
    request.range_end();
  }
KeyRange RangeOf(const Request& request) {
  return KeyRange::FromRequest(request.key(), request.range_end());
}

}  // namespace store::apply
