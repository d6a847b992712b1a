// SPDX-License-Identifier: Apache-2.0
// Files of commands and what they print. A file is a sequence of cases:
//
//   # comment lines, kept as they are
//   command words and key=value arguments
//   more commands of the same case
//   ----
//   what they printed
//   (an empty line ends the case)
//
// RunFile runs every case and compares; with SLUICE_REWRITE=1 in the environment it writes what was
// printed into the file instead, and `git diff` is the review. One thread.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace store::raft {

struct Command {
  std::string name;
  std::vector<std::string> words;             // arguments without '='
  std::map<std::string, std::string> values;  // key=value

  uint64_t Word(size_t at) const;
  uint64_t Value(const std::string& key, uint64_t otherwise) const;
  bool Has(const std::string& key) const { return values.contains(key); }
};

// `run` returns what the command prints; a line break at its end is added where missing.
void RunFile(const std::string& path, absl::FunctionRef<std::string(const Command&)> run);

}  // namespace store::raft
