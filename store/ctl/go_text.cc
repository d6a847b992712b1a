// SPDX-License-Identifier: Apache-2.0
#include "store/ctl/go_text.h"

#include <absl/strings/escaping.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

namespace store::ctl {
namespace {

struct Rune {
  uint32_t value = 0;
  size_t length = 0;  // 0: these bytes are not UTF-8
};

Rune DecodeRune(std::string_view text) {
  auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  uint32_t lead = at(0);
  if (lead < 0x80) return {lead, 1};
  size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {};
  uint32_t value = lead & (0xffU >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return {};
    value = (value << 6) | (at(i) & 0x3fU);
  }
  static constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  bool surrogate = value >= 0xd800 && value <= 0xdfff;
  if (value < kSmallest[length] || value > 0x10ffff || surrogate) return {};
  return {value, length};
}

// What Go's %q leaves as it is, but for the rare unassigned runes above Latin 1.
bool IsPrintable(uint32_t rune) {
  if (rune < 0x20 || (rune >= 0x7f && rune <= 0xa0) || rune == 0xad) return false;
  if (rune >= 0x2000 && rune <= 0x200f) return false;
  if (rune >= 0x2028 && rune <= 0x202f) return false;
  if (rune >= 0x205f && rune <= 0x206f) return false;
  bool private_use = (rune >= 0xe000 && rune <= 0xf8ff) || rune >= 0xe0000;
  return !private_use && rune != 0x3000 && rune != 0xfeff && (rune & 0xfffe) != 0xfffe;
}

constexpr std::string_view kEscapeNames = "abfnrtv\\\"'";
constexpr std::string_view kEscapeBytes = "\a\b\f\n\r\t\v\\\"'";

std::string EscapedRune(uint32_t rune) {
  if (rune < 0x80) {
    size_t which = kEscapeBytes.find(static_cast<char>(rune));
    if (which != std::string_view::npos && rune != '\'') {
      return std::string{'\\', kEscapeNames[which]};
    }
    return fmt::format("\\x{:02x}", rune);
  }
  return rune < 0x10000 ? fmt::format("\\u{:04x}", rune) : fmt::format("\\U{:08x}", rune);
}

void AppendUtf8(std::string* out, uint32_t rune) {
  auto byte = [out](uint32_t bits) { out->push_back(static_cast<char>(bits)); };
  if (rune < 0x80) return byte(rune);
  if (rune < 0x800) {
    byte(0xc0 | (rune >> 6));
  } else if (rune < 0x10000) {
    byte(0xe0 | (rune >> 12));
    byte(0x80 | ((rune >> 6) & 0x3f));
  } else {
    byte(0xf0 | (rune >> 18));
    byte(0x80 | ((rune >> 12) & 0x3f));
    byte(0x80 | ((rune >> 6) & 0x3f));
  }
  byte(0x80 | (rune & 0x3f));
}

tl::unexpected<Error> BadLiteral() { return Fail(ErrorCode::kInvalidArgument, "invalid syntax"); }

// The number of `digits` digits at `from`; -1 if there is none.
int64_t DigitsAt(std::string_view text, size_t from, size_t digits, int base) {
  if (from + digits > text.size()) return -1;
  int64_t value = 0;
  for (char c : text.substr(from, digits)) {
    int digit = c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' ? (c | 0x20) - 'a' + 10 : 99;
    if (digit >= base) return -1;
    value = value * base + digit;
  }
  return value;
}

// The escape at *at, which stands on the backslash.
Status AppendEscape(std::string_view text, size_t* at, std::string* out) {
  if (*at + 1 >= text.size()) return BadLiteral();
  char name = text[*at + 1];
  if (size_t which = kEscapeNames.find(name); which != std::string_view::npos) {
    out->push_back(kEscapeBytes[which]);
    *at += 2;
    return Ok();
  }
  bool octal = name >= '0' && name <= '7';
  size_t digits = octal ? 3 : name == 'x' ? 2 : name == 'u' ? 4 : name == 'U' ? 8 : 0;
  size_t from = *at + (octal ? 1 : 2);
  int64_t value = digits == 0 ? -1 : DigitsAt(text, from, digits, octal ? 8 : 16);
  if (value < 0 || value > 0x10ffff) return BadLiteral();
  *at = from + digits;
  if (digits <= 3) {
    if (value > 0xff) return BadLiteral();
    out->push_back(static_cast<char>(value));
  } else {
    AppendUtf8(out, static_cast<uint32_t>(value));
  }
  return Ok();
}

int64_t UnitNanoseconds(std::string_view unit) {
  if (unit == "ns") return 1;
  if (unit == "us" || unit == "\u00b5s" || unit == "\u03bcs") return 1'000;
  if (unit == "ms") return 1'000'000;
  if (unit == "s") return 1'000'000'000;
  if (unit == "m") return 60'000'000'000;
  if (unit == "h") return 3'600'000'000'000;
  return 0;
}

// value / unit without the zeros at the end: 1.5, 2.
std::string Decimal(int64_t value, int64_t unit) {
  std::string text = fmt::format("{}", value / unit);
  if (value % unit == 0) return text;
  std::string fraction = fmt::format("{}", unit + value % unit).substr(1);
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return text + "." + fraction;
}

// Runes, as a terminal shows one column for each.
size_t WidthOf(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string Cell(std::string_view text, size_t width, bool centred) {
  size_t gap = width - WidthOf(text);
  size_t left = centred ? gap / 2 : gap;
  return fmt::format(" {}{}{} |", std::string(left, ' '), text, std::string(gap - left, ' '));
}

}  // namespace

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    Rune rune = DecodeRune(text);
    if (rune.length == 0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    } else if (rune.value == '"' || rune.value == '\\' || !IsPrintable(rune.value)) {
      out += EscapedRune(rune.value);
    } else {
      out += text.substr(0, rune.length);
    }
    text.remove_prefix(std::max<size_t>(rune.length, 1));
  }
  return out + '"';
}

