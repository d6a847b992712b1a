// SPDX-License-Identifier: Apache-2.0
#include "store/ctl/config_text.h"

#include "logagent/model/diff.h"
#include "logagent/model/settings_yaml.h"
#include "store/base/file.h"
#include "store/base/url.h"
#include "store/ctl/go_text.h"

#include <absl/time/time.h>
#include <fmt/format.h>

#include <istream>
#include <iterator>
#include <utility>

namespace store::ctl {
namespace {

constexpr size_t kHistoryDigits = 8;

bool IsYaml(std::string_view name) { return name.ends_with(".yaml") || name.ends_with(".yml"); }

std::string JsonOrNull(const std::optional<std::string>& text) {
  return text ? logagent::JsonQuoted(*text) : "null";
}

std::string Line(char sign, const logagent::EntryConfig& entry) {
  return fmt::format("  {} {} -> {}\n", sign, entry.path, entry.topic);
}

}  // namespace

Result<CheckedList> CheckList(const std::string& name, std::string text) {
  CheckedList checked;
  if (IsYaml(name)) {
    auto settings = logagent::ParseSettingsYaml(text);
    if (!settings) {
      return Fail(settings.error().code(), fmt::format("{}:{}", name, settings.error().message()));
    }
    checked.list.entries = std::move(settings->entries);
    checked.text = logagent::FormatEntryList(checked.list.entries);
    return checked;
  }
  auto list = logagent::ParseEntryList(text);
  if (!list) return Fail(list.error().code(), fmt::format("{}:{}", name, list.error().message()));
  checked.list = std::move(*list);
  checked.text = std::move(text);
  return checked;
}

Result<std::string> ReadInput(const std::string& path, std::istream& in) {
  if (path != "-") return ReadFile(path, logagent::kEntryListBytesMax + 1);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

Result<std::string> ConfigKey(const std::string& ip) {
  if (!IsIpAddress(ip)) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{} is no IP address", Quoted(ip)));
  }
  return logagent::FormatConfigKey(logagent::kDefaultConfigKey, ip);
}

std::string HistoryKey(std::string_view target, uint64_t number) {
  return fmt::format("{}{}/{:0{}}", kHistoryRoot, target, number, kHistoryDigits);
}

uint64_t HistoryNumber(std::string_view key) {
  std::string_view digits = key.substr(key.rfind('/') + 1);
  auto number = ParseInt(digits, 10);
  return number && *number > 0 ? static_cast<uint64_t>(*number) : 0;
}

std::string HistoryJson(const HistoryRecord& record) {
  return fmt::format(
      R"({{"author":{},"time":{},"reason":{},"base_revision":{},"old":{},"new":{}}})",
      logagent::JsonQuoted(record.author), logagent::JsonQuoted(record.time),
      logagent::JsonQuoted(record.reason), record.base_revision, JsonOrNull(record.old_value),
      JsonOrNull(record.new_value));
}

std::string DifferenceText(std::string_view from, std::string_view to) {
  auto old_list = logagent::ParseEntryList(from);
  auto new_list = logagent::ParseEntryList(to);
  if (!old_list) return "  the old text is no entry list: " + old_list.error().message() + "\n";
  if (!new_list) return "  the new text is no entry list: " + new_list.error().message() + "\n";
  logagent::ConfigDiff diff = logagent::Diff(old_list->entries, new_list->entries);
  std::string out;
  for (const auto& entry : diff.stop) out += Line('-', entry);
  for (const auto& entry : diff.start) out += Line('+', entry);
  for (const auto& change : diff.change) {
    out +=
        change.topic_changed()
            ? fmt::format("  ~ {}: {} -> {}\n", change.to.path, change.from.topic, change.to.topic)
            : fmt::format("  ~ {} -> {}: other options\n", change.to.path, change.to.topic);
  }
  return out.empty() ? "  the same entries\n" : out;
}

std::string UtcText(int64_t wall_micros) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixMicros(wall_micros),
                          absl::UTCTimeZone());
}

}  // namespace store::ctl
