// SPDX-License-Identifier: Apache-2.0
// Watcher: what a key or a range holds, kept up to date. It reads the range at revision R, hands
// over that snapshot, and watches from R + 1, so no change falls between. A broken stream is opened
// again, at the next endpoint, from the revision after the last one seen, with a back-off that
// doubles up to back_off_max and is jittered. If that revision is compacted, or the store is
// another one or went back in time (restored from an old copy), it starts over with a new snapshot.
// The handlers run on the watcher's thread, one at a time, never after Stop has returned; events
// come in revision order, each once.
#pragma once

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/random.h"
#include "store/base/thread.h"
#include "store/client/client.h"

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace store::client {

struct WatchedKey {
  std::string key;
  std::string value;
  int64_t mod_revision = 0;
  bool deleted = false;  // never in a snapshot
};

struct WatchHandlers {
  // Everything in the range at `revision`; replaces what was known.
  absl::AnyInvocable<void(std::vector<WatchedKey> keys, int64_t revision)> on_snapshot;
  absl::AnyInvocable<void(std::vector<WatchedKey> events)> on_events;
  // Reading or watching failed and will be tried again; for logs and status.
  absl::AnyInvocable<void(const Error& error)> on_error;
};

struct WatcherOptions {
  std::string key;
  std::string range_end;  // empty: one key
  Duration back_off_min = std::chrono::milliseconds(50);
  Duration back_off_max = std::chrono::seconds(2);
  uint64_t seed = 0;  // of the jitter
};

class Watcher {
 public:
  // `client` outlives the watcher.
  Watcher(Client& client, WatcherOptions options, WatchHandlers handlers);
  ~Watcher() { Stop(); }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  void Start();
  // Not from a handler.
  void Stop();

 private:
  void Run();
  Status ReadSnapshot();
  // Until the stream ends; the reason.
  Status Follow();
  Status Handle(const etcdserverpb::WatchResponse& response);
  bool stopped() const;
  void SetStream(WatchStream* stream);
  // False if stopped meanwhile.
  bool BackOff();

  Client& client_;
  const WatcherOptions options_;
  WatchHandlers handlers_;

  // The watcher's thread only.
  Random random_;
  bool need_snapshot_ = true;
  int64_t next_revision_ = 0;
  uint64_t cluster_id_ = 0;
  Duration back_off_ = Duration::zero();

  mutable Mutex mutex_;
  CondVar stop_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  WatchStream* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;
  Thread thread_;
};

}  // namespace store::client
