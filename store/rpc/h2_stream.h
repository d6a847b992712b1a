// SPDX-License-Identifier: Apache-2.0
// H2Stream: one HTTP/2 stream, as the part of a session that a call or exchange derives from: what
// arrives is virtual, what leaves is queued here and pulled by the session when the peer's windows
// allow. Threads: the session's loop. Lifetime: shared by the session, from Attach or Open to
// OnStreamClosed, and by whoever handles the call; afterwards attached() is false and nothing is
// sent. Bounds: the send queue by its user (queued_cost), received bytes by the stream window,
// which opens only for what was given to ConsumeInput.
#pragma once

#include "store/base/bytes.h"
#include "store/rpc/call.h"
#include "store/rpc/grpc_frame.h"
#include "store/rpc/header_block.h"

#include <absl/container/inlined_vector.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace store::rpc {

class H2Session;

class H2Stream {
 public:
  // Request (server), response or trailers (client). `end`: nothing follows.
  virtual void OnHeaders(const HeaderBlock& headers, bool end) = 0;
  virtual void OnData(std::string_view bytes) = 0;
  // The peer has sent its last byte; follows OnHeaders with `end` too.
  virtual void OnRemoteEnd() = 0;
  // Everything queued has been handed over: true if trailers were submitted, which then end the
  // stream.
  virtual bool SubmitTrailers() = 0;
  // The send queue has fallen below half of the limit after it was above it.
  virtual void OnQueueDrained() = 0;
  // Server: it stops, and the peer has been told. Once.
  virtual void OnServerStops() {}
  // The last call. An HTTP/2 error code; 0 when both sides ended it.
  virtual void OnStreamClosed(uint32_t error_code) = 0;
  virtual ~H2Stream() = default;

 protected:
  H2Session* session() const { return session_; }
  bool attached() const { return session_ != nullptr; }
  int32_t stream_id() const { return id_; }
  // What the queue costs in memory: a thousand small messages are more than their bytes.
  size_t queued_cost() const {
    return queued_bytes_ + kPartCostBytes * (queue_.size() - queue_head_);
  }

  void Enqueue(SharedBytes bytes);
  // Its five-byte prefix, then its parts. The first is the message's own; what a handler appended
  // to it (the events of a watch batch, which all its streams send) others keep as well.
  void EnqueueMessage(const MessageBody& message);
  // No more will be enqueued.
  void EnqueueEnd() { end_queued_ = true; }
  bool end_queued() const { return end_queued_; }
  // Asks for OnQueueDrained.
  void WantDrained() { wants_drained_ = true; }
  void ConsumeInput(size_t bytes);
  // Room for something of the peer's that stays, until Release or the stream's end; false: too
  // much of it.
  [[nodiscard]] bool Keep(size_t bytes);
  void Release(size_t bytes);
  size_t unconsumed_bytes() const { return unconsumed_; }

 private:
  friend class H2Session;

  struct Part {
    std::array<char, kGrpcPrefixBytes> prefix;
    uint8_t prefix_bytes = 0;
    bool shared = false;  // others keep these bytes too
    SharedBytes bytes;
    size_t size() const { return prefix_bytes + bytes.size(); }
  };
  static constexpr size_t kPartCostBytes = sizeof(Part) + 64;  // and its allocation
  void Push(Part part);

  H2Session* session_ = nullptr;
  std::shared_ptr<H2Stream> self_;
  H2Stream* previous_ = nullptr;
  H2Stream* next_ = nullptr;
  int32_t id_ = 0;
  bool end_queued_ = false;
  bool wants_drained_ = false;
  bool local_ended_ = false;
  bool remote_ended_ = false;
  bool has_request_ = false;            // server: the next header block is a trailer
  std::optional<uint64_t> bytes_left_;  // of an announced content-length
  absl::InlinedVector<Part, 2> queue_;
  size_t queue_head_ = 0;
  size_t head_offset_ = 0;
  size_t queued_bytes_ = 0;
  size_t shared_bytes_ = 0;  // of queued_bytes_
  size_t unconsumed_ = 0;
  size_t kept_ = 0;  // of the connection's input budget
};

}  // namespace store::rpc
