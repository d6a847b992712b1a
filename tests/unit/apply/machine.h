// SPDX-License-Identifier: Apache-2.0
// A state machine on a MemEngine with the log that was fed to it: commands go in one by one or as a
// prepared log, results come out, and a crash or a clean restart gives a new machine over what the
// engine kept.
#pragma once

#include "store/apply/command.h"
#include "store/apply/state_machine.h"
#include "store/engine/mem_engine.h"
#include "store/engine/sys_keys.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace store::apply {

using sluice::store::Command;

inline constexpr uint64_t kSelf = 0xabc;
inline constexpr uint64_t kNonce = 77;

inline raft::EntryPtr MakeEntry(uint64_t index, std::string data,
                                raft::EntryKind kind = raft::EntryKind::kCommand,
                                uint64_t term = 1) {
  return std::make_shared<const raft::Entry>(
      raft::Entry{raft::Term(term), raft::Index(index), kind, std::move(data)});
}

// Makes commands as the edge of this member would, with growing counters on loop 0.
class CommandMaker {
 public:
  std::string operator()(Command command) {
    return EncodeCommand({kSelf, kNonce, LoopId(0), ++counter_}, command);
  }
  uint64_t counter() const { return counter_; }

 private:
  uint64_t counter_ = 0;
};

inline InitialState OneMember() {
  cluster::Member member;
  member.id = raft::NodeId(kSelf);
  member.peer_urls = {"http://localhost:2380"};
  InitialState initial;
  initial.members = {member};
  initial.conf.voters = {member.id};
  return initial;
}

// Every row of an engine, for comparisons.
inline std::map<std::string, std::string> DumpOf(const engine::Engine& engine) {
  std::map<std::string, std::string> rows;
  for (int table = 0; table < engine::kTableCount; ++table) {
    auto cursor = engine.Scan(static_cast<engine::Table>(table), {}, {}, {});
    for (; cursor->Valid(); cursor->Next()) {
      rows[fmt::format("{} {}", table, ToHex(cursor->key()))] = ToHex(cursor->value());
    }
    EXPECT_TRUE(cursor->status());
  }
  return rows;
}

// A result as text: what the client would see, without the header the loop adds.
inline std::string Describe(const CallResult& result) {
  std::string response = result.response == nullptr ? "-" : result.response->SerializeAsString();
  return fmt::format("#{} {} rev {} {} {} wait {}", result.counter, Name(result.error),
                     result.revision, ToHex(response), result.raise_no_space,
                     result.wait_collected);
}

class Machine {
 public:
  explicit Machine(ApplyLimits limits = {}) : limits_(limits) {
    engine_ = std::make_shared<engine::MemEngine>();
    Make();
    EXPECT_TRUE(state_->Bootstrap(OneMember()));
  }
  // Over what `engine` holds.
  Machine(std::shared_ptr<engine::MemEngine> engine, ApplyLimits limits)
      : limits_(limits), engine_(std::move(engine)) {
    Make();
    Status restored = state_->Restore();
    EXPECT_TRUE(restored) << restored.error().ToString();
    applied_ = state_->Read()->applied.value();
  }

  // Applies one command; its result.
  CallResult Do(Command command) { return DoEntry(make_(std::move(command))); }
  CallResult DoEntry(std::string data) {
    std::vector<raft::EntryPtr> entries = {MakeEntry(++applied_, std::move(data))};
    size_t taken = 0;
    auto outcome = state_->Apply(entries, &taken);
    EXPECT_TRUE(outcome) << outcome.error().ToString();
    if (!outcome || taken != 1) return {};
    last_ = std::move(*outcome);
    CallResult result;
    if (!last_.results.empty()) result = std::move(last_.results[0].results[0]);
    return result;
  }
  // Applies one configuration change.
  BatchOutcome ApplyOne(std::string data) {
    std::vector<raft::EntryPtr> entries = {
        MakeEntry(++applied_, std::move(data), raft::EntryKind::kConfChange)};
    size_t taken = 0;
    auto outcome = state_->Apply(entries, &taken);
    EXPECT_TRUE(outcome) << outcome.error().ToString();
    return outcome ? std::move(*outcome) : BatchOutcome();
  }
  // Feeds entries above the applied index until none is left; descriptions of all results.
  std::vector<std::string> Feed(std::span<const raft::EntryPtr> log) {
    std::vector<std::string> results;
    while (!log.empty()) {
      size_t taken = 0;
      auto outcome = state_->Apply(log, &taken);
      EXPECT_TRUE(outcome) << outcome.error().ToString();
      if (!outcome) return results;
      for (const LoopResults& loop : outcome->results) {
        for (const CallResult& result : loop.results) results.push_back(Describe(result));
      }
      log = log.subspan(taken);
      applied_ = outcome->report.applied.value();
      ++batches_;
      last_ = std::move(*outcome);
    }
    return results;
  }

