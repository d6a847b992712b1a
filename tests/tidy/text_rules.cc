// SPDX-License-Identifier: Apache-2.0
// The rules that look for words: banned calls, marks of unfinished work, names of machines.
#include "tests/tidy/functions.h"
#include "tests/tidy/rules.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace tidy {
namespace {

struct Ban {
  std::string pattern;  // RE2 with one group: what is reported
  std::string_view reason;
  // Paths that begin so are excepted; a leading '*' means "ends so".
  std::vector<std::string_view> excepted;
  // A test's loop that asks again until a deadline has to pause: there, in a function Wait…, it
  // may.
  bool allowed_in_test_waits = false;
};

// A call of a plain or std:: function: not a member, not a name of our own namespaces.
std::string Call(std::string_view names) {
  return fmt::format(R"((?:^|[^\w.>:]|(?:^|[^\w])std::|[^\w:]::)((?:{})\s*\())", names);
}

std::vector<Ban> MakeBans() {
  const std::string_view output = "output and exit belong to programs";
  const std::string_view waiting = "wait for a condition with a deadline";
  const std::string_view clock = "time comes from store/base/clock.h";
  const std::string_view chance = "randomness comes from store/base/random.h";
  return {
      {Call("printf|fprintf|vprintf|puts|putchar|exit|quick_exit"),
       output,
       {"tests/", "store/ctl/", "logagent/devbroker/", "*/main.cc", "store/base/check.cc"}},
      {R"((std::c(?:out|err|log))\b)",
       output,
       {"tests/", "store/ctl/", "logagent/devbroker/", "*/main.cc"}},
      {Call("sleep|usleep|nanosleep"), waiting, {}, true},
      {R"(\b(sleep_for|sleep_until)\s*\()", waiting, {}, true},
      {Call("time|gettimeofday|clock_gettime"), clock, {"tests/", "store/base/clock.cc"}},
      {R"(\b((?:system|steady|high_resolution)_clock)\b)",
       clock,
       {"tests/", "store/base/clock.cc", "store/base/thread.cc"}},
      {Call("rand|srand|rand_r|drand48"), chance, {}},
      {R"(\b(random_device|mt19937(?:_64)?|default_random_engine)\b)",
       chance,
       {"store/base/random.cc"}},
      {R"(\b((?:uniform_int|uniform_real|normal|poisson|bernoulli|exponential)_distribution)\b)",
       chance,
       {}},
      {R"((std::function)\b)", "absl::AnyInvocable stores callables", {}},
  };
}

bool IsExcepted(const std::string& path, const std::vector<std::string_view>& excepted) {
  return std::any_of(excepted.begin(), excepted.end(), [&path](std::string_view entry) {
    return entry.starts_with('*') ? path.ends_with(entry.substr(1)) : path.starts_with(entry);
  });
}

bool IsInTestWait(const std::string& path, const SourceText& source, int line) {
  if (!path.starts_with("tests/")) {
    return false;
  }
  std::vector<Function> functions = FindFunctions(source);
  return std::any_of(functions.begin(), functions.end(), [line](const Function& function) {
    size_t colon = function.name.rfind(':');
    size_t begin = colon == std::string::npos ? 0 : colon + 1;
    return function.name.compare(begin, 4, "Wait") == 0 && line >= function.line &&
           line < function.line + function.length;
  });
}

void FindBanned(const std::string& path, const SourceText& source, const Ban& ban,
                const RE2& pattern, Findings& findings) {
  re2::StringPiece rest(source.code);
  re2::StringPiece what;
  while (RE2::FindAndConsume(&rest, pattern, &what)) {
    auto offset = static_cast<size_t>(what.data() - source.code.data());
    int line = source.LineOf(offset);
    if (!ban.allowed_in_test_waits || !IsInTestWait(path, source, line)) {
      findings.push_back(
          {path, line,
           fmt::format("{}: {}", std::string_view(what.data(), what.size()), ban.reason)});
    }
  }
}

struct Word {
  std::string pattern;
  std::string_view reason;
};

// The words are written with a '~' inside, so that this file does not find itself.
std::string Joined(std::string pattern) {
  std::erase(pattern, '~');
  return pattern;
}

std::vector<Word> MakeWords() {
  return {
      {Joined(R"(\b(TO~DO|FIX~ME)\b(?:[^(]|\([^#]|\(#\D|$))"), "no issue number, as in (#12)"},
      {Joined(R"((?:^|[^\w./-])(/(?:wo~rk|ro~ot)/)[\w.])"), "path of one machine"},
      {Joined(R"(((?:proxy|sum)\.golang~\.org|repo1?\.maven(?:\.apache)?~\.org)"
              R"(|(?:deb|security)\.debian~\.org|pypi~\.org|pythonhosted~\.org)"
              R"(|registry\.npmjs~\.org|crates~\.io))"),
       "package hosts come from the machine's own settings"},
  };
}

void FindWord(const std::string& path, const std::string& text, const Word& word,
              const RE2& pattern, Findings& findings) {
  int number = 0;
  for (std::string_view line : Lines(text)) {
    ++number;
    std::string found;
    if (RE2::PartialMatch(re2::StringPiece(line.data(), line.size()), pattern, &found)) {
      findings.push_back({path, number, fmt::format("{}: {}", found, word.reason)});
    }
  }
}

}  // namespace

Findings CheckBannedCalls(const Repository& repository) {
  Findings findings;
  for (const Ban& ban : MakeBans()) {
    const RE2 pattern("(?m)" + ban.pattern);
    for (const auto& [path, source] : repository.sources()) {
      if (!IsExcepted(path, ban.excepted)) {
        FindBanned(path, source, ban, pattern, findings);
      }
    }
  }
  return findings;
}

Findings CheckText(const Repository& repository) {
  Findings findings;
  for (const Word& word : MakeWords()) {
    const RE2 pattern(word.pattern);
    for (const auto& [path, text] : repository.files()) {
      FindWord(path, text, word, pattern, findings);
    }
  }
  return findings;
}

}  // namespace tidy
