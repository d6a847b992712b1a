// SPDX-License-Identifier: Apache-2.0
#include "logagent/model/legacy_ini.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

namespace logagent {
namespace {

using store::ErrorCode;
using store::Fail;
using store::Ok;

// What a setting means, whatever it is called.
enum class Meaning : uint8_t {
  kBrokers,
  kBrokerHost,
  kBrokerPort,
  kTopic,
  kEndpoints,
  kTimeout,
  kConfigKey,
  kLogFile,
  kIp,
  kId,
  kQueueSize,    // the queue of lines is the file itself here: only a hint, and not needed
  kOwnLog,       // where and how the course's program logs
  kUnsupported,  // host metrics
};

struct Known {
  std::string_view section;
  std::string_view name;
  Meaning meaning;
  bool alias = false;
};

// Every spelling met in public copies of the course.
constexpr Known kKnown[] = {
    {"kafka", "address", Meaning::kBrokers},
    {"kafka", "chan_max_size", Meaning::kQueueSize},
    {"kafka", "chan_size", Meaning::kQueueSize},
    {"kafka", "chanSize", Meaning::kQueueSize, true},
    {"kafka", "max_chan_size", Meaning::kQueueSize, true},
    {"kafka", "chan_max_zise", Meaning::kQueueSize, true},
    {"kafka", "chan_max_siza", Meaning::kQueueSize, true},
    {"kafka", "chain_size", Meaning::kQueueSize, true},
    {"kafka", "kafkaHost", Meaning::kBrokerHost, true},
    {"kafka", "kafkaPort", Meaning::kBrokerPort, true},
    {"kafka", "topic", Meaning::kTopic},
    {"etcd", "address", Meaning::kEndpoints},
    {"etcd", "timeout", Meaning::kTimeout},
    {"etcd", "collect_log_key", Meaning::kConfigKey},
    {"etcd", "collect_key", Meaning::kConfigKey, true},
    {"etcd", "collectKey", Meaning::kConfigKey, true},
    {"etcd", "log_key", Meaning::kConfigKey, true},
    {"etcd", "key", Meaning::kConfigKey, true},
    {"etcd", "etcd_watch_key", Meaning::kConfigKey, true},
    {"etcd", "collect_sysinfo_key", Meaning::kUnsupported},
    {"taillog", "filename", Meaning::kLogFile},
    {"taillog", "path", Meaning::kLogFile},
    {"collect", "logfile", Meaning::kLogFile},
    {"collect", "logfile_path", Meaning::kLogFile},
    {"agent", "ip", Meaning::kIp},
    {"agent", "agent_id", Meaning::kId},
    {"", "ip", Meaning::kIp},
    {"", "agent_id", Meaning::kId},
    {"", "kafka_addr", Meaning::kBrokers, true},
    {"", "etcd_addr", Meaning::kEndpoints, true},
    {"", "etcd_timeout", Meaning::kTimeout, true},
    {"", "etcd_watch_key", Meaning::kConfigKey, true},
    {"", "thread_num", Meaning::kQueueSize},
    {"", "log", Meaning::kOwnLog},
    {"", "level", Meaning::kOwnLog},
    {"logs", "log", Meaning::kOwnLog},
    {"logs", "level", Meaning::kOwnLog},
};

struct Setting {
  std::string section;
  std::string name;
  std::string raw;  // the value with whatever follows it
  TextPosition name_position;
  TextPosition value_position;
};

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  size_t from = text.find_first_not_of(kBlanks);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(kBlanks) - from + 1);
}

tl::unexpected<store::Error> Refuse(TextPosition position, std::string_view reason) {
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("{}:{}: {}", position.line, position.column, reason));
}

std::string_view WithoutQuotes(std::string_view value) {
  for (char quote : {'"', '\''}) {
    if (value.size() >= 2 && value.front() == quote && value.back() == quote) {
      return value.substr(1, value.size() - 2);
    }
  }
  return value;
}

// The value as the course's reader takes it.
std::string PlainValue(std::string_view raw) {
  if (raw.starts_with('`')) {
    size_t close = raw.find('`', 1);
    if (close != std::string_view::npos) return std::string(raw.substr(1, close - 1));
  }
  return std::string(WithoutQuotes(Trim(raw.substr(0, raw.find_first_of("#;")))));
}

