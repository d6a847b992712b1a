// SPDX-License-Identifier: Apache-2.0
#include "logagent/model/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <set>
#include <utility>

namespace logagent {
namespace {

using store::ErrorCode;
using store::Fail;
using store::Ok;

constexpr size_t kPathBytesMax = 4095;
constexpr size_t kTopicBytesMax = 249;

std::string Where(const EntryConfig& entry) {
  if (entry.position.line == 0) return {};
  return fmt::format("{}:{}: ", entry.position.line, entry.position.column);
}

bool IsTopicByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

// A reason, or nothing if Kafka takes the name.
std::string TopicFault(std::string_view topic) {
  if (topic.empty()) return "the entry has no topic";
  if (topic == "." || topic == "..") return "the topic cannot be . or ..";
  if (topic.size() > kTopicBytesMax) {
    return fmt::format("the topic has {} bytes, Kafka takes at most {}", topic.size(),
                       kTopicBytesMax);
  }
  if (!std::ranges::all_of(topic, IsTopicByte)) {
    return fmt::format("the topic {} may only have letters, digits, '.', '_' and '-'",
                       JsonQuoted(topic));
  }
  return {};
}

// A bracket that is never closed makes fnmatch match nothing, silently.
bool HasOpenBracket(std::string_view path) {
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '\\') {
      ++i;
    } else if (path[i] == '[') {
      size_t from = i + 1;
      if (from < path.size() && (path[from] == '!' || path[from] == '^')) ++from;
      if (from < path.size() && path[from] == ']') ++from;
      size_t close = path.find(']', from);
      if (close == std::string_view::npos) return true;
      i = close;
    }
  }
  return false;
}

std::string PathFault(std::string_view path) {
  if (path.empty()) return "the entry has no path";
  if (path.size() > kPathBytesMax) {
    return fmt::format("the path has {} bytes, at most {} are possible", path.size(),
                       kPathBytesMax);
  }
  if (path.find('\0') != std::string_view::npos) return "the path contains a NUL byte";
  if (path.ends_with('/')) return fmt::format("the path {} is a directory", JsonQuoted(path));
  if (HasOpenBracket(path)) {
    return fmt::format("the glob {} has a [ without its ]", JsonQuoted(path));
  }
  if (path == "/**" || path == "/**/*" || path == "**") {
    return fmt::format("the glob {} matches every file of the machine", JsonQuoted(path));
  }
  return {};
}

bool IsIpAddress(const std::string& text) {
  in6_addr room{};
  return ::inet_pton(AF_INET, text.c_str(), &room) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), &room) == 1;
}

Status CheckIdentity(const AgentSettings& settings) {
  auto refuse = [](std::string text) { return Fail(ErrorCode::kInvalidArgument, std::move(text)); };
  if (!settings.ip.empty() && !IsIpAddress(settings.ip)) {
    return refuse(fmt::format("agent.ip: {} is no IP address", JsonQuoted(settings.ip)));
  }
  if (settings.id.find('/') != std::string::npos) return refuse("agent.id: cannot contain a /");
  const std::string& key = settings.store.config_key;
  if (key.empty()) return refuse("store.config_key: a key is needed");
  if (key.find("%s") != key.rfind("%s")) {
    return refuse(fmt::format("store.config_key: {} has %s twice, the own address fills one",
                              JsonQuoted(key)));
  }
  return Ok();
}

// With `port_default` 0 each address must name its port.
Status CheckAddresses(std::string_view name, const std::vector<std::string>& addresses,
                      uint16_t port_default) {
  if (addresses.empty()) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: at least one is needed", name));
  }
  for (std::string_view address : addresses) {
    for (std::string_view scheme : {"http://", "https://"}) {
      if (address.starts_with(scheme)) address.remove_prefix(scheme.size());
    }
    auto normal = NormalizeAddress(address, port_default);
    if (!normal) return Fail(normal.error().WithContext(name));
    if (normal->ends_with(":0")) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("{}: {}: the port is missing", name, address));
    }
  }
  return Ok();
}

}  // namespace

std::string Warning::ToString() const {
  if (position.line == 0) return text;
  return fmt::format("{}:{}: {}", position.line, position.column, text);
}

std::string EntryKey(std::string_view path, std::string_view topic) {
  std::string key;
  key.reserve(path.size() + topic.size() + 1);
  key.append(path);
  key.push_back('\0');
  key.append(topic);
  return key;
}

std::string FormatConfigKey(std::string_view key_template, std::string_view ip) {
  std::string key(key_template);
  if (size_t mark = key.find("%s"); mark != std::string::npos) key.replace(mark, 2, ip);
  return key;
}

