// SPDX-License-Identifier: Apache-2.0
// The history on disk; a field that has its default is left out. See README.md.
#include "tests/check/history.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <istream>
#include <map>
#include <optional>
#include <ostream>
#include <string_view>

namespace store::check {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, 3> kOutcomes = {"ok", "failed", "unknown"};
constexpr std::array<std::string_view, 5> kRequests = {"txn", "compact", "grant", "revoke",
                                                       "keepalive"};
constexpr std::array<std::string_view, 4> kSteps = {"put", "delete", "range", "txn"};
constexpr std::array<std::string_view, 5> kTargets = {"version", "create", "mod", "value", "lease"};
constexpr std::array<std::string_view, 4> kRelations = {"=", ">", "<", "!="};

template <class Enum, size_t kSize>
Enum EnumOf(const std::array<std::string_view, kSize>& names, std::string_view name) {
  const auto* at = std::find(names.begin(), names.end(), name);
  if (at == names.end()) {
    // Caught by Read, like the errors of the library.
    throw std::invalid_argument(fmt::format("unknown word \"{}\"", name));
  }
  return static_cast<Enum>(at - names.begin());
}

template <class Enum, size_t kSize>
std::string NameOf(const std::array<std::string_view, kSize>& names, Enum value) {
  return std::string(names[static_cast<size_t>(value)]);
}

// A byte is a code point: JSON knows no bytes.
std::string ToUtf8(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xc0 | (byte >> 6));
      text += static_cast<char>(0x80 | (byte & 0x3f));
    }
  }
  return text;
}

std::string FromUtf8(const std::string& text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      bytes += text[i];
      continue;
    }
    if (byte > 0xc3 || i + 1 == text.size()) {
      throw std::invalid_argument("a code point above 255");
    }
    const auto next = static_cast<unsigned char>(text[++i]);
    bytes += static_cast<char>(((byte & 0x03) << 6) | (next & 0x3f));
  }
  return bytes;
}

void Set(Json& json, const char* name, std::string_view text) {
  if (!text.empty()) {
    json[name] = ToUtf8(text);
  }
}
void Set(Json& json, const char* name, int64_t number) {
  if (number != 0) {
    json[name] = number;
  }
}
void SetFlag(Json& json, const char* name, bool flag) {
  if (flag) {
    json[name] = true;
  }
}
template <class T, class ToJson>
void SetAll(Json& json, const char* name, const std::vector<T>& items, ToJson to_json) {
  if (items.empty()) {
    return;
  }
  Json all = Json::array();
  for (const T& item : items) {
    all.push_back(to_json(item));
  }
  json[name] = std::move(all);
}

int64_t Number(const Json& json, const char* name) { return json.value(name, int64_t{0}); }
bool Flag(const Json& json, const char* name) { return json.value(name, false); }
std::string Text(const Json& json, const char* name) {
  return FromUtf8(json.value(name, std::string()));
}
template <class T, class FromJson>
std::vector<T> All(const Json& json, const char* name, FromJson from_json) {
  std::vector<T> items;
  if (const auto at = json.find(name); at != json.end() && !at->is_null()) {
    for (const Json& item : *at) {
      items.push_back(from_json(item));
    }
  }
  return items;
}

Json FromKeyValue(const KeyValue& kv) {
  Json json = Json::object();
  Set(json, "k", kv.key);
  Set(json, "v", kv.value);
  Set(json, "create", kv.create);
  Set(json, "mod", kv.mod);
  Set(json, "version", kv.version);
  Set(json, "lease", kv.lease);
  return json;
}

KeyValue ToKeyValue(const Json& json) {
  return {Text(json, "k"),     Text(json, "v"),         Number(json, "create"),
          Number(json, "mod"), Number(json, "version"), Number(json, "lease")};
}

Json FromEvent(const Event& event) {
  Json json = FromKeyValue(event.kv);
  SetFlag(json, "delete", event.is_delete);
  return json;
}

Event ToEvent(const Json& json) { return {Flag(json, "delete"), ToKeyValue(json)}; }

Json FromCompare(const Compare& compare) {
  Json json = {{"target", NameOf(kTargets, compare.target)},
               {"is", NameOf(kRelations, compare.relation)}};
  Set(json, "k", compare.key);
  Set(json, "end", compare.end);
  Set(json, "number", compare.number);
  Set(json, "v", compare.value);
  return json;
}

Compare ToCompare(const Json& json) {
  return {EnumOf<Target>(kTargets, json.at("target").get<std::string>()),
          EnumOf<Relation>(kRelations, json.at("is").get<std::string>()),
          Text(json, "k"),
          Text(json, "end"),
          Number(json, "number"),
          Text(json, "v")};
}

Json FromTxn(const Txn& txn);
Txn ToTxn(const Json& json);

