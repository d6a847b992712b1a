// SPDX-License-Identifier: Apache-2.0
// KafkaSink's producer: how it is made, what it complains about, how it is given up and made anew.
#include "logagent/deliver/kafka_sink.h"

#include <fmt/format.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <mutex>
#include <string_view>
#include <utility>

namespace logagent {
namespace {

// Queued for a broker beyond the requests that may be on the way to it, so that the library's
// thread finds the next one when an answer comes. More would only be delay for who comes later.
constexpr uint64_t kBatchesBehind = 4;
constexpr uint64_t kRequestsMax = 64;
constexpr std::string_view kVerifyFailed = "certificate verify failed";
constexpr store::Duration kReconnectInterval = std::chrono::seconds(1);

uint64_t NumberOf(const rd_kafka_conf_t* conf, const char* key) {
  std::string text = PropertyOf(conf, key);
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

void KafkaSink::OnLog(const rd_kafka_t* producer, int level, const char* facility,
                      const char* text) {
  auto* sink = static_cast<KafkaSink*>(rd_kafka_opaque(producer));
  if (sink == nullptr || level > 5) {
    return;
  }
  if (auto suppressed = sink->log_every_.Due(facility)) {
    sink->log_.Warn("kafka", {{"facility", facility}, {"text", text}, {"suppressed", *suppressed}});
  }
}

// The queue was empty and is not any more. A thread of the library's, which holds that queue's
// lock.
void KafkaSink::OnNews(rd_kafka_t* /*producer*/, void* woken) { static_cast<Sink*>(woken)->Wake(); }

// The library's text is the same whatever is wrong with a certificate: that the authority is not
// known, which this leaves to it.
int KafkaSink::OnCertificate(rd_kafka_t* /*producer*/, const char* /*broker*/, int32_t /*id*/,
                             int* error, int /*depth*/, const char* /*der*/, size_t /*der_bytes*/,
                             char* text, size_t text_bytes, void* opaque) {
  if (*error == X509_V_OK) {
    return 1;
  }
  std::string_view reason = X509_verify_cert_error_string(*error);
  text[reason.copy(text, text_bytes - 1)] = '\0';
  bool authority = *error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
                   *error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE ||
                   *error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
                   *error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
  auto* sink = static_cast<KafkaSink*>(opaque);
  store::MutexLock lock(sink->mutex_);
  sink->certificate_error_ = authority ? std::string_view() : reason;
  return 0;
}

Status KafkaSink::Connect(bool plain) {
  auto conf = plain ? MakePlainKafkaConf(config_) : MakeKafkaConf(config_);
  RETURN_IF_ERROR(conf);
  rd_kafka_conf_set_opaque(conf->get(), this);
  rd_kafka_conf_set_log_cb(conf->get(), &KafkaSink::OnLog);
  rd_kafka_conf_set_ssl_cert_verify_cb(conf->get(), &KafkaSink::OnCertificate);
  rd_kafka_conf_set_events(conf->get(), RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
  std::array<char, 512> text{};
  producer_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf->get(), text.data(), text.size());
  if (producer_ != nullptr || !plain) {
    [[maybe_unused]] auto* given = conf->release();  // the producer owns it now, or nobody may
  }
  if (producer_ == nullptr) {
    return store::Fail(store::ErrorCode::kInvalidArgument,
                       fmt::format("kafka.properties: {}", text.data()));
  }
  queue_ = rd_kafka_queue_get_main(producer_);
  if (woken_by_news_ != nullptr) {
    rd_kafka_queue_cb_event_enable(queue_, &KafkaSink::OnNews, woken_by_news_);
  }
  const rd_kafka_conf_t* used = rd_kafka_conf(producer_);
  uint64_t requests = NumberOf(used, "max.in.flight.requests.per.connection");
  batch_bytes_ = NumberOf(used, "batch.size");
  one_batch_each_ = PropertyOf(used, "enable.idempotence") == "true";
  broker_bytes_ = (std::min(requests, kRequestsMax) + kBatchesBehind) * batch_bytes_;
  return store::Ok();
}

// Afterwards the library holds no pointer into any chunk. Delivery reports that are still queued
// are dropped; Rebuild reads them before.
void KafkaSink::Disconnect() {
  if (producer_ == nullptr) {
    return;
  }
  rd_kafka_purge(producer_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                RD_KAFKA_PURGE_F_NON_BLOCKING);
  while (rd_kafka_event_t* event = rd_kafka_queue_poll(queue_, 0)) {
    rd_kafka_event_destroy(event);
  }
  {
    store::MutexLock lock(mutex_);
    topics_.Forget();
  }
  rd_kafka_queue_destroy(queue_);
  rd_kafka_destroy(producer_);
  queue_ = nullptr;
  producer_ = nullptr;
}

// The same options were accepted before, but what they lead to is read again: certificates that are
// being replaced, descriptors that ran out. Until it succeeds no topic is ready.
void KafkaSink::Reconnect(bool plain) {
  Status connected;
  {
    std::unique_lock exclusive(producer_mutex_);
    connected = Connect(plain);
  }
  if (!connected) {
    log_.Error("kafka producer cannot be built; it is tried again", {connected.error()});
    NoteError(connected.error().message());
    next_connect_ = clock_.Now() + kReconnectInterval;
    holding_ = false;  // topics are not ready: kPaused, with this text
    return;
  }
  ++rebuilds_;
  store::MutexLock lock(mutex_);
  holding_ = !refused_.empty();
  probe_.NotifyAll();
}

// The second try and those after it do without the care for the library's threads, for what a try
// with it leaves when it fails cannot be freed.
void KafkaSink::AwaitProducer(bool wait) {
  {
    store::MutexLock lock(mutex_);
    if (wait && !woken_ && clock_.Now() < next_connect_) {
      reconnect_.WaitUntil(mutex_, next_connect_);
    }
    woken_ = false;
  }
  if (clock_.Now() >= next_connect_) {
    Reconnect(/*plain=*/true);
  }
}

void KafkaSink::NoteError(std::string text) {
  has_error_ = !text.empty();
  store::MutexLock lock(mutex_);
  size_t at = text.find(kVerifyFailed);
  if (!certificate_error_.empty() && at != std::string::npos) {
    text.replace(at + kVerifyFailed.size(), std::string::npos, ": " + certificate_error_);
  }
  error_ = std::move(text);
}

}  // namespace logagent
