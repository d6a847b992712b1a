// SPDX-License-Identifier: Apache-2.0
#include "logagent/model/legacy_ini.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace logagent {
namespace {

TEST(LegacyIniTest, ReadsTheSeedsFileWithoutAWarning) {
  auto legacy = ParseLegacyIni(
      "[kafka]\n"
      "address=127.0.0.1:9092          ; one broker; several separated by comma\n"
      "chan_max_size=100000            ; capacity\n"
      "[etcd]\n"
      "address=127.0.0.1:2379\n"
      "timeout=5\n"
      "collect_log_key=/logagent/%s/collect_config    ; the own IP\n");
  ASSERT_TRUE(legacy) << legacy.error().ToString();
  const AgentSettings& settings = legacy->config.settings;
  EXPECT_THAT(settings.kafka.brokers, ::testing::ElementsAre("127.0.0.1:9092"));
  EXPECT_THAT(settings.store.endpoints, ::testing::ElementsAre("127.0.0.1:2379"));
  EXPECT_EQ(settings.store.timeout, std::chrono::seconds(5));
  EXPECT_EQ(settings.store.config_key, "/logagent/%s/collect_config");
  EXPECT_TRUE(legacy->warnings.empty());
  EXPECT_TRUE(legacy->config.entries.empty());
}

struct IniCase {
  std::string text;
  std::string shown;  // brokers | endpoints | key
  size_t warnings = 0;
};

std::string Shown(const AgentConfig& config) {
  std::string out = fmt::format("{} | {} | {}", fmt::join(config.settings.kafka.brokers, " "),
                                fmt::join(config.settings.store.endpoints, " "),
                                config.settings.store.config_key);
  for (const auto& entry : config.entries) out += fmt::format(" | {}>{}", entry.path, entry.topic);
  return out;
}

class IniTest : public ::testing::TestWithParam<IniCase> {};

TEST_P(IniTest, ReadsWhatIsMetInTheWild) {
  auto legacy = ParseLegacyIni(GetParam().text);
  ASSERT_TRUE(legacy) << legacy.error().ToString();
  EXPECT_EQ(Shown(legacy->config), GetParam().shown);
  EXPECT_EQ(legacy->warnings.size(), GetParam().warnings);
}

constexpr char kDefaults[] = "127.0.0.1:9092 | 127.0.0.1:2379 | /logagent/%s/collect_config";

INSTANTIATE_TEST_SUITE_P(
    Wild, IniTest,
    ::testing::Values(
        IniCase{"", kDefaults}, IniCase{"# nothing\n; at all\n", kDefaults},
        IniCase{"[kafka]\naddress=a:1,b:2\n",
                "a:1 b:2 | 127.0.0.1:2379 | /logagent/%s/collect_config"},
        IniCase{"[kafka]\naddress=a:1;b:2\n",
                "a:1 b:2 | 127.0.0.1:2379 | /logagent/%s/collect_config"},
        IniCase{"[kafka]\naddress=a:1; b:2 ; and a remark\n",
                "a:1 b:2 | 127.0.0.1:2379 | /logagent/%s/collect_config"},
        IniCase{"[kafka]\naddress=a:1 # b:2\n",
                "a:1 | 127.0.0.1:2379 | /logagent/%s/collect_config"},
        IniCase{"[kafka]\naddress=a\n[etcd]\naddress : b\n",
                "a:9092 | b:2379 | /logagent/%s/collect_config"},
        IniCase{"[kafka]\r\naddress = \"a:1\"\r\n[etcd]\r\naddress='b:2'\r\n",
                "a:1 | b:2 | /logagent/%s/collect_config"},
        IniCase{"[etcd]\naddress=a:1,\\\nb:2\n",
                "127.0.0.1:9092 | a:1 b:2 | /logagent/%s/collect_config"},
        IniCase{"[etcd]\ncollect_log_key=`/a#b/%s`\n", "127.0.0.1:9092 | 127.0.0.1:2379 | /a#b/%s"},
        IniCase{"[etcd]\ncollect_log_key=/a#b/%s\n", "127.0.0.1:9092 | 127.0.0.1:2379 | /a"},
        IniCase{"[etcd]\nkey=/log_agent/log_key/%s\n",
                "127.0.0.1:9092 | 127.0.0.1:2379 | /log_agent/log_key/%s", 1},
        IniCase{"[etcd]\ncollect_log_key=collect_log_%_conf\n",
                "127.0.0.1:9092 | 127.0.0.1:2379 | collect_log_%_conf"},
        IniCase{"[etcd]\ncollect_log_key=/logagent/%s/collect_config/\n",
                "127.0.0.1:9092 | 127.0.0.1:2379 | /logagent/%s/collect_config/"},
        IniCase{"[kafka]\nkafkaHost=h\nkafkaPort=93\n",
                "h:93 | 127.0.0.1:2379 | /logagent/%s/collect_config", 2},
        IniCase{"kafka_addr=a:1\netcd_addr=b:2\netcd_watch_key=/k/%s\nlog=x\nlevel=debug\n",
                "a:1 | b:2 | /k/%s", 3},
        IniCase{"[kafka]\nchan_max_zise=7\nfoo=1\n[bar]\nx=y\n", kDefaults, 3},
        IniCase{"[Kafka]\nAddress=a:1\n", kDefaults, 1},
        IniCase{"[taillog]\nfilename=/a.log\n[kafka]\naddress=a:1\ntopic=web\n",
                "a:1 | 127.0.0.1:2379 | /logagent/%s/collect_config | /a.log>web"},
        IniCase{"[collect]\nlogfile_path=/a.log\n[kafka]\ntopic=web\n[etcd]\naddress=b:2\n",
                "127.0.0.1:9092 | b:2 | /logagent/%s/collect_config", 1},
        IniCase{"[etcd]\ntimeout=\ncollect_sysinfo_key=/x\n", kDefaults, 1}));

struct BadIni {
  std::string text;
  std::string message;
};
class BadIniTest : public ::testing::TestWithParam<BadIni> {};

TEST_P(BadIniTest, SaysWhereAndWhy) {
  auto legacy = ParseLegacyIni(GetParam().text);
  ASSERT_FALSE(legacy) << Shown(legacy->config);
  EXPECT_THAT(legacy.error().message(), ::testing::StartsWith(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Refused, BadIniTest,
    ::testing::Values(
        BadIni{"[kafka\naddress=a:1\n", "1:1: [ without ]"},
        BadIni{"[kafka]\n  address\n", "2:3: \"address\" is neither"},
        BadIni{"[kafka]\n=a:1\n", "2:1: the name before the value is missing"},
        BadIni{"[kafka]\naddress=\n", "2:9: [kafka] address is empty"},
        BadIni{"[kafka]\naddress = a:port\n", "2:11: a:port: \"port\" is not a port"},
        BadIni{"[kafka]\naddress=a:70000\n", "2:9: a:70000: \"70000\" is not a port"},
        BadIni{"[etcd]\ntimeout=soon\n", "2:9: [etcd] timeout: \"soon\" is not a number"},
        BadIni{"[taillog]\npath=/a.log\n", "2:6: a log file without [kafka] topic"},
        BadIni{"[taillog]\npath=/a.log\n[kafka]\ntopic=a b\n", "2:6: the topic \"a b\""}));

}  // namespace
}  // namespace logagent
