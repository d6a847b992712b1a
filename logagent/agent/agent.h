// SPDX-License-Identifier: Apache-2.0
// Agent: everything of sluice-agent put together, and its control thread. That thread takes new
// lists from the source, validates them, computes the difference and sends commands to the shard;
// it answers nothing itself but publishes a picture (AgentView) for the HTTP pages and the keys in
// the store, four times a second, once while nothing happens. An invalid list changes nothing. The
// store away at start: after `patience` the last good list is used. Kafka away: lines wait in their
// files. Start and Stop by the owner, view by any thread.
//
// Stop, in this order: no more changes, no more reading, what was read is acknowledged (at most
// drain_max), checkpoint, lease given back. A kill at any moment repeats what was not acknowledged
// and loses nothing.
#pragma once

#include "logagent/agent/entry.h"
#include "logagent/agent/http_admin.h"
#include "logagent/agent/poller.h"
#include "logagent/agent/presence.h"
#include "logagent/agent/shard.h"
#include "logagent/agent/status.h"
#include "logagent/checkpoint/checkpointer.h"
#include "logagent/config/source.h"
#include "logagent/deliver/dead_letter.h"
#include "logagent/deliver/kafka_lanes.h"
#include "logagent/model/entry_list.h"
#include "store/base/log.h"
#include "store/base/mailbox.h"
#include "store/client/client.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace logagent {

struct AgentTiming {
  SourceTiming source;
  store::Duration patience = std::chrono::seconds(1);
  store::Duration drain_max = std::chrono::seconds(10);
  store::Duration publish = std::chrono::milliseconds(250);
};

class Agent {
 public:
  // `clock` outlives the agent.
  Agent(AgentConfig config, AgentTiming timing, const store::Clock& clock, store::Logger log);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // What cannot be waited for is an error: a bad Kafka property, the HTTP port in use, the state
  // directory in use by another agent.
  Status Start();
  // Idempotent.
  void Stop();

  AgentViewPtr view() const;
  uint16_t admin_port() const { return admin_.port(); }

 private:
  struct SourceFailed {
    store::Error error;
  };
  struct EntryDrained {
    EntryId id;
  };
  struct EntryLooked {};
  using Mail = std::variant<ConfigText, SourceFailed, EntryDrained, EntryLooked>;

  Status OpenState();
  Status StartDelivery();
  Status StartAdmin();
  std::unique_ptr<store::client::Client> MakeClient() const;
  void StartSource();
  void Identify();

  // Control thread.
  void Run();
  void Handle(ConfigText& config);
  void Handle(SourceFailed& failed);
  void Handle(EntryDrained& drained);
  void Handle(EntryLooked& looked);
  void UseLastGood();
  void Reject(int64_t revision, std::string_view text, const store::Error& error);
  void Use(const std::vector<EntryConfig>& entries, int64_t revision, std::string source);
  void Send(const std::vector<EntryCommand>& commands);
  void SendStart(const EntryCommand& command);
  void SaveLastGood(const ConfigText& config);
  void Publish();

  const AgentConfig config_;
  const AgentTiming timing_;
  const store::Clock& clock_;
  const store::Logger log_;
  std::string config_key_;
  std::string state_error_;

  PosixFileSystem files_;
  std::shared_ptr<Budget> budget_;
  std::unique_ptr<Checkpointer> checkpointer_;
  std::unique_ptr<DeadLetterSpool> spool_;
  std::unique_ptr<KafkaLanes> sink_;
  std::unique_ptr<Shard> shard_;
  std::unique_ptr<Poller> poller_;
  std::unique_ptr<store::client::Client> list_client_;    // of source_
  std::unique_ptr<store::client::Client> report_client_;  // of presence_
  std::unique_ptr<ConfigSource> source_;
  std::unique_ptr<Presence> presence_;
  HttpAdmin admin_;

  // Bounded by: one text in 200 ms, one mail for each command.
  store::Mailbox<Mail> mail_;
  // The control thread only.
  EntryTable table_;
  AgentView view_;
  std::optional<store::TimePoint> patience_until_;
  std::optional<store::TimePoint> release_at_;  // pages that only the start needed

  std::atomic<bool> stopping_ = false;
  // When the control thread was last seen at work; /healthz looks at it.
  std::atomic<int64_t> beat_ns_ = 0;
  mutable store::Mutex mutex_;
  AgentViewPtr published_ ABSL_GUARDED_BY(mutex_);
  store::Thread thread_;
};

}  // namespace logagent
