// SPDX-License-Identifier: Apache-2.0
// Identity: what a store calls itself and the leases it named. Two stores differ in these and in
// nothing else, so requests are written with names of our own ("logical" ids) and replies are
// translated back before they are compared: the store's own cluster id, member id and term become
// kCluster, kMember and kTerm, and only where they are right; anything else stays and is seen.
// Threads: one. Bounds: one entry per lease whose id the store chose.
#pragma once

#include "etcd/rpc.pb.h"

#include <google/protobuf/message.h>

#include <cstdint>
#include <map>

namespace compat {

class Identity {
 public:
  static constexpr uint64_t kCluster = 1;
  static constexpr uint64_t kMember = 2;
  static constexpr uint64_t kTerm = 3;

  void Learn(const etcdserverpb::ResponseHeader& header) { own_ = header; }
  // The store chose `chosen` for the lease that we call `logical`.
  void Bind(int64_t logical, int64_t chosen);
  // Logical lease ids into this store's.
  void MapRequest(google::protobuf::Message& request) const;
  // This store's ids into logical ones.
  void MapReply(google::protobuf::Message& reply) const;

 private:
  etcdserverpb::ResponseHeader own_;
  std::map<int64_t, int64_t> chosen_;   // by logical id
  std::map<int64_t, int64_t> logical_;  // by chosen id
};

}  // namespace compat
