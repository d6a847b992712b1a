// SPDX-License-Identifier: Apache-2.0
// simrun: seeds of the full-stack simulator.
//   simrun --seeds N [--first S]   N seeds from S on (default: from entropy, printed)
//   simrun --seed S                one seed, with its options and what happened
// Options: --time SECONDS of virtual load; --trace prints what happens, --until EVENTS stops there;
// --shrink FILE makes a failing run small and writes what is needed to FILE, --only FILE does only
// that. Ends with 1 at the first seed that breaks a rule; that
// seed replays exactly. Every hundredth seed runs twice and must leave the same trace.
#include "store/base/file.h"
#include "store/base/random.h"
#include "tests/sim/seed_on_abort.h"
#include "tests/sim/shrink.h"
#include "tests/sim/store_counts.h"
#include "tests/sim/store_options.h"
#include "tests/sim/store_run.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <utility>

namespace store::sim {
namespace {

constexpr size_t kShrinkRunsMax = 500;
constexpr uint64_t kLostOneIn = 50;

struct Totals {
  uint64_t events = 0, committed = 0;
  StoreCounts counts;

  void Add(const StoreResult& result) {
    events += result.events;
    committed += result.committed;
    counts.Add(result.counts);
  }
  void Print() const {
    fmt::print("{} events, {} entries committed, {}\n", events, committed, counts.ToText());
  }
};

void PrintProblem(const StoreOptions& options, const StoreResult& result) {
  fmt::print("{}\nafter {} us and {} events: {}\n", ToString(options), result.at, result.events,
             result.problem);
}

bool RunOne(const StoreOptions& options, const StoreRunLimits& limits, bool twice, Totals* totals,
            StoreResult* failed) {
  RememberSeed("simrun: " + ToString(options));
  StoreResult result = RunStore(options, limits);
  if (result.problem.empty() && twice && RunStore(options).trace_hash != result.trace_hash) {
    result.problem = "the same seed gave another trace";
  }
  totals->Add(result);
  if (result.problem.empty()) return true;
  PrintProblem(options, result);
  *failed = std::move(result);
  return false;
}

struct Arguments {
  uint64_t one = 0, seeds = 100, first = 0, until = 0;
  Time seconds = 20;
  bool trace = false;
  std::string only, shrink;  // files of acts
};

int ShrinkInto(const StoreOptions& options, StoreResult failed, const std::string& file) {
  size_t before = failed.acts.size();
  Shrunk small = Shrink(options, std::move(failed), kShrinkRunsMax);
  PrintProblem(options, small.result);
  fmt::print("{} of {} acts are needed, found in {} runs:\n{}", small.result.acts.size(), before,
             small.runs, ActsToText(small.result.acts));
  Status written = ReplaceFile(file, ActsToText(small.result.acts));
  if (!written) fmt::print("{}\n", written.error().ToString());
  return 1;
}

int Run(const Arguments& arguments) {
  Totals totals;
  StoreRunLimits limits{.only = {}, .until = arguments.until, .trace = arguments.trace};
  if (!arguments.only.empty()) {
    auto text = ReadFile(arguments.only);
    if (!text) {
      fmt::print("{}\n", text.error().ToString());
      return 2;
    }
    limits.only = ActsOfText(*text);
  }
  uint64_t first = arguments.first;
  fmt::print("seeds {} to {}, {} s each\n", first, first + arguments.seeds - 1, arguments.seconds);
  std::fflush(stdout);
  for (uint64_t seed = first; seed < first + arguments.seeds; ++seed) {
    StoreOptions options = DrawStoreOptions(seed);
    options.load_time = arguments.seconds * kSecond;
    if (arguments.seeds == 1) fmt::print("{}\n", ToString(options));
    StoreResult failed;
    if (RunOne(options, limits, seed % 100 == 0, &totals, &failed)) continue;
    return arguments.shrink.empty() ? 1 : ShrinkInto(options, std::move(failed), arguments.shrink);
  }
  totals.Print();
  if (arguments.seeds >= 200 && kLostOneIn * totals.counts.lost > arguments.seeds) {
    fmt::print("too many runs in which liveness was not judged\n");
    return 1;
  }
  std::string never = arguments.seeds >= 200 ? totals.counts.NeverSeen() : std::string();
  if (never.empty()) return 0;
  fmt::print("no {} in any seed\n", never);
  return 1;
}

}  // namespace
}  // namespace store::sim

int main(int argc, char** argv) {
  CLI::App app("the whole store under simulated faults");
  store::sim::Arguments arguments;
  CLI::Option* only = app.add_option("--seed", arguments.one, "run this seed alone");
  CLI::Option* from = app.add_option("--first", arguments.first, "first of several seeds");
  app.add_option("--seeds", arguments.seeds, "how many")->excludes(only);
  app.add_option("--time", arguments.seconds, "virtual seconds of load");
  app.add_option("--until", arguments.until, "stop after so many events");
  app.add_flag("--trace", arguments.trace, "print what happens");
  app.add_option("--shrink", arguments.shrink,
                 "leave out what is not needed to fail; the rest goes to this file");
  app.add_option("--only", arguments.only, "do only the acts of this file");
  CLI11_PARSE(app, argc, argv);
  store::sim::PrintSeedOnAbort();
  if (*only) {
    arguments.first = arguments.one;
    arguments.seeds = 1;
  } else if (!*from) {
    arguments.first = store::EntropySeed() >> 16;
  }
  return store::sim::Run(arguments);
}
