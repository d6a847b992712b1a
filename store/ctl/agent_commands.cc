// SPDX-License-Identifier: Apache-2.0
#include "store/ctl/agent_commands.h"

#include "store/ctl/config_text.h"
#include "store/ctl/go_text.h"

#include <fmt/format.h>
#include <fmt/ostream.h>
#include <fmt/ranges.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <ostream>
#include <string_view>
#include <utility>

namespace store::ctl {
namespace {

constexpr std::string_view kLiveRoot = "/logagent/_/live/";
constexpr std::string_view kStatusRoot = "/logagent/_/status/";
constexpr std::string_view kConfigName = "/collect_config";
constexpr int64_t kPage = 1000;

// Documents of newer agents have members that are not known here.
template <class Document>
  requires std::derived_from<Document, google::protobuf::Message>
bool ParseDocument(const std::string& text, Document* document) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  return google::protobuf::util::JsonStringToMessage(text, document, options).ok();
}

// Every key of [begin, end), a page at a time, all as of one revision.
Status ForEachKey(Session& session, std::string begin, const std::string& end, bool keys_only,
                  absl::FunctionRef<void(const mvccpb::KeyValue&)> take) {
  int64_t revision = 0;
  while (true) {
    pb::RangeRequest request;
    request.set_key(begin);
    request.set_range_end(end);
    request.set_keys_only(keys_only);
    request.set_limit(kPage);
    request.set_revision(revision);
    auto answer = session.client().Range(request);
    if (!answer) return Fail(std::move(answer).error());
    for (const auto& kv : answer->kvs()) take(kv);
    if (!answer->more() || answer->kvs().empty()) return Ok();
    revision = answer->header().revision();
    begin = answer->kvs().rbegin()->key() + '\0';
  }
}

Result<std::map<std::string, std::string>> ReadDocuments(Session& session, std::string_view root) {
  std::map<std::string, std::string> documents;
  RETURN_IF_ERROR(ForEachKey(
      session, std::string(root), client::PrefixEnd(root), false,
      [&](const mvccpb::KeyValue& kv) { documents[kv.key().substr(root.size())] = kv.value(); }));
  return documents;
}

// Lists by address. What is ours stands under "_", which no address can be; the history is long and
// is stepped over.
Result<std::map<std::string, int64_t>> ReadWanted(Session& session) {
  std::map<std::string, int64_t> wanted;
  auto take = [&](const mvccpb::KeyValue& kv) {
    std::string_view rest = std::string_view(kv.key()).substr(kConfigRoot.size());
    if (!rest.ends_with(kConfigName)) return;
    rest.remove_suffix(kConfigName.size());
    wanted[std::string(rest)] = kv.mod_revision();
  };
  std::string own = std::string(kConfigRoot) + "_/";
  RETURN_IF_ERROR(ForEachKey(session, std::string(kConfigRoot), own, true, take));
  RETURN_IF_ERROR(
      ForEachKey(session, client::PrefixEnd(own), client::PrefixEnd(kConfigRoot), true, take));
  return wanted;
}

std::string StateWord(const AgentRow& row) {
  return row.has_status ? sluice::agent::Status::State_Name(row.status.state()) : "UNKNOWN";
}

uint64_t LagBytes(const AgentRow& row) {
  uint64_t sum = 0;
  for (const auto& entry : row.status.entries()) sum += entry.lag_bytes();
  return sum;
}

uint64_t LostBytes(const AgentRow& row) {
  uint64_t sum = 0;
  for (const auto& entry : row.status.entries()) {
    for (const auto& [reason, bytes] : entry.lost_bytes()) sum += bytes;
  }
  return sum;
}

std::string RowJson(const AgentRow& row) {
  std::vector<std::string> ips;
  for (const std::string& ip : row.live_document.ips()) ips.push_back(JsonText(ip));
  return fmt::format(
      R"({{"id":{},"live":{},"host":{},"ips":[{}],"version":{},"started":{},)"
      R"("wanted_revision":{},"applied_revision":{},"state":{},"error":{},"entries":{},)"
      R"("lag_bytes":{},"lost_bytes":{},"updated":{}}})",
      JsonText(row.id), row.live, JsonText(row.live_document.host()), fmt::join(ips, ","),
      JsonText(row.live_document.version()), JsonText(row.live_document.started()),
      row.wanted_revision, row.status.applied_revision(), JsonText(StateWord(row)),
      JsonText(row.status.error()), row.status.entries_size(), LagBytes(row), LostBytes(row),
      JsonText(row.status.updated()));
}

int Print(Session& session, const std::vector<AgentRow>& rows) {
  std::vector<std::vector<std::string>> cells;
  std::vector<std::string> json;
  for (const AgentRow& row : rows) {
    cells.push_back(AgentCells(row));
    json.push_back(RowJson(row));
  }
  switch (session.options().format) {
    case OutputFormat::kSimple:
      for (const auto& line : cells) fmt::print(session.out(), "{}\n", fmt::join(line, ", "));
      return kExitOk;
    case OutputFormat::kTable:
      session.out() << Table(AgentColumns(), cells);
      return kExitOk;
    case OutputFormat::kJson:
      fmt::print(session.out(), "[{}]\n", fmt::join(json, ","));
      return kExitOk;
    case OutputFormat::kFields:
    case OutputFormat::kProtobuf:
      break;
  }
  return session.Usage("agent list prints simple, table or json");
}

int List(Session& session, const ParsedFlags& flags) {
  if (!flags.positional().empty()) return session.Usage("agent list takes no arguments");
  auto live = ReadDocuments(session, kLiveRoot);
  if (!live) return session.Failed(live.error());
  auto status = ReadDocuments(session, kStatusRoot);
  if (!status) return session.Failed(status.error());
  auto wanted = ReadWanted(session);
  if (!wanted) return session.Failed(wanted.error());
  return Print(session, MakeAgentRows(*live, *status, *wanted));
}

constexpr Command kCommands[] = {
    {"agent list", "", "all agents: live or dead, version, wanted and applied list, lag", {}, List},
};

}  // namespace

