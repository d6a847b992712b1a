// SPDX-License-Identifier: Apache-2.0
// Rules: the differences that are known and right, by the name under which differences.txt lists
// them. A rule turns what the first store said into what the second has to say; without its row it
// does nothing, and a row whose rule had nothing to do fails the run. Threads: one.
#pragma once

#include "etcd/rpc.pb.h"
#include "tests/compat/differential/wire.h"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace compat {

class Rules {
 public:
  Rules() = default;
  // The rows of `path` that are for this release of the first store ("3.4") or for "all"; "self" is
  // a store beside another of its kind. Stops the program with a line if it cannot be read.
  Rules(const std::string& path, std::string_view release);

  bool Has(std::string_view name) const { return used_.contains(std::string(name)); }
  // True, and noted, if the rule is listed and `applies`.
  bool Use(std::string_view name, bool applies);
  std::vector<std::string> Unused() const;

  // Of a unary answer or a keep-alive, ids already mapped.
  void Translate(const google::protobuf::Message& request, Reply& first, Reply& second);

 private:
  void TranslateRange(const etcdserverpb::RangeRequest& request, etcdserverpb::RangeResponse& first,
                      etcdserverpb::RangeResponse& second);
  void TranslateTxn(const etcdserverpb::TxnRequest& request, etcdserverpb::TxnResponse& first,
                    etcdserverpb::TxnResponse& second);
  void TranslateStatus(etcdserverpb::StatusResponse& first, etcdserverpb::StatusResponse& second);
  void TranslateHashKv(const etcdserverpb::HashKVRequest& request, Reply& first, Reply& second);
  void TranslateLease(etcdserverpb::LeaseTimeToLiveResponse& first,
                      etcdserverpb::LeaseTimeToLiveResponse& second);

  bool with_itself_ = false;
  std::set<int64_t> compactions_;  // revisions both stores were compacted at
  std::map<std::string, bool> used_;
};

}  // namespace compat
