// SPDX-License-Identifier: Apache-2.0
// Snapshots from a sender to a receiver over loopback: whole, refused, damaged, cut off, silent.
#include "peer.pb.h"
#include "store/base/failpoint.h"
#include "store/engine/checkpoint.h"
#include "store/engine/rocks_engine.h"
#include "store/peer/snapshot_receiver.h"
#include "store/peer/snapshot_sender.h"
#include "store/peer/snapshot_wire.h"
#include "store/rpc/server.h"
#include "tests/unit/apply/machine.h"
#include "tests/unit/base/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace store::peer {
namespace {

using apply::Machine;
using raft::Index;
using raft::NodeId;
using raft::Term;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr ClusterId kCluster{0xc1};
constexpr NodeId kSender{1};
constexpr NodeId kReceiver{2};

// What the replica would be told.
class Events final : public replica::PeerEvents {
 public:
  void OnPeerMessage(raft::Envelope) override {}
  void OnPeerOther(NodeId, replica::PeerMessage) override {}
  void OnConnection(raft::NodeId, bool) override {}
  void OnUnreachable(NodeId) override {}
  void OnSnapshot(replica::SnapshotEvent event) override {
    MutexLock lock(mutex_);
    if (auto* taken = std::get_if<replica::SnapshotTaken>(&event)) taken_ = *taken;
    if (auto* sent = std::get_if<replica::SnapshotSent>(&event)) sent_ = *sent;
    if (auto* received = std::get_if<replica::SnapshotReceived>(&event)) received_ = *received;
  }
  std::optional<replica::SnapshotTaken> taken() const { return Get(taken_); }
  std::optional<replica::SnapshotSent> sent() const { return Get(sent_); }
  std::optional<replica::SnapshotReceived> received() const { return Get(received_); }
  void Forget() {
    MutexLock lock(mutex_);
    taken_.reset();
    sent_.reset();
    received_.reset();
  }

 private:
  template <class T>
  std::optional<T> Get(const std::optional<T>& value) const {
    MutexLock lock(mutex_);
    return value;
  }
  mutable Mutex mutex_;
  std::optional<replica::SnapshotTaken> taken_;
  std::optional<replica::SnapshotSent> sent_;
  std::optional<replica::SnapshotReceived> received_;
};

class SnapshotTransferTest : public testing::Test {
 protected:
  SnapshotTransferTest() {
    loop_.Start();
    peer_loop_.Start();
    for (int i = 0; i < 200; ++i) {
      machine_.Do(apply::PutOf(fmt::format("key-{}", i), std::string(1000, 'v')));
    }
  }
  ~SnapshotTransferTest() override {
    Failpoints::DisarmAll();
    if (sender_ != nullptr) {
      OnLoop([this] { sender_->Stop(); });
      sender_.reset();
    }
    OnLoop([this] { channel_.reset(); });
    StopServer();
    receiver_.reset();
    loop_.Stop();
    peer_loop_.Stop();
  }

  void Serve(Duration stall = seconds(60), size_t buffered = 8 << 20,
             uint32_t format = engine::kMemFormat) {
    SnapshotReceiverOptions options;
    options.format = format;
    options.cluster = kCluster;
    options.self = kReceiver;
    options.directory = receiver_directory();
    options.stall_max = stall;
    options.buffered_bytes_max = buffered;
    receiver_ = std::make_unique<SnapshotReceiver>(std::move(options), events_, Logger());
    receiver_->Register(methods_);
    rpc::ServerOptions server;
    server.stop_grace = Duration(0);  // as in the member
    server_ = std::make_unique<rpc::Server>(methods_, router_, std::vector{&peer_loop_}, server);
    ASSERT_TRUE(server_->Listen("127.0.0.1:0"));
    server_->Start();
    address_ = server_->addresses().front().ToString();
  }
  void StopServer() {
    if (server_ == nullptr) return;
    server_->Stop();
    server_.reset();
  }
  static SnapshotSenderOptions SenderOptions() {
    SnapshotSenderOptions options;
    options.cluster = kCluster;
    options.self = kSender;
    options.part_bytes = 4096;
    options.window_bytes = 16 << 10;
    return options;
  }
  void MakeSender(SnapshotSenderOptions options, apply::StateMachine& machine) {
    options.directory = sender_directory();
    options.addresses_of = [this](NodeId) {
      std::vector<std::string> all = dead_;
      if (!address_.empty()) all.push_back(address_);
      return all;
    };
    sender_ =
        std::make_unique<SnapshotSender>(std::move(options), loop_, machine, events_, Logger());
  }
  void MakeSender(SnapshotSenderOptions options = SenderOptions()) {
    MakeSender(std::move(options), machine_.state());
  }
  void Send() { sender_->Send({kReceiver, Index(1), Term(6)}); }

