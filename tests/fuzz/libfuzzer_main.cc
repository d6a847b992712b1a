// SPDX-License-Identifier: Apache-2.0
// The door libFuzzer calls; its own main comes with -fsanitize=fuzzer.
#include "tests/fuzz/target.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  store::fuzz::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
