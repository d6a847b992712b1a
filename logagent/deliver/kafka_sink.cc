// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/kafka_sink.h"

#include "logagent/deliver/kafka_error.h"
#include "logagent/deliver/partition.h"
#include "store/base/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>

namespace logagent {
namespace {

// Nothing waits for its end: who has news for the poller wakes it.
constexpr int kPollMs = 1000;
constexpr int kEventsPerPoll = 256;
constexpr size_t kProduceBlock = 1024;
constexpr uint64_t kLineFraming = 8;
constexpr store::Duration kStallCheckInterval = std::chrono::seconds(1);
constexpr store::Duration kPurgeTimeout = std::chrono::seconds(5);

}  // namespace

// One batch. Its address is the opaque of its messages. `remaining` is set before the first message
// is handed to the library and counted down on the poller thread only, which deletes it at 0.
struct KafkaSink::InFlight {
  EntryId entry;
  FileKey file;
  RangeId range;
  ChunkPtr chunk;
  uint64_t chunk_offset = 0;
  KafkaTopic* topic = nullptr;
  int32_t partition = 0;
  std::string path;
  uint32_t remaining = 0;
  uint64_t cost = 0;
  uint64_t queued = 0;
  uint64_t lines_dead = 0;
  bool rejected = false;
  std::string error;
};

Result<std::unique_ptr<KafkaSink>> KafkaSink::Make(const KafkaConfig& config,
                                                   DeadLetterSpool& spool,
                                                   const store::Clock& clock, store::Logger log,
                                                   Sink* woken) {
  std::unique_ptr<KafkaSink> sink(new KafkaSink(config, spool, clock, std::move(log), woken));
  {
    std::unique_lock exclusive(sink->producer_mutex_);
    RETURN_IF_ERROR(sink->Connect(/*plain=*/false));
  }
  sink->prober_ = store::Thread("kafka-probe", [raw = sink.get()] { raw->Probe(); });
  return sink;
}

KafkaSink::KafkaSink(const KafkaConfig& config, DeadLetterSpool& spool, const store::Clock& clock,
                     store::Logger log, Sink* woken)
    : config_(config),
      spool_(spool),
      clock_(clock),
      log_(std::move(log)),
      woken_by_news_(woken),
      log_every_(clock),
      topics_(clock) {}

KafkaSink::~KafkaSink() {
  {
    store::MutexLock lock(mutex_);
    stopping_ = true;
    probe_.NotifyAll();
  }
  prober_.Join();
  std::unique_lock exclusive(producer_mutex_);
  Disconnect();
  store::MutexLock lock(mutex_);
  for (InFlight* range : in_flight_) {
    delete range;
  }
}

KafkaTopic& KafkaSink::FindTopic(std::string_view name) {
  bool added = false;
  KafkaTopic& topic = topics_.Find(name, &added);
  if (added) {
    probe_.NotifyAll();
  }
  return topic;
}

void KafkaSink::Prepare(std::string_view topic) {
  store::MutexLock lock(mutex_);
  FindTopic(topic);
}

TopicStatus KafkaSink::Topic(std::string_view topic) const {
  store::MutexLock lock(mutex_);
  TopicStatus status = topics_.Status(topic);
  if (status.state != TopicStatus::State::kReady && status.text.empty()) {
    status.text = error_;  // of the producer, which is to be built anew
  }
  return status;
}

Sink::Offer KafkaSink::Produce(Batch& batch) {
  CHECK(!batch.lines.empty());
  if (holding_.load()) {
    return Offer::kFull;
  }
  uint64_t payload = batch.payload_bytes();
  uint64_t cost = payload + batch.lines.size() * kLineOverhead;
  uint64_t queued = payload + batch.lines.size() * kLineFraming;
  if (!HasRoom(cost, queued)) {
    return Offer::kFull;
  }
  std::shared_lock shared(producer_mutex_);
  InFlight* range = nullptr;
  rd_kafka_topic_t* handle = nullptr;
  int32_t partition = 0;
  {
    store::MutexLock lock(mutex_);
    KafkaTopic& topic = FindTopic(batch.topic);
    if (topic.status.state != TopicStatus::State::kReady || topic.handle == nullptr) {
      return Offer::kPaused;
    }
    handle = topic.handle;
    partition = PartitionOf(batch.file, topic.status.partitions);
    if (!PartitionHasRoom(topic, partition, queued)) {
      return Offer::kFull;
    }
    range = new InFlight;
    in_flight_.insert(range);
    range->topic = &topic;
    range->partition = partition;
    topics_.Taken(topic, partition, queued);
  }
  range->entry = batch.entry;
  range->file = batch.file;
  range->range = batch.range;
  range->chunk = std::move(batch.chunk);
  range->chunk_offset = batch.chunk_offset;
  range->path = batch.path;
  range->remaining = static_cast<uint32_t>(batch.lines.size());
  range->cost = cost;
  range->queued = queued;
  in_flight_bytes_ += cost;
  queued_bytes_ += queued;
  Enqueue(*range, handle, partition, batch.lines);
  return Offer::kTaken;
}

bool KafkaSink::HasRoom(uint64_t cost, uint64_t queued) const {
  uint64_t in_flight = in_flight_bytes_.load();
  if (in_flight == 0) {
    return true;
  }
  uint64_t limit = QueueLimit() + (queued <= kSmallBatchBytes ? batch_bytes_.load() : 0);
  return in_flight + cost <= config_.in_flight_bytes_max && queued_bytes_.load() + queued <= limit;
}

bool KafkaSink::PartitionHasRoom(const KafkaTopic& topic, int32_t partition,
                                 uint64_t queued) const {
  auto queue = topic.queues.find(partition);
  if (!one_batch_each_.load() || queue == topic.queues.end() || queue->second.bytes() == 0) {
    return true;
  }
  uint64_t batch = batch_bytes_.load();
  uint64_t limit = queue->second.Limit(batch) + (queued <= kSmallBatchBytes ? batch : 0);
  return queue->second.bytes() + queued <= limit;
}

// The library keeps a number of requests on the way to each broker (five, for an idempotent
// producer), of one batch each.
uint64_t KafkaSink::QueueLimit() const { return brokers_.load() * broker_bytes_.load(); }

// The range may be gone as soon as its last line was handed over: only refused lines keep it.
void KafkaSink::Enqueue(InFlight& range, rd_kafka_topic_t* topic, int32_t partition,
                        const std::vector<Line>& lines) {
  const char* base = range.chunk->data();
  std::vector<rd_kafka_message_t> messages(std::min(lines.size(), kProduceBlock));
  std::vector<Refused> refused;
  for (size_t at = 0; at < lines.size(); at += kProduceBlock) {
    size_t count = std::min(kProduceBlock, lines.size() - at);
    for (size_t i = 0; i < count; ++i) {
      messages[i] = {};
      // The library never writes through the pointer of a message it neither copies nor frees.
      messages[i].payload = const_cast<char*>(base + lines[at + i].begin);
      messages[i].len = lines[at + i].length;
      messages[i]._private = &range;
    }
    int taken = 0;
    {
      store::MutexLock lock(messages_mutex_);
      taken = rd_kafka_produce_batch(topic, partition, 0, messages.data(), static_cast<int>(count));
    }
    if (static_cast<size_t>(taken) == count) {
      continue;
    }
    for (size_t i = 0; i < count; ++i) {
      if (messages[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        std::string_view payload(static_cast<const char*>(messages[i].payload), messages[i].len);
        refused.push_back({&range, payload, messages[i].err});
      }
    }
  }
  if (!refused.empty()) {
    store::MutexLock lock(mutex_);
    refused_.insert(refused_.end(), refused.begin(), refused.end());
    holding_ = true;
    rd_kafka_queue_yield(queue_);
  }
}

void KafkaSink::Poll(absl::FunctionRef<void(Delivery)> deliver) { Serve(kPollMs, deliver); }

void KafkaSink::PollNow(absl::FunctionRef<void(Delivery)> deliver) {
  while (!Serve(0, deliver)) {
  }
}

bool KafkaSink::Serve(int wait_ms, DeliverFn deliver) {
  if (producer_ == nullptr) {
    AwaitProducer(wait_ms > 0);
    return true;
  }
  int events = 0;
  for (; events < kEventsPerPoll; ++events) {
    bool wait = events == 0 && !holding_.load();
    rd_kafka_event_t* event = rd_kafka_queue_poll(queue_, wait ? wait_ms : 0);
    if (event == nullptr) {
      break;
    }
    OnEvent(event, deliver);
    store::MutexLock lock(messages_mutex_);
    rd_kafka_event_destroy(event);
  }
  if (holding_.load()) {
    SettleRefused(deliver);
  }
  if (fatal_) {
    Rebuild(deliver);
  }
  NoteStalled();
  return events < kEventsPerPoll;
}

// The poll returns at least once a second, whatever happens.
void KafkaSink::NoteStalled() {
  store::TimePoint now = clock_.Now();
  if (now < next_stall_check_) {
    return;
  }
  next_stall_check_ = now + kStallCheckInterval;
  store::MutexLock lock(mutex_);
  if (topics_.NoteStalled()) {
    probe_.NotifyAll();
  }
}

void KafkaSink::Wake() {
  std::shared_lock shared(producer_mutex_);
  if (queue_ != nullptr) {
    rd_kafka_queue_yield(queue_);
    return;
  }
  store::MutexLock lock(mutex_);
  woken_ = true;
  reconnect_.NotifyAll();
}

void KafkaSink::OnEvent(rd_kafka_event_t* event, DeliverFn deliver) {
  if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
    OnReports(event, deliver);
    return;
  }
  if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR) {
    CheckFatal();
    NoteError(std::string(Lasting(rd_kafka_event_error_string(event))));
  }
}

