// SPDX-License-Identifier: Apache-2.0
// CHECK: what must be true if this program is right. Active in every build. A broken check prints
// file, line, expression and the values around it on stderr and stops the process: a stopped node
// is safe, a node that goes on with a broken invariant is not. Never used for what a client, a peer
// or the machine can cause (that is Result, see error.h). Any thread.
//
//   CHECK(next > match);
//   CHECK(next > match, "peer {}: next {} match {}", id, next, match);
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace store {

[[noreturn]] void CheckFailed(const char* file, int line, const char* expression,
                              std::string_view detail);

}  // namespace store

#define CHECK(condition, ...)                                                              \
  do {                                                                                     \
    if (__builtin_expect(!(condition), 0)) {                                               \
      ::store::CheckFailed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
    }                                                                                      \
  } while (false)
