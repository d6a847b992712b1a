// SPDX-License-Identifier: Apache-2.0
// Lockstep: sends each step to two stores at once, waits until both have answered, and until every
// watch answer that follows from it is there, and compares all of it. The first store is the one
// that is right. Threads: one, the caller's. Bounds: the answers of one step; the keys are few.
#pragma once

#include "tests/compat/differential/identity.h"
#include "tests/compat/differential/requests.h"
#include "tests/compat/differential/rules.h"
#include "tests/compat/differential/watch_book.h"
#include "tests/compat/differential/wire.h"
#include "tests/compat/differential/world.h"

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace compat {

// What every answer begins with; empty if there is none.
etcdserverpb::ResponseHeader HeaderOf(const google::protobuf::Message& message);

struct LockstepOptions {
  std::array<std::string, 2> endpoints;
  Dialect dialect = Dialect::kNewest;
};

class Lockstep {
 public:
  using Answers = std::vector<std::unique_ptr<etcdserverpb::WatchResponse>>;

  Lockstep(const LockstepOptions& options, Rules& rules);

  // Reads where both stores stand. False if they do not answer or are not equal.
  bool Begin();
  // False when the answers differ; difference() tells how.
  bool Run(const Step& step);
  // What came that nobody owed.
  bool End();

  const World& world() const { return world_; }
  const std::string& difference() const { return difference_; }
  // Requests sent and answers compared, by method.
  const std::map<std::string, size_t>& counts() const { return counts_; }

 private:
  struct Store {
    std::unique_ptr<Wire> wire;
    Identity identity;
    std::unique_ptr<Stream> keep_alive;
    std::unique_ptr<Stream> observer;
    std::array<std::unique_ptr<Stream>, Requests::kWatchStreams> watches;
  };

  bool Differ(std::string what);
  bool Equal(const std::string& what, const Reply& first, const Reply& second);
  Reply AskOne(Store& store, const std::string& method, const google::protobuf::Message& request);
  // Leases and alarms that another run left: the same at both stores, but unknown to this one.
  void ClearAway(Store& store);
  bool Ask(const std::string& method, const google::protobuf::Message& request,
           std::array<Reply, 2>& replies);

  bool MayStillCollect(const google::protobuf::Message& request,
                       const std::array<Reply, 2>& replies);
  bool RunUnary(const Step& step);
  bool RunRangeStream(const Step& step);
  bool RunKeepAlive(const Step& step);
  bool RunWatch(const Step& step);
  bool RunWatchClose(const Step& step);
  bool RunExpire();
  bool CreateWatch(size_t stream, const etcdserverpb::WatchCreateRequest& request);

  // The range again as one answer, from the chunks of a stream.
  bool CollectStream(Stream& stream, Reply& reply);
  void Learn(const Step& step, const Reply& reply);
  // Waits until both observers have seen `revision`, and tells the books what changed.
  bool Follow(int64_t revision);
  bool CheckWatches();
  bool CheckWatch(size_t stream);
  // Until etcd's loop that catches watchers up has passed by all of them.
  void WaitForCatchUp();
  Answers TakeAnswers(Store& store, Stream& stream);
  bool CompareAnswers(const std::string& what, const Answers& first, const Answers& second);

  CallQueue queue_;
  const LockstepOptions options_;
  Rules& rules_;
  std::array<Store, 2> stores_;
  World world_;
  std::array<WatchBook, Requests::kWatchStreams> books_;
  // Of stream i: answers that only the first store gives, by a rule.
  std::array<size_t, Requests::kWatchStreams> more_of_first_{};
  int64_t chosen_leases_ = Requests::kChosenLeases;
  int64_t expiring_leases_ = 500'000'000;
  std::string difference_;
  std::map<std::string, size_t> counts_;
};

}  // namespace compat
