// SPDX-License-Identifier: Apache-2.0
// raftsim: seeds of the raft simulator.
//   raftsim --seeds N [--first S]     N seeds from S on (default: from the clock's entropy,
//   printed) raftsim --seed S                  one seed, with its options and what happened
// Options: --time SECONDS of virtual load (60). Ends with 1 at the first seed that breaks a rule;
// that seed replays exactly. Every hundredth seed runs twice and must give the same trace.
#include "store/base/random.h"
#include "tests/sim/raft_options.h"
#include "tests/sim/raft_run.h"
#include "tests/sim/seed_on_abort.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>

namespace store::sim {
namespace {

struct Totals {
  uint64_t events = 0, committed = 0;
  RaftCounts counts;

  void Add(const RaftResult& result) {
    events += result.events;
    committed += result.committed;
    counts.crashes += result.counts.crashes;
    counts.torn += result.counts.torn;
    counts.pauses += result.counts.pauses;
    counts.cuts += result.counts.cuts;
    counts.halves += result.counts.halves;
    counts.bridges += result.counts.bridges;
    counts.clogs += result.counts.clogs;
    counts.rates += result.counts.rates;
    counts.proposed += result.counts.proposed;
    counts.grants += result.counts.grants;
    counts.lease_reads += result.counts.lease_reads;
    counts.conf_changes += result.counts.conf_changes;
    counts.transfers += result.counts.transfers;
    counts.restores += result.counts.restores;
    counts.fetches += result.counts.fetches;
    counts.elections += result.counts.elections;
  }
  void Print() const {
    fmt::print(
        "{} events, {} entries committed of {} proposals, {} elections; {} crashes ({} torn), {} "
        "pauses, {} cuts ({} in halves, {} with a bridge), {} clogs, {} clock rates, {} member "
        "changes, {} transfers, {} snapshots "
        "installed, {} "
        "fetches; {} reads granted, {} under a lease\n",
        events, committed, counts.proposed, counts.elections, counts.crashes, counts.torn,
        counts.pauses, counts.cuts, counts.halves, counts.bridges, counts.clogs, counts.rates,
        counts.conf_changes, counts.transfers, counts.restores, counts.fetches, counts.grants,
        counts.lease_reads);
  }
  // A fault that was never injected proves nothing.
  std::string NeverSeen() const {
    const RaftCounts& c = counts;
    for (auto [count, name] : {std::pair{c.crashes, "crash"},
                               {c.torn, "torn unit"},
                               {c.pauses, "pause"},
                               {c.cuts, "cut"},
                               {c.halves, "cut into halves"},
                               {c.bridges, "cut with a bridge"},
                               {c.clogs, "clog"},
                               {c.rates, "change of a clock's rate"},
                               {c.conf_changes, "member change"},
                               {c.transfers, "transfer"},
                               {c.restores, "snapshot"},
                               {c.fetches, "fetch"},
                               {c.grants, "read"},
                               {c.lease_reads, "lease read"}}) {
      if (count == 0) return name;
    }
    return {};
  }
};

bool RunOne(const RaftOptions& options, bool twice, Totals* totals) {
  RememberSeed("raftsim: " + ToString(options));
  RaftResult result = RunRaft(options);
  if (result.problem.empty() && twice && RunRaft(options).trace_hash != result.trace_hash) {
    result.problem = "the same seed gave another trace";
  }
  totals->Add(result);
  if (result.problem.empty()) return true;
  fmt::print("{}\nafter {} us and {} events: {}\n", ToString(options), result.at, result.events,
             result.problem);
  return false;
}

int Run(uint64_t first, uint64_t seeds, Time load_time, bool verbose) {
  Totals totals;
  fmt::print("seeds {} to {}, {} s each\n", first, first + seeds - 1, load_time / kSecond);
  std::fflush(stdout);
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    RaftOptions options = DrawRaftOptions(seed);
    options.load_time = load_time;
    if (verbose) fmt::print("{}\n", ToString(options));
    if (!RunOne(options, seed % 100 == 0, &totals)) return 1;
  }
  totals.Print();
  std::string never = seeds >= 200 ? totals.NeverSeen() : std::string();
  if (never.empty()) return 0;
  fmt::print("no {} in any seed\n", never);
  return 1;
}

}  // namespace
}  // namespace store::sim

int main(int argc, char** argv) {
  CLI::App app("the raft core under simulated faults");
  uint64_t one = 0, seeds = 100, first = 0;
  store::sim::Time seconds = 60;
  CLI::Option* only = app.add_option("--seed", one, "run this seed alone");
  CLI::Option* from = app.add_option("--first", first, "first of several seeds");
  app.add_option("--seeds", seeds, "how many")->excludes(only);
  app.add_option("--time", seconds, "virtual seconds of load");
  CLI11_PARSE(app, argc, argv);
  store::sim::PrintSeedOnAbort();
  if (*only) {
    first = one;
    seeds = 1;
  } else if (!*from) {
    first = store::EntropySeed() >> 16;
  }
  return store::sim::Run(first, seeds, seconds * store::sim::kSecond, static_cast<bool>(*only));
}
