// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/h2_session.h"

#include "store/base/check.h"
#include "store/rpc/header_check.h"

#include <absl/container/inlined_vector.h>

#include <algorithm>
#include <utility>

namespace store::rpc {
namespace {

constexpr int kPingStrikesMax = 2;
// With a stream limit up to this, nghttp2 remembers as many closed streams and tells a frame on one
// from a new request; without a limit it would remember all of them, so it ignores such frames
// instead.
constexpr uint32_t kRememberedStreamsMax = 1000;

using HeaderArray = absl::InlinedVector<nghttp2_nv, 16>;

uint8_t* Bytes(std::string_view text) {
  return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
}

HeaderArray ToNghttp2(std::span<const H2Header> headers) {
  HeaderArray array;
  for (const H2Header& header : headers) {
    uint8_t flags = header.fixed ? NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE
                                 : NGHTTP2_NV_FLAG_NONE;
    array.push_back(
        {Bytes(header.name), Bytes(header.value), header.name.size(), header.value.size(), flags});
  }
  return array;
}

}  // namespace

// nghttp2 calls C functions; each finds its session and goes on there.
struct H2Session::Callbacks {
  static H2Session& Self(void* user) { return *static_cast<H2Session*>(user); }
  static H2Stream* StreamOf(nghttp2_session* session, int32_t id) {
    return static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(session, id));
  }

  static int OnBeginHeaders(nghttp2_session*, const nghttp2_frame*, void* user) {
    Self(user).headers_.Clear();
    Self(user).headers_too_large_ = false;
    return 0;
  }
  static int OnHeader(nghttp2_session*, const nghttp2_frame*, const uint8_t* name,
                      size_t name_bytes, const uint8_t* value, size_t value_bytes, uint8_t,
                      void* user) {
    H2Session& self = Self(user);
    if (self.headers_too_large_) return 0;
    std::string_view name_text(reinterpret_cast<const char*>(name), name_bytes);
    std::string_view value_text(reinterpret_cast<const char*>(value), value_bytes);
    // A header with a value that is none is left out; one of another rank is judged with its block.
    if (!name_text.starts_with(':') && !IsHeaderValue(value_text)) return 0;
    self.headers_.Add(name_text, value_text);
    self.headers_too_large_ = self.headers_.size_bytes() > self.limits_.header_bytes_max;
    return 0;
  }
  static int OnFrameReceived(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    return Self(user).OnFrame(*frame);
  }
  static int OnData(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* data,
                    size_t bytes, void* user) {
    H2Stream* stream = StreamOf(session, id);
    if (stream == nullptr) {
      nghttp2_session_consume(session, id, bytes);
      return 0;
    }
    stream->unconsumed_ += bytes;
    Self(user).OnData(*stream, {reinterpret_cast<const char*>(data), bytes});
    return 0;
  }
  static int OnStreamClose(nghttp2_session* session, int32_t id, uint32_t error_code, void* user) {
    H2Stream* stream = StreamOf(session, id);
    if (stream != nullptr) Self(user).Detach(*stream, error_code);
    return 0;
  }
  static int OnFrameSent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Self(user).OnFrameSent(*frame);
    return 0;
  }
  static int OnFrameNotSent(nghttp2_session* session, const nghttp2_frame* frame, int, void* user) {
    // A request that never left has no nghttp2 stream, so nobody else would report its end.
    if (frame->hd.type != NGHTTP2_HEADERS || StreamOf(session, frame->hd.stream_id) != nullptr) {
      return 0;
    }
    H2Stream* stream = Self(user).Find(frame->hd.stream_id);
    if (stream != nullptr) Self(user).Detach(*stream, NGHTTP2_REFUSED_STREAM);
    return 0;
  }
  static ssize_t PullData(nghttp2_session*, int32_t, uint8_t*, size_t bytes_max, uint32_t* flags,
                          nghttp2_data_source* source, void* user) {
    return Self(user).PullData(*static_cast<H2Stream*>(source->ptr), bytes_max, flags);
  }
  static int SendData(nghttp2_session*, nghttp2_frame*, const uint8_t* frame_header, size_t bytes,
                      nghttp2_data_source* source, void* user) {
    return Self(user).WriteData(*static_cast<H2Stream*>(source->ptr), frame_header, bytes);
  }

  static nghttp2_session_callbacks* Make() {
    nghttp2_session_callbacks* callbacks = nullptr;
    CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, OnBeginHeaders);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, OnHeader);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, OnFrameReceived);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, OnData);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, OnStreamClose);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, OnFrameSent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, OnFrameNotSent);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, SendData);
    return callbacks;
  }
};

