// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/status.h"

#include "logagent/model/json_reader.h"
#include "store/base/bytes.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace logagent {
namespace {

using Json = nlohmann::ordered_json;

// Paths may hold any bytes; the document is text.
std::string Dump(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

using StatsById = std::unordered_map<uint64_t, const EntryStats*>;

StatsById IndexStats(const AgentView& view) {
  StatsById by_id;
  if (view.shard == nullptr) return by_id;
  for (const EntryStats& stats : view.shard->entries) by_id[stats.id.value()] = &stats;
  return by_id;
}

struct EntryWord {
  std::string state;
  std::string text;
};

const std::string* StallOf(const AgentView& view, const std::string& topic) {
  const auto& stalled = view.kafka.stalled;  // in the order of their names
  auto at =
      std::ranges::lower_bound(stalled, topic, {}, &std::pair<std::string, std::string>::first);
  return at != stalled.end() && at->first == topic ? &at->second : nullptr;
}

EntryWord WordOf(const AgentView& view, const EntryTable::Row& row, const EntryStats* stats) {
  if (row.phase == EntryTable::Phase::kParked) {
    return {"PAUSED", "waits for the end of the entry it replaces"};
  }
  if (row.phase == EntryTable::Phase::kDraining) {
    return {"DRAINING", "removed; what was read is on its way"};
  }
  if (stats == nullptr || stats->state == EntryState::kStarting) return {"PAUSED", "is starting"};
  const std::string* stall = StallOf(view, row.config.topic);
  if (stats->state == EntryState::kRunning && stall != nullptr) return {"PAUSED", *stall};
  return {std::string(Name(stats->state)), stats->text};
}

bool Works(const std::string& word) {
  return word == "RUNNING" || word == "NO_MATCH" || word == "DRAINING";
}

Json EntryJson(const AgentView& view, const EntryTable::Row& row, const EntryStats* stats,
               bool stable) {
  EntryWord word = WordOf(view, row, stats);
  Json json;
  json["path"] = row.config.path;
  json["topic"] = row.config.topic;
  json["state"] = word.state;
  if (!word.text.empty()) json["text"] = word.text;
  if (stats == nullptr) return json;
  json["matched_files"] = stats->files;
  if (!stable) {
    json["lag_bytes"] = stats->lag_bytes;
    json["lag_seconds"] = stats->lag_seconds;
  }
  Json lost = Json::object();
  if (stats->lost.truncated > 0) lost["truncated"] = stats->lost.truncated;
  if (stats->lost.deleted > 0) lost["deleted"] = stats->lost.deleted;
  if (stats->lost.given_up > 0) lost["given_up"] = stats->lost.given_up;
  if (!lost.empty()) json["lost_bytes"] = lost;
  return json;
}

Json DocumentJson(const AgentView& view, bool stable) {
  StatsById stats = IndexStats(view);
  Json entries = Json::array();
  bool all_work = true;
  for (const auto& row : view.rows) {
    auto found = stats.find(row.id.value());
    entries.push_back(EntryJson(view, row, found == stats.end() ? nullptr : found->second, stable));
    all_work = all_work && Works(entries.back()["state"]);
  }
  bool rejected = view.rejected_revision > 0;  // forgotten when a list is applied
  Json json;
  json["boot_id"] = view.identity.boot_id;
  json["state"] = rejected ? "FAILED" : all_work ? "APPLIED" : "PARTIAL";
  json["applied_revision"] = view.applied_revision;
  json["applied_hash"] = view.applied_hash;
  if (rejected) {
    json["rejected_revision"] = view.rejected_revision;
    json["rejected_hash"] = view.rejected_hash;
    json["error"] = view.error;
  }
  json["entries"] = std::move(entries);
  return json;
}

// For the machine's own operator: the store is not written for each line.
void AddCounters(const AgentView& view, Json* entries) {
  StatsById stats = IndexStats(view);
  for (size_t i = 0; i < view.rows.size(); ++i) {
    auto found = stats.find(view.rows[i].id.value());
    if (found == stats.end()) continue;
    const EntryStats& of = *found->second;
    Json& entry = (*entries)[i];
    entry["lines"] = of.lines;
    entry["bytes"] = of.bytes;
    entry["dead_lines"] = of.lines_dead;
    entry["window_bytes"] = of.window_bytes;
    entry["pinned_bytes"] = of.bytes_pinned;
    entry["open_files"] = of.files_open;
  }
}

// Names of files may hold any bytes; one label that is no UTF-8 spoils the whole page.
std::string Label(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    size_t length = Utf8SequenceLength(text);
    std::string_view next = text.substr(0, std::max<size_t>(length, 1));
    text.remove_prefix(next.size());
    if (length == 0) {
      out += "\xef\xbf\xbd";
    } else if (next == "\n") {
      out += "\\n";
    } else {
      if (next == "\\" || next == "\"") out += '\\';
      out += next;
    }
  }
  return out;
}

struct EntryMetric {
  std::string_view name;
  std::string_view kind;
  std::string_view help;
  double (*read)(const EntryStats& stats);
};
constexpr EntryMetric kEntryMetrics[] = {
    {"sluice_agent_entry_lines_total", "counter", "Lines handed to Kafka.",
     [](const EntryStats& s) { return static_cast<double>(s.lines); }},
    {"sluice_agent_entry_bytes_total", "counter", "Bytes of lines handed to Kafka.",
     [](const EntryStats& s) { return static_cast<double>(s.bytes); }},
    {"sluice_agent_entry_copied_bytes_total", "counter",
     "Bytes read or copied more than once before Kafka's library had them.",
     [](const EntryStats& s) { return static_cast<double>(s.bytes_copied); }},
    {"sluice_agent_entry_dead_lines_total", "counter", "Lines in the dead-letter spool.",
     [](const EntryStats& s) { return static_cast<double>(s.lines_dead); }},
    {"sluice_agent_entry_lost_bytes_total", "counter",
     "Bytes that were seen and went before they were read: truncated, deleted or given up.",
     [](const EntryStats& s) { return static_cast<double>(s.lost.total()); }},
    {"sluice_agent_entry_skipped_bytes_total", "counter", "NULs of holes that were skipped.",
     [](const EntryStats& s) { return static_cast<double>(s.bytes_skipped); }},
    {"sluice_agent_entry_pinned_bytes", "gauge", "Bytes of deleted files that are still read.",
     [](const EntryStats& s) { return static_cast<double>(s.bytes_pinned); }},
    {"sluice_agent_entry_open_files", "gauge", "Files that are open now.",
     [](const EntryStats& s) { return static_cast<double>(s.files_open); }},
    {"sluice_agent_entry_window_bytes", "gauge", "Bytes a crash now may repeat.",
     [](const EntryStats& s) { return static_cast<double>(s.window_bytes); }},
    {"sluice_agent_entry_files_opened_total", "counter", "Files opened.",
     [](const EntryStats& s) { return static_cast<double>(s.files_opened); }},
    {"sluice_agent_entry_files", "gauge", "Files that match now.",
     [](const EntryStats& s) { return static_cast<double>(s.files); }},
    {"sluice_agent_entry_lag_bytes", "gauge", "Bytes not yet acknowledged.",
     [](const EntryStats& s) { return static_cast<double>(s.lag_bytes); }},
    {"sluice_agent_entry_lag_seconds", "gauge", "Time since nothing was waiting.",
     [](const EntryStats& s) { return s.lag_seconds; }},
    {"sluice_agent_entry_running", "gauge", "1 while the entry is read.",
     [](const EntryStats& s) { return s.state == EntryState::kRunning ? 1.0 : 0.0; }},
};

struct FileMetric {
  std::string_view name;
  std::string_view kind;
  std::string_view help;
  double (*read)(const FileStats& stats);
};
constexpr FileMetric kFileMetrics[] = {
    {"sluice_agent_file_size_bytes", "gauge", "Size when it was last looked at.",
     [](const FileStats& s) { return static_cast<double>(s.size); }},
    {"sluice_agent_file_read_offset_bytes", "gauge", "Read up to here.",
     [](const FileStats& s) { return static_cast<double>(s.read_offset); }},
    {"sluice_agent_file_acked_offset_bytes", "gauge", "Acknowledged by Kafka up to here.",
     [](const FileStats& s) { return static_cast<double>(s.acked_offset); }},
    {"sluice_agent_file_window_bytes", "gauge", "Bytes a crash now may repeat.",
     [](const FileStats& s) { return static_cast<double>(s.window_bytes); }},
    {"sluice_agent_file_lag_seconds", "gauge", "Time since nothing was waiting.",
     [](const FileStats& s) { return s.lag_seconds; }},
    {"sluice_agent_file_lines_total", "counter", "Lines handed to Kafka since it was opened.",
     [](const FileStats& s) { return static_cast<double>(s.lines); }},
    {"sluice_agent_file_bytes_total", "counter", "Bytes handed to Kafka since it was opened.",
     [](const FileStats& s) { return static_cast<double>(s.bytes); }},
};

void AppendMetric(std::string* out, std::string_view name, std::string_view kind,
                  std::string_view help, double value) {
  fmt::format_to(std::back_inserter(*out), "# HELP {0} {2}\n# TYPE {0} {1}\n{0} {3}\n", name, kind,
                 help, value);
}

}  // namespace

