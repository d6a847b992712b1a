// SPDX-License-Identifier: Apache-2.0
// Seeded scripts of file operations against a model that knows which bytes must arrive; the agent's
// data path runs in virtual time on a simulated file system and on a real directory.
// SLUICE_SCRIPTS=20000 is the long form, SLUICE_SEED=<n> SLUICE_SCRIPTS=1 replays one script.
// SLUICE_PLAIN=1 leaves out kills, copytruncate, lost events and a single descriptor.
#include "logagent/agent/shard.h"
#include "logagent/checkpoint/checkpointer.h"
#include "logagent/model/model.h"
#include "store/base/check.h"
#include "tests/agent/torture_disk.h"
#include "tests/agent/torture_model.h"
#include "tests/unit/base/seed.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

namespace logagent::testing {
namespace {

constexpr int kOperations = 200;
constexpr store::Duration kUnsavedMax = std::chrono::milliseconds(80);  // what a kill forgets

// The state directory: what was saved outlives a kill.
class LastingStore final : public CheckpointStore {
 public:
  explicit LastingStore(MemoryCheckpointStore& state) : state_(state) {}
  Result<SavedState> LoadAll() override { return state_.LoadAll(); }
  Status Save(const SavedChanges& changes, bool sync) override {
    return state_.Save(changes, sync);
  }
  Status Sync() override { return store::Ok(); }

 private:
  MemoryCheckpointStore& state_;
};

struct FileName {
  size_t content = 0;
  bool copy = false;
};

class Script {
 public:
  Script(uint64_t seed, Disk& disk, VirtualClock& clock)
      : random_(seed),
        disk_(disk),
        clock_(clock),
        glob_(random_.Chance(0.5)),
        all_(std::getenv("SLUICE_PLAIN") == nullptr),
        kills_(random_.Chance(0.5) && all_),
        topics_(random_.Chance(0.3) ? std::vector<std::string>{"t", "u"}
                                    : std::vector<std::string>{"t"}),
        model_(clock, topics_),
        files_(disk.files(),
               [this](uint64_t inode, uint64_t size, bool kept) { OnShown(inode, size, kept); }),
        sink_(model_, random_) {}

  std::string Run() {
    StartAgent();
    Steps(5);  // that the entries were applied is durable: what appears now is new
    for (int i = 0; i < kOperations && model_.failure().empty(); ++i) {
      Operation();
      Steps(random_.Below(4));
    }
    if (model_.failure().empty()) {
      Quiesce();
    }
    shard_.reset();
    return model_.failure();
  }
  const TortureModel& model() const { return model_; }
  uint64_t bytes_lost() const { return bytes_lost_ + lost_before_; }

 private:
  std::string PathOf(const std::string& name) const { return disk_.Root() + "/" + name; }

  void OnShown(uint64_t inode, uint64_t size, bool kept) {
    auto at = content_by_inode_.find(inode);
    if (at != content_by_inode_.end()) {
      Content& content = model_.At(at->second);
      content.shown = std::max(content.shown, size);
      content.shown_now = std::max(content.shown_now, kept ? size : 0);
    }
  }