bool LooksLikeAddress(std::string_view text) {
  return text.find(':') != std::string_view::npos && NormalizeAddress(text, 0).has_value();
}

// The value of an address list: a semicolon separates if addresses follow it, else it begins a
// comment.
std::string AddressValue(std::string_view raw) {
  if (raw.starts_with('`')) return PlainValue(raw);
  std::string_view rest = Trim(raw.substr(0, raw.find('#')));
  rest = WithoutQuotes(rest);
  size_t semicolon = rest.find(';');
  std::string out(WithoutQuotes(Trim(rest.substr(0, semicolon))));
  while (semicolon != std::string_view::npos) {
    rest.remove_prefix(semicolon + 1);
    semicolon = rest.find(';');
    std::string_view part = Trim(rest.substr(0, semicolon));
    if (part.empty()) continue;
    bool addresses = part.find_first_of(" \t") == std::string_view::npos;
    for (const std::string& one : SplitAddresses(part)) addresses &= LooksLikeAddress(one);
    if (!addresses) break;
    out.append(",").append(part);
  }
  return out;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {
    if (text_.starts_with("\xef\xbb\xbf")) text_.remove_prefix(3);
  }

  Result<std::vector<Setting>> Parse() {
    while (at_ < text_.size()) {
      size_t first_line = line_;
      std::string line = NextLine();
      RETURN_IF_ERROR(ReadLine(line, first_line));
    }
    return std::move(settings_);
  }

 private:
  std::string NextLine() {
    std::string line;
    while (at_ < text_.size()) {
      size_t end = std::min(text_.find('\n', at_), text_.size());
      std::string_view piece = text_.substr(at_, end - at_);
      at_ = end + 1;
      ++line_;
      if (piece.ends_with('\r')) piece.remove_suffix(1);
      if (!piece.ends_with('\\')) return line.append(piece);
      line.append(piece.substr(0, piece.size() - 1));
    }
    return line;
  }

  Status ReadLine(std::string_view line, size_t number) {
    std::string_view content = Trim(line);
    if (content.empty() || content.front() == '#' || content.front() == ';') return Ok();
    auto column = [&](std::string_view part) {
      return static_cast<size_t>(part.data() - line.data()) + 1;
    };
    TextPosition position{number, column(content)};
    if (content.front() == '[') {
      size_t close = content.find(']');
      if (close == std::string_view::npos) return Refuse(position, "[ without ] around a section");
      section_ = Trim(content.substr(1, close - 1));
      return Ok();
    }
    size_t mark = content.find_first_of("=:");
    if (mark == std::string_view::npos) {
      return Refuse(position,
                    fmt::format("{} is neither a section nor name=value", JsonQuoted(content)));
    }
    std::string_view name = Trim(content.substr(0, mark));
    if (name.empty()) return Refuse(position, "the name before the value is missing");
    std::string_view raw = Trim(content.substr(mark + 1));
    size_t value_column = raw.empty() ? position.column + mark + 1 : column(raw);
    settings_.push_back({section_,
                         std::string(WithoutQuotes(name)),
                         std::string(raw),
                         position,
                         {number, value_column}});
    return Ok();
  }

  std::string_view text_;
  size_t at_ = 0;
  size_t line_ = 1;
  std::string section_;
  std::vector<Setting> settings_;
};

// Collects what the settings say.
class Collector {
 public:
  explicit Collector(const AgentSettings& defaults) { out_.config.settings = defaults; }

  Status Take(const Setting& setting) {
    for (const Known& known : kKnown) {
      if (known.section != setting.section || known.name != setting.name) continue;
      if (known.alias) {
        Warn(setting, fmt::format("{} is an older name; it is understood", setting.name));
      }
      return Apply(known.meaning, setting);
    }
    Warn(setting, fmt::format("unknown setting {} is ignored", Place(setting)));
    return Ok();
  }

