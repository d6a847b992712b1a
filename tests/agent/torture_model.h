// SPDX-License-Identifier: Apache-2.0
// TortureModel: which bytes must arrive. A content is what one file held between its creation or
// truncation and the next; each of its lines names content and number, so a line that arrives says
// where it belongs, whichever file it was read from. The model follows what the script does to the
// files and what the agent is shown of them (RecordingFiles), checks each line as it arrives
// (ModelSink) and says at the end what is missing. One thread.
#pragma once

#include "logagent/deliver/sink.h"
#include "logagent/tail/file_system.h"
#include "logagent/tail/notify.h"
#include "store/base/clock.h"
#include "store/base/random.h"

#include <absl/functional/any_invocable.h>
#include <absl/functional/function_ref.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace logagent::testing {

// One entry's view of a content.
struct Arrived {
  size_t next = 0;    // number of the next line in order
  size_t most = 0;    // lines that arrived at least once
  size_t acked = 0;   // all before it are acknowledged
  size_t saved = 0;   // what a row told at the last kill
  size_t repeat = 0;  // from here on a line may come again, once
  size_t kept = 0;    // lines that arrived and were not refused since
  size_t sure = 0;    // of these, what the agent certainly goes on from; less after a kill
  // Lines were refused when the content was gone: those that come again may be of a copy which the
  // agent, that knows too little of the content, reads as a file of its own.
  bool refused_late = false;
  std::map<size_t, int> in_flight;
  std::deque<std::pair<store::TimePoint, size_t>> history;  // of acked
};

struct Content {
  std::vector<uint64_t> ends;  // of the whole lines
  std::vector<size_t> lengths;
  std::string partial;
  uint64_t size = 0;
  uint64_t shown = 0;       // largest size the agent was shown while it read
  uint64_t shown_now = 0;   // in its present life, and kept
  uint64_t copied = 0;      // bytes in a copy of it that is there when it goes
  bool gone = false;        // truncated, or removed
  bool cut_before = false;  // followed another one in the same file
  // Why the agent cannot know exactly what is lost with it; README.md has the list.
  bool unsure = false;
  uint64_t also_lost = 0;  // may be counted besides: in a removed copy, or once more after a kill
  uint64_t again = 0;      // kills after which its loss may be counted once more
  bool twice = false;      // copied while the agent did not read: the copy may be read as well
  size_t required = SIZE_MAX;  // lines that must arrive, when less than all
  std::map<std::string, Arrived> by_topic;
};

class TortureModel {
 public:
  TortureModel(const store::Clock& clock, std::vector<std::string> topics)
      : clock_(clock), topics_(std::move(topics)) {}

  size_t NewContent();
  Content& At(size_t content) { return contents_[content]; }
  // What to append: the end of an unfinished line first, whole lines, perhaps half a line.
  std::string Write(size_t content, size_t lines, bool half, store::Random& random);

  void OnLine(const std::string& topic, const std::string& line, std::pair<size_t, size_t>* id);
  void OnAcked(const std::string& topic, std::pair<size_t, size_t> id);
  // The sink refused what was in flight: it comes again from the first that is not acknowledged.
  // What a content that is gone has lost by it is open when lines behind it were taken.
  void OnRejected();
  // The agent is dead; rows are at most `window` old.
  void OnKilled(store::Duration window);
  // Most lines any entry has been given; what a content that goes away now may end at.
  size_t Taken(size_t content) const;
  uint64_t TakenBytes(size_t content, const std::string& topic) const;

  void Check();  // at the end
  void Fail(std::string text) {
    if (failure_.empty()) {
      failure_ = std::move(text);
    }
  }
  const std::string& failure() const { return failure_; }
  uint64_t repeats() const { return repeats_; }
  uint64_t lines() const { return lines_; }
  // Bytes the agent must say it lost, in all its lives. With two topics what was shown was shown to
  // one of them at least, and what a kill leaves open is open: there is a choice.
  struct Loss {
    uint64_t least = 0;
    uint64_t most = 0;
  };
  Loss ExpectedLoss() const;
  // Prints of which contents they are.
  void ExplainLoss() const;

 private:
  Loss LossOf(size_t content, const std::string& topic) const;
  static std::string LineText(size_t content, size_t number, size_t length);

  const store::Clock& clock_;
  const std::vector<std::string> topics_;
  std::vector<Content> contents_;
  std::string failure_;
  uint64_t repeats_ = 0;
  uint64_t lines_ = 0;
};

// The agent's door to the disk, watched: which sizes it is shown, which inodes it holds open.
class RecordingFiles final : public FileSystem {
 public:
  // `kept`: it is certain that a reader keeps this size.
  using Shown = absl::AnyInvocable<void(uint64_t inode, uint64_t size, bool kept)>;
  RecordingFiles(FileSystem& files, Shown shown) : files_(files), shown_(std::move(shown)) {}
  size_t Holds(uint64_t inode) const {
    auto at = open_->find(inode);
    return at == open_->end() ? 0 : static_cast<size_t>(at->second);
  }

  Result<FileHandlePtr> Open(const Path& path) override;
  Result<FileFacts> Stat(const FileHandle& file) const override;
  Result<FileFacts> StatPath(const Path& path) const override { return files_.StatPath(path); }
  Result<size_t> ReadAt(const FileHandle& file, uint64_t offset, std::span<char> into) override;
  Result<std::vector<DirectoryEntry>> List(const Path& path) const override {
    return files_.List(path);
  }
  Result<GlobMatch> Glob(const std::string& pattern) const override { return files_.Glob(pattern); }
  std::optional<LinkTrail> FollowLink(const Path& path) const override {
    return files_.FollowLink(path);
  }
  std::unique_ptr<Notifier> MakeNotifier() override { return files_.MakeNotifier(); }

 private:
  FileSystem& files_;
  mutable Shown shown_;
  std::shared_ptr<std::map<uint64_t, int>> open_ = std::make_shared<std::map<uint64_t, int>>();
};

// Takes lines, answers late, out of order across files, and now and then refuses everything.
class ModelSink final : public Sink {
 public:
  ModelSink(TortureModel& model, store::Random& random) : model_(model), random_(random) {}

  void Prepare(std::string_view) override {}
  Offer Produce(Batch& batch) override;
  TopicStatus Topic(std::string_view) const override {
    return {paused ? TopicStatus::State::kError : TopicStatus::State::kReady, 1, "paused"};
  }
  void Poll(absl::FunctionRef<void(Delivery)>) override {}

  // Some, or all, of what is in flight.
  std::vector<Delivery> Answer(bool all);
  std::vector<Delivery> RejectAll();
  void Forget() { flying_.clear(); }
  bool empty() const { return flying_.empty(); }
  bool paused = false;

 private:
  struct Flying {
    Delivery delivery;
    std::string topic;
    std::vector<std::pair<size_t, size_t>> lines;
  };
  static constexpr size_t kFlyingMax = 12;

  TortureModel& model_;
  store::Random& random_;
  std::vector<Flying> flying_;
};

}  // namespace logagent::testing
