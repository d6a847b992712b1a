// SPDX-License-Identifier: Apache-2.0
// Runs a target without libFuzzer: every seed, then mutations of seeds.
//
//   fuzz_NAME [--runs N]       20 000 mutations; SLUICE_SEED replays
//   fuzz_NAME FILE...          these inputs, for what libFuzzer left
//   fuzz_NAME --corpus DIR     writes the seeds as files, for libFuzzer to start from
#include "store/base/file.h"
#include "store/base/random.h"
#include "tests/fuzz/target.h"
#include "tests/unit/base/seed.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

namespace {

using store::Random;

constexpr uint64_t kRuns = 20'000;
constexpr size_t kInputBytesMax = 64 << 10;

std::string RandomBytes(Random& random) {
  std::string bytes(random.Below(24), '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Below(256));
  return bytes;
}

// One small change of the kinds that find most: bits, lengths, cuts, repeats, pieces of others.
void Mutate(const std::vector<std::string>& seeds, Random& random, std::string* input) {
  const size_t at = random.Below(input->size() + 1);
  const size_t count = std::min<size_t>(random.Below(16), input->size() - at);
  switch (random.Below(7)) {
    case 0:
      if (at < input->size()) (*input)[at] ^= static_cast<char>(1U << random.Below(8));
      return;
    case 1:
      if (at < input->size()) (*input)[at] = static_cast<char>(random.Below(256));
      return;
    case 2:
      input->erase(at, count);
      return;
    case 3:
      input->insert(at, RandomBytes(random));
      return;
    case 4:
      input->insert(at, input->substr(at, count));
      return;
    case 5:
      input->resize(at);
      return;
    default: {
      const std::string& other = seeds[random.Below(seeds.size())];
      input->replace(at, std::string::npos, other.substr(random.Below(other.size() + 1)));
      return;
    }
  }
}

int Smoke(uint64_t runs) {
  const std::vector<std::string> seeds = store::fuzz::Seeds();
  Random random = store::SeededRandom("fuzz");
  for (const std::string& seed : seeds) store::fuzz::Run(seed);
  for (uint64_t run = 0; run < runs; ++run) {
    std::string input = seeds[random.Below(seeds.size())];
    for (uint64_t n = random.Between(1, 6); n > 0; --n) Mutate(seeds, random, &input);
    input.resize(std::min(input.size(), kInputBytesMax));
    store::fuzz::Run(input);
  }
  std::puts(fmt::format("{} seeds and {} mutations", seeds.size(), runs).c_str());
  return 0;
}

int Refuse(const store::Error& error) {
  std::fputs((error.ToString() + "\n").c_str(), stderr);
  return 1;
}

int WriteCorpus(const std::string& directory) {
  if (auto made = store::MakeDirs(directory); !made) return Refuse(made.error());
  size_t number = 0;
  for (const std::string& seed : store::fuzz::Seeds()) {
    const std::string path = store::JoinPath(directory, fmt::format("seed-{:03}", number++));
    if (auto written = store::ReplaceFile(path, seed); !written) return Refuse(written.error());
  }
  return 0;
}

int RunFiles(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    auto input = store::ReadFile(path);
    if (!input) return Refuse(input.error());
    store::fuzz::Run(*input);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 2 && arguments[0] == "--corpus") return WriteCorpus(arguments[1]);
  if (arguments.size() == 2 && arguments[0] == "--runs") return Smoke(std::stoull(arguments[1]));
  return arguments.empty() ? Smoke(kRuns) : RunFiles(arguments);
}
