// SPDX-License-Identifier: Apache-2.0
// GoldenFile: a text file of cases: request lines and the answers recorded below them. Lines are
// kept as they are, so that rewriting changes answers only. The format is drawn in README.md.
// Threads: one. Bounds: the file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace compat {

struct GoldenLine {
  enum class Kind : unsigned char { kOther, kCase, kRequest, kAnswer };
  Kind kind = Kind::kOther;
  int number = 0;
  std::string text;  // without the mark

  // A request: "KV/Put key: \"a\"" or "w1 create_request {}".
  std::string_view first_word() const;
  std::string_view rest() const;
};

// Empty if it cannot be read.
std::vector<GoldenLine> ReadGolden(const std::string& path);
std::string Print(const GoldenLine& line);

// Writes `{512*x*}` out as 512 x.
std::string Expand(std::string_view text);

}  // namespace compat
