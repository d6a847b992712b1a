// SPDX-License-Identifier: Apache-2.0
// WatchBook: how many answers one watch stream owes, so that the test can wait for exactly these
// at both stores; what they say is left to the comparison. The rules are those of the newest
// release. Threads: one. Bounds: one entry per watcher that was made and not cancelled.
#pragma once

#include "etcd/rpc.pb.h"
#include "tests/compat/differential/world.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace compat {

class WatchBook {
 public:
  struct Due {
    size_t answers = 0;  // created, cancelled, progress
    size_t events = 0;
  };

  enum class Outcome : uint8_t { kMade, kCompacted, kRefused };

  // What a create request leads to.
  Outcome OnCreate(const etcdserverpb::WatchCreateRequest& request, const World& world);
  // `id` is what the created answer said; only after kMade and kCompacted.
  void Register(int64_t id, const etcdserverpb::WatchCreateRequest& request, Outcome outcome,
                const World& world);
  void OnCancel(int64_t id);
  // Whether it is answered.
  bool OnProgress(const World& world);
  // One more answer than the rules say.
  void Owe() { ++due_.answers; }
  void OnChange(const Change& change);

  const Due& due() const { return due_; }
  void Settled() { due_ = {}; }
  // A watcher of the past that owes nothing: nobody can tell when the store has caught up with it.
  bool has_silent_catch_up() const { return silent_catch_up_; }
  void CaughtUp() { silent_catch_up_ = false; }

 private:
  struct Watcher {
    std::string key;
    std::string end;
    int64_t start = 0;  // the first revision it can see
    int64_t asked = 0;  // as in the request
    bool no_put = false;
    bool no_delete = false;
    bool compacted = false;
  };

  static bool Matches(const Watcher& watcher, const Change& change);

  std::map<int64_t, Watcher> watchers_;
  Due due_;
  bool silent_catch_up_ = false;
};

}  // namespace compat
