// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/store_options.h"

#include "store/base/random.h"
#include "tests/sim/draw.h"

#include <fmt/format.h>

namespace store::sim {
namespace {

using std::chrono::milliseconds;

void DrawRaft(Random random, raft::Config* config) {
  config->election_ticks = static_cast<int>(random.Between(5, 15));
  config->heartbeat_ticks = 1;
  config->message_bytes_max = OneOf<size_t, 3>(random, {100, 2000, 1 << 20});
  config->inflight_messages_max = OneOf<size_t, 3>(random, {1, 4, 256});
  config->inflight_bytes_max = config->message_bytes_max * OneOf<size_t, 3>(random, {1, 3, 8});
  config->uncommitted_bytes_max = OneOf<size_t, 3>(random, {2000, 50000, 64 << 20});
  config->window_bytes_max = OneOf<size_t, 3>(random, {500, 20000, 64 << 20});
  config->apply_bytes_max = OneOf<size_t, 3>(random, {500, 10000, 4 << 20});
}

void DrawLimits(Random random, StoreOptions* o) {
  o->replica.proposals.apply_lag_entries = OneOf<size_t, 3>(random, {20, 5000, 5000});
  o->replica.read_retry = OneOf<Duration, 2>(random, {milliseconds(100), milliseconds(500)});
  o->replica.leases.ids_per_entry = OneOf<size_t, 2>(random, {1, 64});
  o->replica.leases.revoke_entries_in_flight = OneOf<size_t, 2>(random, {1, 16});
  o->apply.batch_entries_max = OneOf<size_t, 3>(random, {1, 7, 1000});
  o->apply.batch_bytes_max = OneOf<size_t, 2>(random, {200, 1 << 20});
  o->watch.queue_bytes_max = OneOf<size_t, 3>(random, {1000, 20000, 64 << 20});
  o->watch.slice_revisions_max = OneOf<size_t, 3>(random, {1, 10, 1000});
  o->watch.slice_bytes_max = OneOf<size_t, 2>(random, {300, 512 << 10});
  o->watch.fragment_bytes_max = OneOf<size_t, 2>(random, {200, 2 << 20});
  o->watch.progress_interval = OneOf<Duration, 2>(random, {milliseconds(500), milliseconds(5000)});
  o->pending_calls_max = OneOf<size_t, 3>(random, {10, 20000, 20000});
  o->request_timeout = OneOf<Duration, 2>(random, {milliseconds(1500), milliseconds(7000)});
  o->replica.leases.checkpoint_interval = OneOf<Duration, 4>(
      random, {milliseconds(0), milliseconds(0), milliseconds(300), milliseconds(1500)});
  o->watch.kept_bytes_max = OneOf<size_t, 3>(random, {0, 500, 256 << 10});
}

void DrawSnapshots(Random random, StoreOptions* o) {
  // Mostly a log so short that who was away needs a snapshot.
  o->replica.retention.entries = OneOf<uint64_t, 5>(random, {0, 5, 20, 100, 5000});
  o->replica.retention.bytes = OneOf<uint64_t, 3>(random, {500, 2000, 64 << 20});
  o->replica.retention.step_entries = OneOf<uint64_t, 2>(random, {1, 10});
  o->replica.retention.snapshot_bytes = OneOf<uint64_t, 3>(random, {1000, 100000, 256 << 20});
  replica::SnapshotLimits& limits = o->replica.snapshots;
  limits.sends_max = random.Between(1, 2);
  limits.retry_min = OneOf<Duration, 2>(random, {milliseconds(20), milliseconds(300)});
  limits.retry_max = OneOf<Duration, 2>(random, {milliseconds(300), milliseconds(2000)});
  limits.install_max = OneOf<Duration, 2>(random, {milliseconds(200), milliseconds(600000)});
  o->snapshots.part_bytes = OneOf<size_t, 3>(random, {100, 2000, 1 << 20});
  o->snapshots.window_parts = OneOf<size_t, 2>(random, {1, 5});
  o->snapshots.stall = OneOf<Time, 2>(random, {500 * kMillisecond, 3 * kSecond});
  o->snapshots.damage = random.Chance(0.3) ? random.Unit() * 0.1 : 0;
  o->snapshots.broken = random.Chance(0.3) ? random.Unit() * 0.1 : 0;
  o->snapshots.crash = random.Chance(0.3) ? random.Unit() * 0.5 : 0;
}

void DrawSpeeds(Random& random, StoreOptions* o) {
  o->turn_mean = OneOf<Time, 3>(random, {10, 100, 2000});
  o->sync_mean = OneOf<Time, 3>(random, {100, 2000, 15000});
  o->apply_mean = OneOf<Time, 3>(random, {100, 1000, 8000});
}

void DrawHost(Random random, StoreOptions* o) {
  o->loops = static_cast<int>(random.Between(1, 2));
  o->tick = OneOf<Time, 2>(random, {10 * kMillisecond, 50 * kMillisecond});
  o->clocks.drift_max = OneOf<double, 3>(random, {0, 0.0005, 0.05});
  o->turn_mean = OneOf<Time, 3>(random, {10, 100, 2000});
  o->sync_mean = OneOf<Time, 3>(random, {100, 2000, 15000});
  o->disk_stall = random.Chance(0.4) ? random.Unit() * 0.02 : 0;
  o->apply_mean = OneOf<Time, 3>(random, {100, 1000, 8000});
  o->slice_entries_max = OneOf<uint64_t, 3>(random, {1, 10, 100});
  o->flush_every = OneOf<Time, 3>(random, {50000, 500000, 5000000});
  o->collect_every = OneOf<Time, 2>(random, {20000, 500000});
  o->refuse = random.Chance(0.3) ? 0.05 : 0;
  o->buggify = random.Chance(0.5) ? 0.05 : 0;
}

void DrawNetwork(Random random, NetworkOptions* network) {
  network->latency_min = 200;
  network->latency_mean = OneOf<Time, 4>(random, {300, 2000, 8000, 20000});
  network->loss = random.Chance(0.5) ? random.Unit() * 0.2 : 0;
  network->duplicate = random.Chance(0.5) ? random.Unit() * 0.1 : 0;
}

void DrawLoad(Random random, StoreOptions* o) {
  o->put_every = OneOf<Time, 3>(random, {5000, 20000, 100000});
  o->range_every = OneOf<Time, 3>(random, {5000, 20000, 100000});
  o->delete_every = Sometimes(random, 0.7, 20000, 200000);
  o->txn_every = Sometimes(random, 0.7, 10000, 100000);
  o->lease_every = Sometimes(random, 0.6, 200000, 2 * kSecond);
  o->keep_alive_every = Sometimes(random, 0.8, 50000, 500000);
  o->watch_every = Sometimes(random, 0.7, 100000, 2 * kSecond);
  o->compact_every = Sometimes(random, 0.6, 300000, 4 * kSecond);
  o->hash_every = Sometimes(random, 0.5, 200000, 2 * kSecond);
  o->keys = OneOf<uint64_t, 3>(random, {2, 10, 150});
  o->value_bytes_max = OneOf<uint64_t, 2>(random, {10, 300});
  o->watches_max = random.Between(1, 10);
  o->slow_readers = random.Chance(0.5);
}

void DrawFaults(Random random, StoreOptions* o) {
  o->crash_every = Sometimes(random, 0.6, kSecond / 2, 10 * kSecond);
  o->crash_all_every = Sometimes(random, 0.2, 5 * kSecond, 15 * kSecond);
  o->pause_every = Sometimes(random, 0.5, kSecond / 2, 10 * kSecond);
  o->cut_every = Sometimes(random, 0.6, kSecond / 2, 10 * kSecond);
  o->clog_every = Sometimes(random, 0.4, kSecond / 2, 10 * kSecond);
  o->full_every = Sometimes(random, 0.25, kSecond, 10 * kSecond);
  o->wall_jump_every = Sometimes(random, 0.3, kSecond, 5 * kSecond);
}

void DrawOperators(Random random, StoreOptions* o) {
  bool any = random.Chance(0.5);
  o->move_every = Sometimes(random, 0.4, kSecond / 2, 5 * kSecond);
  o->replica.membership.strict = random.Chance(0.8);
  o->replica.membership.healthy_after =
      OneOf<Duration, 3>(random, {milliseconds(0), milliseconds(200), milliseconds(1000)});
  o->replica.membership.waiting_max = OneOf<size_t, 2>(random, {1, 64});
  const Time add = Sometimes(random, 0.9, kSecond / 2, 4 * kSecond);
  const Time remove = Sometimes(random, 0.8, kSecond / 2, 6 * kSecond);
  const Time promote = Sometimes(random, 0.8, kSecond / 4, 2 * kSecond);
  const Time update = Sometimes(random, 0.5, kSecond / 2, 4 * kSecond);
  const Time wipe = Sometimes(random, 0.4, 2 * kSecond, 8 * kSecond);
  if (!any) return;
  o->add_every = add;
  o->remove_every = remove;
  o->promote_every = promote;
  o->update_every = update;
  o->wipe_every = wipe;
}

// From a stream of its own, so that what was drawn before stays what it was.
void DrawMore(Random random, StoreOptions* o) {
  o->txn_ops_max = OneOf<uint64_t, 3>(random, {3, 3, 25});
  o->txn_depth_max = static_cast<int>(random.Below(3));
  o->stream_every = Sometimes(random, 0.5, 10000, 200000);
  o->stop_every = Sometimes(random, 0.3, kSecond / 2, 10 * kSecond);
  o->uneven = random.Chance(0.3);
  if (random.Chance(0.1)) o->value_bytes_max = 3000;
}

// A few megabytes in a few minutes: small parts over a slow link need a window, or the log is cut
// again and again before a snapshot is there.
void LetSnapshotsPass(StoreOptions* o) {
  constexpr size_t kBytesPerSecond = 50'000;
  const auto round_trip = static_cast<size_t>(2 * o->network.latency_mean);
  const size_t window = round_trip * kBytesPerSecond / kSecond;
  o->snapshots.window_parts = std::max(o->snapshots.window_parts, window / o->snapshots.part_bytes);
}

std::string Ms(Time time) {
  return time == 0 ? std::string("-") : fmt::format("{}ms", time / kMillisecond);
}

}  // namespace

StoreOptions DrawStoreOptions(uint64_t seed) {
  Random root(seed);
  StoreOptions o;
  o.seed = seed;
  Random random = root.Fork("options");
  o.members = OneOf<int, 6>(random, {1, 2, 3, 3, 3, 5});
  DrawRaft(root.Fork("raft limits"), &o.replica.raft);
  DrawLimits(root.Fork("limits"), &o);
  DrawSnapshots(root.Fork("snapshots"), &o);
  DrawHost(root.Fork("host"), &o);
  DrawNetwork(root.Fork("links"), &o.network);
  DrawLoad(root.Fork("load options"), &o);
  DrawOperators(root.Fork("operators"), &o);
  DrawFaults(root.Fork("faults"), &o);
  o.clocks.DrawChanges(root.Fork("clock rates"));
  DrawMore(root.Fork("more"), &o);
  LetSnapshotsPass(&o);
  // As the server's flags relate them.
  o.replica.election_timeout = std::chrono::microseconds(o.tick * o.replica.raft.election_ticks);
  return o;
}

StoreOptions OptionsAt(const StoreOptions& options, raft::NodeId node) {
  StoreOptions own = options;
  Random random = Random(options.seed).Fork(fmt::format("speeds of {}", node));
  if (options.uneven) DrawSpeeds(random, &own);
  return own;
}

std::string ToString(const StoreOptions& o) {
  const raft::Config& r = o.replica.raft;
  std::string text = fmt::format(
      "seed {} load {}s members {} loops {} tick {} election {} message {} inflight {}/{} "
      "uncommitted {} window {} apply {} drift {}",
      o.seed, o.load_time / kSecond, o.members, o.loops, Ms(o.tick), r.election_ticks,
      r.message_bytes_max, r.inflight_messages_max, r.inflight_bytes_max, r.uncommitted_bytes_max,
      r.window_bytes_max, r.apply_bytes_max, o.clocks.drift_max);
  text += fmt::format(
      " latency {}us loss {:.3f} duplicate {:.3f} turn {}us sync {}us stall {:.3f} slice {}us/{} "
      "flush {} collect {} refuse {} buggify {}",
      o.network.latency_mean, o.network.loss, o.network.duplicate, o.turn_mean, o.sync_mean,
      o.disk_stall, o.apply_mean, o.slice_entries_max, Ms(o.flush_every), Ms(o.collect_every),
      o.refuse, o.buggify);
  text += fmt::format(
      " lag {} retention {}/{} batch {}/{} hub {} kept {} catch-up {}/{} fragment {} calls {} "
      "timeout {}ms checkpoints {}ms",
      o.replica.proposals.apply_lag_entries, o.replica.retention.entries, o.replica.retention.bytes,
      o.apply.batch_entries_max, o.apply.batch_bytes_max, o.watch.queue_bytes_max,
      o.watch.kept_bytes_max, o.watch.slice_revisions_max, o.watch.slice_bytes_max,
      o.watch.fragment_bytes_max, o.pending_calls_max,
      o.request_timeout / std::chrono::milliseconds(1),
      o.replica.leases.checkpoint_interval / std::chrono::milliseconds(1));
  const replica::SnapshotLimits& s = o.replica.snapshots;
  text += fmt::format(
      " snapshots {} retry {}/{}ms install {}ms kept {} part {}/{} stall {} damage {:.3f} broken "
      "{:.3f} crash {:.3f}",
      s.sends_max, s.retry_min / milliseconds(1), s.retry_max / milliseconds(1),
      s.install_max / milliseconds(1), o.replica.retention.snapshot_bytes, o.snapshots.part_bytes,
      o.snapshots.window_parts, Ms(o.snapshots.stall), o.snapshots.damage, o.snapshots.broken,
      o.snapshots.crash);
  text += fmt::format(
      " put {} delete {} range {} txn {} lease {} keep-alive {} watch {} ({}, slow {}) compact {} "
      "hash {} keys {} value {}",
      Ms(o.put_every), Ms(o.delete_every), Ms(o.range_every), Ms(o.txn_every), Ms(o.lease_every),
      Ms(o.keep_alive_every), Ms(o.watch_every), o.watches_max, o.slow_readers, Ms(o.compact_every),
      Ms(o.hash_every), o.keys, o.value_bytes_max);
  text += fmt::format(
      " add {} remove {} promote {} update {} move {} wipe {} strict {} healthy {}ms changes {}",
      Ms(o.add_every), Ms(o.remove_every), Ms(o.promote_every), Ms(o.update_every),
      Ms(o.move_every), Ms(o.wipe_every), o.replica.membership.strict,
      o.replica.membership.healthy_after / milliseconds(1), o.replica.membership.waiting_max);
  text += fmt::format(
      " crash {} power {} pause {} cut {} clog {} full {} wall {} rates {} wild {} stop {} txn "
      "{}/{} "
      "stream {} uneven {}",
      Ms(o.crash_every), Ms(o.crash_all_every), Ms(o.pause_every), Ms(o.cut_every),
      Ms(o.clog_every), Ms(o.full_every), Ms(o.wall_jump_every), Ms(o.clocks.change_every),
      o.clocks.wild, Ms(o.stop_every), o.txn_ops_max, o.txn_depth_max, Ms(o.stream_every),
      o.uneven);
  return text;
}

}  // namespace store::sim