Result<std::string> Unquoted(std::string_view text, size_t* length) {
  if (text.empty() || (text[0] != '"' && text[0] != '`')) return BadLiteral();
  char quote = text[0];
  std::string out;
  size_t at = 1;
  while (at < text.size() && text[at] != quote) {
    if (text[at] == '\\' && quote == '"') {
      RETURN_IF_ERROR(AppendEscape(text, &at, &out));
      continue;
    }
    if (text[at] == '\n' && quote == '"') return BadLiteral();
    out.push_back(text[at++]);
  }
  if (at >= text.size()) return BadLiteral();
  *length = at + 1;
  return out;
}

std::string JsonText(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    Rune rune = DecodeRune(text);
    bool escaped = rune.value < 0x20 || rune.value == '<' || rune.value == '>' ||
                   rune.value == '&' || rune.value == 0x2028 || rune.value == 0x2029;
    if (rune.length == 0) {
      out += "\\ufffd";
    } else if (rune.value == '"' || rune.value == '\\') {
      out += {'\\', text[0]};
    } else if (rune.value == '\n' || rune.value == '\r' || rune.value == '\t') {
      out += EscapedRune(rune.value);
    } else if (escaped) {
      out += fmt::format("\\u{:04x}", rune.value);
    } else {
      out += text.substr(0, rune.length);
    }
    text.remove_prefix(std::max<size_t>(rune.length, 1));
  }
  return out + '"';
}

std::string Base64(std::string_view bytes) { return absl::Base64Escape(std::string(bytes)); }

