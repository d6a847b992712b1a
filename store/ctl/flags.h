// SPDX-License-Identifier: Apache-2.0
// Flags read as etcdctl reads them (the rules of Go's pflag): --name value, --name=value, -w value,
// -wvalue, a bare boolean is true, flags and arguments may be mixed, "--" ends the flags, a flag
// that is given twice counts the last time, a list collects. Written by hand because a general
// library splits an argument such as ["a","b"] and takes an argument that is named like a
// subcommand for one: both are legal keys and values. Values, one thread.
#pragma once

#include "store/base/clock.h"
#include "store/base/error.h"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace store::ctl {

enum class FlagKind : uint8_t { kBool, kText, kInt, kDuration, kList };

struct FlagSpec {
  std::string_view name;
  FlagKind kind = FlagKind::kBool;
  std::string_view default_text{};
  std::string_view help{};
  char shorthand = '\0';
};

class ParsedFlags {
 public:
  ParsedFlags() = default;
  // `spec` outlives the object. Errors read like pflag's.
  static Result<ParsedFlags> Parse(std::span<const FlagSpec> spec,
                                   std::span<const std::string> arguments);

  const std::vector<std::string>& positional() const { return positional_; }
  // How many of them stood before "--"; all of them if there was none.
  size_t before_dashes() const { return before_dashes_.value_or(positional_.size()); }
  bool has_dashes() const { return before_dashes_.has_value(); }

  bool Given(std::string_view name) const { return given_.contains(name); }
  // Each name must be in the specification, with this kind.
  bool Bool(std::string_view name) const;
  int64_t Int(std::string_view name) const;
  Duration Time(std::string_view name) const;
  std::string Text(std::string_view name) const;
  std::vector<std::string> List(std::string_view name) const;
  // Checks and takes a value that did not come from the command line.
  Status Set(std::string_view name, std::string value);

 private:
  Status ReadLong(std::span<const std::string> arguments, size_t* at);
  Status ReadShort(std::span<const std::string> arguments, size_t* at);
  Status Store(const FlagSpec& flag, std::string value, std::string_view shown);
  const FlagSpec* Find(std::string_view name) const;
  std::string Value(std::string_view name) const;

  std::span<const FlagSpec> spec_;
  std::map<std::string, std::string, std::less<>> given_;
  std::vector<std::string> positional_;
  std::optional<size_t> before_dashes_;
};

}  // namespace store::ctl
