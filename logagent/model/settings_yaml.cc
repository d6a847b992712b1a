// SPDX-License-Identifier: Apache-2.0
#include "logagent/model/settings_yaml.h"

#include <absl/functional/function_ref.h>
#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>
#include <sstream>
#include <utility>

namespace logagent {
namespace {

using store::ErrorCode;
using store::Fail;
using store::Ok;

TextPosition PositionOf(const YAML::Mark& mark) {
  if (mark.is_null()) return {};
  return {static_cast<size_t>(mark.line) + 1, static_cast<size_t>(mark.column) + 1};
}

tl::unexpected<store::Error> Refuse(const YAML::Mark& mark, std::string_view reason) {
  TextPosition at = PositionOf(mark);
  return Fail(ErrorCode::kInvalidArgument, fmt::format("{}:{}: {}", at.line, at.column, reason));
}

// Where documents begin, and nothing of what is in them.
class DocumentStarts final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { last_ = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

  const YAML::Mark& last() const { return last_; }

 private:
  YAML::Mark last_;
};

// YAML::Load reads the first document and is silent about the rest. YAML::LoadAll is no way out: of
// a lone comma it makes documents without end.
Status CheckOneDocument(const std::string& text) {
  std::istringstream in(text);
  YAML::Parser parser(in);
  DocumentStarts starts;
  if (!parser.HandleNextDocument(starts) || !parser.HandleNextDocument(starts)) return Ok();
  return Refuse(starts.last(), "a second document (---) begins here; settings are one");
}

struct UnitName {
  std::string_view name;
  uint64_t factor;
};

Result<uint64_t> ParseNumber(std::string_view text, std::initializer_list<UnitName> units,
                             std::string_view what) {
  uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  if (error == std::errc()) {
    while (unit.starts_with(' ')) unit.remove_prefix(1);
    for (const UnitName& known : units) {
      if (unit != known.name) continue;
      if (number <= std::numeric_limits<int64_t>::max() / known.factor) {
        return number * known.factor;
      }
    }
  }
  return Fail(ErrorCode::kInvalidArgument, fmt::format("{} is not {}", JsonQuoted(text), what));
}

using Take = absl::FunctionRef<Status(const YAML::Node& value)>;

// One section of the file: reads its keys and refuses the ones nobody asked for.
class Section {
 public:
  Section(std::string name, const YAML::Node& node) : name_(std::move(name)), node_(node) {}