H2Session::H2Session(Connection& connection, const Limits& limits, TransportStats& stats,
                     InputPool& input, H2Acceptor* acceptor)
    : connection_(connection),
      limits_(limits),
      stats_(stats),
      acceptor_(acceptor),
      // One message always fits, else a large limit of messages could never be used.
      input_(input, std::max(limits.input_bytes_max,
                             limits.message_bytes_max + 2 * limits.header_bytes_max)),
      resets_(limits.resets),
      settings_(limits.settings),
      empty_frames_(limits.empty_frames) {
  nghttp2_option* option = nullptr;
  CHECK(nghttp2_option_new(&option) == 0);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, limits.streams_max > kRememberedStreamsMax);
  // header_check.h says why; a server's answers to a client of ours are checked by nghttp2.
  nghttp2_option_set_no_http_messaging(option, acceptor_ != nullptr ? 1 : 0);
  // Our own budget decides, with a clear GOAWAY; nghttp2's (33 a second) is less than a busy client
  // cancels.
  nghttp2_option_set_stream_reset_rate_limit(option, 1 << 30, 1 << 30);
  nghttp2_session_callbacks* callbacks = Callbacks::Make();
  int made = acceptor_ != nullptr ? nghttp2_session_server_new2(&session_, callbacks, this, option)
                                  : nghttp2_session_client_new2(&session_, callbacks, this, option);
  CHECK(made == 0, "{}", nghttp2_strerror(made));
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_option_del(option);

  nghttp2_settings_entry entries[] = {
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, static_cast<uint32_t>(limits.stream_window)},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(limits.header_bytes_max)},
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.streams_max},
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
  };
  // Only a client may say anything about push.
  size_t count = acceptor_ != nullptr ? 3 : 4;
  CHECK(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries, count) == 0);
  CHECK(nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                              limits.connection_window) == 0);
  last_read_ = connection_.loop().Now();
  ArmKeepalive(limits_.keepalive.interval);
  connection_.RequestFlush();
}

H2Session::~H2Session() {
  if (keepalive_timer_) connection_.loop().Cancel(*keepalive_timer_);
  nghttp2_session_del(session_);
}

void H2Session::OnBytes(std::string_view bytes) {
  last_read_ = connection_.loop().Now();
  ssize_t used = nghttp2_session_mem_recv(session_, Bytes(bytes), bytes.size());
  connection_.RequestFlush();
  // Ended by us in the midst of these bytes: the GOAWAY still goes out.
  if (used >= 0 || ended_) return;
  connection_.Close(used == NGHTTP2_ERR_FLOODED ? CloseReason::kFlood
                                                : CloseReason::kProtocolError);
}

void H2Session::FillOutput() {
  OutputBuffer& output = connection_.output();
  while (output.size() < Connection::kOutputMark) {
    const uint8_t* data = nullptr;
    ssize_t count = nghttp2_session_mem_send(session_, &data);
    if (count < 0) {
      connection_.Close(CloseReason::kProtocolError);
      return;
    }
    if (count == 0) break;
    output.Append({reinterpret_cast<const char*>(data), static_cast<size_t>(count)});
  }
  NotifyDrained();
  PublishUnsent(unsent_bytes_ - shared_bytes_);
  if (ended_) return;
  if (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0) {
    ended_ = true;
    connection_.CloseAfterFlush(failed_ ? CloseReason::kProtocolError : CloseReason::kDone);
  }
}

