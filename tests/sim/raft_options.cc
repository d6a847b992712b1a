// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/raft_options.h"

#include "store/base/random.h"
#include "tests/sim/draw.h"

#include <fmt/format.h>

namespace store::sim {
namespace {

void DrawLimits(Random random, raft::Config* config) {
  config->election_ticks = static_cast<int>(random.Between(5, 20));
  config->heartbeat_ticks = static_cast<int>(random.Between(1, 2));
  config->lease_reads = random.Chance(0.3);
  config->message_bytes_max = OneOf<size_t, 3>(random, {100, 2000, 1 << 20});
  config->inflight_messages_max = OneOf<size_t, 3>(random, {1, 4, 256});
  config->inflight_bytes_max = config->message_bytes_max * OneOf<size_t, 3>(random, {1, 3, 8});
  config->uncommitted_bytes_max = OneOf<size_t, 3>(random, {1000, 50000, 64 << 20});
  config->window_bytes_max = OneOf<size_t, 3>(random, {500, 20000, 64 << 20});
  config->apply_bytes_max = OneOf<size_t, 3>(random, {200, 10000, 4 << 20});
}

}  // namespace

RaftOptions DrawRaftOptions(uint64_t seed) {
  Random root(seed);
  RaftOptions o;
  o.seed = seed;
  Random random = root.Fork("options");
  o.members = OneOf<int, 6>(random, {1, 2, 3, 3, 5, 7});
  DrawLimits(root.Fork("limits"), &o.raft);
  o.clocks.drift_max = OneOf<double, 3>(random, {0, 0.0005, 0.05});
  o.latency_mean = OneOf<Time, 4>(random, {300, 2000, 8000, 20000});
  o.loss = random.Chance(0.5) ? random.Unit() * 0.2 : 0;
  o.duplicate = random.Chance(0.5) ? random.Unit() * 0.1 : 0;
  o.sync_mean = OneOf<Time, 3>(random, {100, 2000, 15000});
  o.disk_stall = random.Chance(0.4) ? random.Unit() * 0.02 : 0;
  o.apply_mean = OneOf<Time, 2>(random, {100, 5000});
  o.flush_every = OneOf<Time, 3>(random, {20000, 500000, 5000000});
  o.keep_entries = OneOf<uint64_t, 3>(random, {0, 5, 200});
  o.propose_every = OneOf<Time, 3>(random, {2000, 20000, 200000});
  o.command_bytes_max = OneOf<uint64_t, 2>(random, {20, 600});
  o.read_every = OneOf<Time, 3>(random, {5000, 40000, 400000});
  o.conf_change_every = Sometimes(random, 0.5, kSecond / 2, 5 * kSecond);
  o.transfer_every = Sometimes(random, 0.4, kSecond / 2, 10 * kSecond);
  o.crash_every = Sometimes(random, 0.6, kSecond / 2, 10 * kSecond);
  o.pause_every = Sometimes(random, 0.5, kSecond / 2, 10 * kSecond);
  o.cut_every = Sometimes(random, 0.6, kSecond / 2, 10 * kSecond);
  o.clog_every = Sometimes(random, 0.4, kSecond / 2, 10 * kSecond);
  o.clocks.DrawChanges(root.Fork("clock rates"));
  return o;
}

std::string ToString(const RaftOptions& o) {
  const raft::Config& r = o.raft;
  return fmt::format(
      "seed {} load {} s members {} election {} heartbeat {} lease {} message {} inflight {}/{} "
      "uncommitted {} window {} apply {} drift {} latency {} us loss {:.3f} duplicate {:.3f} sync "
      "{} "
      "us stall {:.3f} apply {} us flush {} ms keep {} propose {} us bytes {} read {} us conf {} "
      "ms "
      "transfer {} ms crash {} ms pause {} ms cut {} ms clog {} ms rates {} ms wild {}",
      o.seed, o.load_time / kSecond, o.members, r.election_ticks, r.heartbeat_ticks, r.lease_reads,
      r.message_bytes_max, r.inflight_messages_max, r.inflight_bytes_max, r.uncommitted_bytes_max,
      r.window_bytes_max, r.apply_bytes_max, o.clocks.drift_max, o.latency_mean, o.loss,
      o.duplicate, o.sync_mean, o.disk_stall, o.apply_mean, o.flush_every / kMillisecond,
      o.keep_entries, o.propose_every, o.command_bytes_max, o.read_every,
      o.conf_change_every / kMillisecond, o.transfer_every / kMillisecond,
      o.crash_every / kMillisecond, o.pause_every / kMillisecond, o.cut_every / kMillisecond,
      o.clog_every / kMillisecond, o.clocks.change_every / kMillisecond, o.clocks.wild);
}

}  // namespace store::sim
