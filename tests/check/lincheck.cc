// SPDX-License-Identifier: Apache-2.0
// lincheck: judges a recorded history. Exit code 0: everything holds; 1: something does not, or the
// history is too small to count; 2: it cannot be read.
#include "tests/check/history.h"
#include "tests/check/lease_rules.h"
#include "tests/check/revision_order.h"
#include "tests/check/watch_rules.h"
#include "tests/check/wing_gong.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace store::check {
namespace {

struct Options {
  std::string file;
  int64_t answers_min = 1;
  double grace_seconds = 0;
  Time end = 0;
  bool search = false;
};

bool Print(const char* what, const std::vector<Problem>& problems) {
  for (const Problem& problem : problems) {
    fmt::print("{}: {}: {}\n", what, problem.rule, problem.text);
  }
  return problems.empty();
}

bool PrintSearch(const History& history) {
  State initial;
  initial.revision = history.base;
  const WingGongResult result = WingGong(history.operations, initial);
  fmt::print("search: {} after {} steps {}\n",
             result.verdict == Verdict::kLinearizable      ? "an order"
             : result.verdict == Verdict::kNotLinearizable ? "no order"
                                                           : "unknown",
             result.steps, result.text);
  return result.verdict == Verdict::kLinearizable;
}

int Judge(const Options& options) {
  std::ifstream file(options.file);
  if (!file) {
    fmt::print(stderr, "{}: cannot be opened\n", options.file);
    return 2;
  }
  const Result<History> history = Read(file);
  if (!history) {
    fmt::print(stderr, "{}: {}\n", options.file, history.error().ToString());
    return 2;
  }
  const auto count = [&](Outcome outcome) {
    return std::count_if(history->operations.begin(), history->operations.end(),
                         [&](const Operation& o) { return o.outcome == outcome; });
  };
  fmt::print("{} operations: {} answered, {} refused, {} unknown; {} commits, {} watches\n",
             history->operations.size(), count(Outcome::kOk), count(Outcome::kFailed),
             count(Outcome::kUnknown), history->commits.size(), history->watches.size());
  LeaseOptions leases;
  leases.grace = static_cast<Time>(options.grace_seconds * 1e9);
  leases.end = options.end;
  bool holds = Print("order", CheckRevisionOrder(*history));
  holds = Print("watch", CheckWatches(*history)) && holds;
  holds = Print("lease", CheckLeases(*history, leases)) && holds;
  holds = (!options.search || PrintSearch(*history)) && holds;
  if (count(Outcome::kOk) < options.answers_min) {
    fmt::print("fewer than {} answers: the run does not count\n", options.answers_min);
    holds = false;
  }
  fmt::print("{}\n", holds ? "ok" : "FAILED");
  return holds ? 0 : 1;
}

}  // namespace
}  // namespace store::check

int main(int argc, char** argv) {
  CLI::App app("Judges a recorded history (tests/check/README.md)");
  store::check::Options options;
  app.add_option("history", options.file, "file of one record a line")->required();
  app.add_option("--answers-min", options.answers_min, "fewer do not count");
  app.add_option("--grace", options.grace_seconds, "seconds a lease may end late");
  app.add_option("--end", options.end, "quiet and seen until this time: leases must have ended");
  app.add_flag("--search", options.search, "search for an order as well (at most 2000 operations)");
  CLI11_PARSE(app, argc, argv);
  return store::check::Judge(options);
}
