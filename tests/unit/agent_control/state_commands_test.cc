// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/commands.h"
#include "logagent/agent/kafka_settings.h"
#include "logagent/checkpoint/store.h"
#include "store/base/file.h"
#include "tests/unit/shard/kafka_rig.h"
#include "tests/unit/shard/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <sstream>
#include <string>
#include <vector>

namespace logagent {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(KafkaSettings, SecretsComeFromFilesAndTheEnvironment) {
  TempDir dir;
  Append(dir / "password", "s3cret\n");
  setenv("SLUICE_TEST_SECRET", "other", 1);
  AgentSettings settings;
  settings.kafka.secrets = {{"sasl.password", "file:" + (dir / "password").string()},
                            {"ssl.key.password", "env:SLUICE_TEST_SECRET"}};
  auto kafka = KafkaConfigOf(settings);
  ASSERT_TRUE(kafka.has_value()) << kafka.error().message();
  EXPECT_EQ(kafka->properties.at("sasl.password"), "s3cret");
  EXPECT_EQ(kafka->properties.at("ssl.key.password"), "other");
  settings.kafka.secrets = {{"sasl.password", "env:SLUICE_TEST_NOT_SET"}};
  auto missing = KafkaConfigOf(settings);
  ASSERT_FALSE(missing.has_value());
  EXPECT_THAT(missing.error().message(), HasSubstr("kafka.secrets.sasl.password"));
  settings.kafka.secrets = {{"sasl.password", "s3cret"}};
  auto plain = KafkaConfigOf(settings);
  ASSERT_FALSE(plain.has_value());
  EXPECT_THAT(plain.error().message(), ::testing::Not(HasSubstr("s3cret")));
}

class StateCommandsTest : public ::testing::Test {
 protected:
  int Run(std::initializer_list<std::string> arguments) {
    std::vector<std::string> all = {"sluice-agent", "--state-dir", dir_.path().string()};
    all.insert(all.end(), arguments);
    std::vector<const char*> argv;
    for (const std::string& one : all) {
      argv.push_back(one.c_str());
    }
    out_.str("");
    err_.str("");
    return RunCommandLine(static_cast<int>(argv.size()), argv.data(), out_, err_);
  }

  TempDir dir_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(StateCommandsTest, CheckpointIsSetAtALineAndListed) {
  std::string file = (dir_ / "a.log").string();
  Append(file, "one\ntwo\nthree\n");
  EXPECT_EQ(Run({"checkpoint", "set", file, "web", file, "4"}), 0) << err_.str();
  EXPECT_EQ(Run({"checkpoint", "list"}), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr(file + " <- " + file + " -> web"));
  EXPECT_THAT(out_.str(), HasSubstr("             4 "));
  EXPECT_EQ(Run({"checkpoint", "set", file, "web", file, "5"}), 1);
  EXPECT_THAT(err_.str(), HasSubstr("no line begins at offset 5"));
  EXPECT_EQ(Run({"checkpoint", "set", file, "web", file, "99"}), 1);
  EXPECT_EQ(Run({"checkpoint", "set", file, "web", file, "end"}), 0) << err_.str();
  auto state = ReadRocksCheckpoint(dir_ / "checkpoint");
  ASSERT_TRUE(state.has_value());
  ASSERT_EQ(state->files.size(), 1U);
  EXPECT_EQ(state->files[0].offset, 14U);
  EXPECT_EQ(state->entries.size(), 1U);
}

TEST_F(StateCommandsTest, CheckpointIsListedWhileAnAgentHoldsIt) {
  auto held = OpenRocksCheckpoint(dir_ / "checkpoint");
  ASSERT_TRUE(held.has_value());
  EXPECT_EQ(Run({"checkpoint", "list"}), 0) << err_.str();
}

// What the library refuses only when all its properties are looked at together.
TEST_F(StateCommandsTest, CheckSaysWhatWouldEndTheStart) {
  std::string settings = (dir_ / "settings.yaml").string();
  Append(settings, "kafka:\n  properties: {acks: \"1\"}\n");
  EXPECT_EQ(Run({"-c", settings, "check"}), 1);
  std::string checked = err_.str();
  EXPECT_THAT(checked, AllOf(HasSubstr("kafka: kafka.properties: "), HasSubstr("acks")));
  EXPECT_EQ(Run({"-c", settings, "--no-admin"}), 1);
  EXPECT_THAT(err_.str(), HasSubstr(checked));
  EXPECT_EQ(Run({"check"}), 0) << err_.str();
}

TEST_F(StateCommandsTest, NoSpoolIsNoError) {
  EXPECT_EQ(Run({"dead-letters", "list"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("no dead letters"));
  EXPECT_EQ(Run({"dead-letters", "replay"}), 0);
  EXPECT_EQ(Run({"dead-letters"}), 2);
}

// What was whole is listed and sent, whatever stands before it; what is damaged stays.
TEST_F(StateCommandsTest, DamagedSpoolIsListedAndSentAsFarAsItIsWhole) {
  MockCluster cluster;
  cluster.Create("web", 1);
  Append(dir_ / "settings.yaml", "kafka:\n  brokers: [\"" + cluster.bootstraps() + "\"]\n");
  store::SystemClock clock;
  DeadLetterSpool spool(dir_.path() / kSpoolName, 1 << 20, clock);
  ASSERT_TRUE(spool.Append({"web", "/first", {}, 0, 3, "too large"}, "one"));
  uint64_t place = spool.size_bytes();
  Append(spool.file(), R"({"topic":"web","path":"/half","bytes":900})"
                       "\nhalf a li");
  ASSERT_TRUE(spool.Append({"web", "/second", {}, 0, 3, "too large"}, "two"));
  EXPECT_EQ(Run({"dead-letters", "list"}), 1);
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("/first"), HasSubstr("/second"),
                                HasSubstr("at byte " + std::to_string(place))));
  EXPECT_THAT(err_.str(), HasSubstr("kept"));
  std::string settings = (dir_ / "settings.yaml").string();
  EXPECT_EQ(Run({"-c", settings, "dead-letters", "replay"}), 1);
  EXPECT_THAT(out_.str(), HasSubstr("2 sent, 0 refused again"));
  EXPECT_THAT(err_.str(), HasSubstr(spool.file().string() + ".replay-1 is damaged, and kept"));
  EXPECT_TRUE(std::filesystem::exists(spool.file().string() + ".replay-1"));
  Consumer consumer(cluster.bootstraps(), "web", 1);
  ASSERT_TRUE(consumer.UntilLines(2));
  EXPECT_THAT(consumer.lines(), ElementsAre("one", "two"));
}

}  // namespace
}  // namespace logagent
