// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/kafka_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

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

}  // namespace
}  // namespace logagent