Json FromStep(const Step& step) {
  Json json = {{"do", NameOf(kSteps, step.kind)}};
  Set(json, "k", step.key);
  Set(json, "end", step.end);
  Set(json, "v", step.value);
  Set(json, "lease", step.lease);
  SetFlag(json, "ignore_value", step.ignore_value);
  SetFlag(json, "ignore_lease", step.ignore_lease);
  SetFlag(json, "prev_kv", step.prev_kv);
  Set(json, "limit", step.limit);
  Set(json, "rev", step.revision);
  SetFlag(json, "keys_only", step.keys_only);
  SetFlag(json, "count_only", step.count_only);
  SetAll(json, "nested", step.nested, FromTxn);
  return json;
}

Step ToStep(const Json& json) {
  Step step;
  step.kind = EnumOf<StepKind>(kSteps, json.at("do").get<std::string>());
  step.key = Text(json, "k");
  step.end = Text(json, "end");
  step.value = Text(json, "v");
  step.lease = Number(json, "lease");
  step.ignore_value = Flag(json, "ignore_value");
  step.ignore_lease = Flag(json, "ignore_lease");
  step.prev_kv = Flag(json, "prev_kv");
  step.limit = Number(json, "limit");
  step.revision = Number(json, "rev");
  step.keys_only = Flag(json, "keys_only");
  step.count_only = Flag(json, "count_only");
  step.nested = All<Txn>(json, "nested", ToTxn);
  if (step.kind == StepKind::kTxn && step.nested.size() != 1) {
    throw std::invalid_argument("a nested transaction is one transaction");
  }
  return step;
}

Json FromTxn(const Txn& txn) {
  Json json = Json::object();
  SetAll(json, "if", txn.compares, FromCompare);
  SetAll(json, "then", txn.success, FromStep);
  SetAll(json, "else", txn.failure, FromStep);
  return json;
}

Txn ToTxn(const Json& json) {
  return {All<Compare>(json, "if", ToCompare), All<Step>(json, "then", ToStep),
          All<Step>(json, "else", ToStep)};
}

Json FromResult(const StepResult& result) {
  Json json = Json::object();
  SetAll(json, "kvs", result.kvs, FromKeyValue);
  Set(json, "count", result.count);
  SetFlag(json, "more", result.more);
  SetFlag(json, "succeeded", result.succeeded);
  SetAll(json, "nested", result.nested, FromResult);
  return json;
}

StepResult ToResult(const Json& json) {
  return {All<KeyValue>(json, "kvs", ToKeyValue), Number(json, "count"), Flag(json, "more"),
          Flag(json, "succeeded"), All<StepResult>(json, "nested", ToResult)};
}

Json FromOperation(const Operation& operation) {
  Json json = {{"record", "op"},
               {"call", operation.call},
               {"outcome", NameOf(kOutcomes, operation.outcome)},
               {"request", NameOf(kRequests, operation.request)}};
  if (operation.ret != kNever) {
    json["ret"] = operation.ret;
  }
  Set(json, "client", operation.client);
  Set(json, "member", operation.member);
  Set(json, "life", operation.life);
  Set(json, "error", operation.error);
  SetFlag(json, "serializable", operation.serializable);
  if (operation.request == Request::kTxn) {
    json["txn"] = FromTxn(operation.txn);
  }
  Set(json, "compact", operation.compact);
  Set(json, "lease", operation.lease);
  Set(json, "ttl", operation.ttl);
  Set(json, "rev", operation.revision);
  SetFlag(json, "else_taken", !operation.succeeded);
  SetAll(json, "results", operation.results, FromResult);
  return json;
}

Operation ToOperation(const Json& json) {
  Operation operation;
  operation.client = Number(json, "client");
  operation.member = Number(json, "member");
  operation.life = Number(json, "life");
  operation.call = json.at("call").get<Time>();
  operation.ret = json.value("ret", kNever);
  operation.outcome = EnumOf<Outcome>(kOutcomes, json.at("outcome").get<std::string>());
  operation.error = Text(json, "error");
  operation.request = EnumOf<Request>(kRequests, json.at("request").get<std::string>());
  operation.serializable = Flag(json, "serializable");
  if (operation.request == Request::kTxn) {
    operation.txn = ToTxn(json.at("txn"));
  }
  operation.compact = Number(json, "compact");
  operation.lease = Number(json, "lease");
  operation.ttl = Number(json, "ttl");
  operation.revision = Number(json, "rev");
  operation.succeeded = !Flag(json, "else_taken");
  operation.results = All<StepResult>(json, "results", ToResult);
  if (operation.outcome == Outcome::kOk && operation.ret == kNever) {
    throw std::invalid_argument("an operation that is ok has a time of return");
  }
  return operation;
}

