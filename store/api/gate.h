// SPDX-License-Identifier: Apache-2.0
// What stands before every call and on every answer. Gate is the interceptor of the MethodTable:
// what a learner serves, client API version, then `hasleader`. HeaderSource fills response headers
// from the member's identity and the gauges that the replica publishes. Any thread. Bounds: the
// gate remembers eight client versions without a lock; further ones take the metric family's mutex
// and its limit of rows.
#pragma once

#include "store/api/wire.h"
#include "store/apply/state_view.h"
#include "store/base/ids.h"
#include "store/base/metrics.h"
#include "store/replica/gauges.h"
#include "store/rpc/call.h"

#include <etcd/rpc.pb.h>

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace store::api {

struct ServerIdentity {
  ClusterId cluster;
  uint64_t member = 0;
};

class HeaderSource {
 public:
  HeaderSource(const ServerIdentity& identity, const replica::RaftGauges& gauges)
      : identity_(identity), gauges_(gauges) {}

  const ServerIdentity& identity() const { return identity_; }
  HeaderFields Fields(Revision revision) const {
    return {identity_.cluster.value(), identity_.member, revision,
            gauges_.term.load(std::memory_order_relaxed)};
  }
  void Fill(Revision revision, etcdserverpb::ResponseHeader* header) const;

 private:
  const ServerIdentity identity_;
  const replica::RaftGauges& gauges_;
};

// A member of the list that may lead; of this one's own learner state the gauges tell.
bool IsVoter(const apply::StateView& state, uint64_t member);

// The value of metadata `hasleader` is the word true.
bool WantsLeader(const rpc::CallInfo& info);

class Gate {
 public:
  Gate(const replica::RaftGauges& gauges, Registry& registry);
  ~Gate();

  // A status ends the call before its handler.
  std::optional<rpc::RpcStatus> Check(const rpc::CallInfo& info) const;
  // What Check leaves open at a learner: only its request tells whether a Range is served there,
  // and that comes first.
  std::optional<rpc::RpcStatus> CheckRange(const rpc::CallInfo& info, bool serializable) const;

 private:
  struct Row {
    std::string version;
    Counter* unary = nullptr;
    Counter* stream = nullptr;
  };
  std::optional<rpc::RpcStatus> CheckMetadata(const rpc::CallInfo& info) const;
  void Count(std::string_view version, bool stream) const;
  const Row* FindRow(std::string_view version) const;

  const replica::RaftGauges& gauges_;
  MetricFamily<Counter>& requests_;
  mutable Mutex mutex_;  // writers of rows_
  mutable std::array<std::atomic<const Row*>, 8> rows_{};
};

bool IsValidUtf8(std::string_view text);

}  // namespace store::api