std::string LiveDocument(const AgentIdentity& identity) {
  Json json;
  json["boot_id"] = identity.boot_id;
  json["ips"] = identity.ips;
  json["host"] = identity.host;
  json["version"] = identity.version;
  json["started"] = identity.started;
  json["pid"] = identity.pid;
  return Dump(json);
}

StatusDocument MakeStatusDocument(const AgentView& view, const std::string& now) {
  Json json = DocumentJson(view, /*stable=*/false);
  json["updated"] = now;
  return {Dump(json), Dump(DocumentJson(view, /*stable=*/true))};
}

std::string StatusPage(const AgentView& view, const std::string& now) {
  Json json;
  json["id"] = view.identity.id;
  json["ip"] = view.identity.ip;
  json["version"] = view.identity.version;
  json["started"] = view.identity.started;
  json["config_key"] = view.config_key;
  json["source"] = view.source;
  if (!view.source_error.empty()) json["source_error"] = view.source_error;
  if (!view.state_error.empty()) json["state_error"] = view.state_error;
  if (!view.checkpointer.error.empty()) json["checkpoint_error"] = view.checkpointer.error;
  if (!view.kafka.error.empty()) json["kafka_error"] = view.kafka.error;
  if (view.shard != nullptr && !view.shard->notify_fallback.empty()) {
    json["watch_error"] = view.shard->notify_fallback;
  }
  json["memory_used"] = view.memory_used;
  json["memory_limit"] = view.memory_limit;
  json["in_flight_bytes"] = view.kafka.in_flight_bytes;
  Json document = DocumentJson(view, /*stable=*/false);
  AddCounters(view, &document["entries"]);
  for (auto& [name, value] : document.items()) json[name] = value;
  json["updated"] = now;
  return Dump(json, 2) + "\n";
}