// Asked after each failure: the event that announces a fatal error carries its cause as its code.
void KafkaSink::CheckFatal() {
  std::array<char, 512> text{};
  if (rd_kafka_fatal_error(producer_, text.data(), text.size()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    fatal_ = true;
    NoteError(text.data());
  }
}

void KafkaSink::OnReports(rd_kafka_event_t* event, DeliverFn deliver) {
  InFlight* run = nullptr;
  uint32_t lines = 0;
  uint64_t delivered = 0;
  while (const rd_kafka_message_t* message = rd_kafka_event_message_next(event)) {
    auto* range = static_cast<InFlight*>(message->_private);
    if (range != run) {
      Settle(run, lines, deliver);
      run = range;
      lines = 0;
    }
    ++lines;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      ++delivered;
    } else {
      OnFailed(*range, {static_cast<const char*>(message->payload), message->len}, message->err);
    }
  }
  Settle(run, lines, deliver);
  lines_delivered_ += delivered;
  if (delivered > 0 && has_error_.load()) {
    NoteError({});
  }
}

void KafkaSink::OnFailed(InFlight& range, std::string_view payload, rd_kafka_resp_err_t error) {
  KafkaErrorKind kind = KindOf(error);
  if (kind == KafkaErrorKind::kDead) {
    SpoolLine(range, payload, error);
    return;
  }
  range.rejected = true;
  range.error = TextOf(range.topic->name, error);
  CheckFatal();
  if (kind == KafkaErrorKind::kTopic) {
    store::MutexLock lock(mutex_);
    if (topics_.OnRefused(*range.topic, error)) {
      probe_.NotifyAll();
    }
  }
}

