// SPDX-License-Identifier: Apache-2.0
#include "store/ctl/flags.h"

#include "store/base/check.h"
#include "store/ctl/go_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace store::ctl {
namespace {

tl::unexpected<Error> Refuse(std::string text) {
  return Fail(ErrorCode::kInvalidArgument, std::move(text));
}

// Why `value` is none of this kind; empty if it is.
std::string Fault(FlagKind kind, std::string_view value) {
  if (kind == FlagKind::kBool) {
    auto parsed = ParseBool(value);
    return parsed ? "" : parsed.error().message();
  }
  if (kind == FlagKind::kInt) {
    auto parsed = ParseInt(value, 0);
    return parsed ? "" : parsed.error().message();
  }
  if (kind == FlagKind::kDuration) {
    auto parsed = ParseDurationText(value);
    return parsed ? "" : parsed.error().message();
  }
  return "";
}

}  // namespace

Result<ParsedFlags> ParsedFlags::Parse(std::span<const FlagSpec> spec,
                                       std::span<const std::string> arguments) {
  ParsedFlags parsed;
  parsed.spec_ = spec;
  for (size_t at = 0; at < arguments.size(); ++at) {
    const std::string& argument = arguments[at];
    if (argument.size() < 2 || argument[0] != '-') {
      parsed.positional_.push_back(argument);
    } else if (argument == "--") {
      parsed.before_dashes_ = parsed.positional_.size();
      parsed.positional_.insert(parsed.positional_.end(),
                                arguments.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                                arguments.end());
      break;
    } else if (argument[1] == '-') {
      RETURN_IF_ERROR(parsed.ReadLong(arguments, &at));
    } else {
      RETURN_IF_ERROR(parsed.ReadShort(arguments, &at));
    }
  }
  return parsed;
}

Status ParsedFlags::ReadLong(std::span<const std::string> arguments, size_t* at) {
  std::string_view text = std::string_view(arguments[*at]).substr(2);
  size_t equals = text.find('=');
  std::string_view name = text.substr(0, equals);
  if (name.empty()) return Refuse(fmt::format("bad flag syntax: {}", arguments[*at]));
  const FlagSpec* flag = Find(name);
  if (flag == nullptr) return Refuse(fmt::format("unknown flag: --{}", name));
  std::string shown = fmt::format("--{}", name);
  if (equals != std::string_view::npos) {
    return Store(*flag, std::string(text.substr(equals + 1)), shown);
  }
  if (flag->kind == FlagKind::kBool) return Store(*flag, "true", shown);
  if (*at + 1 >= arguments.size()) return Refuse("flag needs an argument: " + shown);
  return Store(*flag, arguments[++*at], shown);
}

Status ParsedFlags::ReadShort(std::span<const std::string> arguments, size_t* at) {
  std::string_view cluster = std::string_view(arguments[*at]).substr(1);
  for (size_t i = 0; i < cluster.size(); ++i) {
    char letter = cluster[i];
    auto flag = std::ranges::find(spec_, letter, &FlagSpec::shorthand);
    if (flag == spec_.end()) {
      return Refuse(fmt::format("unknown shorthand flag: '{}' in -{}", letter, cluster));
    }
    std::string shown = fmt::format("-{}, --{}", letter, flag->name);
    std::string_view rest = cluster.substr(i + 1);
    if (rest.starts_with('=')) return Store(*flag, std::string(rest.substr(1)), shown);
    if (flag->kind == FlagKind::kBool) {
      RETURN_IF_ERROR(Store(*flag, "true", shown));
      continue;
    }
    if (!rest.empty()) return Store(*flag, std::string(rest), shown);
    if (*at + 1 >= arguments.size()) {
      return Refuse(fmt::format("flag needs an argument: '{}' in -{}", letter, cluster));
    }
    return Store(*flag, arguments[++*at], shown);
  }
  return Ok();
}

Status ParsedFlags::Store(const FlagSpec& flag, std::string value, std::string_view shown) {
  std::string fault = Fault(flag.kind, value);
  if (!fault.empty()) {
    return Refuse(
        fmt::format("invalid argument {} for \"{}\" flag: {}", Quoted(value), shown, fault));
  }
  auto [place, first] = given_.try_emplace(std::string(flag.name));
  if (flag.kind == FlagKind::kList && !first) value = place->second + "," + value;
  place->second = std::move(value);
  return Ok();
}

Status ParsedFlags::Set(std::string_view name, std::string value) {
  const FlagSpec* flag = Find(name);
  CHECK(flag != nullptr, "an undeclared flag is set");
  return Store(*flag, std::move(value), fmt::format("--{}", name));
}

const FlagSpec* ParsedFlags::Find(std::string_view name) const {
  auto found = std::ranges::find(spec_, name, &FlagSpec::name);
  return found == spec_.end() ? nullptr : &*found;
}

std::string ParsedFlags::Value(std::string_view name) const {
  if (auto given = given_.find(name); given != given_.end()) return given->second;
  const FlagSpec* flag = Find(name);
  CHECK(flag != nullptr, "an undeclared flag is read");
  return std::string(flag->default_text);
}

bool ParsedFlags::Bool(std::string_view name) const {
  return ParseBool(Value(name)).value_or(false);
}

int64_t ParsedFlags::Int(std::string_view name) const {
  return ParseInt(Value(name), 0).value_or(0);
}

Duration ParsedFlags::Time(std::string_view name) const {
  return ParseDurationText(Value(name)).value_or(Duration::zero());
}

std::string ParsedFlags::Text(std::string_view name) const { return Value(name); }

std::vector<std::string> ParsedFlags::List(std::string_view name) const {
  std::string value = Value(name);
  if (value.empty()) return {};
  return SplitOn(value, ',');
}

}  // namespace store::ctl
