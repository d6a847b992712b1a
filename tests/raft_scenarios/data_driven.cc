// SPDX-License-Identifier: Apache-2.0
#include "tests/raft_scenarios/data_driven.h"

#include "store/base/check.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace store::raft {
namespace {

constexpr char kSeparator[] = "----";

struct Case {
  int line = 0;
  std::vector<std::string> head;  // comments and commands, as written
  std::string expected;
};

std::vector<Case> Parse(std::istream& in) {
  std::vector<Case> cases;
  Case now;
  bool in_expected = false;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (in_expected) {
      if (!line.empty()) {
        now.expected += line + "\n";
        continue;
      }
      cases.push_back(std::exchange(now, {}));
      in_expected = false;
    } else if (line == kSeparator) {
      in_expected = true;
    } else {
      if (now.head.empty()) now.line = number;
      now.head.push_back(line);
    }
  }
  if (in_expected) cases.push_back(std::move(now));
  return cases;
}

Command ParseCommand(const std::string& line) {
  Command command;
  std::istringstream words(line);
  words >> command.name;
  for (std::string word; words >> word;) {
    size_t equals = word.find('=');
    if (equals == std::string::npos) {
      command.words.push_back(word);
    } else {
      command.values[word.substr(0, equals)] = word.substr(equals + 1);
    }
  }
  return command;
}

std::string RunCase(const Case& one, absl::FunctionRef<std::string(const Command&)> run) {
  std::string printed;
  for (const std::string& line : one.head) {
    if (line.empty() || line[0] == '#') continue;
    printed += run(ParseCommand(line));
    if (!printed.empty() && printed.back() != '\n') printed += '\n';
  }
  return printed.empty() ? "ok\n" : printed;
}

}  // namespace

uint64_t Command::Word(size_t at) const {
  CHECK(at < words.size(), "{} needs {} words", name, at + 1);
  return std::stoull(words[at]);
}

uint64_t Command::Value(const std::string& key, uint64_t otherwise) const {
  auto found = values.find(key);
  return found == values.end() ? otherwise : std::stoull(found->second);
}

void RunFile(const std::string& path, absl::FunctionRef<std::string(const Command&)> run) {
  std::ifstream in(path);
  ASSERT_TRUE(in.good()) << path;
  bool rewrite = std::getenv("SLUICE_REWRITE") != nullptr;
  std::string rewritten;
  for (const Case& one : Parse(in)) {
    std::string printed = RunCase(one, run);
    if (!rewrite) {
      EXPECT_EQ(printed, one.expected) << path << ":" << one.line;
    }
    for (const std::string& line : one.head) rewritten += line + "\n";
    rewritten += std::string(kSeparator) + "\n" + printed + "\n";
  }
  if (rewrite) std::ofstream(path) << rewritten;
}

}  // namespace store::raft
