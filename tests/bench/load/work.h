// SPDX-License-Identifier: Apache-2.0
// What one run of the load generator asks for, what it counts, and the kinds of load. A Work lives
// on one event loop: everything but its constructor is called there. The order is Prepare (until
// `ready`), Begin, Measure(true), Measure(false), Stop (until `idle`); only between the two Measure
// calls is counted. Bounds: a work has at most as many calls in flight as it has clients (or, for
// watch and lease, `window`).
#pragma once

#include "store/base/executor.h"
#include "store/rpc/channel.h"
#include "store/rpc/event_loop.h"
#include "tests/bench/load/latency.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace bench {

struct LoadOptions {
  std::string address;
  std::string work = "put";
  int clients = 1;
  int connections = 1;
  int loops = 1;
  double seconds = 3;
  double warmup = 0.5;
  uint64_t count = 0;  // fill: this many new keys, however long it takes
  uint64_t keys = 20'000;
  uint64_t key_offset = 0;  // fill, watch-many: number of the first key
  size_t value_bytes = 256;
  bool serializable = false;
  int watchers = 1000;
  int streams = 10;
  int leases = 10'000;
  int window = 16;
  int batch = 1;  // watch-many: puts of one transaction; 1: a put each
  uint64_t seed = 1;
  uint64_t rate = 0;             // soak: operations a second; 0: as fast as they are answered
  std::vector<int> server_pids;  // whose CPU time is read, together
};

struct Tally {
  uint64_t operations = 0;
  uint64_t events = 0;
  uint64_t errors = 0;
  std::string first_error;
  Latency latency;
  // soak: the last revision of the history, and HashKV there.
  int64_t replayed = 0;
  uint32_t hash = 0;

  void Fail(const store::rpc::RpcStatus& status) {
    if (errors++ == 0) first_error = status.message;
  }
  void Merge(const Tally& other);
};

class Work {
 public:
  virtual void Prepare(store::Action ready) = 0;
  virtual void Begin() = 0;
  virtual void Measure(bool on) { measuring_ = on; }
  virtual void Stop(store::Action idle) = 0;
  // For a work that ends by itself: until it has.
  virtual void Finish(store::Action idle) { Stop(std::move(idle)); }
  virtual ~Work() = default;

  // After Stop, any thread.
  const Tally& tally() const { return tally_; }

 protected:
  bool measuring_ = false;
  Tally tally_;
};

// The connections of one loop, ready.
using Channels = std::vector<std::unique_ptr<store::rpc::Channel>>;

// `part` of `loops`: each loop has its share of the clients.
struct LoopPlace {
  store::rpc::EventLoop& loop;
  Channels& channels;
  int part;
};
std::unique_ptr<Work> MakeUnaryWork(const LoadOptions& options, LoopPlace place);
std::unique_ptr<Work> MakeWatchWork(const LoadOptions& options, LoopPlace place);
std::unique_ptr<Work> MakeLeaseWork(const LoadOptions& options, LoopPlace place);
std::unique_ptr<Work> MakeSoakWork(const LoadOptions& options, LoopPlace place);

// 32 bytes, in the order of their numbers.
std::string KeyOf(uint64_t number);

}  // namespace bench
