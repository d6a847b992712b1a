// SPDX-License-Identifier: Apache-2.0
#include "tests/tidy/rules.h"

#include "tests/tidy/floors.h"
#include "tests/tidy/functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

namespace tidy {
namespace {

namespace fs = std::filesystem;

constexpr int kFileLinesMax = 700;
constexpr int kTestFileLinesMax = 900;
constexpr int kFunctionLinesMax = 60;
constexpr int kNestingMax = 3;
constexpr std::string_view kLicence = "SPDX-License-Identifier: Apache-2.0";

bool IsTest(std::string_view path) { return path.starts_with("tests/"); }

std::string FolderOf(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

bool IsSource(std::string_view path) { return path.ends_with(".h") || path.ends_with(".cc"); }

bool IsScript(std::string_view text) { return text.starts_with("#!"); }

bool SkipFolder(const std::string& name) {
  return (name.starts_with('.') && name != ".ci") || name == "build" || name == "out" ||
         name == "__pycache__" || name == "target" || name == "node_modules";
}

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// Files with a licence line: what people write as code, not data, documents or configuration.
bool NeedsLicence(const std::string& path, const std::string& text) {
  static const std::set<std::string> extensions = {".h",  ".cc", ".proto", ".go",
                                                   ".py", ".sh", ".cmake"};
  return extensions.contains(fs::path(path).extension().string()) ||
         NameOf(path) == "CMakeLists.txt" || IsScript(text);
}

// These folders are told by the README of the folder above: they only mirror another tree.
bool ToldByParent(const std::string& folder) {
  return folder.empty() || folder == ".ci" || FolderOf(folder) == "tests/unit" ||
         FolderOf(folder) == "proto";
}

bool Contains(std::string_view text, std::string_view word) {
  return text.find(word) != std::string_view::npos;
}

// "${name}_fuzz.cc" in a foreach stands for every *_fuzz.cc whose name part is a word of the file.
bool NamedByPattern(const std::string& cmake, const std::string& name) {
  for (size_t at = cmake.find("${"); at != std::string::npos; at = cmake.find("${", at + 1)) {
    size_t close = cmake.find('}', at);
    size_t end = cmake.find_first_of(" )\n", at);
    if (close == std::string::npos || end == std::string::npos || close >= end) {
      continue;
    }
    std::string tail = cmake.substr(close + 1, end - close - 1);
    if (tail.ends_with(".cc") && name.size() > tail.size() && name.ends_with(tail) &&
        Contains(cmake, name.substr(0, name.size() - tail.size()))) {
      return true;
    }
  }
  return false;
}

// The nearest CMakeLists.txt at or above the file names it.
bool IsBuilt(const Repository& repository, const std::string& path) {
  for (std::string folder = FolderOf(path); !folder.empty(); folder = FolderOf(folder)) {
    auto cmake = repository.files().find(folder + "/CMakeLists.txt");
    if (cmake != repository.files().end()) {
      return Contains(cmake->second, path.substr(folder.size() + 1)) ||
             NamedByPattern(cmake->second, NameOf(path));
    }
  }
  return false;
}

// A folder that has only headers yet is an interface that waits for its first implementation: it
// may still be without README, and without a file that includes it.
bool IsOnlyInterface(const Repository& repository, const std::string& folder) {
  for (const auto& [path, text] : repository.files()) {
    if (FolderOf(path) == folder && NeedsLicence(path, text) && !path.ends_with(".h") &&
        NameOf(path) != "CMakeLists.txt") {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string Print(const std::vector<Finding>& findings) {
  std::string out;
  for (const Finding& finding : findings) {
    out += fmt::format("\n{}:{}: {}", finding.path, finding.line, finding.message);
  }
  return out;
}

Repository Repository::Read(const std::string& root) {
  Repository repository;
  auto end = fs::recursive_directory_iterator();
  for (auto at = fs::recursive_directory_iterator(root); at != end; ++at) {
    if (at->is_directory() && SkipFolder(at->path().filename().string())) {
      at.disable_recursion_pending();
    } else if (at->is_regular_file() && !at->is_symlink() && at->path().filename() != ".git") {
      repository.Add(fs::relative(at->path(), root).generic_string(), ReadFile(at->path()));
    }
  }
  return repository;
}

void Repository::Add(std::string path, std::string text) {
  if (IsSource(path)) {
    sources_[path] = Scan(text);
  }
  files_[std::move(path)] = std::move(text);
}

Findings CheckFloors(const Repository& repository) {
  Findings findings;
  for (const auto& [path, source] : repository.sources()) {
    for (const Include& include : source.includes) {
      std::string problem = IncludeProblem(path, include.name);
      if (!problem.empty()) {
        findings.push_back({path, include.line, problem});
      }
    }
  }
  return findings;
}

Findings CheckFileLengths(const Repository& repository) {
  Findings findings;
  for (const auto& [path, text] : repository.files()) {
    if (!IsSource(path) && !IsScript(text) && !path.ends_with(".py") && !path.ends_with(".go")) {
      continue;
    }
    int lines = static_cast<int>(Lines(text).size());
    int lines_max = IsTest(path) ? kTestFileLinesMax : kFileLinesMax;
    if (lines > lines_max) {
      findings.push_back({path, lines, fmt::format("{} lines, {} at most", lines, lines_max)});
    }
  }
  return findings;
}

Findings CheckFunctions(const Repository& repository) {
  Findings findings;
  for (const auto& [path, source] : repository.sources()) {
    for (const Function& function : FindFunctions(source)) {
      if (function.length > kFunctionLinesMax) {
        findings.push_back({path, function.line,
                            fmt::format("{} has {} lines, {} at most", function.name,
                                        function.length, kFunctionLinesMax)});
      }
      if (function.nesting > kNestingMax) {
        findings.push_back({path, function.nesting_line,
                            fmt::format("{} nests {} deep, {} at most", function.name,
                                        function.nesting, kNestingMax)});
      }
    }
  }
  return findings;
}

Findings CheckLicenceLines(const Repository& repository) {
  Findings findings;
  for (const auto& [path, text] : repository.files()) {
    if (!NeedsLicence(path, text)) {
      continue;
    }
    std::vector<std::string_view> lines = Lines(text);
    size_t line = IsScript(text) ? 1 : 0;
    if (lines.size() <= line || !Contains(lines[line], kLicence)) {
      findings.push_back({path, static_cast<int>(line) + 1, fmt::format("no \"{}\"", kLicence)});
    }
  }
  return findings;
}

Findings CheckReadmes(const Repository& repository) {
  Findings findings;
  std::set<std::string> seen;
  for (const auto& [path, text] : repository.files()) {
    std::string folder = FolderOf(path);
    if (!NeedsLicence(path, text) || ToldByParent(folder) || !seen.insert(folder).second) {
      continue;
    }
    if (!repository.files().contains(folder + "/README.md") &&
        !IsOnlyInterface(repository, folder)) {
      findings.push_back({folder + "/README.md", 1, "is missing"});
    }
  }
  return findings;
}

Findings CheckDeadFiles(const Repository& repository) {
  std::set<std::string> included;
  for (const auto& [path, source] : repository.sources()) {
    for (const Include& include : source.includes) {
      // A header that only its own source includes is still used by nobody, but its source is
      // built.
      included.insert(include.name);
      included.insert(FolderOf(path) + "/" + include.name);
    }
  }
  Findings findings;
  for (const auto& [path, source] : repository.sources()) {
    if (path.ends_with(".cc") && !IsBuilt(repository, path)) {
      findings.push_back({path, 1, "dead: no CMakeLists.txt names it"});
    }
    if (path.ends_with(".h") && !included.contains(path) &&
        !IsOnlyInterface(repository, FolderOf(path))) {
      findings.push_back({path, 1, "dead: nobody includes it"});
    }
  }
  return findings;
}

Findings CheckHeaders(const Repository& repository) {
  Findings findings;
  for (const auto& [path, source] : repository.sources()) {
    if (!path.ends_with(".h")) {
      continue;
    }
    if (!Contains(source.code, "#pragma once")) {
      findings.push_back({path, 1, "no #pragma once"});
    }
    size_t at = source.code.find("using namespace ");
    if (at != std::string::npos) {
      findings.push_back({path, source.LineOf(at), "using namespace in a header"});
    }
  }
  return findings;
}

}  // namespace tidy
