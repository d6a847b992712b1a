// SPDX-License-Identifier: Apache-2.0
// sluice-differential: sends the same seeded requests to two running stores and compares every
// answer. It prints the seed and the options first and stops at the first difference. tests/compat/
// differential/run starts the stores. Exit status: 0 equal, 1 a difference or an unused row, 2
// usage.
#include "tests/compat/differential/lockstep.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <iostream>
#include <string>

namespace {

struct Options {
  std::string first;
  std::string second;
  std::string differences;
  std::string release = "3.4";
  uint64_t seed = 0;
  size_t ops = 5000;
  size_t expire_every = 20000;
  bool trace = false;
  bool brief = false;
};

int Report(const compat::Lockstep& lockstep, const compat::Rules& rules, const Options& options,
           size_t done, bool equal) {
  if (!equal) {
    std::cout << fmt::format("DIFFERENCE at operation {} (seed {}):\n{}\n", done, options.seed,
                             lockstep.difference());
    return 1;
  }
  for (const auto& [method, count] : lockstep.counts()) {
    std::cout << fmt::format("  {:28} {:8}\n", method, count);
  }
  auto unused = rules.Unused();
  for (const std::string& name : unused) {
    std::cout << fmt::format("{}: {} was not seen\n", options.differences, name);
  }
  std::cout << fmt::format("{} operations equal, revision {}, {} unused rows\n", done,
                           lockstep.world().current, unused.size());
  return unused.empty() || options.brief ? 0 : 1;
}

int Run(const Options& options) {
  std::cout << fmt::format("differential --seed {} --ops {} --release {} --expire-every {}\n",
                           options.seed, options.ops, options.release, options.expire_every)
            << std::flush;
  compat::Rules rules;
  if (!options.differences.empty()) rules = compat::Rules(options.differences, options.release);
  compat::Dialect dialect = options.release == "3.7"   ? compat::Dialect::kNewest
                            : options.release == "3.4" ? compat::Dialect::kOld
                                                       : compat::Dialect::kOldWithItself;
  compat::Lockstep lockstep({{options.first, options.second}, dialect}, rules);
  compat::Requests requests(store::Random(options.seed), dialect);
  bool equal = lockstep.Begin();
  size_t done = 0;
  while (equal && done < options.ops) {
    ++done;
    compat::Step step = done % options.expire_every == options.expire_every / 2
                            ? requests.Expire()
                            : requests.Next(lockstep.world());
    if (options.trace && step.request != nullptr) {
      std::cout << fmt::format("{} {} {}\n", done, step.method,
                               step.request->ShortDebugString().substr(0, 500))
                << std::flush;
    }
    equal = lockstep.Run(step);
  }
  equal = equal && lockstep.End();
  return Report(lockstep, rules, options, done, equal);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Compares every answer of two stores to the same random requests.");
  app.add_option("--first", options.first, "the store that is right, host:port")->required();
  app.add_option("--second", options.second, "the store under test, host:port")->required();
  app.add_option("--differences", options.differences, "list of known differences");
  app.add_option("--release", options.release, "of the first store: 3.4, 3.7 or self");
  app.add_option("--seed", options.seed, "0: a new one")->envname("SLUICE_SEED");
  app.add_option("--ops", options.ops, "operations");
  app.add_option("--expire-every", options.expire_every, "operations between two expiries");
  app.add_flag("--brief", options.brief, "too few operations to need every row");
  app.add_flag("--trace", options.trace, "prints each request");
  CLI11_PARSE(app, argc, argv);
  if (options.seed == 0) options.seed = store::EntropySeed() % 1'000'000'000;
  return Run(options);
}
