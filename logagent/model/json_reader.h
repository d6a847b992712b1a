// SPDX-License-Identifier: Apache-2.0
// A small JSON reader that knows where everything stands. It takes exactly the texts Go's decoder
// takes, which differs from others in three ways: bytes that are not UTF-8 and lone surrogates
// become U+FFFD, and repeated names are kept for the caller to choose from. Errors begin with
// line:column. Only for texts that people write; nesting is bounded by kJsonDepthMax. Pure
// function, any thread.
#pragma once

#include "logagent/model/model.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace logagent {

inline constexpr int kJsonDepthMax = 100;

struct JsonValue {
  enum class Kind : uint8_t { kNull, kBool, kNumber, kString, kArray, kObject };
  struct Member;

  Kind kind = Kind::kNull;
  TextPosition position;
  bool boolean = false;
  std::string text;  // of a string, decoded; of a number, as written
  std::vector<JsonValue> items;
  std::vector<Member> members;  // in the order of the text, repeated names included
};

struct JsonValue::Member {
  std::string name;
  TextPosition position;
  JsonValue value;
};

// "a string", "an object", … for messages.
std::string_view Name(JsonValue::Kind kind);

Result<JsonValue> ParseJson(std::string_view text);

// Bytes of the well-formed UTF-8 sequence at the start of `text`, which is not empty; 0 if there is
// none.
size_t Utf8SequenceLength(std::string_view text);

}  // namespace logagent
