// SPDX-License-Identifier: Apache-2.0
#include "logagent/model/json_reader.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace logagent {
namespace {

using store::ErrorCode;
using store::Fail;
using store::Ok;

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

void AppendUtf8(std::string* out, uint32_t rune) {
  auto byte = [out](uint32_t bits) { out->push_back(static_cast<char>(bits)); };
  if (rune < 0x80) {
    byte(rune);
  } else if (rune < 0x800) {
    byte(0xc0 | (rune >> 6));
    byte(0x80 | (rune & 0x3f));
  } else if (rune < 0x10000) {
    byte(0xe0 | (rune >> 12));
    byte(0x80 | ((rune >> 6) & 0x3f));
    byte(0x80 | (rune & 0x3f));
  } else {
    byte(0xf0 | (rune >> 18));
    byte(0x80 | ((rune >> 12) & 0x3f));
    byte(0x80 | ((rune >> 6) & 0x3f));
    byte(0x80 | (rune & 0x3f));
  }
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Result<JsonValue> ReadAll() {
    if (text_.starts_with("\xef\xbb\xbf")) return Refuse("a byte order mark is not JSON");
    SkipBlanks();
    if (AtEnd()) return Refuse("the text is empty");
    JsonValue value;
    RETURN_IF_ERROR(ReadValue(&value, 0));
    SkipBlanks();
    if (!AtEnd()) return Refuse(fmt::format("{} after the end of the JSON value", Here()));
    return value;
  }

 private:
  bool AtEnd() const { return at_ >= text_.size(); }
  char Peek() const { return AtEnd() ? '\0' : text_[at_]; }

  TextPosition Position() {
    // Positions are asked for in rising order, so the text is counted once.
    for (; counted_ < at_; ++counted_) {
      if (text_[counted_] != '\n') continue;
      ++line_;
      line_begin_ = counted_ + 1;
    }
    return {line_, at_ - line_begin_ + 1};
  }

  tl::unexpected<store::Error> Refuse(const std::string& reason) {
    TextPosition position = Position();
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}:{}: {}", position.line, position.column, reason));
  }

  // What stands at the cursor, for messages.
  std::string Here() const {
    if (AtEnd()) return "the text ends";
    std::string_view rest = text_.substr(at_);
    if (rest.starts_with("//") || rest.starts_with("/*") || rest.starts_with('#')) {
      return "a comment";
    }
    size_t length = Utf8SequenceLength(rest);
    if (length == 0) return fmt::format("byte 0x{:02x}", static_cast<unsigned char>(rest[0]));
    return JsonQuoted(rest.substr(0, length));
  }

  void SkipBlanks() {
    while (!AtEnd() && std::string_view(" \t\r\n").find(Peek()) != std::string_view::npos) ++at_;
  }

  Status ReadValue(JsonValue* value, int depth) {
    if (depth > kJsonDepthMax) return Refuse("the value is nested too deeply");
    value->position = Position();
    switch (Peek()) {
      case '{':
        return ReadObject(value, depth);
      case '[':
        return ReadArray(value, depth);
      case '"':
        value->kind = JsonValue::Kind::kString;
        return ReadString(&value->text);
      case 't':
        return ReadWord("true", JsonValue::Kind::kBool, value);
      case 'f':
        return ReadWord("false", JsonValue::Kind::kBool, value);
      case 'n':
        return ReadWord("null", JsonValue::Kind::kNull, value);
      default:
        return ReadNumber(value);
    }
  }

  Status ReadWord(std::string_view word, JsonValue::Kind kind, JsonValue* value) {
    if (!text_.substr(at_).starts_with(word)) {
      return Refuse(fmt::format("{} where a value should begin", Here()));
    }
    at_ += word.size();
    value->kind = kind;
    value->boolean = word == "true";
    return Ok();
  }

  bool SkipDigits() {
    size_t from = at_;
    while (IsDigit(Peek())) ++at_;
    return at_ > from;
  }

  Status ReadNumber(JsonValue* value) {
    size_t from = at_;
    if (Peek() != '-' && !IsDigit(Peek())) {
      if (AtEnd()) return Refuse("the text ends where a value should begin");
      return Refuse(fmt::format("{} where a value should begin", Here()));
    }
    if (Peek() == '-') ++at_;
    bool good = true;
    if (Peek() == '0') {
      ++at_;
    } else {
      good = SkipDigits();
    }
    if (good && Peek() == '.') {
      ++at_;
      good = SkipDigits();
    }
    if (good && (Peek() == 'e' || Peek() == 'E')) {
      ++at_;
      if (Peek() == '+' || Peek() == '-') ++at_;
      good = SkipDigits();
    }
    if (!good) return Refuse(fmt::format("{} inside a number", Here()));
    value->kind = JsonValue::Kind::kNumber;
    value->text = text_.substr(from, at_ - from);
    return Ok();
  }