Result<std::string> NormalizeAddress(std::string_view address, uint16_t port_default) {
  std::string_view host = address;
  std::string_view port;
  if (host.starts_with('[')) {
    size_t close = host.find(']');
    if (close == std::string_view::npos) {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: [ without ]", address));
    }
    port = host.substr(close + 1);
    host = host.substr(0, close + 1);
    if (port.starts_with(':')) port.remove_prefix(1);
  } else if (size_t colon = host.rfind(':'); colon != std::string_view::npos) {
    if (host.find(':') != colon) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("{}: an IPv6 address needs brackets", address));
    }
    port = host.substr(colon + 1);
    host = host.substr(0, colon);
    if (port.empty()) {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: the port is missing", address));
    }
  }
  if (host.empty() || host.find_first_of(" \t/") != std::string_view::npos) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: this is not host:port", address));
  }
  unsigned number = port_default;
  if (!port.empty()) {
    auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc() || end != port.data() + port.size() || number > 65535) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("{}: {} is not a port", address, JsonQuoted(port)));
    }
  }
  return fmt::format("{}:{}", host, number);
}

std::vector<std::string> SplitAddresses(std::string_view text) {
  std::vector<std::string> parts;
  size_t from = 0;
  while (from < text.size()) {
    size_t end = std::min(text.find_first_of(",; \t", from), text.size());
    if (end > from) parts.emplace_back(text.substr(from, end - from));
    from = end + 1;
  }
  return parts;
}

bool HasGlobCharacters(std::string_view path) {
  return path.find_first_of("*?[") != std::string_view::npos;
}

std::string JsonQuoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        } else {
          out += c;
        }
    }
  }
  return out + '"';
}

Status ValidateSettings(const AgentSettings& settings) {
  RETURN_IF_ERROR(CheckAddresses("kafka.brokers", settings.kafka.brokers, 9092));
  RETURN_IF_ERROR(CheckAddresses("store.endpoints", settings.store.endpoints, 0));
  RETURN_IF_ERROR(CheckIdentity(settings));
  if (!settings.admin_address.empty()) {
    if (auto ok = NormalizeAddress(settings.admin_address, 2112); !ok) {
      return Fail(ok.error().WithContext("agent.admin"));
    }
  }
  auto refuse = [](std::string text) { return Fail(ErrorCode::kInvalidArgument, std::move(text)); };
  if (settings.state_dir.empty()) return refuse("agent.state_dir: a directory is needed");
  if (settings.store.timeout <= std::chrono::milliseconds(0)) {
    return refuse("store.timeout: must be longer than 0");
  }
  if (settings.memory_bytes_max < (size_t{4} << 20)) {
    return refuse("agent.memory: at least 4 MiB are needed");
  }
  if (settings.line_bytes_max < 1024 || settings.line_bytes_max > (size_t{100} << 20)) {
    return refuse("agent.max_line_bytes: must be between 1 KiB and 100 MiB");
  }
  const auto& log = settings.log;
  if (log.format != "json" && log.format != "console") {
    return refuse(
        fmt::format("log.format: {} is neither json nor console", JsonQuoted(log.format)));
  }
  static constexpr std::string_view kLevels[] = {"debug", "info", "warn", "error"};
  if (std::ranges::find(kLevels, log.level) == std::end(kLevels)) {
    return refuse(
        fmt::format("log.level: {} is none of debug, info, warn, error", JsonQuoted(log.level)));
  }
  return Ok();
}

Status ValidateEntries(std::vector<EntryConfig>* entries, std::vector<Warning>* warnings) {
  if (entries->size() > kEntriesMax) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} entries, at most {} are possible", entries->size(), kEntriesMax));
  }
  std::set<std::string> seen;
  std::vector<EntryConfig> unique;
  unique.reserve(entries->size());
  for (EntryConfig& entry : *entries) {
    std::string fault = PathFault(entry.path);
    if (fault.empty()) fault = TopicFault(entry.topic);
    if (!fault.empty()) return Fail(ErrorCode::kInvalidArgument, Where(entry) + fault);
    if (!seen.insert(EntryKey(entry.path, entry.topic)).second) {
      warnings->push_back(
          {entry.position,
           fmt::format("the entry for {} and topic {} is there already; this one is "
                       "ignored",
                       JsonQuoted(entry.path), entry.topic)});
      continue;
    }
    if (!entry.path.starts_with('/')) {
      warnings->push_back(
          {entry.position, fmt::format("the path {} is relative: it is taken from the agent's "
                                       "working directory",
                                       JsonQuoted(entry.path))});
    }
    unique.push_back(std::move(entry));
  }
  *entries = std::move(unique);
  return Ok();
}

}  // namespace logagent