std::string HexEscaped(std::string_view bytes) {
  std::string out;
  for (char c : bytes) {
    fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string DurationText(Duration duration) {
  int64_t nanoseconds = duration.count();
  if (nanoseconds == 0) return "0s";
  if (nanoseconds < 0) return "-" + DurationText(-duration);
  if (nanoseconds < 1'000) return fmt::format("{}ns", nanoseconds);
  if (nanoseconds < 1'000'000) return Decimal(nanoseconds, 1'000) + "\u00b5s";
  if (nanoseconds < 1'000'000'000) return Decimal(nanoseconds, 1'000'000) + "ms";
  int64_t minutes = nanoseconds / 60'000'000'000;
  std::string seconds = Decimal(nanoseconds % 60'000'000'000, 1'000'000'000) + "s";
  if (minutes == 0) return seconds;
  if (minutes < 60) return fmt::format("{}m{}", minutes, seconds);
  return fmt::format("{}h{}m{}", minutes / 60, minutes % 60, seconds);
}

Result<Duration> ParseDurationText(std::string_view text) {
  auto refuse = [text] {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("time: invalid duration {}", Quoted(text)));
  };
  std::string_view rest = text;
  bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == "0") return Duration::zero();
  if (rest.empty()) return refuse();
  double total = 0;
  while (!rest.empty()) {
    size_t digits = std::min(rest.find_first_not_of("0123456789."), rest.size());
    std::string number(rest.substr(0, digits));
    bool good = number.find_first_of("0123456789") != std::string::npos &&
                std::ranges::count(number, '.') <= 1;
    rest.remove_prefix(digits);
    size_t letters = std::min(rest.find_first_of("0123456789."), rest.size());
    int64_t unit = UnitNanoseconds(rest.substr(0, letters));
    if (!good || unit == 0) return refuse();
    total += std::strtod(number.c_str(), nullptr) * static_cast<double>(unit);
    rest.remove_prefix(letters);
  }
  if (total > 9.2e18) return refuse();
  auto count = static_cast<Duration::rep>(total);
  return Duration(negative ? -count : count);
}

std::string SizeText(uint64_t bytes) {
  if (bytes < 10) return fmt::format("{} B", bytes);
  static constexpr std::string_view kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  double power = std::floor(std::log(static_cast<double>(bytes)) / std::log(1000.0));
  double value = std::floor(static_cast<double>(bytes) / std::pow(1000.0, power) * 10 + 0.5) / 10;
  std::string_view unit = kUnits[static_cast<size_t>(power)];
  return value < 10 ? fmt::format("{:.1f} {}", value, unit) : fmt::format("{:.0f} {}", value, unit);
}

Result<int64_t> ParseInt(std::string_view text, int base) {
  auto refuse = [text](std::string_view why) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("strconv.ParseInt: parsing {}: {}", Quoted(text), why));
  };
  std::string_view digits = text;
  bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  if (base == 0) {
    base = 10;
    char kind = digits.size() > 2 && digits[0] == '0' ? static_cast<char>(digits[1] | 0x20) : '\0';
    if (kind == 'x' || kind == 'o' || kind == 'b') {
      base = kind == 'x' ? 16 : kind == 'o' ? 8 : 2;
      digits.remove_prefix(2);
    } else if (digits.size() > 1 && digits[0] == '0') {
      base = 8;
      digits.remove_prefix(1);
    }
  }
  if (digits.empty()) return refuse("invalid syntax");
  const uint64_t largest = uint64_t{std::numeric_limits<int64_t>::max()} + (negative ? 1 : 0);
  uint64_t value = 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    int64_t digit = DigitsAt(digits, i, 1, base);
    if (digit < 0) return refuse("invalid syntax");
    auto add = static_cast<uint64_t>(digit);
    if (value > (largest - add) / static_cast<uint64_t>(base)) return refuse("value out of range");
    value = value * static_cast<uint64_t>(base) + add;
  }
  return static_cast<int64_t>(negative ? 0 - value : value);
}

Result<bool> ParseBool(std::string_view text) {
  for (std::string_view word : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == word) return true;
  }
  for (std::string_view word : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == word) return false;
  }
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("strconv.ParseBool: parsing {}: invalid syntax", Quoted(text)));
}

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\v\f";
  size_t begin = std::min(text.find_first_not_of(kBlanks), text.size());
  size_t end = text.find_last_not_of(kBlanks) + 1;
  return text.substr(begin, std::max(begin, end) - begin);
}

std::string UpperCase(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  return out;
}

std::vector<std::string> SplitOn(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    size_t end = std::min(text.find(separator), text.size());
    parts.emplace_back(text.substr(0, end));
    if (end == text.size()) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string Table(const std::vector<std::string>& header,
                  const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const std::string& name : header) widths.push_back(WidthOf(name));
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], WidthOf(row[i]));
  }
  std::string line = "+";
  for (size_t width : widths) line += std::string(width + 2, '-') + "+";
  line += "\n";
  auto add = [&widths](const std::vector<std::string>& cells, bool centred) {
    std::string out = "|";
    for (size_t i = 0; i < cells.size(); ++i) out += Cell(cells[i], widths[i], centred);
    return out + "\n";
  };
  std::string out = line + add(header, /*centred=*/true) + line;
  for (const auto& row : rows) out += add(row, /*centred=*/false);
  return out + (rows.empty() ? "" : line);
}

}  // namespace store::ctl
