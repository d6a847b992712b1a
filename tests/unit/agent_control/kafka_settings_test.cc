// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/kafka_settings.h"

#include "tests/unit/shard/temp_dir.h"

#include <gtest/gtest.h>

namespace logagent {
namespace {

TEST(KafkaSettings, SecretThatIsEmptyOrNotThereIsNamedAndNotUsed) {
  TempDir dir;
  Append(dir / "empty", "\n");
  Append(dir / "good", "word\n");
  std::string place = "file:" + (dir / "empty").string();
  AgentSettings settings;
  settings.kafka.secrets["sasl.password"] = place;
  EXPECT_EQ(KafkaConfigOf(settings).error().message(),
            "kafka.secrets.sasl.password: " + place + " is empty");
  settings.kafka.secrets["sasl.password"] = "env:SLUICE_TEST_NOT_SET";
  EXPECT_EQ(KafkaConfigOf(settings).error().message(),
            "kafka.secrets.sasl.password: SLUICE_TEST_NOT_SET is not in the environment");
  settings.kafka.secrets["sasl.password"] = "file:" + (dir / "good").string();
  EXPECT_EQ(KafkaConfigOf(settings)->properties.at("sasl.password"), "word");
}

}  // namespace
}  // namespace logagent
