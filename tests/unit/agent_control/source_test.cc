// SPDX-License-Identifier: Apache-2.0
#include "logagent/config/source.h"

#include "logagent/config/last_good.h"
#include "logagent/config/own_address.h"
#include "store/base/file.h"
#include "tests/unit/shard/temp_dir.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <future>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <utility>

namespace logagent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

store::TimePoint At(store::Duration since_start) { return store::TimePoint(since_start); }

std::string List(std::string_view name) {
  return "[{\"path\":\"/" + std::string(name) + "\",\"topic\":\"t\"}]";
}

TEST(ChangeGateTest, TheFirstChangeIsHandedOnAtOnce) {
  ChangeGate gate{SourceTiming()};
  EXPECT_FALSE(gate.Due());
  gate.Offer({List("a"), 1}, At(seconds(1)));
  auto taken = gate.Take(At(seconds(1)));
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->text, List("a"));
  EXPECT_FALSE(gate.Take(At(seconds(2))));
}

TEST(ChangeGateTest, ThenTheLastOneOfEachInterval) {
  ChangeGate gate{SourceTiming()};
  gate.Offer({List("a"), 1}, At(seconds(1)));
  ASSERT_TRUE(gate.Take(At(seconds(1))));
  gate.Offer({List("b"), 2}, At(seconds(1) + milliseconds(10)));
  gate.Offer({List("c"), 3}, At(seconds(1) + milliseconds(20)));
  EXPECT_FALSE(gate.Take(At(seconds(1) + milliseconds(199))));
  auto taken = gate.Take(At(seconds(1) + milliseconds(200)));
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->text, List("c"));
}

TEST(ChangeGateTest, APutInsideTheGraceOfADeletionIsOneChange) {
  ChangeGate gate{SourceTiming()};
  gate.Offer({List("a"), 1}, At(seconds(1)));
  ASSERT_TRUE(gate.Take(At(seconds(1))));
  gate.Offer({std::nullopt, 2}, At(seconds(2)));
  EXPECT_FALSE(gate.Take(At(seconds(6))));
  gate.Offer({List("b"), 3}, At(seconds(6)));
  EXPECT_EQ(gate.Take(At(seconds(6)))->text, List("b"));
}

TEST(ChangeGateTest, ADeletionCountsAfterItsGraceHoweverOftenItIsSeen) {
  ChangeGate gate{SourceTiming()};
  gate.Offer({List("a"), 1}, At(seconds(1)));
  ASSERT_TRUE(gate.Take(At(seconds(1))));
  gate.Offer({std::nullopt, 2}, At(seconds(2)));
  gate.Offer({std::nullopt, 2}, At(seconds(5)));
  EXPECT_FALSE(gate.Take(At(seconds(6))));
  auto taken = gate.Take(At(seconds(7)));
  ASSERT_TRUE(taken);
  EXPECT_FALSE(taken->text);
}

// What is wanted is the last list, even if nobody saw it before a text came that is none.
TEST(ChangeGateTest, WhatIsNoListDoesNotHideTheListBeforeIt) {
  ChangeGate gate{SourceTiming()};
  gate.Offer({List("a"), 1}, At(seconds(1)));
  ASSERT_TRUE(gate.Take(At(seconds(1))));
  gate.Offer({List("b"), 2}, At(seconds(1) + milliseconds(10)));
  gate.Offer({List("c"), 3}, At(seconds(1) + milliseconds(20)));
  gate.Offer({"[{", 4}, At(seconds(1) + milliseconds(30)));
  gate.Offer({"nonsense", 5}, At(seconds(1) + milliseconds(40)));
  auto list = gate.Take(At(seconds(1) + milliseconds(200)));
  ASSERT_TRUE(list);
  EXPECT_EQ(list->text, List("c"));
  EXPECT_FALSE(gate.Take(At(seconds(1) + milliseconds(399))));
  auto refused = gate.Take(At(seconds(1) + milliseconds(400)));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->text, "nonsense");
  EXPECT_FALSE(gate.Due());
}

TEST(ChangeGateTest, AListReplacesAllThatWaits) {
  ChangeGate gate{SourceTiming()};
  gate.Offer({List("a"), 1}, At(seconds(1)));
  gate.Offer({"[{", 2}, At(seconds(1)));
  gate.Offer({List("b"), 3}, At(seconds(1)));
  EXPECT_EQ(gate.Take(At(seconds(1)))->text, List("b"));
  EXPECT_FALSE(gate.Due());
}

// A list that was deleted at once is still what was wanted until the grace is over.
TEST(ChangeGateTest, ADeletedListRunsForTheGrace) {
  ChangeGate gate{SourceTiming()};
  gate.Offer({List("a"), 1}, At(seconds(1)));
  gate.Offer({std::nullopt, 2}, At(seconds(1)));
  EXPECT_EQ(gate.Take(At(seconds(1)))->text, List("a"));
  EXPECT_FALSE(gate.Take(At(seconds(5))));
  auto taken = gate.Take(At(seconds(6)));
  ASSERT_TRUE(taken);
  EXPECT_FALSE(taken->text);
}

TEST(LastGoodTest, ReadsBackWhatItWroteAndRefusesTheRest) {
  LastGood config{42, "/logagent/10.0.0.7/collect_config", "[\n]\n"};
  auto read = DecodeLastGood(EncodeLastGood(config));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, config);
  for (const char* bad : {"", "sluice-config 1\n", "sluice-config 1\n7", "sluice-config 1\nx\nk\n",
                          "sluice-config 2\n7\nk\n[]"}) {
    EXPECT_FALSE(DecodeLastGood(bad)) << bad;
  }
}

TEST(OwnAddressTest, TheSettingWinsAndThereIsAlwaysAnAnswer) {
  EXPECT_EQ(FindOwnAddress("10.9.8.7", {}).ip, "10.9.8.7");
  EXPECT_FALSE(FindOwnAddress("", {"127.0.0.1:2379"}).ip.empty());
}

// Nobody may ever write to it: the agent would not even stop.
TEST(FileSourceTest, FifoIsRefusedAndHoldsUpNoStop) {
  TempDir dir;
  std::string path = (dir / "list.json").string();
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  std::promise<std::string> refused;
  SourceHandlers handlers;
  handlers.on_config = [](ConfigText) {};
  handlers.on_error = [&refused, told = false](const store::Error& error) mutable {
    if (!std::exchange(told, true)) refused.set_value(error.message());
  };
  FileSource source(path, SourceTiming(), std::move(handlers));
  source.Start();
  auto text = refused.get_future();
  bool told = text.wait_for(seconds(10)) == std::future_status::ready;
  // Lets go of a reader that waits for somebody to write.
  store::UniqueFd writer(open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  writer.Reset();
  source.Stop();
  ASSERT_TRUE(told);
  EXPECT_EQ(text.get(), path + ": not a regular file");
}

}  // namespace
}  // namespace logagent
