// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/kafka_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <mutex>
#include <sys/prctl.h>

namespace logagent {
namespace {

using ::testing::HasSubstr;

std::string Get(const KafkaConfPtr& conf, const char* key) {
  std::array<char, 256> value{};
  size_t size = value.size();
  EXPECT_EQ(rd_kafka_conf_get(conf.get(), key, value.data(), &size), RD_KAFKA_CONF_OK);
  return value.data();
}

TEST(KafkaConfig, DefaultsNeverGiveALineUp) {
  auto conf = MakeKafkaConf({});
  ASSERT_TRUE(conf.has_value()) << conf.error().message();
  EXPECT_EQ(Get(*conf, "enable.idempotence"), "true");
  EXPECT_EQ(Get(*conf, "message.timeout.ms"), "0");
  EXPECT_EQ(Get(*conf, "compression.codec"), "lz4");
  EXPECT_EQ(Get(*conf, "message.max.bytes"), std::to_string((1 << 20) + 1024));
}

TEST(KafkaConfig, AnyPropertyWinsOverOurs) {
  KafkaConfig config;
  config.properties = {{"linger.ms", "50"}, {"compression.codec", "none"}};
  auto conf = MakeKafkaConf(config);
  ASSERT_TRUE(conf.has_value());
  EXPECT_EQ(Get(*conf, "linger.ms"), "50");
}

TEST(KafkaConfig, UnknownPropertyBadValueAndForbiddenOneAreNamed) {
  KafkaConfig config;
  config.properties = {{"lingr.ms", "5"}};
  EXPECT_THAT(MakeKafkaConf(config).error().message(), HasSubstr("kafka.properties.lingr.ms"));
  config.properties = {{"linger.ms", "soon"}};
  EXPECT_THAT(MakeKafkaConf(config).error().message(), HasSubstr("kafka.properties.linger.ms"));
  config.properties = {{"delivery.report.only.error", "true"}};
  EXPECT_THAT(MakeKafkaConf(config).error().message(), HasSubstr("not to be set"));
}

TEST(KafkaConfig, WhatWouldLoseOrRepeatLinesWithoutEndIsRefused) {
  KafkaConfig config;
  for (const char* key : {"queue.buffering.max.messages", "queue.buffering.max.kbytes"}) {
    config.properties = {{key, "1000"}};
    auto conf = MakeKafkaConf(config);
    ASSERT_FALSE(conf.has_value()) << key;
    EXPECT_THAT(conf.error().message(), HasSubstr(key));
  }
  for (const char* key : {"acks", "request.required.acks"}) {
    config.properties = {{"enable.idempotence", "false"}, {key, "0"}};
    auto conf = MakeKafkaConf(config);
    ASSERT_FALSE(conf.has_value()) << key;
    EXPECT_THAT(conf.error().message(), HasSubstr(key));
    config.properties[key] = "1";
    EXPECT_TRUE(MakeKafkaConf(config).has_value());
  }
}

TEST(KafkaConfig, FileOfAPropertyThatCannotBeReadIsNamed) {
  KafkaConfig config;
  config.properties = {{"ssl.ca.location", "/no/such/ca.pem"}};
  EXPECT_TRUE(MakeKafkaConf(config).has_value()) << "nobody reads it";
  config.properties["security.protocol"] = "sasl_ssl";
  auto conf = MakeKafkaConf(config);
  ASSERT_FALSE(conf.has_value());
  EXPECT_THAT(conf.error().message(),
              HasSubstr("kafka.properties.ssl.ca.location: /no/such/ca.pem: No such file"));
}

// What the threads of a producer have when they have started, by their kind.
struct TimerSlack {
  std::mutex mutex;
  std::map<rd_kafka_thread_type_t, int> ns;
};

rd_kafka_resp_err_t NoteSlack(rd_kafka_t* /*producer*/, rd_kafka_thread_type_t type,
                              const char* /*name*/, void* opaque) {
  auto* slack = static_cast<TimerSlack*>(opaque);
  std::scoped_lock lock(slack->mutex);
  slack->ns[type] = prctl(PR_GET_TIMERSLACK);
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t AddNote(rd_kafka_t* producer, const rd_kafka_conf_t* /*conf*/, void* opaque,
                            char* /*text*/, size_t /*text_bytes*/) {
  return rd_kafka_interceptor_add_on_thread_start(producer, "test", &NoteSlack, opaque);
}

TEST(KafkaConfig, OnlyTheMainThreadsTimersMayBeLate) {
  KafkaConfig config;
  config.brokers = "127.0.0.1:1";
  auto conf = MakeKafkaConf(config);
  ASSERT_TRUE(conf.has_value());
  TimerSlack slack;
  ASSERT_EQ(rd_kafka_conf_interceptor_add_on_new(conf->get(), "test", &AddNote, &slack),
            RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_conf_set_log_cb(conf->get(), nullptr);
  std::array<char, 256> text{};
  rd_kafka_t* producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf->get(), text.data(), text.size());
  ASSERT_NE(producer, nullptr) << text.data();
  [[maybe_unused]] auto* given = conf->release();
  rd_kafka_destroy(producer);  // joins its threads
  int usual = prctl(PR_GET_TIMERSLACK);
  EXPECT_EQ(slack.ns.at(RD_KAFKA_THREAD_MAIN), 2'000'000);
  EXPECT_EQ(slack.ns.at(RD_KAFKA_THREAD_BROKER), usual);
}

}  // namespace
}  // namespace logagent