  Status Check() const {
    if (!node_ || node_.IsNull() || node_.IsMap()) return Ok();
    return Refuse(node_.Mark(), fmt::format("{}: this must be a mapping", name_));
  }
  // The key's value, if the file has one.
  void Read(std::string_view key, Take take) {
    known_.emplace_back(key);
    if (!status_ || !node_ || !node_.IsMap()) return;
    const YAML::Node value = std::as_const(node_)[std::string(key)];
    if (!value || value.IsNull()) return;
    if (auto taken = take(value); !taken) {
      status_ = Refuse(value.Mark(), fmt::format("{}: {}", Full(key), taken.error().message()));
    }
  }
  void Text(std::string_view key, std::string* out) {
    Read(key, [out](const YAML::Node& value) -> Status {
      if (!value.IsScalar()) return Fail(ErrorCode::kInvalidArgument, "this must be a text");
      *out = value.Scalar();
      return Ok();
    });
  }
  void Texts(std::string_view key, std::vector<std::string>* out) {
    Read(key, [out](const YAML::Node& value) -> Status {
      out->clear();
      if (value.IsScalar()) {
        *out = SplitAddresses(value.Scalar());
        return Ok();
      }
      for (const auto& item : value) {
        if (!value.IsSequence() || !item.IsScalar()) {
          return Fail(ErrorCode::kInvalidArgument, "this must be a list of texts");
        }
        out->push_back(item.Scalar());
      }
      return Ok();
    });
  }
  void Size(std::string_view key, size_t* out) {
    Read(key, [out](const YAML::Node& value) -> Status {
      auto size = ParseSize(value.IsScalar() ? value.Scalar() : "");
      if (!size) return Fail(std::move(size).error());
      *out = *size;
      return Ok();
    });
  }
  void Pairs(std::string_view key, std::map<std::string, std::string>* out) {
    Read(key, [out](const YAML::Node& value) -> Status {
      if (!value.IsMap()) return Fail(ErrorCode::kInvalidArgument, "this must be a mapping");
      std::set<std::string> names;
      for (const auto& member : value) {
        if (!member.first.IsScalar() || !member.second.IsScalar()) {
          return Fail(ErrorCode::kInvalidArgument, "names and values must be texts");
        }
        if (!names.insert(member.first.Scalar()).second) {
          return Fail(ErrorCode::kInvalidArgument,
                      fmt::format("{} is there twice", member.first.Scalar()));
        }
        (*out)[member.first.Scalar()] = member.second.Scalar();
      }
      return Ok();
    });
  }
  // One of two words.
  void Choice(std::string_view key, std::string_view no, std::string_view yes, bool* out) {
    Read(key, [no, yes, out](const YAML::Node& value) -> Status {
      const std::string text = value.IsScalar() ? value.Scalar() : "";
      if (text != no && text != yes) {
        return Fail(ErrorCode::kInvalidArgument, fmt::format("this must be {} or {}", yes, no));
      }
      *out = text == yes;
      return Ok();
    });
  }
  void Time(std::string_view key, std::chrono::milliseconds* out) {
    Read(key, [out](const YAML::Node& value) -> Status {
      auto duration = ParseDuration(value.IsScalar() ? value.Scalar() : "");
      if (!duration) return Fail(std::move(duration).error());
      *out = *duration;
      return Ok();
    });
  }
  // After all keys were read: the first fault, or an unknown key.
  Status Finish() const {
    RETURN_IF_ERROR(Check());
    if (!status_ || !node_ || !node_.IsMap()) return status_;
    std::set<std::string> seen;
    for (const auto& member : node_) {
      if (!member.first.IsScalar()) return Refuse(member.first.Mark(), "a key must be a text");
      std::string key = member.first.Scalar();
      if (!seen.insert(key).second) {
        return Refuse(member.first.Mark(), fmt::format("{}: the key is there twice", Full(key)));
      }
      if (std::ranges::find(known_, key) == known_.end()) {
        return Refuse(member.first.Mark(), fmt::format("{}: unknown key", Full(key)));
      }
    }
    return Ok();
  }
  YAML::Node Child(std::string_view key) {
    known_.emplace_back(key);
    if (!node_ || !node_.IsMap()) return YAML::Node(YAML::NodeType::Undefined);
    return std::as_const(node_)[std::string(key)];
  }

 private:
  std::string Full(std::string_view key) const {
    return name_.empty() ? std::string(key) : fmt::format("{}.{}", name_, key);
  }

