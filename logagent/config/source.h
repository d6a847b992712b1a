// SPDX-License-Identifier: Apache-2.0
// Sources of the entry list. StoreSource follows one key of the store: get at R, watch from R + 1,
// a full re-read every 5 to 10 minutes in case anything was missed. FileSource looks at a file once
// a second. Both hand whole texts to a handler, on a thread of their own, one at a time and never
// after Stop: the first at once, then at most one in `apply_interval`, of which the last list wins;
// a later text that is no list follows it, to be refused. A deleted key counts only after
// `delete_grace`: a put inside it is one change. Memory: two texts.
#pragma once

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/random.h"
#include "store/base/thread.h"
#include "store/client/client.h"
#include "store/client/watcher.h"

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace logagent {

struct ConfigText {
  std::optional<std::string> text;  // nothing: the key (or file) is not there
  int64_t revision = 0;             // mod revision, or the store's if there is no key
};

struct SourceHandlers {
  absl::AnyInvocable<void(ConfigText)> on_config;
  // The source cannot be read now; it goes on trying. For the log and the status.
  absl::AnyInvocable<void(const store::Error&)> on_error;
};

struct SourceTiming {
  store::Duration apply_interval = std::chrono::milliseconds(200);
  store::Duration delete_grace = std::chrono::seconds(5);
  store::Duration reread_min = std::chrono::minutes(5);
  store::Duration reread_max = std::chrono::minutes(10);
  store::Duration file_interval = std::chrono::seconds(1);
  uint64_t seed = 0;  // of the jitter; 0 takes the machine's entropy
};

class ConfigSource {
 public:
  virtual void Start() = 0;
  virtual void Stop() = 0;
  virtual ~ConfigSource() = default;
};

// Decides when a text is handed on; the rules above without threads or clock.
class ChangeGate {
 public:
  explicit ChangeGate(const SourceTiming& timing) : timing_(timing) {}

  void Offer(ConfigText config, store::TimePoint now);
  // When Take has something, if ever.
  std::optional<store::TimePoint> Due() const;
  std::optional<ConfigText> Take(store::TimePoint now);

 private:
  struct Waiting {
    ConfigText config;
    store::TimePoint due;
  };

  const SourceTiming timing_;
  std::optional<Waiting> list_;   // the newest list
  std::optional<Waiting> other_;  // what came after it: a deletion or a text that is no list
  std::optional<store::TimePoint> last_taken_;
  bool present_ = false;  // what was handed on last had a text
};

class StoreSource final : public ConfigSource {
 public:
  // `client` outlives the source.
  StoreSource(store::client::Client& client, std::string key, SourceTiming timing,
              SourceHandlers handlers);
  ~StoreSource() override { Stop(); }

  void Start() override;
  void Stop() override;

 private:
  void Run();
  void Reread();
  void Offer(ConfigText config, int64_t seen_revision);
  store::TimePoint NextReread();

  store::client::Client& client_;
  const std::string key_;
  const SourceTiming timing_;
  SourceHandlers handlers_;
  store::SystemClock clock_;
  store::Random random_;  // the source's thread only

  store::Mutex mutex_;
  store::CondVar changed_;
  ChangeGate gate_ ABSL_GUARDED_BY(mutex_);
  // The newest revision of the store that was looked at: an older answer says nothing new.
  int64_t seen_revision_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::unique_ptr<store::client::Watcher> watcher_;
  store::Thread thread_;
};

class FileSource final : public ConfigSource {
 public:
  FileSource(std::string path, SourceTiming timing, SourceHandlers handlers);
  ~FileSource() override { Stop(); }

  void Start() override;
  void Stop() override;

 private:
  void Run();
  void Look();

  const std::string path_;
  const SourceTiming timing_;
  SourceHandlers handlers_;
  store::SystemClock clock_;
  ChangeGate gate_;                       // the source's thread only
  std::optional<std::string> last_text_;  // likewise
  bool looked_ = false;                   // likewise
  int64_t revision_ = 0;                  // counts the changes

  store::Mutex mutex_;
  store::CondVar stop_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  store::Thread thread_;
};

}  // namespace logagent