void KafkaSink::SpoolLine(InFlight& range, std::string_view payload, rd_kafka_resp_err_t error) {
  DeadLetter letter;
  letter.topic = range.topic->name;
  letter.path = range.path;
  letter.file = range.file;
  letter.offset = range.chunk_offset + static_cast<uint64_t>(payload.data() - range.chunk->data());
  letter.bytes = payload.size();
  letter.reason = rd_kafka_err2str(error);
  Status spooled = spool_.Append(letter, payload);
  if (spooled) {
    ++range.lines_dead;
    range.error = TextOf(range.topic->name, error);
  } else {
    range.rejected = true;
    range.error = spooled.error().message();
  }
}

void KafkaSink::Settle(InFlight* range, uint32_t lines, DeliverFn deliver) {
  if (range == nullptr) {
    return;
  }
  CHECK(range->remaining >= lines, "{} of {}", lines, range->remaining);
  range->remaining -= lines;
  if (range->remaining > 0) {
    return;
  }
  if (range->lines_dead > 0) {
    if (Status synced = spool_.Sync(); !synced) {
      range->rejected = true;
      range->error = synced.error().message();
    }
  }
  Delivery delivery;
  delivery.entry = range->entry;
  delivery.file = range->file;
  delivery.range = range->range;
  delivery.outcome = range->rejected ? Delivery::Outcome::kRejected : Delivery::Outcome::kDelivered;
  delivery.lines_dead = range->rejected ? 0 : range->lines_dead;
  delivery.error = std::move(range->error);
  in_flight_bytes_ -= range->cost;
  queued_bytes_ -= range->queued;
  lines_dead_ += delivery.lines_dead;
  ranges_rejected_ += range->rejected ? 1 : 0;
  {
    store::MutexLock lock(mutex_);
    in_flight_.erase(range);
    topics_.Answered(*range->topic, range->partition, range->queued);
  }
  delete range;  // and with it, perhaps, the chunk
  deliver(std::move(delivery));
}

