// SPDX-License-Identifier: Apache-2.0
// What an agent says about itself: one picture (AgentView), made by the control thread, and its
// forms: the status document of the store (proto/agent_status.proto, as JSON), the live document,
// /status, /debug/files and the entries' part of /metrics. Pure functions over the picture, any
// thread.
#pragma once

#include "logagent/agent/entry.h"
#include "logagent/agent/shard.h"
#include "logagent/checkpoint/checkpointer.h"
#include "logagent/deliver/kafka_sink.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace logagent {

struct AgentIdentity {
  std::string id;       // machine id, or as set
  std::string boot_id;  // random at each start
  std::string ip;       // fills the key template
  std::vector<std::string> ips;
  std::string host;
  std::string version;
  std::string started;  // RFC 3339, UTC
  uint32_t pid = 0;
};

struct AgentView {
  AgentIdentity identity;
  std::string config_key;
  std::string source;  // "store", "last good", "file", "settings", "none"
  int64_t applied_revision = 0;
  std::string applied_hash;
  int64_t rejected_revision = 0;
  std::string rejected_hash;
  std::string error;         // why the list was rejected, with the place
  std::string source_error;  // why the store or file cannot be read now
  std::string state_error;   // why the state directory cannot be used
  std::vector<EntryTable::Row> rows;
  std::shared_ptr<const ShardSnapshot> shard;
  CheckpointerStats checkpointer;
  KafkaStats kafka;
  uint64_t reloads = 0;
  size_t memory_used = 0;
  size_t memory_limit = 0;
};
using AgentViewPtr = std::shared_ptr<const AgentView>;

struct StatusDocument {
  std::string text;
  // The same without what changes all the time (lag, time): equal means nothing worth a write
  // happened.
  std::string stable;
};

std::string LiveDocument(const AgentIdentity& identity);
StatusDocument MakeStatusDocument(const AgentView& view, const std::string& now);
// /status: the document and what only the machine's own operator needs.
std::string StatusPage(const AgentView& view, const std::string& now);
std::string FilesPage(const AgentView& view);
std::string MetricsText(const AgentView& view);
// Apart from the others, for there may be ten thousand files.
std::string FileMetricsText(const AgentView& view);

// SHA-256 in hex; of a list: of its canonical form (FormatEntryList).
std::string Sha256(std::string_view bytes);
// 2026-11-21T01:02:03Z
std::string Rfc3339(int64_t wall_micros);

}  // namespace logagent