  Status ReadArray(JsonValue* value, int depth) {
    value->kind = JsonValue::Kind::kArray;
    ++at_;
    SkipBlanks();
    if (Peek() == ']') return Step();
    while (true) {
      SkipBlanks();
      RETURN_IF_ERROR(ReadValue(&value->items.emplace_back(), depth + 1));
      SkipBlanks();
      if (Peek() == ']') return Step();
      if (Peek() != ',') return Refuse(fmt::format("{} where , or ] should be", Here()));
      ++at_;
    }
  }

  Status ReadObject(JsonValue* value, int depth) {
    value->kind = JsonValue::Kind::kObject;
    ++at_;
    SkipBlanks();
    if (Peek() == '}') return Step();
    while (true) {
      SkipBlanks();
      if (Peek() != '"') return Refuse(fmt::format("{} where a name should begin", Here()));
      JsonValue::Member& member = value->members.emplace_back();
      member.position = Position();
      RETURN_IF_ERROR(ReadString(&member.name));
      SkipBlanks();
      if (Peek() != ':') return Refuse(fmt::format("{} where : should be", Here()));
      ++at_;
      SkipBlanks();
      RETURN_IF_ERROR(ReadValue(&member.value, depth + 1));
      SkipBlanks();
      if (Peek() == '}') return Step();
      if (Peek() != ',') return Refuse(fmt::format("{} where , or }} should be", Here()));
      ++at_;
    }
  }

  Status Step() {
    ++at_;
    return Ok();
  }

  Status ReadString(std::string* out) {
    ++at_;
    while (true) {
      if (AtEnd()) return Refuse("the text ends inside a string");
      char c = Peek();
      if (c == '"') return Step();
      if (static_cast<unsigned char>(c) < 0x20) {
        return Refuse("a control character inside a string");
      }
      if (c == '\\') {
        RETURN_IF_ERROR(ReadEscape(out));
        continue;
      }
      size_t length = Utf8SequenceLength(text_.substr(at_));
      out->append(length == 0 ? kReplacement : text_.substr(at_, length));
      at_ += length == 0 ? 1 : length;
    }
  }

  Status ReadEscape(std::string* out) {
    static constexpr std::string_view kNames = "\"\\/bfnrt";
    static constexpr std::string_view kMeaning = "\"\\/\b\f\n\r\t";
    ++at_;
    if (Peek() == 'u') return ReadUnicodeEscape(out);
    size_t which = AtEnd() ? std::string_view::npos : kNames.find(Peek());
    if (which == std::string_view::npos) {
      return Refuse(fmt::format("{} after a backslash inside a string", Here()));
    }
    out->push_back(kMeaning[which]);
    return Step();
  }

  // The four digits after \u at the cursor, which stands on the u.
  std::optional<uint32_t> HexDigits(size_t from) const {
    if (from + 5 > text_.size()) return std::nullopt;
    uint32_t rune = 0;
    for (char c : text_.substr(from + 1, 4)) {
      uint32_t digit = 0;
      if (IsDigit(c)) {
        digit = static_cast<uint32_t>(c - '0');
      } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
        digit = static_cast<uint32_t>((c | 0x20) - 'a') + 10;
      } else {
        return std::nullopt;
      }
      rune = rune * 16 + digit;
    }
    return rune;
  }

  Status ReadUnicodeEscape(std::string* out) {
    auto rune = HexDigits(at_);
    if (!rune) return Refuse("\\u needs four hexadecimal digits");
    at_ += 5;
    if (*rune < 0xd800 || *rune > 0xdfff) {
      AppendUtf8(out, *rune);
      return Ok();
    }
    if (*rune < 0xdc00 && text_.substr(at_).starts_with("\\u")) {
      auto low = HexDigits(at_ + 1);
      if (low && *low >= 0xdc00 && *low <= 0xdfff) {
        at_ += 6;
        AppendUtf8(out, 0x10000 + ((*rune - 0xd800) << 10) + (*low - 0xdc00));
        return Ok();
      }
    }
    out->append(kReplacement);
    return Ok();
  }

  std::string_view text_;
  size_t at_ = 0;
  size_t counted_ = 0;
  size_t line_ = 1;
  size_t line_begin_ = 0;
};

}  // namespace

size_t Utf8SequenceLength(std::string_view text) {
  auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned lead = at(0);
  if (lead < 0x80) return 1;
  size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  bool overlong = (lead == 0xe0 && at(1) < 0xa0) || (lead == 0xf0 && at(1) < 0x90);
  bool outside = (lead == 0xed && at(1) >= 0xa0) || (lead == 0xf4 && at(1) >= 0x90);
  return overlong || outside ? 0 : length;
}

std::string_view Name(JsonValue::Kind kind) {
  switch (kind) {
    case JsonValue::Kind::kNull:
      return "null";
    case JsonValue::Kind::kBool:
      return "true or false";
    case JsonValue::Kind::kNumber:
      return "a number";
    case JsonValue::Kind::kString:
      return "a string";
    case JsonValue::Kind::kArray:
      return "an array";
    case JsonValue::Kind::kObject:
      return "an object";
  }
  return "";
}

Result<JsonValue> ParseJson(std::string_view text) { return Reader(text).ReadAll(); }

}  // namespace logagent