std::span<const Command> AgentCommands() { return kCommands; }

std::vector<AgentRow> MakeAgentRows(const std::map<std::string, std::string>& live,
                                    const std::map<std::string, std::string>& status,
                                    const std::map<std::string, int64_t>& wanted) {
  std::map<std::string, AgentRow> rows;
  for (const auto& [id, text] : live) {
    AgentRow& row = rows[id];
    row.live = true;
    ParseDocument(text, &row.live_document);
    for (const std::string& ip : row.live_document.ips()) {
      if (auto found = wanted.find(ip); found != wanted.end()) {
        row.wanted_revision = std::max(row.wanted_revision, found->second);
      }
    }
  }
  for (const auto& [id, text] : status) {
    AgentRow& row = rows[id];
    row.has_status = ParseDocument(text, &row.status);
  }
  std::vector<AgentRow> list;
  for (auto& [id, row] : rows) {
    row.id = id;
    list.push_back(std::move(row));
  }
  return list;
}

const std::vector<std::string>& AgentColumns() {
  static const std::vector<std::string> kColumns = {"ID",      "LIVE",  "HOST",   "IPS",
                                                    "VERSION", "STATE", "WANTED", "APPLIED",
                                                    "ENTRIES", "LAG",   "LOST"};
  return kColumns;
}

std::vector<std::string> AgentCells(const AgentRow& row) {
  return {row.id,
          row.live ? "live" : "dead",
          row.live_document.host(),
          fmt::format("{}", fmt::join(row.live_document.ips(), " ")),
          row.live_document.version(),
          StateWord(row),
          fmt::format("{}", row.wanted_revision),
          fmt::format("{}", row.status.applied_revision()),
          fmt::format("{}", row.status.entries_size()),
          SizeText(LagBytes(row)),
          SizeText(LostBytes(row))};
}

}  // namespace store::ctl