Json FromWatch(const Watch& watch) {
  Json json = {{"record", "watch"}, {"id", watch.id}};
  Set(json, "k", watch.key);
  Set(json, "end", watch.end);
  Set(json, "start", watch.start);
  SetFlag(json, "prev_kv", watch.prev_kv);
  SetFlag(json, "no_put", watch.no_put);
  SetFlag(json, "no_delete", watch.no_delete);
  SetFlag(json, "resumed", watch.resumed);
  SetFlag(json, "complete", watch.complete);
  return json;
}

Watch ToWatch(const Json& json) {
  Watch watch;
  watch.id = json.at("id").get<int64_t>();
  watch.key = Text(json, "k");
  watch.end = Text(json, "end");
  watch.start = Number(json, "start");
  watch.prev_kv = Flag(json, "prev_kv");
  watch.no_put = Flag(json, "no_put");
  watch.no_delete = Flag(json, "no_delete");
  watch.resumed = Flag(json, "resumed");
  watch.complete = Flag(json, "complete");
  return watch;
}

Json FromWatchEvent(const WatchEvent& event) {
  Json json = FromEvent(event.event);
  if (event.has_prev) {
    json["prev"] = FromKeyValue(event.prev);
  }
  return json;
}

WatchEvent ToWatchEvent(const Json& json) {
  const auto prev = json.find("prev");
  const bool has_prev = prev != json.end() && !prev->is_null();
  return {ToEvent(json), has_prev, has_prev ? ToKeyValue(*prev) : KeyValue()};
}

Json FromResponse(const Watch& watch, const WatchResponse& response) {
  Json json = {{"record", "watch_response"}, {"id", watch.id}, {"at", response.at}};
  Set(json, "member", response.member);
  Set(json, "life", response.life);
  Set(json, "rev", response.revision);
  SetFlag(json, "created", response.created);
  SetFlag(json, "canceled", response.canceled);
  SetFlag(json, "fragment", response.fragment);
  Set(json, "compact", response.compact);
  SetAll(json, "events", response.events, FromWatchEvent);
  return json;
}

WatchResponse ToResponse(const Json& json) {
  return {json.at("at").get<Time>(),
          Number(json, "member"),
          Number(json, "life"),
          Number(json, "rev"),
          Flag(json, "created"),
          Flag(json, "canceled"),
          Flag(json, "fragment"),
          Number(json, "compact"),
          All<WatchEvent>(json, "events", ToWatchEvent)};
}

class Reader {
 public:
  void Take(const Json& json) {
    const std::string record = json.at("record").get<std::string>();
    if (record == "op") {
      history_.operations.push_back(ToOperation(json));
    } else if (record == "commit") {
      history_.commits.push_back(
          {json.at("rev").get<Revision>(), All<Event>(json, "events", ToEvent)});
    } else if (record == "watch") {
      // A load tells that a watch was complete when it ends: the last record of an id counts.
      Watch watch = ToWatch(json);
      const auto [at, is_new] = watches_.try_emplace(watch.id, history_.watches.size());
      if (is_new) {
        history_.watches.push_back(std::move(watch));
      } else {
        watch.responses = std::move(history_.watches[at->second].responses);
        history_.watches[at->second] = std::move(watch);
      }
    } else if (record == "watch_response") {
      history_.watches.at(watches_.at(json.at("id").get<int64_t>()))
          .responses.push_back(ToResponse(json));
    } else if (record == "base") {
      history_.base = json.at("rev").get<Revision>();
    } else {
      throw std::invalid_argument(fmt::format("unknown record \"{}\"", record));
    }
  }
  History Done() { return std::move(history_); }

 private:
  History history_;
  std::map<int64_t, size_t> watches_;
};

}  // namespace

void Write(const History& history, std::ostream& out) {
  out << Json({{"record", "base"}, {"rev", history.base}}) << '\n';
  for (const Operation& operation : history.operations) {
    out << FromOperation(operation) << '\n';
  }
  for (const Commit& commit : history.commits) {
    Json json = {{"record", "commit"}, {"rev", commit.revision}};
    SetAll(json, "events", commit.events, FromEvent);
    out << json << '\n';
  }
  for (const Watch& watch : history.watches) {
    out << FromWatch(watch) << '\n';
    for (const WatchResponse& response : watch.responses) {
      out << FromResponse(watch, response) << '\n';
    }
  }
}

Result<History> Read(std::istream& in) {
  Reader reader;
  std::string line;
  for (size_t number = 1; std::getline(in, line); ++number) {
    if (line.empty()) {
      continue;
    }
    try {
      reader.Take(Json::parse(line));
    } catch (const std::exception& error) {
      return Fail(ErrorCode::kCorruption, fmt::format("line {}: {}", number, error.what()));
    }
  }
  return reader.Done();
}

}  // namespace store::check