  std::string name_;
  YAML::Node node_;
  std::vector<std::string> known_;
  Status status_;
};

Status ReadAgent(const YAML::Node& node, AgentSettings* settings) {
  Section agent("agent", node);
  agent.Text("id", &settings->id);
  agent.Text("ip", &settings->ip);
  agent.Text("state_dir", &settings->state_dir);
  agent.Text("admin", &settings->admin_address);
  agent.Size("memory", &settings->memory_bytes_max);
  agent.Size("max_line_bytes", &settings->line_bytes_max);
  return agent.Finish();
}

Status ReadLog(const YAML::Node& node, LogSettings* settings) {
  Section log("log", node);
  log.Text("level", &settings->level);
  log.Text("format", &settings->format);
  log.Text("output", &settings->output);
  return log.Finish();
}

Status ReadStore(const YAML::Node& node, StoreSettings* settings) {
  Section section("store", node);
  section.Texts("endpoints", &settings->endpoints);
  section.Time("timeout", &settings->timeout);
  section.Text("config_key", &settings->config_key);
  section.Text("username", &settings->username);
  section.Text("password", &settings->password);
  return section.Finish();
}

Status ReadKafka(const YAML::Node& node, KafkaSettings* settings) {
  Section kafka("kafka", node);
  kafka.Texts("brokers", &settings->brokers);
  kafka.Pairs("properties", &settings->properties);
  kafka.Pairs("secrets", &settings->secrets);
  kafka.Choice("latency", "normal", "low", &settings->low_latency);
  kafka.Choice("compress", "if_it_pays", "always", &settings->compress_always);
  return kafka.Finish();
}

Status ReadEntry(const YAML::Node& node, EntryConfig* entry) {
  entry->position = PositionOf(node.Mark());
  Section section("entries", node);
  section.Text("path", &entry->path);
  section.Text("topic", &entry->topic);
  section.Text("module", &entry->module);
  section.Text("service", &entry->service);
  section.Read("strip_cr", [entry](const YAML::Node& value) -> Status {
    if (!YAML::convert<bool>::decode(value, entry->strip_cr)) {
      return Fail(ErrorCode::kInvalidArgument, "this must be true or false");
    }
    return Ok();
  });
  return section.Finish();
}

Result<AgentConfig> ReadRoot(const YAML::Node& node) {
  AgentConfig config;
  Section root("", node);
  RETURN_IF_ERROR(root.Check().map_error([](const store::Error&) {
    return store::Error(ErrorCode::kInvalidArgument, "1:1: the settings must be a mapping");
  }));
  RETURN_IF_ERROR(ReadAgent(root.Child("agent"), &config.settings));
  RETURN_IF_ERROR(ReadLog(root.Child("log"), &config.settings.log));
  RETURN_IF_ERROR(ReadStore(root.Child("store"), &config.settings.store));
  RETURN_IF_ERROR(ReadKafka(root.Child("kafka"), &config.settings.kafka));
  root.Text("entries_file", &config.settings.entries_file);
  const YAML::Node entries = root.Child("entries");
  if (entries && !entries.IsNull()) {
    if (!entries.IsSequence()) return Refuse(entries.Mark(), "entries: this must be a list");
    for (const auto& entry : entries) {
      RETURN_IF_ERROR(ReadEntry(entry, &config.entries.emplace_back()));
    }
  }
  RETURN_IF_ERROR(root.Finish());
  return config;
}

}  // namespace

Result<size_t> ParseSize(std::string_view text) {
  return ParseNumber(text,
                     {{"", 1}, {"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}},
                     "a size such as 64MiB");
}

Result<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  auto number = ParseNumber(text, {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60'000}},
                            "a duration such as 5s");
  if (!number) return Fail(std::move(number).error());
  return std::chrono::milliseconds(*number);
}

Result<AgentConfig> ParseSettingsYaml(std::string_view text, std::vector<Warning>* warnings) {
  // yaml-cpp throws for whatever is wrong; nothing of it leaves this function.
  try {
    const std::string whole(text);
    RETURN_IF_ERROR(CheckOneDocument(whole));
    auto config = ReadRoot(YAML::Load(whole));
    if (!config) return config;
    RETURN_IF_ERROR(ValidateSettings(config->settings));
    std::vector<Warning> unheard;
    RETURN_IF_ERROR(ValidateEntries(&config->entries, warnings != nullptr ? warnings : &unheard));
    if (warnings != nullptr && !config->entries.empty() && !config->settings.entries_file.empty()) {
      warnings->push_back({{}, "entries_file is ignored: the settings have entries of their own"});
    }
    return config;
  } catch (const YAML::Exception& exception) {
    return Refuse(exception.mark, exception.msg);
  }
}

}  // namespace logagent