bool H2Session::HasBacklog() const {
  constexpr size_t kBacklogFramesMax = 1000;
  return nghttp2_session_get_outbound_queue_size(session_) > kBacklogFramesMax;
}

bool H2Session::WaitsForReader() const {
  for (const H2Stream* stream = first_stream_; stream != nullptr; stream = stream->next_) {
    if (!stream->end_queued_ && stream->queued_bytes_ == 0) return false;
  }
  return true;
}

void H2Session::StartDrain() {
  if (draining_) return;
  draining_ = true;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
  connection_.RequestFlush();
  // Behind the GOAWAY, so that a client whose stream ends does not open the next one here. What
  // comes in before it is sent is refused by nghttp2 and may be tried elsewhere.
  std::vector<std::shared_ptr<H2Stream>> open;
  for (H2Stream* stream = first_stream_; stream != nullptr; stream = stream->next_) {
    open.push_back(stream->self_);
  }
  for (const auto& stream : open) {
    if (stream->attached()) stream->OnServerStops();
  }
}

void H2Session::OnClosed(CloseReason) {
  ended_ = true;
  drained_.clear();
  if (keepalive_timer_) connection_.loop().Cancel(*keepalive_timer_);
  keepalive_timer_.reset();
  while (first_stream_ != nullptr) Detach(*first_stream_, NGHTTP2_CANCEL);
  PublishUnsent(0);
  on_peer_ready_ = nullptr;
  on_peer_goaway_ = nullptr;
}

bool H2Session::Open(const std::shared_ptr<H2Stream>& stream, std::span<const H2Header> headers) {
  if (ended_ || draining_ || opening_stopped_) return false;
  HeaderArray array = ToNghttp2(headers);
  nghttp2_data_provider provider{};
  provider.source.ptr = stream.get();
  provider.read_callback = Callbacks::PullData;
  int32_t id = nghttp2_submit_request(session_, nullptr, array.data(), array.size(), &provider,
                                      stream.get());
  if (id < 0) return false;
  Attach(stream, id);
  connection_.RequestFlush();
  return true;
}

void H2Session::SubmitHeaders(H2Stream& stream, std::span<const H2Header> headers, bool end) {
  HeaderArray array = ToNghttp2(headers);
  nghttp2_data_provider provider{};
  provider.source.ptr = &stream;
  provider.read_callback = Callbacks::PullData;
  nghttp2_submit_response(session_, stream.id_, array.data(), array.size(),
                          end ? nullptr : &provider);
  connection_.RequestFlush();
}

void H2Session::SubmitTrailers(H2Stream& stream, std::span<const H2Header> headers) {
  HeaderArray array = ToNghttp2(headers);
  nghttp2_submit_trailer(session_, stream.id_, array.data(), array.size());
}

void H2Session::Reset(H2Stream& stream, uint32_t error_code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_, error_code);
  connection_.RequestFlush();
}

void H2Session::Resume(H2Stream& stream) {
  // Fails harmlessly while the stream is not waiting for data.
  nghttp2_session_resume_data(session_, stream.id_);
  connection_.RequestFlush();
}

void H2Session::ConsumeInput(H2Stream& stream, size_t bytes) {
  bytes = std::min(bytes, stream.unconsumed_);
  stream.unconsumed_ -= bytes;
  if (bytes == 0) return;
  nghttp2_session_consume(session_, stream.id_, bytes);
  connection_.RequestFlush();
}

void H2Session::CountQueued(size_t bytes, size_t shared) {
  // Published at the end of the turn; a turn that makes many large answers says so at once.
  constexpr size_t kUnpublishedBytesMax = 64 << 10;
  unsent_bytes_ += bytes;
  shared_bytes_ += shared;
  size_t own = unsent_bytes_ - shared_bytes_;
  if (own > unsent_published_ + kUnpublishedBytesMax) PublishUnsent(own);
}

void H2Session::PublishUnsent(size_t bytes) {
  if (bytes == unsent_published_) return;
  stats_.unsent_bytes.fetch_add(
      static_cast<int64_t>(bytes) - static_cast<int64_t>(unsent_published_),
      std::memory_order_relaxed);
  unsent_published_ = bytes;
}

