// SPDX-License-Identifier: Apache-2.0
// KafkaSink: lines to Kafka through librdkafka's C API, without copying them: a message points into
// the chunk, its opaque is the range in flight, and delivery reports are counted per range. Every
// line is answered: retriable errors wait for ever inside the library; too large and invalid go to
// the dead-letter spool, synced, and count as delivered; an unknown or forbidden topic puts that
// topic into error, rejects its ranges and is asked about again; a fatal producer error rebuilds
// the producer and rejects what was in flight. All lines of a file go to one partition, so their
// order is visible. Prepare, Produce and Topic: any shard thread. Poll: one poller thread, which
// also rebuilds. A prober thread of the sink's own asks for topics' metadata, which blocks. Bounded
// by in_flight_bytes_max (length + 256 per line), and to what keeps the connections busy: for each
// broker the requests that may be on the way and a few batches behind them. The library's own queue
// limits are set above it, so that they are never what stops us.
#pragma once

#include "logagent/deliver/dead_letter.h"
#include "logagent/deliver/kafka_config.h"
#include "logagent/deliver/kafka_topics.h"
#include "logagent/deliver/sink.h"
#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/base/thread.h"

#include <absl/container/flat_hash_set.h>
#include <librdkafka/rdkafka.h>

#include <atomic>
#include <memory>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

namespace logagent {

// A batch of a file in which little happens: it need not wait for those that are read at full
// speed. It has a batch's room of its own, and a producer (KafkaLanes).
inline constexpr uint64_t kSmallBatchBytes = 64 << 10;

struct KafkaStats {
  uint64_t lines_delivered = 0;
  uint64_t lines_dead = 0;
  uint64_t ranges_rejected = 0;
  uint64_t rebuilds = 0;
  uint64_t producers = 1;       // more while there is a backlog (KafkaLanes)
  uint64_t producers_busy = 0;  // with lines in flight
  uint64_t in_flight_bytes = 0;
  uint64_t in_flight_ranges = 0;
  uint64_t queued_bytes = 0;  // of lines in flight, with what frames them
  uint64_t queued_bytes_max = 0;
  uint64_t raw_bytes = 0;  // not compressed because it would not pay (KafkaLanes)
  uint64_t samples = 0;    // taken to find that out
  std::string error;  // the last thing the library complained about, e.g. a broker that is down
  // Topics with lines in flight of which none was answered for kStalledAfter, and why.
  std::vector<std::pair<std::string, std::string>> stalled;
};

class KafkaSink final : public Sink {
 public:
  // The error of a bad option names its key. Does not wait for a broker. `woken`, which outlives
  // the sink, is woken whenever there is news: for one that is polled by PollNow.
  static Result<std::unique_ptr<KafkaSink>> Make(const KafkaConfig& config, DeadLetterSpool& spool,
                                                 const store::Clock& clock, store::Logger log = {},
                                                 Sink* woken = nullptr);
  // Drops what is in flight, unanswered, as a kill would: drain first (Shard::Stop).
  ~KafkaSink() override;

  void Prepare(std::string_view topic) override;
  Offer Produce(Batch& batch) override;
  TopicStatus Topic(std::string_view topic) const override;
  void Poll(absl::FunctionRef<void(Delivery)> deliver) override;
  void Wake() override;
  // As Poll, without waiting: all that is there. The same thread.
  void PollNow(absl::FunctionRef<void(Delivery)> deliver);

  KafkaStats Stats() const;
  // So much waits that the next batch may not go with the next request.
  bool Busy() const { return queued_bytes_.load() >= batch_bytes_.load(); }
  // Tests only: the library reports a fatal error, as a fenced producer would.
  void InjectFatalError();

 private:
  struct InFlight;
  struct Refused {
    InFlight* range = nullptr;
    std::string_view payload;
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  };
  using DeliverFn = absl::FunctionRef<void(Delivery)>;

