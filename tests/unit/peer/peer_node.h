// SPDX-License-Identifier: Apache-2.0
// One member's transport on a loop and a port of its own, and a recorder of what it is told. Driven
// from the test's thread.
#pragma once

#include "store/base/clock.h"
#include "store/base/thread.h"
#include "store/cluster/cluster_table.h"
#include "store/peer/peer_service.h"
#include "store/peer/peer_set.h"
#include "store/rpc/event_loop.h"
#include "store/rpc/http_router.h"
#include "store/rpc/server.h"

#include <absl/functional/function_ref.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace store::peer::test {

constexpr Duration kPatience = std::chrono::seconds(60);

class Recorder final : public replica::PeerEvents {
 public:
  struct Heard {
    std::vector<raft::Envelope> messages;
    std::vector<std::pair<raft::NodeId, replica::PeerMessage>> others;
    std::map<raft::NodeId, int> unreachable;
  };

  void OnPeerMessage(raft::Envelope envelope) override {
    Change([&](Heard& heard) { heard.messages.push_back(std::move(envelope)); });
  }
  void OnPeerOther(raft::NodeId from, replica::PeerMessage message) override {
    Change([&](Heard& heard) { heard.others.emplace_back(from, std::move(message)); });
  }
  void OnConnection(raft::NodeId, bool) override {}
  void OnUnreachable(raft::NodeId peer) override {
    Change([&](Heard& heard) { ++heard.unreachable[peer]; });
  }
  void OnSnapshot(replica::SnapshotEvent) override {}

  // Waits until it holds of what was heard; false when the patience is over.
  bool Wait(absl::FunctionRef<bool(const Heard&)> holds) {
    const TimePoint deadline = clock_.Now() + kPatience;
    MutexLock lock(mutex_);
    while (!holds(heard_)) {
      if (!changed_.WaitUntil(mutex_, deadline)) return holds(heard_);
    }
    return true;
  }
  Heard heard() {
    MutexLock lock(mutex_);
    return heard_;
  }

 private:
  void Change(absl::FunctionRef<void(Heard&)> change) {
    MutexLock lock(mutex_);
    change(heard_);
    changed_.NotifyAll();
  }

  SystemClock clock_;
  Mutex mutex_;
  CondVar changed_;
  Heard heard_ ABSL_GUARDED_BY(mutex_);
};

inline PeerSetOptions Quick(uint64_t id, PeerLimits limits = {}) {
  limits.ping_interval = std::chrono::milliseconds(50);
  PeerSetOptions options;
  options.cluster = ClusterId(0xc1);
  options.self = raft::NodeId(id);
  options.server_version = "3.7.0";
  options.limits = limits;
  options.dial.limits = PeerTransportLimits(1 << 20);
  options.dial.backoff_min = std::chrono::milliseconds(5);
  options.dial.backoff_max = std::chrono::milliseconds(20);
  options.dial.refused_pause = std::chrono::milliseconds(20);
  return options;
}

class Node {
 public:
  explicit Node(PeerSetOptions options, const std::string& address = "127.0.0.1:0")
      : id_(options.self),
        loop_(LoopId(9), clock_, "peer"),
        peers(loop_, clock_, Logger(), registry, std::move(options)),
        service_(peers) {
    service_.Register(methods_);
    rpc::ServerOptions server;
    server.limits = PeerTransportLimits(1 << 20);
    server.stop_grace = Duration(0);
    server_ = std::make_unique<rpc::Server>(methods_, router_, std::vector{&loop_}, server);
    Status bound = server_->Listen(address);
    EXPECT_TRUE(bound) << bound.error().ToString();
    loop_.Start();
    peers.Start(events);
    server_->Start();
  }
  ~Node() { Stop(); }

  void Stop() {
    peers.Stop();
    server_->Stop();
  }
  std::string address() const { return server_->addresses().front().ToString(); }
  cluster::Member member() const {
    return {.id = id_,
            .name = {},
            .peer_urls = {"http://" + address()},
            .client_urls = {},
            .learner = false};
  }
  void Know(std::vector<cluster::Member> members, cluster::RemovedList removed = {}) {
    peers.SetMembers(std::make_shared<const cluster::MemberList>(std::move(members)),
                     std::make_shared<const cluster::RemovedList>(std::move(removed)));
  }
  // Runs on the peer loop and waits for it.
  void Run(absl::FunctionRef<void()> action) {
    std::promise<void> done;
    loop_.Post([&] {
      action();
      done.set_value();
    });
    done.get_future().wait();
  }
  rpc::EventLoop& loop() { return loop_; }
  void Send(uint64_t to, raft::Message message) {
    peers.Send({id_, raft::NodeId(to), std::move(message)});
  }
  bool Active(uint64_t other) {
    bool active = false;
    Run([&] {
      auto peer = peers.Find(raft::NodeId(other));
      active = peer && peer->active();
    });
    return active;
  }
  bool WaitActive(uint64_t other) {
    const TimePoint deadline = clock_.Now() + kPatience;
    while (!Active(other)) {
      if (clock_.Now() > deadline) return false;
    }
    return true;
  }
  // Calls of a method that ended with that code here.
  uint64_t Ended(const char* path, rpc::GrpcCode code) {
    return methods_.Find(path)->counters->handled[static_cast<size_t>(code)].load();
  }
  // Of /metrics, the value behind `name`; 0 without it.
  double Metric(const std::string& name) {
    std::string text = registry.Text();
    size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? 0 : std::stod(text.substr(at + name.size() + 2));
  }

 private:
  const raft::NodeId id_;
  SystemClock clock_;
  rpc::EventLoop loop_;
  rpc::MethodTable methods_;
  rpc::HttpRouter router_;

 public:
  Registry registry;
  Recorder events;
  PeerSet peers;

 private:
  PeerService service_;
  std::unique_ptr<rpc::Server> server_;
};

}  // namespace store::peer::test
