// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/server.h"

#include "store/base/check.h"
#include "store/rpc/connection.h"
#include "store/rpc/grpc_call.h"
#include "store/rpc/h2_exchange.h"
#include "store/rpc/h2_session.h"
#include "store/rpc/http1_session.h"
#include "store/rpc/sniff_session.h"

#include <absl/container/flat_hash_map.h>

#include <optional>
#include <unistd.h>
#include <utility>

namespace store::rpc {

// The connections of one loop. Everything on that loop.
class Server::LoopPart final : public ConnectionOwner, public H2Acceptor {
 public:
  LoopPart(Server& server, EventLoop& loop) : server_(server), loop_(loop) {}

  EventLoop& loop() { return loop_; }

  void Adopt(int fd) {
    if (draining_) {
      close(fd);
      server_.stats_.connections_open.fetch_sub(1, std::memory_order_relaxed);
      return;
    }
    auto peer = std::make_shared<PeerIdentity>();
    peer->address = SocketAddress::OfPeer(fd).ToString();
    auto connection = std::make_unique<Connection>(loop_, std::make_unique<PlainStream>(fd),
                                                   std::move(peer), *this);
    Connection& started = *connection;
    connections_.emplace(&started, std::move(connection));
    auto make = [this](Connection& on, Protocol protocol) { return MakeSession(on, protocol); };
    started.Start(std::make_unique<SniffSession>(started, server_.options_.limits.sniff_timeout,
                                                 std::move(make)));
  }

  void Drain() {
    draining_ = true;
    for (auto& [connection, owned] : connections_) connection->session()->StartDrain();
    if (connections_.empty()) return server_.OnPartDone();
    LookForReaders();
  }
  void CloseAll() {
    StopLooking();
    for (auto& [connection, owned] : connections_) connection->Close(CloseReason::kShutdown);
    server_.OnPartDone();
  }

 private:
  std::unique_ptr<Session> MakeSession(Connection& connection, Protocol protocol) {
    const Limits& limits = server_.options_.limits;
    if (protocol == Protocol::kHttp2) {
      return std::make_unique<H2Session>(connection, limits, server_.stats_, server_.input_, this);
    }
    return std::make_unique<Http1Session>(connection, server_.router_, limits, server_.stats_,
                                          server_.input_);
  }

  std::shared_ptr<H2Stream> Accept(H2Session& session, const HeaderBlock& headers) override {
    const Limits& limits = server_.options_.limits;
    const auto& peer = session.connection().peer();
    // A known method asked for with another content type is gRPC gone wrong (415), not a page.
    if (LooksLikeGrpc(headers.Find("content-type")) ||
        server_.methods_.Find(headers.Find(":path")) != nullptr) {
      return std::make_shared<GrpcCall>(server_.methods_, limits, loop_, peer);
    }
    return std::make_shared<H2Exchange>(server_.router_, limits, loop_, peer);
  }

  void OnConnectionClosed(Connection* connection, CloseReason reason) override {
    TransportStats& stats = server_.stats_;
    TransportStats::Add(stats.connections_closed[static_cast<size_t>(reason)]);
    TransportStats::Add(stats.bytes_read, connection->bytes_read());
    TransportStats::Add(stats.bytes_written, connection->bytes_written());
    stats.connections_open.fetch_sub(1, std::memory_order_relaxed);
    connections_.erase(connection);
    unread_.erase(connection);
    if (!draining_ || !connections_.empty()) return;
    StopLooking();
    server_.OnPartDone();
  }

  // A peer that does not read would use up the whole grace, which is for calls under way.
  void LookForReaders() {
    absl::flat_hash_map<Connection*, uint64_t> before = std::exchange(unread_, {});
    for (auto& [connection, owned] : connections_) {
      if (!connection->session()->WaitsForReader()) continue;
      const uint64_t written = connection->bytes_written();
      const auto last = before.find(connection);
      if (last != before.end() && last->second == written) {
        connection->Close(CloseReason::kShutdown);
      } else {
        unread_.emplace(connection, written);
      }
    }
    look_ = loop_.After(server_.options_.unread_grace, [this] {
      look_.reset();
      LookForReaders();
    });
  }
  void StopLooking() {
    if (look_) loop_.Cancel(*std::exchange(look_, std::nullopt));
  }

  Server& server_;
  EventLoop& loop_;
  absl::flat_hash_map<Connection*, std::unique_ptr<Connection>> connections_;
  // Whose peer alone could go on at the last look, and what it had been written by then.
  absl::flat_hash_map<Connection*, uint64_t> unread_;
  std::optional<Executor::TimerId> look_;
  bool draining_ = false;
};

Server::Server(const MethodTable& methods, const HttpRouter& router, std::vector<EventLoop*> loops,
               ServerOptions options)
    : methods_(methods),
      router_(router),
      loops_(std::move(loops)),
      options_(options),
      input_(options.input_bytes_max) {
  CHECK(!loops_.empty());
  for (EventLoop* loop : loops_) parts_.push_back(std::make_unique<LoopPart>(*this, *loop));
}

Server::~Server() { Stop(); }

Status Server::Listen(const std::string& address) {
  CHECK(!started_);
  Result<std::unique_ptr<Listener>> listener = Listener::Open(address);
  if (!listener) return Fail(listener.error());
  addresses_.push_back((*listener)->address());
  listeners_.push_back(std::move(*listener));
  return Ok();
}

void Server::Start() {
  CHECK(!started_);
  started_ = true;
  loops_.front()->Post([this] {
    for (auto& listener : listeners_) {
      listener->Start(
          *loops_.front(), stats_, [this](int fd) { Adopt(fd); }, [this] { return HasRoom(); });
    }
  });
}

bool Server::HasRoom() const {
  auto open = static_cast<size_t>(stats_.connections_open.load(std::memory_order_relaxed));
  return open < options_.connections_max;
}

void Server::Adopt(int fd) {
  TransportStats::Add(stats_.connections_accepted);
  stats_.connections_open.fetch_add(1, std::memory_order_relaxed);
  LoopPart& part = *parts_[next_part_];
  next_part_ = (next_part_ + 1) % parts_.size();
  part.loop().Post([&part, fd] { part.Adopt(fd); });
}

template <class F>
void Server::RunOnEach(F action) {
  for (auto& part : parts_) part->loop().Post([&part = *part, action] { action(part); });
}

void Server::Stop() {
  if (!started_ || stopped_) return;
  stopped_ = true;
  SystemClock clock;
  {
    MutexLock lock(mutex_);
    awaited_ = parts_.size();
  }
  // The accepting loop first: what it has handed over by then is in the loops' mail before the
  // drain.
  loops_.front()->Post([this] {
    listeners_.clear();
    RunOnEach([](LoopPart& part) { part.Drain(); });
  });
  if (WaitUntilDone(clock.Now() + options_.stop_grace)) return;
  {
    // The order itself is waited for: the last connection may end before it comes to its loop, and
    // would let us destroy the part it is for.
    MutexLock lock(mutex_);
    awaited_ += parts_.size();
  }
  RunOnEach([](LoopPart& part) { part.CloseAll(); });
  WaitUntilDone(TimePoint::max());
}

bool Server::WaitUntilDone(TimePoint deadline) {
  MutexLock lock(mutex_);
  while (awaited_ > 0) {
    if (!changed_.WaitUntil(mutex_, deadline)) break;
  }
  return awaited_ == 0;
}

void Server::OnPartDone() {
  MutexLock lock(mutex_);
  --awaited_;
  changed_.NotifyAll();
}

}  // namespace store::rpc
