// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/seed_on_abort.h"

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <unistd.h>

namespace store::sim {
namespace {

char current_seed[2048];
size_t current_length = 0;

void Print(int) {
  current_seed[current_length] = '\n';
  if (::write(STDERR_FILENO, current_seed, current_length + 1) < 0) _exit(2);
  _exit(2);
}

}  // namespace

void PrintSeedOnAbort() { std::signal(SIGABRT, Print); }

void RememberSeed(std::string_view text) {
  current_length = std::min(text.size(), sizeof(current_seed) - 1);
  std::copy_n(text.data(), current_length, current_seed);
}

}  // namespace store::sim
