// SPDX-License-Identifier: Apache-2.0
// A shard in virtual time on the simulated file system, with a sink that keeps the lines.
#pragma once

#include "logagent/agent/shard.h"
#include "logagent/checkpoint/checkpointer.h"
#include "logagent/model/model.h"
#include "tests/agent/sim_file_system.h"
#include "tests/unit/shard/temp_dir.h"

#include <absl/functional/any_invocable.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace logagent {

// Takes every line, unless it is paused, and answers at the next step.
class ListSink final : public Sink {
 public:
  void Prepare(std::string_view) override {}
  Offer Produce(Batch& batch) override {
    if (paused) {
      return Offer::kPaused;
    }
    if (on_produce) {
      on_produce();
    }
    for (const Line& line : batch.lines) {
      lines.emplace_back(batch.chunk->data() + line.begin, line.length);
    }
    Delivery answer;
    answer.entry = batch.entry;
    answer.file = batch.file;
    answer.range = batch.range;
    answers.push_back(std::move(answer));
    Batch taken = std::move(batch);
    return Offer::kTaken;
  }
  TopicStatus Topic(std::string_view) const override {
    return {paused ? TopicStatus::State::kError : TopicStatus::State::kReady, 1, "paused"};
  }
  void Poll(absl::FunctionRef<void(Delivery)>) override {}

  bool paused = false;
  absl::AnyInvocable<void()> on_produce;
  std::vector<std::string> lines;
  std::vector<Delivery> answers;
};

class SimShard : public ::testing::Test {
 protected:
  SimShard() {
    files_.MakeDirectory("/logs");
    files_.MakeDirectory("/real");
    EXPECT_TRUE(checkpointer_.Load().has_value());
    options_.finish_quiet = std::chrono::seconds(1);
    options_.open_files_max = 1;  // so that what may be closed is closed
    Restart();
  }
  // Without a word, as after a kill.
  void Restart() {
    shard_.reset();
    shard_ = std::make_unique<Shard>(options_, files_, sink_, checkpointer_, spool_,
                                     std::make_shared<Budget>(budget_bytes_, 1 << 16), clock_);
  }
  void Start(const std::string& path, uint64_t max_line_bytes = 1 << 20) {
    EntrySpec spec;
    spec.max_line_bytes = max_line_bytes;
    spec.id = EntryId(++entries_);
    spec.path = path;
    spec.topic = "t";
    shard_->StartEntry(std::move(spec), false);
    Steps(5);
  }
  void Steps(int count) {
    for (int i = 0; i < count; ++i) {
      clock_.Advance(std::chrono::milliseconds(10));
      shard_->Deliver(std::exchange(sink_.answers, {}));
      checkpointer_.Step();
      shard_->Step();
    }
  }
  // Nothing that is in flight was taken.
  void Refuse() {
    for (Delivery& answer : sink_.answers) {
      answer.outcome = Delivery::Outcome::kRejected;
    }
    Steps(1);
  }
  EntryStats Stats() {
    Steps(50);  // until it is published
    return shard_->Snapshot()->entries.at(0);
  }
  uint64_t Lost() {
    uint64_t lost = 0;
    Steps(50);
    for (const EntryStats& entry : shard_->Snapshot()->entries) {
      lost += entry.lost.total();
    }
    return lost;
  }

  testing::VirtualClock clock_;
  testing::SimFileSystem files_{clock_};
  ListSink sink_;
  TempDir dir_;
  DeadLetterSpool spool_{dir_ / "dead-letters", 64 << 20, clock_};
  Checkpointer checkpointer_{std::make_unique<MemoryCheckpointStore>(), CheckpointerOptions(),
                             clock_};
  ShardOptions options_;
  size_t budget_bytes_ = 1 << 20;
  std::unique_ptr<Shard> shard_;
  uint64_t entries_ = 0;
};

}  // namespace logagent
