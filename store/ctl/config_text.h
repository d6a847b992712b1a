// SPDX-License-Identifier: Apache-2.0
// What `config` reads and writes as text: entry lists in JSON or YAML checked by the agent's own
// validator, the history record, and differences shown entry by entry. Pure functions but for
// reading the file; any thread.
#pragma once

#include "logagent/model/entry_list.h"
#include "store/base/error.h"

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

namespace store::ctl {

inline constexpr std::string_view kConfigRoot = "/logagent/";
inline constexpr std::string_view kHistoryRoot = "/logagent/_/history/";

// A list that passed the validator, and the bytes that are to be written.
struct CheckedList {
  logagent::EntryList list;
  std::string text;
};
// `name` stands before the position in errors, "file.json:3:14: …". A name that ends in .yaml or
// .yml is YAML with the list under "entries:", and is written as JSON.
Result<CheckedList> CheckList(const std::string& name, std::string text);
// The file, or stdin for "-".
Result<std::string> ReadInput(const std::string& path, std::istream& in);

// The key of a host's list; refuses what is no address.
Result<std::string> ConfigKey(const std::string& ip);
// Numbers have eight digits so that keys sort as numbers do.
std::string HistoryKey(std::string_view target, uint64_t number);
// The number at the end of a history key; 0 if there is none.
uint64_t HistoryNumber(std::string_view key);

struct HistoryRecord {
  std::string author;
  std::string time;
  std::string reason;
  int64_t base_revision = 0;
  std::optional<std::string> old_value;
  std::optional<std::string> new_value;  // nothing: removed
};
std::string HistoryJson(const HistoryRecord& record);

// What leads from one list to the other, a line an entry: "+ path -> topic", "- …", "~ …". A text
// that is no list is called so in its place.
std::string DifferenceText(std::string_view from, std::string_view to);

// 2026-11-21T02:45:10Z
std::string UtcText(int64_t wall_micros);

}  // namespace store::ctl
