// SPDX-License-Identifier: Apache-2.0
#include "store/ctl/txn_text.h"

#include "store/ctl/go_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace store::ctl {
namespace {

using etcdserverpb::Compare;

tl::unexpected<Error> Refuse(std::string text) {
  return Fail(ErrorCode::kInvalidArgument, std::move(text));
}

struct Target {
  std::string_view name;
  Compare::CompareTarget target;
};
constexpr Target kTargets[] = {
    {"ver", Compare::VERSION},   {"version", Compare::VERSION}, {"c", Compare::CREATE},
    {"create", Compare::CREATE}, {"m", Compare::MOD},           {"mod", Compare::MOD},
    {"val", Compare::VALUE},     {"value", Compare::VALUE},     {"lease", Compare::LEASE},
};

struct Operator {
  std::string_view sign;
  Compare::CompareResult result;
};
constexpr Operator kOperators[] = {{"=", Compare::EQUAL},
                                   {"!=", Compare::NOT_EQUAL},
                                   {"<", Compare::LESS},
                                   {">", Compare::GREATER}};

// The texts between the parentheses and behind them.
struct Parts {
  std::string key;
  std::string sign;
  std::string value;
  bool whole = false;
};

Parts ReadParts(std::string_view text) {
  Parts parts;
  size_t length = 0;
  auto key = Unquoted(Trimmed(text), &length);
  if (!key) return parts;
  parts.key = std::move(*key);
  text = Trimmed(text).substr(length);
  if (!text.starts_with(')')) return parts;
  text = Trimmed(text.substr(1));
  size_t end = std::min(text.find_first_of(" \t"), text.size());
  parts.sign = text.substr(0, end);
  auto value = Unquoted(Trimmed(text.substr(end)), &length);
  if (!value) return parts;
  parts.value = std::move(*value);
  parts.whole = true;
  return parts;
}

Status SetValue(std::string_view line, const std::string& text, Compare* compare) {
  if (compare->target() == Compare::VALUE) {
    compare->set_value(text);
    return Ok();
  }
  auto number = ParseInt(text, compare->target() == Compare::LEASE ? 16 : 10);
  if (!number) return Refuse(fmt::format("invalid txn compare request: {}", line));
  if (compare->target() == Compare::VERSION) compare->set_version(*number);
  if (compare->target() == Compare::CREATE) compare->set_create_revision(*number);
  if (compare->target() == Compare::MOD) compare->set_mod_revision(*number);
  if (compare->target() == Compare::LEASE) compare->set_lease(*number);
  return Ok();
}

}  // namespace

std::vector<std::string> SplitWords(std::string_view line) {
  std::vector<std::string> words;
  while (true) {
    line = Trimmed(line);
    if (line.empty()) return words;
    size_t length = 0;
    if (auto quoted = Unquoted(line, &length); quoted && line[0] == '"') {
      words.push_back(std::move(*quoted));
    } else if (size_t end = line.find('\'', 1); line[0] == '\'' && end != std::string_view::npos) {
      words.emplace_back(line.substr(1, end - 1));
      length = end + 1;
    } else {
      length = std::min(line.find_first_of(" \t"), line.size());
      words.emplace_back(line.substr(0, length));
    }
    line.remove_prefix(length);
  }
}

Result<Compare> ParseCompare(std::string_view line) {
  size_t open = line.find('(');
  if (open == std::string_view::npos) return Refuse(fmt::format("malformed comparison: {}", line));
  std::string_view name = line.substr(0, open);
  Parts parts = ReadParts(line.substr(open + 1));
  if (!parts.whole) {
    return Refuse(fmt::format("malformed comparison: {}; got {}({}) {} {}", line, name,
                              Quoted(parts.key), parts.sign, Quoted(parts.value)));
  }
  const auto* target = std::ranges::find(kTargets, name, &Target::name);
  if (target == std::end(kTargets)) {
    return Refuse(fmt::format("malformed comparison: {} (unknown target {})", line, name));
  }
  const auto* sign = std::ranges::find(kOperators, parts.sign, &Operator::sign);
  if (sign == std::end(kOperators)) {
    return Refuse(fmt::format("malformed comparison: {} (unknown operator {})", line, parts.sign));
  }
  Compare compare;
  compare.set_key(parts.key);
  compare.set_target(target->target);
  compare.set_result(sign->result);
  RETURN_IF_ERROR(SetValue(line, parts.value, &compare));
  return compare;
}

}  // namespace store::ctl
