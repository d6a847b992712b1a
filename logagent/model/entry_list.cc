// SPDX-License-Identifier: Apache-2.0
#include "logagent/model/entry_list.h"

#include "logagent/model/json_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace logagent {
namespace {

using store::ErrorCode;
using store::Fail;
using store::Ok;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool SameName(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return Lower(x) == Lower(y); });
}

tl::unexpected<store::Error> Refuse(TextPosition position, std::string_view reason) {
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("{}:{}: {}", position.line, position.column, reason));
}

Status ReadText(const JsonValue::Member& member, std::string* out) {
  const JsonValue& value = member.value;
  // Go leaves the field as it is.
  if (value.kind == JsonValue::Kind::kNull) return Ok();
  if (value.kind != JsonValue::Kind::kString) {
    return Refuse(value.position, fmt::format("\"{}\" must be a string, this is {}", member.name,
                                              Name(value.kind)));
  }
  *out = value.text;
  return Ok();
}

Status ReadBool(const JsonValue::Member& member, bool* out) {
  const JsonValue& value = member.value;
  if (value.kind == JsonValue::Kind::kNull) return Ok();
  if (value.kind != JsonValue::Kind::kBool) {
    return Refuse(value.position, fmt::format("\"{}\" must be true or false, this is {}",
                                              member.name, Name(value.kind)));
  }
  *out = value.boolean;
  return Ok();
}

struct TextMember {
  std::string_view name;
  std::string EntryConfig::* field;
};
constexpr TextMember kTextMembers[] = {
    {"path", &EntryConfig::path},
    {"topic", &EntryConfig::topic},
    {"module", &EntryConfig::module},
    {"service", &EntryConfig::service},
};

// Older generations of the course.
bool IsPathAlias(std::string_view name) {
  return SameName(name, "log_path") || SameName(name, "logpath");
}

Status ReadMember(const JsonValue::Member& member, EntryConfig* entry, std::string* alias_path,
                  std::vector<Warning>* warnings) {
  for (const TextMember& known : kTextMembers) {
    if (SameName(member.name, known.name)) return ReadText(member, &(entry->*known.field));
  }
  if (SameName(member.name, "strip_cr")) return ReadBool(member, &entry->strip_cr);
  if (IsPathAlias(member.name)) return ReadText(member, alias_path);
  warnings->push_back(
      {member.position, fmt::format("unknown member {} is ignored", JsonQuoted(member.name))});
  return Ok();
}

Result<EntryConfig> ReadEntry(const JsonValue& value, std::vector<Warning>* warnings) {
  EntryConfig entry;
  entry.position = value.position;
  if (value.kind != JsonValue::Kind::kObject) {
    return Refuse(value.position,
                  fmt::format("an entry must be an object, this is {}", Name(value.kind)));
  }
  std::string alias_path;
  for (const JsonValue::Member& member : value.members) {
    RETURN_IF_ERROR(ReadMember(member, &entry, &alias_path, warnings));
  }
  if (entry.path.empty()) {
    entry.path = alias_path;
  } else if (!alias_path.empty() && alias_path != entry.path) {
    warnings->push_back({entry.position, "\"path\" is used, its older name says something else"});
  }
  return entry;
}

}  // namespace

Result<EntryList> ParseEntryList(std::string_view json) {
  if (json.size() > kEntryListBytesMax) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the list has {} bytes, at most {} are possible", json.size(),
                            kEntryListBytesMax));
  }
  auto parsed = ParseJson(json);
  if (!parsed) return Fail(std::move(parsed).error());
  EntryList list;
  if (parsed->kind == JsonValue::Kind::kNull) return list;
  if (parsed->kind != JsonValue::Kind::kArray) {
    return Refuse(parsed->position, fmt::format("the list must be an array of objects, this is {}",
                                                Name(parsed->kind)));
  }
  for (const JsonValue& item : parsed->items) {
    auto entry = ReadEntry(item, &list.warnings);
    if (!entry) return Fail(std::move(entry).error());
    list.entries.push_back(std::move(*entry));
  }
  RETURN_IF_ERROR(ValidateEntries(&list.entries, &list.warnings));
  return list;
}

std::string FormatEntryList(const std::vector<EntryConfig>& entries) {
  std::string out = "[";
  for (const EntryConfig& entry : entries) {
    out += out.size() == 1 ? "\n" : ",\n";
    out += fmt::format(R"(  {{"path": {}, "topic": {})", JsonQuoted(entry.path),
                       JsonQuoted(entry.topic));
    if (!entry.module.empty()) out += fmt::format(R"(, "module": {})", JsonQuoted(entry.module));
    if (!entry.service.empty()) {
      out += fmt::format(R"(, "service": {})", JsonQuoted(entry.service));
    }
    if (entry.strip_cr) out += R"(, "strip_cr": true)";
    out += "}";
  }
  return out + (entries.empty() ? "]\n" : "\n]\n");
}

}  // namespace logagent
