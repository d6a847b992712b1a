// SPDX-License-Identifier: Apache-2.0
// The agent's configuration as plain values, and the one validator that the agent, sluicectl and
// the centre share. Settings are read once at start (YAML or the course's ini); the entry list is
// what the store holds for a host and may change at any time. Nothing here knows where a text came
// from; problems carry the position in it. Plain values, any thread. Bounds: a list has at most
// kEntriesMax entries and its text at most kEntryListBytesMax bytes.
#pragma once

#include "store/base/error.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace logagent {

using store::Result;
using store::Status;

inline constexpr size_t kEntriesMax = 10'000;
inline constexpr size_t kEntryListBytesMax = size_t{4} << 20;
inline constexpr std::string_view kDefaultConfigKey = "/logagent/%s/collect_config";

// Where something stands in a text; lines and columns (in bytes) count from 1, 0 is "unknown".
struct TextPosition {
  size_t line = 0;
  size_t column = 0;
  friend bool operator==(const TextPosition&, const TextPosition&) = default;
};

// Something a person should know although the configuration is used.
struct Warning {
  TextPosition position;
  std::string text;

  // "3:14: text", or the text alone if the position is unknown.
  std::string ToString() const;
};

// One collection task: a file or a glob, and the topic its lines go to.
struct EntryConfig {
  std::string path;
  std::string topic;
  bool strip_cr = false;
  std::string module{};  // names for people; nothing depends on them
  std::string service{};
  TextPosition position{};  // where the entry begins in its text

  // Same task with the same options; where it stands in the text does not matter.
  friend bool operator==(const EntryConfig& a, const EntryConfig& b) {
    return a.path == b.path && a.topic == b.topic && a.strip_cr == b.strip_cr &&
           a.module == b.module && a.service == b.service;
  }
};

// Names a task for ever, also on disk: path, NUL, topic. No path can contain a NUL, so the course's
// ambiguity ("a_b" + "c" is "a" + "b_c") cannot come back.
std::string EntryKey(std::string_view path, std::string_view topic);

struct StoreSettings {
  std::vector<std::string> endpoints = {"127.0.0.1:2379"};
  std::chrono::milliseconds timeout{5000};    // of one call
  std::string config_key{kDefaultConfigKey};  // %s becomes the own IP
  std::string username;
  std::string password;
};

struct KafkaSettings {
  std::vector<std::string> brokers = {"127.0.0.1:9092"};
  // Any property of librdkafka; wins over what the agent chooses.
  std::map<std::string, std::string> properties;
  // Properties whose value is not written here: "file:PATH" or "env:NAME".
  std::map<std::string, std::string> secrets;
  bool low_latency = false;      // no lingering: each line is sent at once
  bool compress_always = false;  // also lines on which compression saves nothing
};

struct LogSettings {
  std::string level = "info";
  std::string format = "json";  // json or console
  std::string output = "stderr";
};

struct AgentSettings {
  std::string id;  // empty: the machine id
  std::string ip;  // empty: found as the course does
  std::string state_dir = "/var/lib/sluice-agent";
  std::string admin_address = "127.0.0.1:2112";  // empty: no HTTP
  std::string entries_file;                      // entry list from this file in place of the store
  size_t memory_bytes_max = size_t{64} << 20;
  size_t line_bytes_max = size_t{1} << 20;
  StoreSettings store;
  KafkaSettings kafka;
  LogSettings log;
};

struct AgentConfig {
  AgentSettings settings;
  // Given in the settings themselves (stand-alone, no store is asked) or read from the store.
  std::vector<EntryConfig> entries;
};

// "10.0.0.7" into the %s of the template, if it has one; every other byte stays as it is.
std::string FormatConfigKey(std::string_view key_template, std::string_view ip);
// host:port, with a default port if there is none; brackets around IPv6 addresses.
Result<std::string> NormalizeAddress(std::string_view address, uint16_t port_default);
// A list separated by commas, semicolons or blanks; empty parts are dropped.
std::vector<std::string> SplitAddresses(std::string_view text);
// True if the path is a glob unless a file of exactly this name exists.
bool HasGlobCharacters(std::string_view path);
// Every byte escaped as a JSON string needs it, with the quotes.
std::string JsonQuoted(std::string_view text);

// Errors begin with the name of the setting.
Status ValidateSettings(const AgentSettings& settings);
// Errors begin with line:column of the entry. A repeated (path, topic) pair is dropped with a
// warning.
Status ValidateEntries(std::vector<EntryConfig>* entries, std::vector<Warning>* warnings);

}  // namespace logagent
