// SPDX-License-Identifier: Apache-2.0
#include "store/base/check.h"

#include <cstdlib>
#include <unistd.h>

namespace store {

void CheckFailed(const char* file, int line, const char* expression, std::string_view detail) {
  std::string text = fmt::format("CHECK failed at {}:{}: {}{}{}\n", file, line, expression,
                                 detail.empty() ? "" : ": ", detail);
  // One write, without the logger: its threads and locks may be what is broken.
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
  std::abort();
}

}  // namespace store
