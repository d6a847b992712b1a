// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/kafka_sink.h"

#include "tests/unit/shard/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

namespace logagent {
namespace {

using ::testing::HasSubstr;

bool PollUntil(KafkaSink& sink, absl::FunctionRef<bool()> done) {
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!done() && std::chrono::steady_clock::now() < end) {
    sink.Poll([](const Delivery&) {});
  }
  return done();
}

// Files that properties name are read again then, and may be gone or about to be replaced.
TEST(KafkaSink, ProducerThatCannotBeBuiltAnewNowIsTriedAgain) {
  TempDir dir;
  store::SystemClock clock;
  DeadLetterSpool spool(dir / "dead", 1 << 20, clock);
  Path authorities = dir / "authorities";
  std::filesystem::create_directory(authorities);
  KafkaConfig config;
  config.brokers = "127.0.0.1:1";
  config.properties = {{"security.protocol", "ssl"}, {"ssl.ca.location", authorities.string()}};
  auto sink = KafkaSink::Make(config, spool, clock);
  ASSERT_TRUE(sink.has_value()) << sink.error().message();
  (*sink)->Prepare("web");
  std::filesystem::remove(authorities);
  (*sink)->InjectFatalError();
  ASSERT_TRUE(PollUntil(
      **sink, [&] { return (*sink)->Stats().error.find("ssl.ca.location") != std::string::npos; }));
  EXPECT_EQ((*sink)->Stats().rebuilds, 0U);
  EXPECT_THAT((*sink)->Topic("web").text, HasSubstr("ssl.ca.location"));
  (*sink)->Wake();
  std::filesystem::create_directory(authorities);
  EXPECT_TRUE(PollUntil(**sink, [&] { return (*sink)->Stats().rebuilds == 1; }));
}

}  // namespace
}  // namespace logagent