  // The agent.
  void StartAgent() {
    Trace("start, {}", glob_ ? "glob" : "literal");
    started_ = clock_.Now();
    removed_before_.merge(std::exchange(removed_now_, {}));
    CheckpointerOptions saving;
    checkpointer_ =
        std::make_unique<Checkpointer>(std::make_unique<LastingStore>(state_), saving, clock_);
    CHECK(checkpointer_->Load().has_value());
    auto saved = state_.LoadAll();
    for (const SavedFile& row : saved->files) {
      Trace("row {} inode {} generation {} offset {} of {} head {} mark {}", row.path,
            row.file.inode, row.file.generation, row.offset, row.size_seen, row.head.length,
            row.mark.length);
    }
    ShardOptions options;
    options.chunk_bytes = 1 << 10;
    options.quantum_bytes = 1 << 12;
    options.finish_quiet = std::chrono::seconds(1);
    options.publish = store::Duration::zero();  // so that what was counted before a kill is known
    options.open_files_max = all_ && random_.Chance(0.3) ? 1 : 48;
    store::Logger log = trace_ ? *store::OpenLog(store::LogOptions{}, clock_) : store::Logger();
    shard_ = std::make_unique<Shard>(options, files_, sink_, *checkpointer_, spool_,
                                     std::make_shared<Budget>(1 << 20, 1 << 16), clock_, log);
    uint64_t id = 0;
    for (const std::string& topic : topics_) {
      for (const char* name : glob_ ? std::vector<const char*>{"*.log*"}
                                    : std::vector<const char*>{"a.log", "b.log", "cur.log"}) {
        EntrySpec spec;
        spec.id = EntryId(++id);
        spec.path = PathOf(name);
        spec.topic = topic;
        bool first = !checkpointer_->Applied(EntryKey(spec.path, topic));
        shard_->StartEntry(std::move(spec), first);
      }
    }
    Step();
  }
  void Kill() {
    Trace("kill");
    model_.OnKilled(kUnsavedMax);
    if (clock_.Now() - started_ >= kUnsavedMax) {
      removed_before_.clear();  // their rows are gone
    }
    removed_before_.merge(std::exchange(removed_now_, {}));
    for (size_t content : removed_before_) {
      ++model_.At(content).again;
    }
    lost_before_ += std::exchange(bytes_lost_, 0);
    shard_.reset();
    checkpointer_.reset();
    sink_.Forget();
    // What was removed is gone now, and what was never given is not known.
    for (size_t content : removed_) {
      Excuse(content);
      auto leads = [&](const auto& name) { return name.second.content == content; };
      bool there = std::any_of(names_.begin(), names_.end(), leads);
      model_.At(content).unsure = true;
      model_.At(content).gone = model_.At(content).gone || !there;
    }
    for (size_t content : std::exchange(gone_, {})) {
      model_.At(content).unsure = true;  // was it noticed before, and did its row go?
      model_.At(content).also_lost += model_.At(content).shown;
      if (!RowKnows(content)) {
        Excuse(content);  // without its head the next life does not know the copy
      }
    }
    for (const auto& [name, file] : names_) {
      if (!IsBase(name) || IsOldTarget(name)) {
        ExcuseUnseen(file.content);
      }
    }
  }
  void Step(bool all = false) {
    clock_.Advance(std::chrono::milliseconds(all ? 50 : random_.Between(1, 10)));
    if (shard_ == nullptr) {
      return;
    }
    if (random_.Chance(0.5) || all) {
      shard_->Deliver(sink_.Answer(all));
    }
    checkpointer_->Step();
    shard_->Step();
    uint64_t before = std::exchange(bytes_lost_, 0);
    for (const EntryStats& entry : shard_->Snapshot()->entries) {
      bytes_lost_ += entry.lost.total();
    }
    if (bytes_lost_ != before) {
      Trace("the agent counts {} bytes lost", bytes_lost_);
    }
  }
  void Steps(uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) {
      Step();
    }
  }

  // SLUICE_TRACE=1 tells what a script does.
  template <class... Args>
  void Trace(fmt::format_string<Args...> format, Args&&... args) {
    if (trace_) {
      fmt::print("{} ms: {}\n", clock_.WallMicros() / 1000 - 3'600'000,
                 fmt::format(format, std::forward<Args>(args)...));
    }
  }

