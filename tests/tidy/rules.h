// SPDX-License-Identifier: Apache-2.0
// The rules that tests/tidy executes, each a function from the repository to its findings, so that
// the rules themselves can be tested on a few lines of text. A repository is read into memory once:
// a few megabytes, bounded by what people wrote. Not thread-safe, used by one test at a time.
#pragma once

#include "tests/tidy/source_text.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tidy {

struct Finding {
  std::string path;
  int line;
  std::string message;
};

// "path:line: message" per line, for a test's output.
std::string Print(const std::vector<Finding>& findings);

class Repository {
 public:
  // Reads every file below `root` except build trees and hidden folders (.ci is read).
  static Repository Read(const std::string& root);

  // For tests of the rules.
  void Add(std::string path, std::string text);

  // By path relative to the root, with '/'.
  const std::map<std::string, std::string>& files() const { return files_; }
  // The .h and .cc files among them.
  const std::map<std::string, SourceText>& sources() const { return sources_; }

 private:
  std::map<std::string, std::string> files_;
  std::map<std::string, SourceText> sources_;
};

using Findings = std::vector<Finding>;

Findings CheckFloors(const Repository& repository);
Findings CheckFileLengths(const Repository& repository);
Findings CheckFunctions(const Repository& repository);
Findings CheckBannedCalls(const Repository& repository);
Findings CheckLicenceLines(const Repository& repository);
Findings CheckReadmes(const Repository& repository);
Findings CheckDeadFiles(const Repository& repository);
Findings CheckHeaders(const Repository& repository);
Findings CheckText(const Repository& repository);

}  // namespace tidy