  Machine Crashed() const { return Machine(engine_->AfterCrash(), limits_); }
  Machine Restarted() {
    EXPECT_TRUE(engine_->Flush());
    return Crashed();
  }

  StateMachine& state() { return *state_; }
  // Others may still hold it.
  void LetGoOfEngine() { engine_.reset(); }
  engine::MemEngine& engine() { return *engine_; }
  // Of the last batch; its results have been moved out.
  const BatchOutcome& last() const { return last_; }
  uint64_t applied() const { return applied_; }
  size_t batches() const { return batches_; }
  CommandMaker& make() { return make_; }

  // "key=value@create/mod/version/lease ..." of all keys.
  std::string Keys() {
    StateRef ref = state_->Read();
    mvcc::RangeQuery query;
    query.range = {{}, {}, true};
    auto range = ref.view().Range(query);
    EXPECT_TRUE(range);
    std::string text;
    for (const mvcc::KeyValue& kv : range->kvs) {
      text += fmt::format("{}{}={}@{}/{}/{}/{}", text.empty() ? "" : " ", kv.key.view(),
                          kv.value.view(), kv.create, kv.mod, kv.version, kv.lease);
    }
    return text;
  }

 private:
  void Make() {
    state_ =
        std::make_unique<StateMachine>(limits_, ApplySelf{raft::NodeId(kSelf), kNonce}, engine_);
  }

  ApplyLimits limits_;
  std::shared_ptr<engine::MemEngine> engine_;
  std::unique_ptr<StateMachine> state_;
  CommandMaker make_;
  BatchOutcome last_;
  uint64_t applied_ = 0;
  size_t batches_ = 0;
};

inline Command PutOf(std::string_view key, std::string_view value, int64_t lease = 0) {
  Command command;
  command.mutable_put()->set_key(std::string(key));
  command.mutable_put()->set_value(std::string(value));
  command.mutable_put()->set_lease(lease);
  return command;
}
inline Command DeleteOf(std::string_view key, std::string_view range_end = {}) {
  Command command;
  command.mutable_delete_range()->set_key(std::string(key));
  command.mutable_delete_range()->set_range_end(std::string(range_end));
  return command;
}
inline Command CompactOf(int64_t revision, bool physical = false) {
  Command command;
  command.mutable_compaction()->set_revision(revision);
  command.mutable_compaction()->set_physical(physical);
  return command;
}
inline Command GrantOf(int64_t id, int64_t ttl) {
  Command command;
  command.mutable_lease_grant()->set_id(id);
  command.mutable_lease_grant()->set_ttl(ttl);
  return command;
}
inline Command RevokeOf(int64_t id) {
  Command command;
  command.mutable_lease_revoke()->add_ids(id);
  return command;
}
inline Command AlarmOf(etcdserverpb::AlarmRequest::AlarmAction action, uint64_t member,
                       etcdserverpb::AlarmType type) {
  Command command;
  command.mutable_alarm()->set_action(action);
  command.mutable_alarm()->set_memberid(member);
  command.mutable_alarm()->set_alarm(type);
  return command;
}

template <class Response>
const Response& As(const CallResult& result) {
  static const Response kEmpty;
  const auto* response = dynamic_cast<const Response*>(result.response.get());
  EXPECT_NE(response, nullptr);
  return response == nullptr ? kEmpty : *response;
}

}  // namespace store::apply