// What the library did not take: the same classes as for a delivery report, and a full queue, which
// our own limit should have prevented, is "not this time".
void KafkaSink::SettleRefused(DeliverFn deliver) {
  std::vector<Refused> refused;
  {
    store::MutexLock lock(mutex_);
    refused.swap(refused_);
    holding_ = false;
  }
  for (const Refused& line : refused) {
    OnFailed(*line.range, line.payload, line.error);
    Settle(line.range, 1, deliver);
  }
}

// An idempotent producer that cannot know what was written ends with a fatal error (KIP-360). What
// was in flight is rejected and read again from the low-water mark: repeated lines, no missing
// ones.
void KafkaSink::Rebuild(DeliverFn deliver) {
  holding_ = true;
  log_.Warn("kafka producer is built anew", {{"reason", Stats().error}});
  rd_kafka_purge(producer_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  store::TimePoint deadline = clock_.Now() + kPurgeTimeout;
  while (in_flight_bytes_.load() > 0 && clock_.Now() < deadline) {
    rd_kafka_event_t* event = rd_kafka_queue_poll(queue_, kPollMs);
    if (event != nullptr) {
      OnEvent(event, deliver);
      rd_kafka_event_destroy(event);
    }
    SettleRefused(deliver);
    holding_ = true;
  }
  std::vector<InFlight*> left;
  {
    std::unique_lock exclusive(producer_mutex_);
    Disconnect();
    store::MutexLock lock(mutex_);
    refused_.clear();
    left.assign(in_flight_.begin(), in_flight_.end());
  }
  for (InFlight* range : left) {
    range->rejected = true;
    Settle(range, range->remaining, deliver);
  }
  fatal_ = false;
  Reconnect(/*plain=*/false);
}

KafkaStats KafkaSink::Stats() const {
  KafkaStats stats;
  stats.lines_delivered = lines_delivered_.load();
  stats.lines_dead = lines_dead_.load();
  stats.ranges_rejected = ranges_rejected_.load();
  stats.rebuilds = rebuilds_.load();
  stats.in_flight_bytes = in_flight_bytes_.load();
  stats.queued_bytes = queued_bytes_.load();
  stats.queued_bytes_max = QueueLimit();
  store::MutexLock lock(mutex_);
  stats.in_flight_ranges = in_flight_.size();
  stats.producers_busy = in_flight_.empty() ? 0 : 1;
  stats.error = error_;
  stats.stalled = topics_.Stalled(error_);
  return stats;
}

void KafkaSink::InjectFatalError() {
  std::shared_lock shared(producer_mutex_);
  rd_kafka_test_fatal_error(producer_, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                            "injected by a test");
}

}  // namespace logagent
