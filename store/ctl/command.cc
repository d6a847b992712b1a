// SPDX-License-Identifier: Apache-2.0
#include "store/ctl/command.h"

#include "store/base/thread.h"

#include <fmt/format.h>
#include <fmt/ostream.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iostream>
#include <iterator>
#include <utility>

namespace store::ctl {
namespace {

// Where the words of the verb stand among the arguments; flags may come before and between them.
struct Words {
  std::vector<std::string> text;
  std::vector<size_t> at;
};

bool TakesNext(const std::string& argument) {
  if (argument.find('=') != std::string::npos) return false;
  for (const FlagSpec& flag : GlobalFlags()) {
    bool named = argument == fmt::format("--{}", flag.name) ||
                 (flag.shorthand != '\0' && argument == fmt::format("-{}", flag.shorthand));
    if (named) return flag.kind != FlagKind::kBool;
  }
  return false;
}

Words FindWords(std::span<const std::string> arguments) {
  Words words;
  for (size_t i = 0; i < arguments.size() && words.text.size() < 2; ++i) {
    if (arguments[i] == "--") break;
    if (arguments[i].size() > 1 && arguments[i][0] == '-') {
      if (TakesNext(arguments[i])) ++i;
      continue;
    }
    words.text.push_back(arguments[i]);
    words.at.push_back(i);
  }
  return words;
}

// The word of a verb's name, or nothing.
std::string_view WordOf(const Command& command, size_t which) {
  std::string_view rest = command.name;
  for (size_t i = 0; i < which; ++i) {
    size_t blank = rest.find(' ');
    if (blank == std::string_view::npos) return {};
    rest.remove_prefix(blank + 1);
  }
  return rest.substr(0, rest.find(' '));
}

// The one candidate that is the word or, if none is, that alone begins with it.
std::string_view Complete(const std::vector<std::string_view>& candidates, std::string_view word) {
  std::string_view found;
  for (std::string_view candidate : candidates) {
    if (candidate == word) return candidate;
    if (!candidate.starts_with(word) || candidate == found) continue;
    if (!found.empty()) return {};
    found = candidate;
  }
  return found;
}

struct Selection {
  std::vector<const Command*> matching;  // one: the verb; several: the group that was named
  size_t words = 0;
};

Selection Select(std::span<const Command> commands, const Words& words) {
  Selection selection;
  for (const Command& command : commands) selection.matching.push_back(&command);
  for (; selection.words < words.text.size(); ++selection.words) {
    std::vector<std::string_view> candidates;
    for (const Command* command : selection.matching) {
      std::string_view word = WordOf(*command, selection.words);
      if (!word.empty()) candidates.push_back(word);
    }
    if (candidates.empty()) break;
    std::string_view word = Complete(candidates, words.text[selection.words]);
    if (word.empty()) {
      selection.matching.clear();
      break;
    }
    std::erase_if(selection.matching, [&](const Command* command) {
      return WordOf(*command, selection.words) != word;
    });
  }
  bool whole =
      selection.matching.size() == 1 && WordOf(*selection.matching[0], selection.words).empty();
  if (!whole && selection.matching.size() == 1) selection.matching.push_back(nullptr);
  return selection;
}

void PrintFlags(std::ostream& out, std::span<const FlagSpec> flags) {
  for (const FlagSpec& flag : flags) {
    std::string name = flag.shorthand == '\0'
                           ? fmt::format("      --{}", flag.name)
                           : fmt::format("  -{}, --{}", flag.shorthand, flag.name);
    if (flag.kind != FlagKind::kBool) name += fmt::format("={}", flag.default_text);
    fmt::print(out, "{:<36} {}\n", name, flag.help);
  }
}

int PrintHelp(std::ostream& out, const std::vector<const Command*>& commands) {
  if (commands.size() == 1) {
    const Command& command = *commands[0];
    fmt::print(out, "{}\n\nusage: sluicectl {} [flags] {}\n", command.summary, command.name,
               command.arguments);
    if (!command.flags.empty()) fmt::print(out, "\nflags:\n");
    PrintFlags(out, command.flags);
  } else {
    fmt::print(out, "usage: sluicectl [flags] <command>\n\ncommands:\n");
    for (const Command* command : commands) {
      if (command == nullptr) continue;
      std::string line = fmt::format("{} {}", command->name, command->arguments);
      fmt::print(out, "  {:<36} {}\n", line, command->summary);
    }
  }
  fmt::print(out, "\nglobal flags (also as ETCDCTL_ variables):\n");
  PrintFlags(out, GlobalFlags());
  return kExitOk;
}

int WrongUse(std::ostream& err, std::string_view text, std::string_view command) {
  fmt::print(err, "Error: {}\nRun 'sluicectl {}{}--help' for usage.\n", text, command,
             command.empty() ? "" : " ");
  return kExitUsage;
}

int BadValue(std::ostream& err, const Error& error) {
  fmt::print(err, "Error: {}\n", error.message());
  return kExitUsage;
}

int RunOne(const Command& command, std::span<const std::string> rest,
           const Environment& environment, Streams streams) {
  std::vector<FlagSpec> spec(command.flags.begin(), command.flags.end());
  spec.insert(spec.end(), GlobalFlags().begin(), GlobalFlags().end());
  auto flags = ParsedFlags::Parse(spec, rest);
  if (!flags) return WrongUse(streams.err, flags.error().message(), command.name);
  if (flags->Bool("help")) return PrintHelp(streams.out, {&command});
  auto applied = ApplyEnvironment(environment, &*flags, [&](const std::string& note) {
    fmt::print(streams.err, "warning: {}\n", note);
  });
  if (!applied) return BadValue(streams.err, applied.error());
  auto options = ReadGlobalOptions(*flags);
  if (!options) return BadValue(streams.err, options.error());
  Session session(std::move(*options), streams, environment);
  int code = command.run(session, *flags);
  streams.out.flush();
  if (streams.out.good() || code != kExitOk) return code;
  return session.Failed("the output could not be written");
}

}  // namespace

Session::Session(GlobalOptions options, Streams streams, Environment environment)
    : options_(std::move(options)),
      streams_(streams),
      environment_(std::move(environment)),
      printer_(MakePrinter(options_.format, {.hex = options_.hex}, streams_.out)) {}

Session::~Session() = default;

client::Client& Session::client() {
  if (client_ == nullptr) client_ = std::make_unique<client::Client>(options_.client);
  return *client_;
}

std::unique_ptr<client::Client> Session::ClientOf(const std::string& endpoint) const {
  client::ClientOptions one = options_.client;
  one.endpoints = {endpoint};
  return std::make_unique<client::Client>(std::move(one));
}

void Session::PrintValuesOnly() {
  printer_ = MakePrinter(options_.format, {.hex = options_.hex, .values_only = true}, out());
}

std::string Session::Variable(std::string_view name) const {
  for (const std::string& variable : environment_) {
    if (variable.size() > name.size() && variable.starts_with(name) &&
        variable[name.size()] == '=') {
      return variable.substr(name.size() + 1);
    }
  }
  return {};
}

int Session::Usage(std::string_view text) {
  fmt::print(err(), "Error: {}\n", text);
  return kExitUsage;
}

int Session::Failed(std::string_view text) {
  fmt::print(err(), "Error: {}\n", text);
  return kExitFailed;
}

int Session::Printed(const Status& status) {
  if (status) return kExitOk;
  return status.error().code() == ErrorCode::kUnsupported ? Usage(status.error().message())
                                                          : Failed(status.error());
}

std::string Session::TextOf(const Error& error) {
  bool own_words = error.message().starts_with("etcdserver: ");
  if (error.code() == ErrorCode::kDeadlineExceeded && !own_words) {
    return "context deadline exceeded";
  }
  return error.message();
}

void WaitFor(Duration duration) {
  Mutex mutex;
  CondVar never;
  TimePoint until = SystemClock().Now() + duration;
  MutexLock lock(mutex);
  while (never.WaitUntil(mutex, until)) {
  }
}

int RunCommand(std::span<const Command> commands, std::span<const std::string> arguments,
               const Environment& environment, Streams streams) {
  Words words = FindWords(arguments);
  bool help = !words.text.empty() && words.text[0] == "help";
  if (help) {
    words = FindWords(arguments.subspan(words.at[0] + 1));
  }
  Selection selection = Select(commands, words);
  if (selection.matching.empty()) {
    return WrongUse(streams.err,
                    fmt::format("unknown command \"{}\" for \"sluicectl\"",
                                fmt::join(words.text.begin(), words.text.end(), " ")),
                    "");
  }
  bool asked =
      help || std::ranges::count(arguments, "--help") + std::ranges::count(arguments, "-h");
  if (selection.matching.size() > 1) {
    if (asked) return PrintHelp(streams.out, selection.matching);
    PrintHelp(streams.err, selection.matching);
    return kExitUsage;
  }
  if (help) return PrintHelp(streams.out, selection.matching);
  std::vector<std::string> rest;
  for (size_t i = 0; i < arguments.size(); ++i) {
    bool word =
        std::find(words.at.begin(), words.at.begin() + static_cast<std::ptrdiff_t>(selection.words),
                  i) != words.at.begin() + static_cast<std::ptrdiff_t>(selection.words);
    if (!word) rest.push_back(arguments[i]);
  }
  return RunOne(*selection.matching[0], rest, environment, streams);
}

}  // namespace store::ctl
