// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/kafka_config.h"

#include "logagent/deliver/broker_wait.h"
#include "store/base/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <sys/prctl.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace logagent {
namespace {

// Settings that would take the acknowledgement away from under the checkpoint.
struct Forbidden {
  std::string_view key;
  std::string_view reason;
};
constexpr std::array<Forbidden, 6> kForbidden = {{
    {"delivery.report.only.error", "the checkpoint needs every delivery report"},
    {"enable.gapless.guarantee",
     "it would stop the producer at the first line that cannot be sent"},
    {"transactional.id", "the agent does not use transactions"},
    {"log.queue", "the agent logs what the library says itself"},
    // What does not fit would be refused in the middle of a range, which is then read again from
    // its beginning: repeated lines without end.
    {"queue.buffering.max.messages", "agent.memory bounds what waits"},
    {"queue.buffering.max.kbytes", "agent.memory bounds what waits"},
}};

using Properties = std::vector<std::pair<std::string, std::string>>;

Properties Ours(const KafkaConfig& config) {
  return {
      {"bootstrap.servers", config.brokers},
      {"client.id", config.client_id},
      {"enable.idempotence", "true"},
      {"acks", "all"},
      // Never give a line up: the file is the buffer, and a time-out would be a gap.
      {"message.timeout.ms", "0"},
      {"compression.codec", config.compression},
      {"linger.ms", std::to_string(config.linger_ms)},
      {"batch.num.messages", "100000"},
      {"message.max.bytes", std::to_string(config.max_line_bytes + 1024)},
      // Our own limit in bytes stops us long before the library's.
      {"queue.buffering.max.messages", "10000000"},
      {"queue.buffering.max.kbytes", "2097151"},
      {"socket.keepalive.enable", "true"},
      {"reconnect.backoff.max.ms", "5000"},
      {"statistics.interval.ms", "0"},
  };
}

// The library's main thread rounds the wait for its next timer, which is due each second, down to
// whole milliseconds and spins through what is left: most of what an idle agent costs. A timer that
// may be late ends the wait behind that moment. No message passes through this thread; the brokers'
// threads, which linger and send, stay exact.
constexpr unsigned long kMainThreadSlackNs = 2'000'000;
constexpr const char* kInterceptor = "sluice-threads";

rd_kafka_resp_err_t OnThreadStart(rd_kafka_t* /*producer*/, rd_kafka_thread_type_t type,
                                  const char* /*name*/, void* spin) {
  if (type == RD_KAFKA_THREAD_MAIN) {
    prctl(PR_SET_TIMERSLACK, kMainThreadSlackNs);  // a refusal costs what it would have saved
  } else if (type == RD_KAFKA_THREAD_BROKER && spin == nullptr) {
    WaitInsteadOfSpinning();
  }
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t OnNew(rd_kafka_t* producer, const rd_kafka_conf_t* /*conf*/, void* spin,
                          char* /*text*/, size_t /*text_bytes*/) {
  return rd_kafka_interceptor_add_on_thread_start(producer, kInterceptor, &OnThreadStart, spin);
}

Status Set(rd_kafka_conf_t* conf, const std::string& key, const std::string& value) {
  std::array<char, 512> text{};
  auto result = rd_kafka_conf_set(conf, key.c_str(), value.c_str(), text.data(), text.size());
  if (result == RD_KAFKA_CONF_OK) {
    return store::Ok();
  }
  if (result == RD_KAFKA_CONF_UNKNOWN) {
    return store::Fail(store::ErrorCode::kInvalidArgument,
                       fmt::format("kafka.properties.{}: librdkafka has no such property", key));
  }
  return store::Fail(store::ErrorCode::kInvalidArgument,
                     fmt::format("kafka.properties.{}: {}", key, text.data()));
}

// Without acknowledgements a checkpoint would name what no broker has.
Status CheckAcks(const std::string& key, const std::string& value) {
  bool acks = key == "acks" || key == "request.required.acks";
  if (!acks || value.find_first_not_of("+-0 ") != std::string::npos) {
    return store::Ok();
  }
  return store::Fail(
      store::ErrorCode::kInvalidArgument,
      fmt::format("kafka.properties.{}: not to be 0: a checkpoint names what the broker has", key));
}

// The library's text for a file it cannot read does not tell which.
Status CheckFiles(const rd_kafka_conf_t* conf) {
  constexpr std::array<const char*, 5> kFiles = {"ssl.ca.location", "ssl.certificate.location",
                                                 "ssl.key.location", "ssl.keystore.location",
                                                 "ssl.crl.location"};
  if (PropertyOf(conf, "security.protocol").find("ssl") == std::string::npos) {
    return store::Ok();
  }
  for (const char* key : kFiles) {
    std::string path = PropertyOf(conf, key);
    if (!path.empty() && path != "probe" && access(path.c_str(), R_OK) != 0) {
      return store::Fail(
          store::ErrnoError(errno, path).WithContext(fmt::format("kafka.properties.{}", key)));
    }
  }
  return store::Ok();
}

}  // namespace

std::string PropertyOf(const rd_kafka_conf_t* conf, const char* key) {
  std::array<char, 4096> text{};  // the longest is a path
  size_t size = text.size();
  return rd_kafka_conf_get(conf, key, text.data(), &size) == RD_KAFKA_CONF_OK ? text.data() : "";
}

Result<KafkaConfPtr> MakeKafkaConf(const KafkaConfig& config) {
  auto conf = MakePlainKafkaConf(config);
  RETURN_IF_ERROR(conf);
  void* spin = config.broker_threads_spin ? const_cast<char*>(kInterceptor) : nullptr;
  auto added = rd_kafka_conf_interceptor_add_on_new(conf->get(), kInterceptor, &OnNew, spin);
  CHECK(added == RD_KAFKA_RESP_ERR_NO_ERROR, "{}", rd_kafka_err2str(added));
  return conf;
}

Result<KafkaConfPtr> MakePlainKafkaConf(const KafkaConfig& config) {
  if (config.brokers.empty()) {
    return store::Fail(store::ErrorCode::kInvalidArgument, "kafka.brokers: no broker is given");
  }
  KafkaConfPtr conf(rd_kafka_conf_new());
  for (const auto& [key, value] : Ours(config)) {
    if (!config.properties.contains(key)) {
      RETURN_IF_ERROR(Set(conf.get(), key, value));
    }
  }
  for (const auto& [key, value] : config.properties) {
    const auto* refused =
        std::find_if(kForbidden.begin(), kForbidden.end(),
                     [&name = key](const Forbidden& row) { return row.key == name; });
    if (refused != kForbidden.end()) {
      return store::Fail(
          store::ErrorCode::kInvalidArgument,
          fmt::format("kafka.properties.{}: not to be set: {}", key, refused->reason));
    }
    RETURN_IF_ERROR(CheckAcks(key, value));
    RETURN_IF_ERROR(Set(conf.get(), key, value));
  }
  RETURN_IF_ERROR(CheckFiles(conf.get()));
  return conf;
}

Status CheckKafkaConfig(const KafkaConfig& config) {
  auto conf = MakePlainKafkaConf(config);
  RETURN_IF_ERROR(conf);
  RETURN_IF_ERROR(Set(conf->get(), "bootstrap.servers", ""));
  rd_kafka_conf_set_log_cb(conf->get(), nullptr);
  std::array<char, 512> text{};
  rd_kafka_t* producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf->get(), text.data(), text.size());
  if (producer == nullptr) {
    return store::Fail(store::ErrorCode::kInvalidArgument,
                       fmt::format("kafka.properties: {}", text.data()));
  }
  [[maybe_unused]] auto* given = conf->release();
  rd_kafka_destroy(producer);
  return store::Ok();
}

}  // namespace logagent