void H2Session::Attach(std::shared_ptr<H2Stream> stream, int32_t id) {
  H2Stream& attached = *stream;
  attached.session_ = this;
  attached.id_ = id;
  attached.next_ = first_stream_;
  if (first_stream_ != nullptr) first_stream_->previous_ = &attached;
  first_stream_ = &attached;
  attached.self_ = std::move(stream);
  unsent_bytes_ += attached.queued_cost();
  shared_bytes_ += attached.shared_bytes_;
  ++streams_open_;
  TransportStats::Add(stats_.streams_opened);
  stats_.streams_open.fetch_add(1, std::memory_order_relaxed);
}

void H2Session::Detach(H2Stream& stream, uint32_t error_code) {
  std::shared_ptr<H2Stream> keep = std::move(stream.self_);
  nghttp2_session_set_stream_user_data(session_, stream.id_, nullptr);
  // What nobody read must not narrow the connection's window for ever.
  if (stream.unconsumed_ > 0) {
    nghttp2_session_consume_connection(session_, std::exchange(stream.unconsumed_, 0));
  }
  if (stream.previous_ != nullptr) stream.previous_->next_ = stream.next_;
  if (stream.next_ != nullptr) stream.next_->previous_ = stream.previous_;
  if (first_stream_ == &stream) first_stream_ = stream.next_;
  stream.previous_ = stream.next_ = nullptr;
  --streams_open_;
  stats_.streams_open.fetch_sub(1, std::memory_order_relaxed);
  stream.OnStreamClosed(error_code);
  input_.Give(std::exchange(stream.kept_, 0));
  stream.session_ = nullptr;
  unsent_bytes_ -= stream.queued_cost();
  shared_bytes_ -= std::exchange(stream.shared_bytes_, 0);
  stream.queue_.clear();
  stream.queue_head_ = 0;
  stream.queued_bytes_ = 0;
}

H2Stream* H2Session::Find(int32_t id) {
  H2Stream* stream = first_stream_;
  while (stream != nullptr && stream->id_ != id) stream = stream->next_;
  return stream;
}

int H2Session::OnFrame(const nghttp2_frame& frame) {
  bool end = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS:
      if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
        OnRequest(frame.hd.stream_id, end);
      } else if (H2Stream* stream = Callbacks::StreamOf(session_, frame.hd.stream_id)) {
        OnHeaderBlock(*stream, end);
      }
      return 0;
    case NGHTTP2_DATA:
      if (end) {
        H2Stream* stream = Callbacks::StreamOf(session_, frame.hd.stream_id);
        if (stream != nullptr) OnRemoteEnd(*stream);
        return 0;
      }
      if (frame.hd.length == frame.data.padlen) Charge(empty_frames_);
      return 0;
    case NGHTTP2_PRIORITY:
      Charge(empty_frames_);
      return 0;
    case NGHTTP2_RST_STREAM:
      TransportStats::Add(stats_.streams_reset_by_peer);
      Charge(resets_);
      return 0;
    case NGHTTP2_SETTINGS:
      if (frame.hd.flags & NGHTTP2_FLAG_ACK) return 0;
      if (!std::exchange(peer_ready_, true) && on_peer_ready_) on_peer_ready_();
      Charge(settings_);
      return 0;
    case NGHTTP2_PING:
      if (frame.hd.flags & NGHTTP2_FLAG_ACK) {
        ping_out_ = false;
      } else if (acceptor_ != nullptr) {
        OnPing();
      }
      return 0;
    case NGHTTP2_GOAWAY:
      if (on_peer_goaway_) on_peer_goaway_();
      return 0;
    default:
      return 0;
  }
}