  // The files.
  static bool IsBase(const std::string& name) { return name.ends_with(".log"); }
  // The link led there before; no name leads an agent to it that does not know it yet.
  bool IsOldTarget(const std::string& name) const {
    return name.starts_with("real/") && name != fmt::format("real/r{}.log", links_);
  }
  bool Matches(const std::string& name) const {
    return glob_ ? name.find('/') == std::string::npos : IsBase(name);
  }
  void Excuse(size_t content) {
    Content& at = model_.At(content);
    at.required = std::min(at.required, model_.Taken(content));
  }
  void ExcuseUnseen(size_t content) {
    if (model_.Taken(content) == 0) {
      Excuse(content);
      model_.At(content).gone = model_.At(content).unsure = true;
    }
  }
  void Write(const std::string& name, bool half) {
    auto at = names_.find(name);
    bool fresh = at == names_.end();
    size_t content = fresh ? model_.NewContent() : at->second.content;
    disk_.Append(PathOf(name),
                 model_.Write(content, random_.Below(8) + (half ? 0 : 1), half, random_));
    Trace("append {} c{} inode {} to {} lines, {} bytes", name, content,
          disk_.InodeAt(PathOf(name)), model_.At(content).ends.size(), model_.At(content).size);
    names_[name] = {content, false};
    content_by_inode_[disk_.InodeAt(PathOf(name))] = content;
  }
  void Remove(const std::string& name) {
    auto at = names_.find(name);
    if (at == names_.end()) {
      return;
    }
    size_t content = at->second.content;
    uint64_t inode = disk_.InodeAt(PathOf(name));
    bool held = shard_ != nullptr && files_.Holds(inode) > 0;
    bool by_all = held && files_.Holds(inode) >= topics_.size();
    bool unread = model_.Taken(content) < model_.At(content).ends.size();
    if (at->second.copy ? unread : !held) {
      Excuse(content);
      Content& gone = model_.At(content);
      if (at->second.copy) {
        gone.also_lost += gone.size;
      } else {
        gone.gone = true;
        gone.unsure = gone.unsure || topics_.size() > 1 || shard_ == nullptr;
      }
    } else if (at->second.copy && (kills_ || !held)) {
      model_.At(content).also_lost += model_.At(content).size;  // its own reader may be behind
    } else if (topics_.size() > 1 && (unread || !by_all)) {
      Excuse(content);  // one of two entries may have closed it
      model_.At(content).gone = model_.At(content).unsure = true;
    }
    Trace("remove {} c{} held {} taken {}", name, content, held, model_.Taken(content));
    removed_.insert(content);
    removed_now_.insert(content);
    disk_.Remove(PathOf(name));
    content_by_inode_.erase(inode);
    names_.erase(at);
  }
  void Rename(const std::string& from, const std::string& to) {
    auto at = names_.find(from);
    if (at == names_.end()) {
      return;
    }
    Remove(to);
    if (shard_ == nullptr && IsBase(from)) {
      ExcuseUnseen(at->second.content);
    }
    Trace("rename {} to {}", from, to);
    disk_.Rename(PathOf(from), PathOf(to));
    names_[to] = at->second;
    names_.erase(from);
  }
  // a.log.2 -> a.log.3, a.log.1 -> a.log.2.
  void ShiftChain(const std::string& base) {
    Rename(base + ".2", base + ".3");
    Rename(base + ".1", base + ".2");
  }
  void Rotate(const std::string& base) {
    ShiftChain(base);
    Rename(base, base + ".1");
    if (names_.contains(base + ".1") && random_.Chance(0.3)) {
      Write(base + ".1", false);  // its writer has not heard of it yet
    }
    if (random_.Chance(0.8)) {
      Write(base, random_.Chance(0.2));
    }
  }
  // That a row was saved after lines of it were acknowledged is certain for every topic.
  bool RowKnows(size_t content) {
    const auto& by_topic = model_.At(content).by_topic;
    return std::all_of(by_topic.begin(), by_topic.end(),
                       [](const auto& topic) { return topic.second.saved > 0; });
  }
  void Truncate(const std::string& base, const std::string& copy) {
    auto at = names_.find(base);
    size_t content = at->second.content;
    Content& old = model_.At(content);
    Excuse(content);
    old.gone = true;
    bool known = model_.Taken(content) > 0 && (shard_ != nullptr || RowKnows(content));
    auto kept = names_.find(copy);
    if (known && kept != names_.end()) {
      size_t whole = 0;
      while (whole < old.ends.size() && old.ends[whole] <= copied_bytes_) {
        ++whole;
      }
      old.required = std::max(old.required, whole);
      old.copied = copied_bytes_;
      old.unsure = old.unsure || shard_ == nullptr;
    } else {
      old.unsure = old.unsure || kept != names_.end() || shard_ == nullptr;
    }
    gone_.insert(content);
    Trace("truncate {} c{} taken {} required {}", base, content, model_.Taken(content),
          old.required);
    disk_.Truncate(PathOf(base));
    size_t fresh = model_.NewContent();
    model_.At(fresh).cut_before = true;
    at->second = {fresh, false};
    content_by_inode_[disk_.InodeAt(PathOf(base))] = fresh;
  }
  void CopyTruncate(const std::string& base) {
    ShiftChain(base);
    Remove(base + ".1");
    disk_.Copy(PathOf(base), PathOf(base + ".1"));
    size_t content = names_.at(base).content;
    copied_bytes_ = model_.At(content).size;
    Trace("copy {} c{}", base, content);
    names_[base + ".1"] = {content, true};
    model_.At(content).twice = sink_.paused || kills_ || model_.Taken(content) == 0;
    bool behind = std::any_of(topics_.begin(), topics_.end(), [&](const std::string& topic) {
      return model_.TakenBytes(content, topic) + model_.At(content).partial.size() < copied_bytes_;
    });
    if (model_.At(content).twice || behind) {
      model_.At(content).unsure = true;
      model_.At(content).also_lost += copied_bytes_;
    }
    Steps(random_.Below(4));
    if (model_.At(content).partial.empty() && random_.Chance(0.4)) {
      Write(base, false);
      Steps(random_.Below(2));
    }
    Truncate(base, base + ".1");
  }
  // A plain truncation; half of the time longer than before when it is next looked at.
  void Cut(const std::string& base) {
    uint64_t before = model_.At(names_.at(base).content).size;
    Truncate(base, "");
    size_t content = names_.at(base).content;
    if (random_.Chance(0.5)) {
      do {
        Write(base, false);
      } while (model_.At(content).size <= before);
    }
  }
  void Compress(const std::string& base) {
    auto at = names_.find(base + ".2");
    if (at == names_.end()) {
      return;
    }
    disk_.Append(PathOf(base + ".3.gz"), "no line");
    Remove(base + ".2");
  }
  void SwitchLink() {
    if (links_ > 0) {
      std::string old = fmt::format("real/r{}.log", links_);
      size_t content = names_.at(old).content;
      bool held = shard_ != nullptr && 0 < files_.Holds(disk_.InodeAt(PathOf(old)));
      // What a killed life took and no row tells of leads the next one nowhere.
      bool known = model_.Taken(content) > 0 && (shard_ != nullptr || RowKnows(content));
      if (!held && !known) {
        Excuse(content);  // nobody looked: the way to it is gone
        model_.At(content).gone = model_.At(content).unsure = true;
      }
    }
    std::string target = fmt::format("real/r{}.log", ++links_);
    Write(target, false);
    names_["cur.log"] = names_.at(target);
    Trace("switch cur.log to {}", target);
    disk_.Link(PathOf(target), PathOf("cur.log"));
  }
  void WriteLink() {
    if (links_ > 0) {
      Write(fmt::format("real/r{}.log", links_), false);
    }
  }