  void OnLoop(Action action) {
    std::promise<void> done;
    loop_.Post([&] {
      action();
      done.set_value();
    });
    done.get_future().wait();
  }
  template <class F>
  bool WaitFor(F condition) {
    const TimePoint deadline = clock_.Now() + seconds(60);
    while (!condition()) {
      if (clock_.Now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }
  bool WaitSent() {
    return WaitFor([this] { return events_.sent().has_value(); });
  }
  // Of transfers on either side.
  bool NothingIsLeft() {
    return WaitFor([this] {
      auto names = ListDirectory((receiver_directory() / "incoming").string());
      auto outgoing = ListDirectory((sender_directory() / "outgoing").string());
      return (!names || names->empty()) && (!outgoing || outgoing->empty());
    });
  }
  engine::Path sender_directory() const { return sender_directory_.path(); }
  engine::Path receiver_directory() const { return receiver_directory_.path(); }

  // A sender that the test plays itself.
  rpc::ClientCallPtr Call() {
    rpc::ClientCallPtr call;
    OnLoop([&] {
      rpc::ChannelOptions options;
      options.address = address_;
      channel_ = std::make_unique<rpc::Channel>(loop_, options);
      channel_->Connect();
      call = channel_->Start(kSnapshotPath);
      call->OnFinish([this](const rpc::RpcStatus& status) { finished_.set_value(status); });
    });
    return call;
  }
  SnapshotManifest Manifest(std::vector<engine::CheckpointFile> files) const {
    SnapshotManifest manifest;
    manifest.cluster = kCluster;
    manifest.from = kSender;
    manifest.to = kReceiver;
    manifest.term = Term(6);
    manifest.meta = {Index(200), Term(1), {{kSender}, {}, {}}};
    manifest.format = engine::kMemFormat;
    manifest.files = std::move(files);
    return manifest;
  }
  rpc::RpcStatus AnswerTo(const SnapshotManifest& manifest) {
    rpc::ClientCallPtr call = Call();
    OnLoop([&] { call->Send(EncodeManifest(manifest)); });
    return finished_.get_future().get();
  }

  SystemClock clock_;
  TempDir sender_directory_;
  TempDir receiver_directory_;
  Machine machine_;
  Events events_;
  rpc::EventLoop loop_{LoopId(0), clock_, "sender"};
  rpc::EventLoop peer_loop_{LoopId(1), clock_, "receiver"};
  rpc::MethodTable methods_;
  rpc::HttpRouter router_;
  std::unique_ptr<SnapshotReceiver> receiver_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<SnapshotSender> sender_;
  std::unique_ptr<rpc::Channel> channel_;
  std::promise<rpc::RpcStatus> finished_;
  std::string address_;
  std::vector<std::string> dead_;  // tried before it
};

TEST_F(SnapshotTransferTest, TheWholeStateArrives) {
  Serve();
  MakeSender();
  Send();
  ASSERT_TRUE(WaitSent());
  EXPECT_TRUE(events_.sent()->ok);
  EXPECT_EQ(events_.sent()->index, Index(200));
  EXPECT_EQ(events_.taken()->index, Index(200));
  ASSERT_TRUE(events_.received());
  EXPECT_EQ(events_.received()->from, kSender);
  EXPECT_EQ(events_.received()->term, Term(6));
  EXPECT_EQ(events_.received()->meta,
            (raft::SnapshotMeta{Index(200), Term(1), machine_.state().applied().conf}));
  auto arrived = engine::OpenCheckpoint(engine::IncomingDirectory(receiver_directory(), 200),
                                        engine::kMemFormat);
  ASSERT_TRUE(arrived);
  EXPECT_EQ(apply::DumpOf(**arrived), apply::DumpOf(machine_.engine()));
  receiver_->Release(Index(200));
  EXPECT_TRUE(NothingIsLeft());
}

TEST_F(SnapshotTransferTest, OfRocksWhileWritesGoOn) {
  auto engine = engine::RocksEngine::Open(sender_directory() / "state-1", {});
  ASSERT_TRUE(engine);
  const std::shared_ptr<engine::Engine> shared = std::move(*engine);
  apply::StateMachine machine({}, {NodeId(apply::kSelf), 1}, shared);
  ASSERT_TRUE(machine.Bootstrap(apply::OneMember()));
  apply::CommandMaker make;
  uint64_t index = 0;
  auto put = [&] {
    const std::vector entries = {apply::MakeEntry(
        index + 1, make(apply::PutOf(fmt::format("k{}", index), std::string(5000, 'x'))))};
    size_t taken = 0;
    ASSERT_TRUE(machine.Apply(entries, &taken));
    ++index;
  };
  for (int i = 0; i < 300; ++i) put();
  Serve(seconds(60), 8 << 20, engine::kRocksFormat);
  MakeSender(SenderOptions(), machine);
  Send();
  ASSERT_TRUE(WaitFor([&] { return events_.taken().has_value(); }));
  for (int i = 0; i < 50; ++i) put();
  ASSERT_TRUE(WaitSent());
  ASSERT_TRUE(events_.sent()->ok);
  ASSERT_EQ(events_.received()->meta.index, Index(300)) << "of the checkpoint, not of now";
  auto arrived = engine::OpenCheckpoint(engine::IncomingDirectory(receiver_directory(), 300),
                                        engine::kRocksFormat);
  ASSERT_TRUE(arrived) << arrived.error().ToString();
  auto row = apply::StateMachine::ReadApplied(**arrived, engine::Tier::kAll);
  ASSERT_TRUE(row && *row);
  EXPECT_EQ((*row)->current, Revision(301));
}

TEST_F(SnapshotTransferTest, ASecondIsRefusedUntilTheFirstIsDecided) {
  Serve();
  MakeSender();
  Send();
  ASSERT_TRUE(WaitSent());
  ASSERT_TRUE(events_.sent()->ok);
  events_.Forget();
  machine_.Do(apply::PutOf("more", "1"));
  Send();
  ASSERT_TRUE(WaitSent());
  EXPECT_FALSE(events_.sent()->ok);
  receiver_->Release(Index(200));
  ASSERT_TRUE(NothingIsLeft());
  events_.Forget();
  // The files are gone before the slot is free: a refusal in between is repeated.
  ASSERT_TRUE(WaitFor([this] {
    if (events_.sent() && events_.sent()->ok) return true;
    if (events_.sent()) events_.Forget();
    if (sender_->stats().running.load() == 0) Send();
    return WaitSent() && events_.sent()->ok;
  }));
  EXPECT_EQ(events_.received()->meta.index, Index(201));
}

TEST_F(SnapshotTransferTest, OneThatIsNotWantedAnyMoreEnds) {
  Serve();
  SnapshotSenderOptions slow = SenderOptions();
  slow.bytes_per_second = 1000;
  MakeSender(std::move(slow));
  Send();
  ASSERT_TRUE(WaitFor([&] { return receiver_->stats().bytes.load() > 0; }));
  sender_->Cancel(kReceiver);
  ASSERT_TRUE(WaitSent());
  EXPECT_FALSE(events_.sent()->ok);
  EXPECT_TRUE(NothingIsLeft());
  EXPECT_TRUE(WaitFor([&] { return receiver_->stats().running.load() == 0; }));
  EXPECT_FALSE(events_.received());
}

// The replica still runs when the member's transfers are ended; what it says then is nobody's.
TEST_F(SnapshotTransferTest, OrdersMayComeWhileItStops) {
  MakeSender();
  std::atomic<bool> stopped = false;
  std::thread orders([&] {
    while (!stopped.load()) sender_->Cancel(kReceiver);
  });
  OnLoop([&] { sender_->Stop(); });
  stopped.store(true);
  orders.join();
  Send();
  OnLoop([] {});
  EXPECT_FALSE(events_.sent());
}

TEST_F(SnapshotTransferTest, AReceiverThatGoesAwayFailsIt) {
  Serve();
  SnapshotSenderOptions slow = SenderOptions();
  slow.bytes_per_second = 50'000;
  MakeSender(std::move(slow));
  Send();
  ASSERT_TRUE(WaitFor([&] { return receiver_->stats().bytes.load() > 0; }));
  StopServer();
  ASSERT_TRUE(WaitSent());
  EXPECT_FALSE(events_.sent()->ok);
  EXPECT_FALSE(events_.received());
  EXPECT_TRUE(NothingIsLeft());
}

TEST_F(SnapshotTransferTest, NobodyThereFailsIt) {
  MakeSender();
  address_ = "127.0.0.1:1";
  Send();
  ASSERT_TRUE(WaitSent());
  EXPECT_FALSE(events_.sent()->ok);
  EXPECT_TRUE(NothingIsLeft());
}

// Of a member with several URLs each attempt takes the next one; what was reached is tried again.
TEST_F(SnapshotTransferTest, TheNextAddressIsTriedAfterOneThatDoesNotAnswer) {
  dead_ = {"127.0.0.1:1"};
  Serve();
  MakeSender();
  for (bool reached : {false, true}) {
    events_.Forget();
    Send();
    ASSERT_TRUE(WaitSent());
    EXPECT_EQ(events_.sent()->ok, reached);
  }
  receiver_->Release(Index(200));
  ASSERT_TRUE(WaitFor([this] { return receiver_->stats().running.load() == 0; }));
  events_.Forget();
  Send();
  ASSERT_TRUE(WaitSent());
  EXPECT_TRUE(events_.sent()->ok);
}

TEST_F(SnapshotTransferTest, AMemberWhoseAddressNobodyKnowsFailsIt) {
  MakeSender();
  Send();
  ASSERT_TRUE(WaitSent());
  EXPECT_FALSE(events_.sent()->ok);
  EXPECT_EQ(sender_->stats().started.load(), 0U);
}

TEST_F(SnapshotTransferTest, AReceiverWhoseDiskFailsSaysSoAndKeepsNothing) {
  for (const char* fault : {"snapshot-write=5+error(no_space)", "snapshot-write=error(io)"}) {
    if (server_ == nullptr) {
      Serve();
      MakeSender();
    }
    ASSERT_TRUE(Failpoints::Parse(fault));
    events_.Forget();
    Send();
    ASSERT_TRUE(WaitSent());
    EXPECT_FALSE(events_.sent()->ok) << fault;
    EXPECT_FALSE(events_.received()) << fault;
    EXPECT_TRUE(NothingIsLeft()) << fault;
    EXPECT_TRUE(WaitFor([&] { return receiver_->stats().running.load() == 0; })) << fault;
    Failpoints::DisarmAll();
  }
}

TEST_F(SnapshotTransferTest, AReadErrorOfTheSenderFailsIt) {
  Serve();
  MakeSender();
  ASSERT_TRUE(Failpoints::Parse("snapshot-read=3+error(io)"));
  Send();
  ASSERT_TRUE(WaitSent());
  EXPECT_FALSE(events_.sent()->ok);
  EXPECT_TRUE(NothingIsLeft());
}

// The rate holds for every size: a transfer cannot be faster, however slow the machine is.
TEST_F(SnapshotTransferTest, KeepsToItsRate) {
  Serve();
  SnapshotSenderOptions slow = SenderOptions();
  slow.bytes_per_second = 400'000;
  MakeSender(std::move(slow));
  const TimePoint began = clock_.Now();
  Send();
  ASSERT_TRUE(WaitSent());
  EXPECT_TRUE(events_.sent()->ok);
  const std::chrono::duration<double> took = clock_.Now() - began;
  EXPECT_GE(took.count(), static_cast<double>(sender_->stats().bytes.load()) / 400'000 - 0.1);
}

TEST_F(SnapshotTransferTest, WhatIsForSomebodyElseIsRefused) {
  Serve();
  SnapshotManifest manifest = Manifest({{"rows", 10, 1}});
  manifest.cluster = ClusterId(9);
  rpc::RpcStatus status = AnswerTo(manifest);
  EXPECT_EQ(status.code, rpc::GrpcCode::kFailedPrecondition);
  EXPECT_THAT(status.message, HasSubstr("of cluster 9"));
  finished_ = {};
  manifest = Manifest({{"rows", 10, 1}});
  manifest.format = engine::kRocksFormat;
  EXPECT_EQ(AnswerTo(manifest).code, rpc::GrpcCode::kFailedPrecondition);
  finished_ = {};
  manifest = Manifest({{"rows", 10, 1}});
  manifest.to = NodeId(7);
  EXPECT_EQ(AnswerTo(manifest).code, rpc::GrpcCode::kFailedPrecondition);
  finished_ = {};
  EXPECT_EQ(AnswerTo(Manifest({{"../../etc/passwd", 10, 1}})).code,
            rpc::GrpcCode::kFailedPrecondition);
  EXPECT_EQ(receiver_->stats().running.load(), 0U);
}

TEST_F(SnapshotTransferTest, AManifestThatIsNotItsCheckpointsIsRefused) {
  ASSERT_TRUE(machine_.engine().Flush());
  auto checkpoint = machine_.engine().MakeCheckpoint(sender_directory() / "checkpoint");
  ASSERT_TRUE(checkpoint);
  Serve();
  SnapshotManifest manifest = Manifest(checkpoint->files);
  manifest.meta.index = Index(199);
  rpc::ClientCallPtr call = Call();
  engine::CheckpointReader reader(*checkpoint);
  OnLoop([&] {
    call->Send(EncodeManifest(manifest));
    for (auto part = reader.Next(64 << 10); *part; part = reader.Next(64 << 10)) {
      call->Send(EncodePart(std::move(**part)));
    }
    call->CloseSend();
  });
  const rpc::RpcStatus status = finished_.get_future().get();
  EXPECT_EQ(status.code, rpc::GrpcCode::kDataLoss) << status.message;
  EXPECT_FALSE(events_.received());
  EXPECT_TRUE(WaitFor([&] { return receiver_->stats().running.load() == 0; }));
}

TEST_F(SnapshotTransferTest, ASilentSenderLosesItsPlace) {
  Serve(milliseconds(1));
  const rpc::RpcStatus status = AnswerTo(Manifest({{"rows", 10, 1}}));
  EXPECT_EQ(status.code, rpc::GrpcCode::kDeadlineExceeded);
  EXPECT_TRUE(WaitFor([&] { return receiver_->stats().running.load() == 0; }));
  EXPECT_FALSE(FileExists((receiver_directory() / "incoming" / "200.part").string()));
}

// Memory stays bounded against a sender that does not wait for acknowledgements.
TEST_F(SnapshotTransferTest, WhoIgnoresTheWindowIsCutOff) {
  Serve(seconds(60), 64 << 10);
  ASSERT_TRUE(Failpoints::Parse("snapshot-write=sleep(200)"));
  rpc::ClientCallPtr call = Call();
  OnLoop([&] {
    call->Send(EncodeManifest(Manifest({{"rows", 1 << 20, 1}})));
    for (uint64_t offset = 0; offset < (1 << 20); offset += 16 << 10) {
      call->Send(EncodePart({0, offset, std::string(16 << 10, 'x')}));
    }
  });
  EXPECT_EQ(finished_.get_future().get().code, rpc::GrpcCode::kResourceExhausted);
  Failpoints::DisarmAll();
  EXPECT_TRUE(WaitFor([&] { return receiver_->stats().running.load() == 0; }));
}

// And against a receiver that takes everything and acknowledges nothing.
TEST_F(SnapshotTransferTest, NoMoreThanAWindowIsSentUnacknowledged) {
  std::atomic<uint64_t> swallowed = 0;
  methods_.AddStream<sluice::peer::Chunk, sluice::peer::SnapshotAck>(
      std::string(kSnapshotPath),
      [&](rpc::Stream<sluice::peer::Chunk, sluice::peer::SnapshotAck> stream) {
        stream.OnMessage(
            [&](sluice::peer::Chunk&& chunk) { swallowed += chunk.part().data().size(); });
      });
  server_ = std::make_unique<rpc::Server>(methods_, router_, std::vector{&peer_loop_});
  ASSERT_TRUE(server_->Listen("127.0.0.1:0"));
  server_->Start();
  address_ = server_->addresses().front().ToString();
  SnapshotSenderOptions options = SenderOptions();
  options.stall_max = milliseconds(1500);
  const size_t window = options.window_bytes;
  const size_t part = options.part_bytes;
  MakeSender(std::move(options));
  Send();
  ASSERT_TRUE(WaitSent());
  EXPECT_FALSE(events_.sent()->ok);
  EXPECT_GE(swallowed.load(), window);
  EXPECT_LE(swallowed.load(), window + part);
}

}  // namespace
}  // namespace store::peer
