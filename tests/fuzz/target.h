// SPDX-License-Identifier: Apache-2.0
// What one fuzz target gives its driver: a function that takes any bytes and must neither crash nor
// break the properties it CHECKs, and inputs to start from, made by the code that writes the real
// bytes, so that they cannot go stale. One .cc per target; the drivers are smoke_main.cc (seeds and
// mutations, ctest) and libfuzzer_main.cc. One thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace store::fuzz {

void Run(std::string_view input);
std::vector<std::string> Seeds();

// Takes the first byte off `input`, 0 when there is none: targets choose their mode by it.
inline unsigned TakeByte(std::string_view* input) {
  if (input->empty()) return 0;
  const auto byte = static_cast<unsigned char>(input->front());
  input->remove_prefix(1);
  return byte;
}

}  // namespace store::fuzz
