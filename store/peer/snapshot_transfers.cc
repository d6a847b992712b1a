// SPDX-License-Identifier: Apache-2.0
#include "store/peer/snapshot_transfers.h"

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace store::peer {

SnapshotTransfers::SnapshotTransfers(SnapshotTransferOptions options, rpc::EventLoop& loop,
                                     apply::StateMachine& machine, PeerSet& peers,
                                     const Logger& log)
    : options_(std::move(options)), loop_(loop), machine_(machine), peers_(peers), log_(log) {}

void SnapshotTransfers::Start(replica::PeerEvents& events, rpc::MethodTable& methods,
                              Registry& registry) {
  SnapshotSenderOptions sender;
  sender.cluster = options_.cluster;
  sender.self = options_.self;
  sender.directory = options_.directory;
  // A member that is not known (any more) has none.
  sender.addresses_of = [this](raft::NodeId id) {
    auto peer = peers_.Find(id);
    return peer ? peer->addresses() : std::vector<std::string>();
  };
  sender_ = std::make_unique<SnapshotSender>(std::move(sender), loop_, machine_, events, log_);
  SnapshotReceiverOptions receiver;
  receiver.cluster = options_.cluster;
  receiver.self = options_.self;
  receiver.directory = options_.directory;
  receiver.check_sender = [this](const FrameHeader& header, std::string_view address) {
    return peers_.CheckSender(header, address);
  };
  receiver_ = std::make_unique<SnapshotReceiver>(std::move(receiver), events, log_);
  receiver_->Register(methods);
  AddMetrics(registry);
}

void SnapshotTransfers::AddMetrics(Registry& registry) {
  auto counter = [&](const char* name, const char* help, const std::atomic<uint64_t>& value) {
    handles_.push_back(registry.AddCallbackCounter(
        name, help, {}, [&value] { return static_cast<double>(value.load()); }));
  };
  auto gauge = [&](const char* name, const char* help, const std::atomic<uint64_t>& value) {
    handles_.push_back(registry.AddCallbackGauge(
        name, help, {}, [&value] { return static_cast<double>(value.load()); }));
  };
  const SnapshotSendStats& sent = sender_->stats();
  counter("sluice_snapshots_sent_total", "Snapshots that other members have whole.", sent.sent);
  counter("sluice_snapshot_send_failures_total", "Snapshots that were not sent to their end.",
          sent.failed);
  counter("sluice_snapshot_sent_bytes_total", "Bytes of snapshots that left.", sent.bytes);
  gauge("sluice_snapshots_sending", "Snapshots on their way to other members.", sent.running);
  const SnapshotReceiveStats& received = receiver_->stats();
  counter("sluice_snapshots_received_total", "Snapshots that arrived whole and were verified.",
          received.received);
  counter("sluice_snapshot_receive_failures_total", "Snapshots that broke off or were damaged.",
          received.failed);
  counter("sluice_snapshots_refused_total", "Snapshots that were refused before they came.",
          received.refused);
  counter("sluice_snapshot_received_bytes_total", "Bytes of snapshots that were written.",
          received.bytes);
  gauge("sluice_snapshots_receiving", "Snapshots that arrive or wait to be installed.",
        received.running);
}

void SnapshotTransfers::Stop() {
  if (sender_ == nullptr) return;
  sender_->Stop();
  receiver_->Stop();
}

}  // namespace store::peer