void H2Session::OnRequest(int32_t id, bool end) {
  if (ended_) return;
  RequestShape shape = CheckRequest(headers_);
  if (!shape.well_formed && !headers_too_large_) {
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_PROTOCOL_ERROR);
    return;
  }
  if (!HasRoomForStream()) {
    TransportStats::Add(stats_.streams_refused);
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
    return;
  }
  std::shared_ptr<H2Stream> stream = acceptor_->Accept(*this, headers_);
  H2Stream& attached = *stream;
  nghttp2_session_set_stream_user_data(session_, id, &attached);
  Attach(std::move(stream), id);
  attached.kept_ = headers_.size_bytes();
  attached.bytes_left_ = shape.content_length;
  if (headers_too_large_) {
    constexpr H2Header kTooLarge[] = {{":status", "431", true}, {"content-length", "0", true}};
    attached.end_queued_ = true;
    SubmitHeaders(attached, kTooLarge, true);
    return;
  }
  OnHeaderBlock(attached, end);
}

// The header list of an open stream stays with its call: without a limit, a compressed block of a
// hundred bytes would cost 64 KiB as often as it is repeated.
bool H2Session::HasRoomForStream() {
  if (unsent_bytes_ > limits_.unsent_bytes_max) return false;
  return input_.TryTake(headers_.size_bytes());
}

void H2Session::OnHeaderBlock(H2Stream& stream, bool end) {
  if (headers_too_large_) {
    Reset(stream, NGHTTP2_ENHANCE_YOUR_CALM);
    return;
  }
  bool trailer = acceptor_ != nullptr && std::exchange(stream.has_request_, true);
  if (trailer && (!end || !IsWellFormedTrailer(headers_))) {
    Reset(stream, NGHTTP2_PROTOCOL_ERROR);
    return;
  }
  stream.OnHeaders(headers_, end);
  if (end) OnRemoteEnd(stream);
}

// What the announced length forbids reaches nobody: RFC 9113 section 8.1.1.
void H2Session::OnData(H2Stream& stream, std::string_view bytes) {
  if (stream.bytes_left_ && bytes.size() > *stream.bytes_left_) {
    Reset(stream, NGHTTP2_PROTOCOL_ERROR);
    return;
  }
  if (stream.bytes_left_) *stream.bytes_left_ -= bytes.size();
  stream.OnData(bytes);
}

void H2Session::OnRemoteEnd(H2Stream& stream) {
  if (stream.bytes_left_.value_or(0) > 0) {
    Reset(stream, NGHTTP2_PROTOCOL_ERROR);
    return;
  }
  stream.remote_ended_ = true;
  stream.OnRemoteEnd();
}

void H2Session::OnFrameSent(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_RST_STREAM) {
    uint32_t code = frame.rst_stream.error_code;
    if (code != NGHTTP2_NO_ERROR && code != NGHTTP2_REFUSED_STREAM) Charge(resets_);
  }
  if (frame.hd.type == NGHTTP2_GOAWAY) failed_ |= frame.goaway.error_code != NGHTTP2_NO_ERROR;
  if (frame.hd.type != NGHTTP2_HEADERS && frame.hd.type != NGHTTP2_DATA) return;
  sent_since_ping_ = true;
  if ((frame.hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return;
  H2Stream* stream = Callbacks::StreamOf(session_, frame.hd.stream_id);
  if (stream == nullptr) return;
  stream->local_ended_ = true;
  // The answer is complete and the client still sends: tell it to stop, as RFC 9113 section 8.1
  // allows.
  if (acceptor_ != nullptr && !stream->remote_ended_) Reset(*stream, NGHTTP2_NO_ERROR);
}

void H2Session::OnPing() {
  const KeepalivePolicy& policy = limits_.keepalive;
  TimePoint now = connection_.loop().Now();
  TimePoint previous = std::exchange(last_ping_, now);
  if (std::exchange(sent_since_ping_, false)) {
    ping_strikes_ = 0;
    return;
  }
  bool idle = streams_open_ == 0 && !policy.peer_may_ping_idle;
  // Without streams the operating system's own keepalive is enough: two hours, as grpc-go has it.
  Duration interval_min = idle ? Duration(std::chrono::hours(2)) : policy.peer_interval_min;
  if (previous + interval_min > now && previous != TimePoint{}) ++ping_strikes_;
  if (ping_strikes_ > kPingStrikesMax) {
    EndWith(NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings", CloseReason::kTooManyPings);
  }
}

ssize_t H2Session::PullData(H2Stream& stream, size_t bytes_max, uint32_t* flags) {
  size_t count = std::min(bytes_max, stream.queued_bytes_);
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (count == stream.queued_bytes_ && stream.end_queued_) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream.SubmitTrailers()) *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return static_cast<ssize_t>(count);
  }
  if (count == 0) return NGHTTP2_ERR_DEFERRED;
  return static_cast<ssize_t>(count);
}