std::string FilesPage(const AgentView& view) {
  Json files = Json::array();
  std::unordered_map<uint64_t, const EntryTable::Row*> rows;
  for (const auto& row : view.rows) rows[row.id.value()] = &row;
  if (view.shard != nullptr) {
    for (const FileStats& stats : view.shard->files) {
      auto row = rows.find(stats.entry.value());
      bool listed = row != rows.end();
      files.push_back({{"entry", stats.entry.value()},
                       {"pattern", listed ? row->second->config.path : ""},
                       {"topic", listed ? row->second->config.topic : ""},
                       {"path", stats.path},
                       {"device", stats.file.device},
                       {"inode", stats.file.inode},
                       {"generation", stats.file.generation},
                       {"size", stats.size},
                       {"read", stats.read_offset},
                       {"acked", stats.acked_offset},
                       {"lag_bytes", stats.lag_bytes},
                       {"lag_seconds", stats.lag_seconds},
                       {"window_bytes", stats.window_bytes},
                       {"lines", stats.lines},
                       {"bytes", stats.bytes},
                       {"state", stats.state},
                       {"detached", stats.detached},
                       {"open", stats.open},
                       {"error", stats.error}});
    }
  }
  return Dump(files, 2) + "\n";
}

std::string MetricsText(const AgentView& view) {
  std::string out;
  auto number = [](auto value) { return static_cast<double>(value); };
  AppendMetric(&out, "sluice_agent_config_revision", "gauge", "Revision of the applied list.",
               number(view.applied_revision));
  AppendMetric(&out, "sluice_agent_config_rejected", "gauge", "1 while a newer list is refused.",
               view.rejected_revision > 0 ? 1 : 0);
  AppendMetric(&out, "sluice_agent_config_reloads_total", "counter", "Lists that were applied.",
               number(view.reloads));
  AppendMetric(&out, "sluice_agent_source_up", "gauge", "0 while the store cannot be read.",
               view.source_error.empty() ? 1 : 0);
  AppendMetric(&out, "sluice_agent_memory_used_bytes", "gauge", "Read buffers in use.",
               number(view.memory_used));
  AppendMetric(&out, "sluice_agent_delivered_lines_total", "counter", "Lines Kafka acknowledged.",
               number(view.kafka.lines_delivered));
  AppendMetric(&out, "sluice_agent_in_flight_bytes", "gauge", "Bytes on their way to Kafka.",
               number(view.kafka.in_flight_bytes));
  AppendMetric(&out, "sluice_agent_queued_bytes", "gauge",
               "Bytes handed to Kafka's library and not acknowledged.",
               number(view.kafka.queued_bytes));
  AppendMetric(&out, "sluice_agent_queued_bytes_max", "gauge",
               "Where reading waits: what keeps the connections busy.",
               number(view.kafka.queued_bytes_max));
  AppendMetric(&out, "sluice_agent_stalled_topics", "gauge",
               "Topics with lines on their way of which Kafka acknowledged none for 10 s.",
               number(view.kafka.stalled.size()));
  AppendMetric(&out, "sluice_agent_producers", "gauge",
               "Producers of Kafka's library: more than one while there is a backlog.",
               number(view.kafka.producers));
  AppendMetric(&out, "sluice_agent_producers_busy", "gauge", "Producers with lines on their way.",
               number(view.kafka.producers_busy));
  AppendMetric(&out, "sluice_agent_raw_bytes_total", "counter",
               "Bytes handed over without compression, which would have saved nothing.",
               number(view.kafka.raw_bytes));
  AppendMetric(&out, "sluice_agent_compression_samples_total", "counter",
               "Samples that told whether compressing a file's lines pays.",
               number(view.kafka.samples));
  AppendMetric(&out, "sluice_agent_producer_rebuilds_total", "counter",
               "Producers replaced after a fatal error.", number(view.kafka.rebuilds));
  AppendMetric(&out, "sluice_agent_checkpoint_failures_total", "counter", "Failed writes of state.",
               number(view.checkpointer.failures));
  StatsById stats = IndexStats(view);
  for (const EntryMetric& metric : kEntryMetrics) {
    fmt::format_to(std::back_inserter(out), "# HELP {0} {2}\n# TYPE {0} {1}\n", metric.name,
                   metric.kind, metric.help);
    for (const auto& row : view.rows) {
      auto found = stats.find(row.id.value());
      if (found == stats.end() || row.phase != EntryTable::Phase::kActive) continue;
      fmt::format_to(std::back_inserter(out), "{}{{path=\"{}\",topic=\"{}\"}} {}\n", metric.name,
                     Label(row.config.path), Label(row.config.topic), metric.read(*found->second));
    }
  }
  return out;
}

