// SPDX-License-Identifier: Apache-2.0
// Server: listeners, the connections of N loops, and what each new stream becomes: gRPC by its
// content type, everything else for the HttpRouter. One port carries HTTP/2 (told by its preface)
// and HTTP/1.1. Threads: constructed, started and stopped by one thread; connections live on the
// loops, spread round robin. Owns listeners and connections; method table, router and loops are the
// caller's and outlive it. Loops must run while the server does. Bounds: limits.h per connection;
// for all of them connections_max and input_bytes_max.
#pragma once

#include "store/base/error.h"
#include "store/base/thread.h"
#include "store/rpc/call.h"
#include "store/rpc/event_loop.h"
#include "store/rpc/http_router.h"
#include "store/rpc/input_budget.h"
#include "store/rpc/limits.h"
#include "store/rpc/listener.h"
#include "store/rpc/stats.h"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace store::rpc {

struct ServerOptions {
  Limits limits;
  // At once; more wait in the kernel's backlog. The process keeps descriptors for its files.
  size_t connections_max = 16'384;
  // What all connections together may make the server keep (input_budget.h).
  size_t input_bytes_max = 512 << 20;
  // After GOAWAY, for calls under way.
  Duration stop_grace = std::chrono::seconds(5);
  // Of it, for a client that does not read what it was answered.
  Duration unread_grace = std::chrono::seconds(1);
};

class Server {
 public:
  Server(const MethodTable& methods, const HttpRouter& router, std::vector<EventLoop*> loops,
         ServerOptions options = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Binds; any number of addresses, before Start.
  Status Listen(const std::string& address);
  // Accepts from now on.
  void Start();
  // No new connections and streams; calls under way have stop_grace, clients that read nothing
  // unread_grace, then every connection is closed. Returns when none is left. Idempotent. Not from
  // a loop.
  void Stop();

  // In the order of Listen; with the real ports.
  const std::vector<SocketAddress>& addresses() const { return addresses_; }
  const TransportStats& stats() const { return stats_; }
  size_t input_bytes() const { return input_.bytes(); }
  const ServerOptions& options() const { return options_; }

 private:
  class LoopPart;

  void Adopt(int fd);
  bool HasRoom() const;
  bool WaitUntilDone(TimePoint deadline);
  void OnPartDone();
  template <class F>
  void RunOnEach(F action);

  const MethodTable& methods_;
  const HttpRouter& router_;
  const std::vector<EventLoop*> loops_;
  const ServerOptions options_;
  TransportStats stats_;
  InputPool input_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<SocketAddress> addresses_;
  std::vector<std::unique_ptr<LoopPart>> parts_;
  size_t next_part_ = 0;  // of the accepting loop
  bool started_ = false;
  bool stopped_ = false;

  Mutex mutex_;
  CondVar changed_;
  // Answers Stop waits for: of each part that it is empty, and that it was told to close.
  size_t awaited_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace store::rpc
