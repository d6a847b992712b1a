// SPDX-License-Identifier: Apache-2.0
#include "store/server/flags.h"

#include "store/cluster/version.h"
#include "store/server/config_file.h"
#include "store/server/flag_table.h"
#include "store/server/other_flags.h"

#include <absl/algorithm/container.h>
#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <fmt/format.h>

#include <functional>
#include <optional>
#include <set>
#include <utility>

namespace store::server {
namespace {

constexpr std::string_view kConfigFile = "config-file";

std::string Usage() {
  std::string text =
      "Usage:\n\n  sluice-store [flags]\n    Start a member of the store.\n\n"
      "  sluice-store --version\n    Show the version.\n\n"
      "  sluice-store -h | --help\n    Show this text.\n\n"
      "  sluice-store --config-file FILE\n    Take everything from a YAML file instead.\n\n"
      "Flags (each also as ETCD_NAME):\n";
  for (const Flag& flag : Flags()) {
    text += fmt::format("  --{} {}\n    {}\n", flag.name, flag.default_text, flag.help);
  }
  text += "Other flags of etcd are accepted where they ask for nothing that is missing here.\n";
  return text;
}

std::string EnvironmentName(std::string_view flag) {
  std::string name = "ETCD_";
  for (char c : flag) {
    name.push_back(c == '-' ? '_' : absl::ascii_toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

FlagOutcome UsageError(const std::string& message) {
  return {FlagOutcome::Kind::kUsage, message + "\n" + Usage(), {}, {}, {}, {}};
}

FlagOutcome Invalid(std::string message) {
  return {FlagOutcome::Kind::kInvalid, std::move(message), {}, {}, {}, {}};
}

FlagOutcome Print(std::string text) {
  return {FlagOutcome::Kind::kPrint, std::move(text), {}, {}, {}, {}};
}

// One value, by the present name of its flag.
struct Given {
  std::string value;
  std::string name;   // as it was given
  std::string where;  // "flag -name", "ETCD_NAME", "name (FILE, line 3)"
  bool on_command_line = false;
  bool in_file = false;
};
using GivenFlags = std::map<std::string, Given, std::less<>>;

bool IsKnown(std::string_view present_name) {
  return present_name == kConfigFile || FindFlag(present_name) != nullptr ||
         FindOtherFlag(present_name) != nullptr;
}

FlagKind KindOf(std::string_view present_name) {
  if (const Flag* flag = FindFlag(present_name)) return flag->kind;
  const OtherFlag* other = FindOtherFlag(present_name);
  return other != nullptr ? other->kind : FlagKind::kValue;
}

bool IsSwitch(std::string_view present_name) { return KindOf(present_name) == FlagKind::kSwitch; }

// Two names of one flag, or a flag and a variable.
std::optional<FlagOutcome> Add(Given given, GivenFlags* flags) {
  auto [there, added] = flags->try_emplace(std::string(PresentName(given.name)), given);
  if (added) return std::nullopt;
  const std::string now = there->first;
  if (there->second.name != given.name) {
    return Invalid(fmt::format("cannot set --{} and --{} at the same time, please use --{} only",
                               given.name == now ? there->second.name : given.name, now, now));
  }
  if (there->second.on_command_line && !given.on_command_line) {
    return FlagOutcome{FlagOutcome::Kind::kShadowed, given.where, {}, {}, {}, {}};
  }
  there->second = std::move(given);  // the last one wins
  return std::nullopt;
}

std::optional<FlagOutcome> ReadCommandLine(const std::vector<std::string>& arguments,
                                           std::vector<Given>* flags) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string_view word = arguments[i];
    if (word.size() < 2 || word[0] != '-' || word == "--") {
      return Invalid(fmt::format("'{}' is not a valid flag", word));
    }
    word.remove_prefix(word.starts_with("--") ? 2 : 1);
    const size_t equal = word.find('=');
    Given given;
    given.name = word.substr(0, equal);
    given.where = "flag -" + given.name;
    given.on_command_line = true;
    if (given.name == "help" || given.name == "h") return Print(Usage());
    if (given.name == "version") return Print(VersionText());
    const std::string_view now = PresentName(given.name);
    if (!IsKnown(now)) {
      return UsageError(fmt::format("flag provided but not defined: -{}", given.name));
    }
    if (equal != std::string_view::npos) {
      given.value = word.substr(equal + 1);
    } else if (IsSwitch(now)) {
      given.value = "true";
    } else if (i + 1 < arguments.size()) {
      given.value = arguments[++i];
    } else {
      return UsageError(fmt::format("flag needs an argument: -{}", given.name));
    }
    flags->push_back(std::move(given));
  }
  return std::nullopt;
}

// The flag, or else the variable; empty: no file.
std::string ConfigFileOf(const std::vector<Given>& command_line,
                         const std::map<std::string, std::string>& environment) {
  std::string path;
  for (const Given& given : command_line) {
    if (given.name == kConfigFile) path = given.value;
  }
  auto variable = environment.find(EnvironmentName(kConfigFile));
  return path.empty() && variable != environment.end() ? variable->second : path;
}

// Every name a variable may have.
std::vector<std::string_view> AllNames() {
  std::vector<std::string_view> names = {kConfigFile};
  for (const Flag& flag : Flags()) names.push_back(flag.name);
  for (const OtherFlag& flag : OtherFlags()) names.push_back(flag.name);
  for (const FormerName& one : FormerNames()) names.push_back(one.former);
  return names;
}

std::optional<FlagOutcome> ReadVariables(const std::map<std::string, std::string>& environment,
                                         GivenFlags* flags, FlagOutcome* outcome) {
  std::set<std::string> known;
  for (std::string_view name : AllNames()) {
    std::string variable = EnvironmentName(name);
    auto found = environment.find(variable);
    known.insert(variable);
    if (found == environment.end() || found->second.empty()) continue;
    Given given{.value = found->second, .name = std::string(name), .where = variable};
    if (auto ended = Add(std::move(given), flags)) return ended;
    outcome->used_variables.emplace_back(variable, found->second);
  }
  for (const auto& [name, value] : environment) {
    if (name.starts_with("ETCD_") && !known.contains(name)) {
      outcome->warnings.push_back("unrecognized environment variable: " + name);
    }
  }
  return std::nullopt;
}

// The file is used alone: what else was given is not even held against each other.
std::optional<FlagOutcome> ReadFile(const std::string& path, GivenFlags* flags,
                                    FlagOutcome* outcome) {
  auto values = ReadConfigFile(path);
  if (!values) return Invalid(values.error().message());
  outcome->notes.push_back(
      fmt::format("the configuration is {}; flags and ETCD_ variables are not looked at", path));
  for (FileValue& one : *values) {
    if (!IsKnown(PresentName(one.flag))) {
      outcome->warnings.push_back("unknown key is ignored: " + one.where);
      continue;
    }
    Given given{.value = std::move(one.value),
                .name = std::move(one.flag),
                .where = std::move(one.where),
                .in_file = true};
    if (auto ended = Add(std::move(given), flags)) return ended;
  }
  return std::nullopt;
}

// YAML has more words for true and false than the command line.
std::string SwitchInFile(const std::string& value) {
  const std::string word = absl::AsciiStrToLower(value);
  if (word == "yes" || word == "on" || word == "y") return "true";
  if (word == "no" || word == "off" || word == "n") return "false";
  return value;
}

// As the command line would have it.
std::string ValueOf(const std::string& name, const Given& given) {
  if (!given.in_file) return given.value;
  if (IsSwitch(name)) return SwitchInFile(given.value);
  const bool bare =
      KindOf(name) == FlagKind::kDuration && absl::c_all_of(given.value, absl::ascii_isdigit);
  return bare ? given.value + "ns" : given.value;
}

Status Set(const std::string& name, const Given& given, FlagOutcome* outcome) {
  const std::string value = ValueOf(name, given);
  if (const Flag* flag = FindFlag(name)) return flag->set(outcome->config, value);
  auto judged = JudgeOtherFlag(*FindOtherFlag(name), value);
  RETURN_IF_ERROR(judged);
  if (!judged->empty()) outcome->warnings.push_back(*judged);
  return Ok();
}

// In Go's words for a flag and for a variable; in etcd's for the one value of a file that has any.
FlagOutcome BadValue(const std::string& name, const Given& given, const std::string& reason) {
  if (given.in_file && name == "initial-cluster-state") {
    return Invalid(fmt::format("unexpected clusterState \"{}\"", given.value));
  }
  if (given.on_command_line && IsSwitch(name)) {
    return UsageError(
        fmt::format("invalid boolean value \"{}\" for -{}: {}", given.value, given.name, reason));
  }
  std::string text =
      fmt::format("invalid value \"{}\" for {}: {}", given.value, given.where, reason);
  return given.on_command_line ? UsageError(text) : Invalid(std::move(text));
}

// A gate has a flag of its own as well, from before there were gates.
std::optional<FlagOutcome> CheckGates(const GivenFlags& flags) {
  static constexpr std::pair<std::string_view, const char*> kGateFlags[] = {
      {"experimental-initial-corrupt-check", "InitialCorruptCheck"},
      {"experimental-enable-lease-checkpoint", "LeaseCheckpoint="},
      {"experimental-enable-lease-checkpoint-persist", "LeaseCheckpointPersist"}};
  auto gates = flags.find("feature-gates");
  if (gates == flags.end()) return std::nullopt;
  for (const auto& [flag, gate] : kGateFlags) {
    if (!flags.contains(flag) || !absl::StrContains(gates->second.value, gate)) continue;
    return Invalid(fmt::format(
        "cannot set --{} and --feature-gates at the same time, please use --feature-gates only",
        flag));
  }
  return std::nullopt;
}

}  // namespace

std::string VersionText() {
  return fmt::format(
      "etcd Version: {}\nGit SHA: Not provided (sluice-store)\nGo Version: none (C++20)\n"
      "Go OS/Arch: linux/amd64\n",
      cluster::kServerVersion);
}

FlagOutcome ParseFlags(const std::vector<std::string>& arguments,
                       const std::map<std::string, std::string>& environment,
                       DefaultHost default_host) {
  FlagOutcome outcome;
  std::vector<Given> command_line;
  if (auto ended = ReadCommandLine(arguments, &command_line)) return *std::move(ended);
  GivenFlags flags;
  if (const std::string path = ConfigFileOf(command_line, environment); !path.empty()) {
    if (auto ended = ReadFile(path, &flags, &outcome)) return *std::move(ended);
  } else {
    for (Given& given : command_line) {
      if (auto ended = Add(std::move(given), &flags)) return *std::move(ended);
    }
    if (auto ended = ReadVariables(environment, &flags, &outcome)) return *std::move(ended);
  }
  flags.erase(std::string(kConfigFile));
  if (auto ended = CheckGates(flags)) return *std::move(ended);
  for (const auto& [name, given] : flags) {
    Status set = Set(name, given, &outcome);
    if (set) continue;
    if (set.error().code() == ErrorCode::kUnsupported) return Invalid(set.error().message());
    return BadValue(name, given, set.error().message());
  }
  ServerConfig& config = outcome.config;
  if (Status checked = config.Finish(default_host); !checked) {
    return Invalid(checked.error().message());
  }
  if (!config.detected_host.empty()) {
    outcome.notes.push_back("detected default host for advertise: " + config.detected_host);
  }
  return outcome;
}

}  // namespace store::server
