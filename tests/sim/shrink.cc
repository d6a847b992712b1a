// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/shrink.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <sstream>
#include <utility>

namespace store::sim {
namespace {

std::string KindOf(const std::string& problem) {
  std::string line = problem.substr(0, problem.find('\n'));
  // What stands in braces are contents.
  line = line.substr(0, line.find('{'));
  std::erase_if(line, [](unsigned char c) { return std::isdigit(c) != 0; });
  return line;
}

// `acts` without those of [from, to).
std::set<ActId> Without(const std::vector<ActId>& acts, size_t from, size_t to) {
  std::set<ActId> rest(acts.begin(), acts.begin() + static_cast<ptrdiff_t>(from));
  rest.insert(acts.begin() + static_cast<ptrdiff_t>(to), acts.end());
  return rest;
}

}  // namespace

Shrunk Shrink(const StoreOptions& options, StoreResult failed, size_t runs_max) {
  const std::string kind = KindOf(failed.problem);
  Shrunk best{std::move(failed), 0};
  for (size_t size = (best.result.acts.size() + 1) / 2; size > 0;) {
    bool smaller = false;
    for (size_t from = 0; from < best.result.acts.size() && best.runs < runs_max;) {
      const std::vector<ActId>& acts = best.result.acts;
      size_t to = std::min(from + size, acts.size());
      ++best.runs;
      StoreResult result = RunStore(options, {.only = Without(acts, from, to)});
      if (KindOf(result.problem) != kind) {
        from = to;
        continue;
      }
      smaller = true;
      best.result = std::move(result);
    }
    if (best.runs >= runs_max) break;
    if (size == 1 && !smaller) break;
    size = std::max<size_t>(1, std::min(size / 2, best.result.acts.size()));
  }
  return best;
}

std::string ActsToText(const std::vector<ActId>& acts) {
  std::string text;
  for (const auto& [name, number] : acts) text += fmt::format("{} {}\n", name, number);
  return text;
}

std::set<ActId> ActsOfText(const std::string& text) {
  std::set<ActId> acts;
  std::istringstream lines(text);
  ActId act;
  while (lines >> act.first >> act.second) acts.insert(act);
  return acts;
}

}  // namespace store::sim