std::string FileMetricsText(const AgentView& view) {
  std::string out;
  // Two entries may collect one file for one topic.
  std::unordered_map<uint64_t, std::string> entries;
  for (const auto& row : view.rows) {
    entries[row.id.value()] =
        fmt::format("topic=\"{}\",pattern=\"{}\"", Label(row.config.topic), Label(row.config.path));
  }
  for (const FileMetric& metric : kFileMetrics) {
    fmt::format_to(std::back_inserter(out), "# HELP {0} {2}\n# TYPE {0} {1}\n", metric.name,
                   metric.kind, metric.help);
    if (view.shard == nullptr) continue;
    for (const FileStats& file : view.shard->files) {
      if (!entries.contains(file.entry.value())) continue;  // its entry has gone
      fmt::format_to(std::back_inserter(out),
                     "{}{{path=\"{}\",inode=\"{}\",device=\"{}\",{}}} {}\n", metric.name,
                     Label(file.path), file.file.inode, file.file.device,
                     entries[file.entry.value()], metric.read(file));
    }
  }
  return out;
}

std::string Sha256(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr);
  return store::ToHex({reinterpret_cast<const char*>(digest.data()), size});
}

std::string Rfc3339(int64_t wall_micros) {
  // Civil date from days since 1970, proleptic Gregorian; years begin in March here so that the
  // leap day comes last.
  int64_t seconds = wall_micros / 1'000'000;
  int64_t days = seconds / 86'400 + 719'468;
  int64_t of_day = seconds % 86'400;
  int64_t era = days / 146'097;
  int64_t of_era = days % 146'097;
  int64_t year_of_era = (of_era - of_era / 1'460 + of_era / 36'524 - of_era / 146'096) / 365;
  int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t shifted_month = (5 * of_year + 2) / 153;
  int64_t day = of_year - (153 * shifted_month + 2) / 5 + 1;
  int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", year, month, day, of_day / 3600,
                     of_day / 60 % 60, of_day % 60);
}

}  // namespace logagent
