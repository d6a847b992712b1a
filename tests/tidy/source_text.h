// SPDX-License-Identifier: Apache-2.0
// SourceText: one C++ file as the checks want to see it. The scanner understands comments, string,
// character and raw string literals, digit separators and line continuations, and no more of the
// language: it blanks what is not code and keeps every offset and line number. It does not expand
// macros and takes both branches of #if. Value type, any thread; memory is three copies of the
// file.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tidy {

struct Include {
  int line;
  bool quoted;       // "x" rather than <x>
  std::string name;  // what stands between the quotes
};

struct SourceText {
  std::string text;   // as on disk
  std::string code;   // comments and the contents of literals are blanks
  std::string plain;  // code without preprocessor directives
  std::vector<Include> includes;

  // 1 for the first line.
  int LineOf(size_t offset) const;
};

SourceText Scan(std::string text);

// The lines of a text without their newlines; a last line needs none.
std::vector<std::string_view> Lines(std::string_view text);

}  // namespace tidy