  KafkaSink(const KafkaConfig& config, DeadLetterSpool& spool, const store::Clock& clock,
            store::Logger log, Sink* woken);
  static void OnLog(const rd_kafka_t* producer, int level, const char* facility, const char* text);
  static void OnNews(rd_kafka_t* producer, void* woken);
  static int OnCertificate(rd_kafka_t* producer, const char* broker, int32_t id, int* error,
                           int depth, const char* der, size_t der_bytes, char* text,
                           size_t text_bytes, void* opaque);

  Status Connect(bool plain);  // producer_mutex_ held exclusively
  void Disconnect();           // the same
  KafkaTopic& FindTopic(std::string_view name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasRoom(uint64_t cost, uint64_t queued) const;
  bool PartitionHasRoom(const KafkaTopic& topic, int32_t partition, uint64_t queued) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint64_t QueueLimit() const;
  void Enqueue(InFlight& range, rd_kafka_topic_t* topic, int32_t partition,
               const std::vector<Line>& lines);

  void Probe();
  void ProbeTopic(KafkaTopic& topic);

  bool Serve(int wait_ms, DeliverFn deliver);  // false: there may be more
  void OnEvent(rd_kafka_event_t* event, DeliverFn deliver);
  void CheckFatal();
  void OnReports(rd_kafka_event_t* event, DeliverFn deliver);
  void OnFailed(InFlight& range, std::string_view payload, rd_kafka_resp_err_t error);
  void SpoolLine(InFlight& range, std::string_view payload, rd_kafka_resp_err_t error);
  void NoteStalled();
  void Settle(InFlight* range, uint32_t lines, DeliverFn deliver);
  void SettleRefused(DeliverFn deliver);
  void Rebuild(DeliverFn deliver);
  void Reconnect(bool plain);
  void AwaitProducer(bool wait);
  void NoteError(std::string text);

  const KafkaConfig config_;
  DeadLetterSpool& spool_;
  const store::Clock& clock_;
  const store::Logger log_;
  Sink* const woken_by_news_;
  store::LogEvery log_every_;

  // Held shared while the library is used, exclusively while it is replaced. Taken before mutex_.
  // It guards producer_ and queue_; the poller thread, which alone replaces them, reads them
  // without it.
  mutable std::shared_mutex producer_mutex_;
  rd_kafka_t* producer_ = nullptr;  // null: it could not be built anew yet
  rd_kafka_queue_t* queue_ = nullptr;
  // Of the poller thread.
  bool fatal_ = false;
  store::TimePoint next_connect_;
  store::TimePoint next_stall_check_;

  // Making a message and freeing one take the same lock inside the library, once per message: two
  // threads at once would fight for it line by line, so they take turns batch by batch.
  store::Mutex messages_mutex_;
  mutable store::Mutex mutex_;
  store::CondVar probe_;
  store::CondVar reconnect_;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  KafkaTopics topics_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<InFlight*> in_flight_ ABSL_GUARDED_BY(mutex_);  // owned here
  std::vector<Refused> refused_ ABSL_GUARDED_BY(mutex_);  // not taken by the library, for Poll
  std::string error_ ABSL_GUARDED_BY(mutex_);
  std::string certificate_error_ ABSL_GUARDED_BY(mutex_);  // why a broker's was not taken
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::atomic<uint64_t> in_flight_bytes_ = 0;
  std::atomic<uint64_t> queued_bytes_ = 0;
  std::atomic<uint64_t> batch_bytes_ = 0;    // the library's batch.size
  std::atomic<uint64_t> broker_bytes_ = 0;   // what is queued for one broker at most
  std::atomic<bool> one_batch_each_ = true;  // of a partition is on its way
  std::atomic<uint64_t> brokers_ = 1;        // as of the last metadata
  std::atomic<bool> holding_ = false;  // refused_ waits or a rebuild runs: Produce answers kFull
  std::atomic<bool> has_error_ = false;
  std::atomic<uint64_t> lines_delivered_ = 0;
  std::atomic<uint64_t> lines_dead_ = 0;
  std::atomic<uint64_t> ranges_rejected_ = 0;
  std::atomic<uint64_t> rebuilds_ = 0;
  store::Thread prober_;
};

}  // namespace logagent