int H2Session::WriteData(H2Stream& stream, const uint8_t* frame_header, size_t bytes) {
  OutputBuffer& output = connection_.output();
  if (output.size() >= Connection::kOutputMark) return NGHTTP2_ERR_WOULDBLOCK;
  output.Append({reinterpret_cast<const char*>(frame_header), 9});
  stream.queued_bytes_ -= bytes;
  unsent_bytes_ -= bytes;
  while (bytes > 0) {
    H2Stream::Part& part = stream.queue_[stream.queue_head_];
    if (stream.head_offset_ < part.prefix_bytes) {
      size_t count = std::min(bytes, part.prefix_bytes - stream.head_offset_);
      output.Append({part.prefix.data() + stream.head_offset_, count});
      stream.head_offset_ += count;
      bytes -= count;
    }
    size_t offset = stream.head_offset_ - std::min<size_t>(stream.head_offset_, part.prefix_bytes);
    size_t count = std::min(bytes, part.bytes.size() - offset);
    if (count > 0) output.Append(part.bytes.Slice(offset, count));
    if (part.shared) {
      stream.shared_bytes_ -= count;
      shared_bytes_ -= count;
    }
    stream.head_offset_ += count;
    bytes -= count;
    if (stream.head_offset_ < part.size()) break;
    part.bytes = {};
    stream.head_offset_ = 0;
    ++stream.queue_head_;
    unsent_bytes_ -= H2Stream::kPartCostBytes;
  }
  if (stream.queue_head_ == stream.queue_.size()) {
    stream.queue_.clear();
    stream.queue_head_ = 0;
  }
  if (stream.wants_drained_ && stream.queued_cost() <= limits_.send_buffer_bytes / 2) {
    // Told when nghttp2 is not in the middle of a frame.
    stream.wants_drained_ = false;
    drained_.push_back(stream.self_);
  }
  return 0;
}

void H2Session::NotifyDrained() {
  if (drained_.empty()) return;
  std::vector<std::shared_ptr<H2Stream>> drained;
  drained.swap(drained_);
  for (const auto& stream : drained) {
    if (stream->attached()) stream->OnQueueDrained();
  }
}

void H2Session::Charge(Budget& budget) {
  if (acceptor_ == nullptr || budget.Take(connection_.loop().Now())) return;
  EndWith(NGHTTP2_ENHANCE_YOUR_CALM, "too_many_frames", CloseReason::kFlood);
}

void H2Session::EndWith(uint32_t error_code, std::string_view debug, CloseReason reason) {
  if (ended_) return;
  ended_ = true;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), error_code, Bytes(debug),
                        debug.size());
  connection_.CloseAfterFlush(reason);
}

void H2Session::ArmKeepalive(Duration delay) {
  keepalive_timer_ = connection_.loop().After(delay, [this] {
    keepalive_timer_.reset();
    OnKeepalive();
  });
}

void H2Session::OnKeepalive() {
  const KeepalivePolicy& policy = limits_.keepalive;
  TimePoint now = connection_.loop().Now();
  if (ping_out_ && now - last_read_ >= policy.timeout) {
    connection_.Close(CloseReason::kKeepaliveTimeout);
    return;
  }
  Duration quiet = now - last_read_;
  if (quiet < policy.interval) {
    ping_out_ = false;
    ArmKeepalive(policy.interval - quiet);
    return;
  }
  ping_out_ = true;
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
  connection_.RequestFlush();
  ArmKeepalive(policy.timeout);
}

}  // namespace store::rpc
