// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/kafka_topics.h"

#include "logagent/deliver/kafka_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace logagent {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class ManualClock final : public store::Clock {
 public:
  store::TimePoint Now() const override { return now_; }
  int64_t WallMicros() const override { return 0; }
  void Advance(store::Duration by) { now_ += by; }

 private:
  store::TimePoint now_{std::chrono::hours(1)};
};

class KafkaTopicsTest : public ::testing::Test {
 protected:
  KafkaTopic& Ready(std::string_view name) {
    bool added = false;
    KafkaTopic& topic = topics_.Find(name, &added);
    topics_.OnMetadata(topic, {RD_KAFKA_RESP_ERR_NO_ERROR, 4, {}});
    return topic;
  }

  ManualClock clock_;
  KafkaTopics topics_{clock_};
};

TEST_F(KafkaTopicsTest, TopicWithoutAnAnswerIsStalledAndTheOneBesideIsNot) {
  KafkaTopic& web = Ready("web");
  KafkaTopic& beside = Ready("beside");
  topics_.Taken(web);
  topics_.Taken(beside);
  clock_.Advance(kStalledAfter - std::chrono::milliseconds(1));
  EXPECT_FALSE(topics_.NoteStalled());
  topics_.Answered(beside);
  clock_.Advance(std::chrono::milliseconds(1));
  EXPECT_TRUE(topics_.NoteStalled());
  EXPECT_FALSE(topics_.NoteStalled()) << "that is no news any more";
  EXPECT_THAT(topics_.Stalled("the broker is down"),
              UnorderedElementsAre(
                  Pair("web", "topic web: Kafka does not acknowledge: the broker is down")));
  topics_.Answered(web);
  EXPECT_THAT(topics_.Stalled({}), IsEmpty());
}

TEST_F(KafkaTopicsTest, TimeWithNothingInFlightDoesNotCount) {
  KafkaTopic& web = Ready("web");
  clock_.Advance(std::chrono::hours(1));
  EXPECT_FALSE(topics_.NoteStalled());
  topics_.Taken(web);
  EXPECT_FALSE(topics_.NoteStalled());
}

TEST_F(KafkaTopicsTest, SteadyAnswersAreProgressHoweverMuchIsInFlight) {
  KafkaTopic& web = Ready("web");
  for (int second = 0; second < 60; ++second) {
    topics_.Taken(web);
    topics_.Taken(web);
    clock_.Advance(std::chrono::seconds(1));
    topics_.Answered(web);
    EXPECT_FALSE(topics_.NoteStalled());
  }
}

TEST_F(KafkaTopicsTest, StalledTopicIsAskedAboutAndItsPartitionNamed) {
  KafkaTopic& web = Ready("web");
  EXPECT_EQ(topics_.NextToProbe(), nullptr);
  topics_.Taken(web);
  clock_.Advance(kStalledAfter);
  ASSERT_TRUE(topics_.NoteStalled());
  ASSERT_EQ(topics_.NextToProbe(), &web);
  EXPECT_LE(web.next_probe, clock_.Now());
  topics_.OnMetadata(web, {RD_KAFKA_RESP_ERR_NO_ERROR, 4, "partition 2: Leader not available"});
  EXPECT_GT(web.next_probe, clock_.Now());
  EXPECT_EQ(topics_.Status("web").state, TopicStatus::State::kReady) << "the others may go on";
  EXPECT_THAT(topics_.Stalled("some broker is down"),
              UnorderedElementsAre(Pair("web", HasSubstr("acknowledge: partition 2: Leader"))));
  topics_.Answered(web);
  EXPECT_EQ(topics_.NextToProbe(), nullptr);
}

TEST_F(KafkaTopicsTest, SilenceOfTheBrokerLeavesAReadyTopicReady) {
  KafkaTopic& web = Ready("web");
  topics_.Taken(web);
  clock_.Advance(kStalledAfter);
  ASSERT_TRUE(topics_.NoteStalled());
  topics_.OnSilence(web, "Local: Timed out");
  EXPECT_EQ(topics_.Status("web").state, TopicStatus::State::kReady);
  EXPECT_THAT(topics_.Status("web").text, IsEmpty());
}

TEST_F(KafkaTopicsTest, RefusedTopicIsInErrorUntilTheBrokerKnowsItAgain) {
  KafkaTopic& web = Ready("web");
  EXPECT_TRUE(topics_.OnRefused(web, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED));
  EXPECT_FALSE(topics_.OnRefused(web, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED));
  EXPECT_EQ(topics_.Status("web").state, TopicStatus::State::kError);
  EXPECT_THAT(topics_.Status("web").text, HasSubstr("topic web: "));
  ASSERT_EQ(topics_.NextToProbe(), &web);
  topics_.OnMetadata(web, {RD_KAFKA_RESP_ERR_NO_ERROR, 4, {}});
  EXPECT_EQ(topics_.Status("web").state, TopicStatus::State::kReady);
}

TEST_F(KafkaTopicsTest, UnknownTopicIsAnErrorOnlyAfterAMoment) {
  bool added = false;
  KafkaTopic& web = topics_.Find("web", &added);
  EXPECT_TRUE(added);
  topics_.OnMetadata(web, {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, 0, {}});
  EXPECT_EQ(topics_.Status("web").state, TopicStatus::State::kWaiting);
  clock_.Advance(std::chrono::seconds(4));
  topics_.OnMetadata(web, {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, 0, {}});
  EXPECT_EQ(topics_.Status("web").state, TopicStatus::State::kError);
}

TEST(KafkaErrorTest, TextKeepsWhatLastsOnly) {
  EXPECT_EQ(Lasting("h:1/1: Connect failed: refused (after 0ms in state CONNECT, 3 identical)"),
            "h:1/1: Connect failed: refused");
  EXPECT_EQ(Lasting("1/1 brokers are down"), "1/1 brokers are down");
}

}  // namespace
}  // namespace logagent