  Result<LegacyConfig> Finish() {
    AgentSettings& settings = out_.config.settings;
    if (!broker_host_.empty()) settings.kafka.brokers = {broker_host_ + ":" + broker_port_};
    if (!log_file_.path.empty() && !has_endpoints_) {
      if (topic_.empty()) {
        return Refuse(log_file_.position, "a log file without [kafka] topic has nowhere to go");
      }
      log_file_.topic = topic_;
      out_.config.entries = {log_file_};
      RETURN_IF_ERROR(ValidateEntries(&out_.config.entries, &out_.warnings));
    } else if (!log_file_.path.empty()) {
      out_.warnings.push_back(
          {log_file_.position, "the log file is ignored: the list in the store counts"});
    }
    RETURN_IF_ERROR(ValidateSettings(settings));
    return std::move(out_);
  }

 private:
  static std::string Place(const Setting& setting) {
    if (setting.section.empty()) return setting.name;
    return fmt::format("[{}] {}", setting.section, setting.name);
  }
  void Warn(const Setting& setting, std::string text) {
    out_.warnings.push_back({setting.name_position, std::move(text)});
  }

  Status ReadAddresses(const Setting& setting, uint16_t port, std::vector<std::string>* out) {
    std::vector<std::string> addresses = SplitAddresses(AddressValue(setting.raw));
    if (addresses.empty()) {
      return Refuse(setting.value_position, fmt::format("{} is empty", Place(setting)));
    }
    for (std::string& address : addresses) {
      auto normal = NormalizeAddress(address, port);
      if (!normal) return Refuse(setting.value_position, normal.error().message());
      address = std::move(*normal);
    }
    *out = std::move(addresses);
    return Ok();
  }

  Status ReadTimeout(const Setting& setting) {
    std::string value = PlainValue(setting.raw);
    // The course reads a missing number as 0, which means its own default.
    if (value.empty()) return Ok();
    unsigned seconds = 0;
    auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (error != std::errc() || end != value.data() + value.size() || seconds > 3600) {
      return Refuse(setting.value_position, fmt::format("{}: {} is not a number of seconds",
                                                        Place(setting), JsonQuoted(value)));
    }
    if (seconds > 0) out_.config.settings.store.timeout = std::chrono::seconds(seconds);
    return Ok();
  }

  Status Apply(Meaning meaning, const Setting& setting) {
    AgentSettings& settings = out_.config.settings;
    switch (meaning) {
      case Meaning::kBrokers:
        return ReadAddresses(setting, 9092, &settings.kafka.brokers);
      case Meaning::kEndpoints:
        has_endpoints_ = true;
        return ReadAddresses(setting, 2379, &settings.store.endpoints);
      case Meaning::kTimeout:
        return ReadTimeout(setting);
      case Meaning::kBrokerHost:
        broker_host_ = PlainValue(setting.raw);
        break;
      case Meaning::kBrokerPort:
        broker_port_ = PlainValue(setting.raw);
        break;
      case Meaning::kTopic:
        topic_ = PlainValue(setting.raw);
        break;
      case Meaning::kConfigKey:
        settings.store.config_key = PlainValue(setting.raw);
        break;
      case Meaning::kIp:
        settings.ip = PlainValue(setting.raw);
        break;
      case Meaning::kId:
        settings.id = PlainValue(setting.raw);
        break;
      case Meaning::kLogFile:
        log_file_.path = PlainValue(setting.raw);
        log_file_.position = setting.value_position;
        break;
      case Meaning::kUnsupported:
        Warn(setting, fmt::format("{} is not supported and ignored", Place(setting)));
        break;
      case Meaning::kQueueSize:
      case Meaning::kOwnLog:
        break;
    }
    return Ok();
  }

  LegacyConfig out_;
  bool has_endpoints_ = false;
  std::string broker_host_;
  std::string broker_port_ = "9092";
  std::string topic_;
  EntryConfig log_file_;
};

}  // namespace

Result<LegacyConfig> ParseLegacyIni(std::string_view text, const AgentSettings& defaults) {
  auto settings = Parser(text).Parse();
  if (!settings) return Fail(std::move(settings).error());
  Collector collector(defaults);
  for (const Setting& setting : *settings) RETURN_IF_ERROR(collector.Take(setting));
  return collector.Finish();
}

}  // namespace logagent