  void Operation() {
    std::string base = random_.Chance(0.5) ? "a.log" : "b.log";
    bool there = names_.contains(base);
    uint64_t what = random_.Below(100);
    if (what < 48 || !there) {
      return Write(base, random_.Chance(0.2));
    }
    if (what < 60) return Rotate(base);
    if (what < 66) return all_ ? CopyTruncate(base) : Rotate(base);
    if (what < 70) return Cut(base);
    if (what < 73) return Remove(base + ".3");
    if (what < 75) return Compress(base);
    if (what < 77) return Remove(base);
    if (what < 82) return random_.Chance(0.3) ? SwitchLink() : WriteLink();
    if (what < 84) return Steps(random_.Between(100, 400));  // long enough to finish files
    Disturb(what);
  }
  void Disturb(uint64_t what) {
    if (what < 88) {
      sink_.paused = !sink_.paused;
      Trace("topics {}", sink_.paused ? "paused" : "ready");
    } else if (what < 91) {
      if (shard_ != nullptr) {
        Trace("refused");
        shard_->Deliver(sink_.RejectAll());
      }
    } else if (what < 93) {
      if (!all_) return;
      for (const auto& [name, file] : names_) {
        if (!IsBase(name)) ExcuseUnseen(file.content);
      }
      disk_.Overflow();
      Trace("overflow");
    } else if (kills_ && shard_ != nullptr) {
      Kill();
      if (random_.Chance(0.5)) StartAgent();
    } else if (shard_ == nullptr) {
      StartAgent();
    }
  }

