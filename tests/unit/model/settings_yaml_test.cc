// SPDX-License-Identifier: Apache-2.0
#include "logagent/model/settings_yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace logagent {
namespace {

TEST(SettingsYamlTest, AnEmptyFileMeansTheDefaults) {
  for (const char* text : {"", "# only a remark\n", "{}", "agent:\nkafka:\n"}) {
    auto config = ParseSettingsYaml(text);
    ASSERT_TRUE(config) << text << ": " << config.error().ToString();
    EXPECT_EQ(config->settings.store.config_key, kDefaultConfigKey);
    EXPECT_EQ(config->settings.admin_address, "127.0.0.1:2112");
  }
}

TEST(SettingsYamlTest, ReadsEveryKey) {
  auto config = ParseSettingsYaml(R"(
agent: {id: web-7, ip: 10.0.0.7, state_dir: /s, admin: "", memory: 128MiB, max_line_bytes: 2MiB}
log: {level: debug, format: console, output: stdout}
store:
  endpoints: [a:1, b:2]
  timeout: 1500ms
  config_key: /k/%s
  username: u
  password: p
kafka:
  brokers: c:3,d:4
  properties: {compression.codec: zstd, linger.ms: 20}
  latency: low
  compress: always
entries_file: /etc/list.json
entries:
  - {path: /a.log, topic: t, module: m, service: s, strip_cr: true}
)");
  ASSERT_TRUE(config) << config.error().ToString();
  const AgentSettings& settings = config->settings;
  EXPECT_EQ(settings.id, "web-7");
  EXPECT_EQ(settings.ip, "10.0.0.7");
  EXPECT_EQ(settings.state_dir, "/s");
  EXPECT_EQ(settings.admin_address, "");
  EXPECT_EQ(settings.memory_bytes_max, size_t{128} << 20);
  EXPECT_EQ(settings.line_bytes_max, size_t{2} << 20);
  EXPECT_EQ(settings.log.level, "debug");
  EXPECT_EQ(settings.log.format, "console");
  EXPECT_EQ(settings.log.output, "stdout");
  EXPECT_THAT(settings.store.endpoints, ::testing::ElementsAre("a:1", "b:2"));
  EXPECT_EQ(settings.store.timeout, std::chrono::milliseconds(1500));
  EXPECT_EQ(settings.store.config_key, "/k/%s");
  EXPECT_EQ(settings.store.username, "u");
  EXPECT_EQ(settings.store.password, "p");
  EXPECT_THAT(settings.kafka.brokers, ::testing::ElementsAre("c:3", "d:4"));
  EXPECT_EQ(settings.kafka.properties.at("linger.ms"), "20");
  EXPECT_TRUE(settings.kafka.low_latency);
  EXPECT_TRUE(settings.kafka.compress_always);
  EXPECT_EQ(settings.entries_file, "/etc/list.json");
  ASSERT_EQ(config->entries.size(), 1U);
  EXPECT_TRUE(config->entries[0].strip_cr);
}

TEST(SettingsYamlTest, WhatIsIgnoredIsTold) {
  std::vector<Warning> warnings;
  auto config = ParseSettingsYaml(
      "entries_file: /l.json\nentries:\n  - {path: /a, topic: t}\n  - {path: /a, topic: t}\n",
      &warnings);
  ASSERT_TRUE(config) << config.error().ToString();
  EXPECT_EQ(config->entries.size(), 1U);
  ASSERT_EQ(warnings.size(), 2U);
  EXPECT_THAT(warnings[0].ToString(),
              ::testing::HasSubstr("4:5: the entry for \"/a\" and topic t"));
  EXPECT_THAT(warnings[1].ToString(), ::testing::HasSubstr("entries_file is ignored"));
}

struct BadYaml {
  std::string text;
  std::string message;
};
class BadYamlTest : public ::testing::TestWithParam<BadYaml> {};

TEST_P(BadYamlTest, SaysWhereAndWhy) {
  auto config = ParseSettingsYaml(GetParam().text);
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message(), ::testing::StartsWith(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Refused, BadYamlTest,
    ::testing::Values(
        BadYaml{"- a\n", "1:1: the settings must be a mapping"},
        BadYaml{"agent:\n  idd: x\n", "2:3: agent.idd: unknown key"},
        BadYaml{"surprise: 1\n", "1:1: surprise: unknown key"},
        BadYaml{"agent: [1]\n", "1:8: agent: this must be a mapping"},
        BadYaml{"agent:\n  memory: 64MB\n", "2:11: agent.memory: \"64MB\" is not a size"},
        BadYaml{"agent:\n  memory: 1\n", "agent.memory: at least 4 MiB"},
        BadYaml{"store:\n  timeout: 5h\n", "2:12: store.timeout: \"5h\" is not a duration"},
        BadYaml{"store:\n  endpoints: [[a]]\n", "2:14: store.endpoints: this must be a list"},
        BadYaml{"store:\n  endpoints: []\n", "store.endpoints: at least one"},
        BadYaml{"kafka:\n  brokers: a:b\n", "kafka.brokers: a:b: \"b\" is not a port"},
        BadYaml{"kafka:\n  properties: x\n", "2:15: kafka.properties: this must be a mapping"},
        BadYaml{"kafka:\n  compress: never\n",
                "2:13: kafka.compress: this must be always or if_it_pays"},
        BadYaml{"kafka: {latency: [low]}\n", "1:18: kafka.latency: this must be low or normal"},
        BadYaml{"log:\n  level: loud\n", "log.level: \"loud\" is none of"},
        BadYaml{"agent: {ip: 300.1.1.1}", "agent.ip: \"300.1.1.1\" is no IP address"},
        BadYaml{"store: {endpoints: [10.0.0.1]}", "store.endpoints: 10.0.0.1: the port is missing"},
        BadYaml{"store: {endpoints: ['http://a']}", "store.endpoints: a: the port is missing"},
        BadYaml{"store: {config_key: /%s/%s}", "store.config_key: \"/%s/%s\" has %s twice"},
        BadYaml{"agent:\n\tid: x\n", "2:4: illegal map value"}, BadYaml{"agent: {id: x\n", "2:1: "},
        BadYaml{"kafka: {}\nkafka: {brokers: a:1}\n", "2:1: kafka: the key is there twice"},
        BadYaml{"agent:\n  id: a\n  id: b\n", "3:3: agent.id: the key is there twice"},
        BadYaml{"kafka: {secrets: {a: env:A, a: env:B}}\n",
                "1:18: kafka.secrets: a is there twice"},
        BadYaml{"agent: {id: a}\n---\nlog: {level: debug}\n", "2:1: a second document"},
        BadYaml{",", "1:1: a second document"},
        BadYaml{"entries: 5\n", "1:10: entries: this must be a list"},
        BadYaml{"entries:\n  - path: /a\n", "2:5: the entry has no topic"},
        BadYaml{"entries:\n  - {path: /a, topic: t, strip_cr: 7}\n", "2:36: entries.strip_cr:"}));

}  // namespace
}  // namespace logagent