  void Quiesce() {
    if (shard_ == nullptr) {
      StartAgent();
    }
    sink_.paused = false;
    for (const char* base : {"a.log", "b.log"}) {
      Write(base, false);
    }
    for (int i = 0; i < 300 && model_.failure().empty(); ++i) {
      Step(true);
    }
    model_.Check();
    TortureModel::Loss expected = model_.ExpectedLoss();
    if (trace_) {
      model_.ExplainLoss();
      for (const FileStats& file : shard_->Snapshot()->files) {
        Trace("file {} inode {} generation {} read {} acked {} of {} {} open {} detached {} {}",
              file.path, file.file.inode, file.file.generation, file.read_offset, file.acked_offset,
              file.size, file.state, file.open, file.detached, file.error);
      }
    }
    if (bytes_lost() < expected.least || bytes_lost() > expected.most) {
      model_.Fail(fmt::format("the agent counts {} bytes lost, {} to {} are{}", bytes_lost(),
                              expected.least, expected.most, kills_ ? ", with kills" : ""));
    }
  }

  const bool trace_ = std::getenv("SLUICE_TRACE") != nullptr;
  store::Random random_;
  Disk& disk_;
  VirtualClock& clock_;
  const bool glob_;
  const bool all_;
  const bool kills_;
  const std::vector<std::string> topics_;
  TortureModel model_;
  RecordingFiles files_;
  ModelSink sink_;
  MemoryCheckpointStore state_;
  DeadLetterSpool spool_{"/nonexistent/dead-letters", 1 << 20, clock_};
  std::unique_ptr<Checkpointer> checkpointer_;
  std::unique_ptr<Shard> shard_;
  std::map<std::string, FileName> names_;
  std::map<uint64_t, size_t> content_by_inode_;
  std::set<size_t> removed_;
  std::set<size_t> removed_before_;  // before this life; a row may tell of them
  std::set<size_t> removed_now_;     // since
  store::TimePoint started_;
  std::set<size_t> gone_;  // truncated in this life of the agent
  uint64_t copied_bytes_ = 0;
  uint64_t links_ = 0;
  uint64_t bytes_lost_ = 0;   // as the present life of the agent counts
  uint64_t lost_before_ = 0;  // as its former ones did
};

struct Totals {
  uint64_t scripts = 0;
  uint64_t lines = 0;
  uint64_t repeats = 0;
  uint64_t exact = 0;
  uint64_t bytes_lost = 0;
  uint64_t least = 0;
  uint64_t most = 0;
};

uint64_t Given(const char* variable, uint64_t usual) {
  const char* given = std::getenv(variable);
  return given == nullptr ? usual : std::stoull(given);
}
uint64_t ScriptCount(uint64_t usual) { return Given("SLUICE_SCRIPTS", usual); }

template <class MakeDisk>
void RunScripts(std::string_view name, uint64_t count, MakeDisk make_disk) {
  uint64_t first = Given("SLUICE_SEED", store::EntropySeed() % 1'000'000'000);
  uint64_t failures_max = Given("SLUICE_FAILURES", 10);
  fmt::print("{}: SLUICE_SEED={} SLUICE_SCRIPTS={}\n", name, first, count);
  Totals totals;
  uint64_t failures = 0;
  for (uint64_t seed = first; seed < first + count && failures < failures_max; ++seed) {
    VirtualClock clock;
    auto disk = make_disk(clock);
    Script script(seed, *disk, clock);
    std::string failure = script.Run();
    if (!failure.empty()) {
      ++failures;
      ADD_FAILURE() << "replay with SLUICE_SEED=" << seed << " SLUICE_SCRIPTS=1: " << failure;
    }
    ++totals.scripts;
    totals.lines += script.model().lines();
    totals.repeats += script.model().repeats();
    TortureModel::Loss expected = script.model().ExpectedLoss();
    totals.exact += expected.least == expected.most ? 1 : 0;
    totals.bytes_lost += script.bytes_lost();
    totals.least += expected.least;
    totals.most += expected.most;
  }
  fmt::print(
      "{}: {} scripts of {} operations, {} lines, {} repeated in the window; losses known "
      "exactly in {} scripts, {} bytes counted of {} to {}\n",
      name, totals.scripts, kOperations, totals.lines, totals.repeats, totals.exact,
      totals.bytes_lost, totals.least, totals.most);
}

TEST(RotationTorture, OnTheSimulatedFileSystem) {
  RunScripts("simulated", ScriptCount(1000),
             [](const store::Clock& clock) { return std::make_unique<SimDisk>(clock); });
}

TEST(RotationTorture, OnARealDirectory) {
  RunScripts("real", ScriptCount(1000) / 20,
             [](const store::Clock&) { return std::make_unique<RealDisk>(); });
}

}  // namespace
}  // namespace logagent::testing
