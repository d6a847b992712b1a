// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/load/history.h"

#include "store/base/crc32c.h"

#include <gtest/gtest.h>

namespace bench {
namespace {

void Both(History& history, int64_t revision, const Change& change) {
  history.Acknowledged(revision, change);
  history.Seen(revision, change);
}

TEST(History, ReplaysInOrderWhateverComesFirst) {
  History history(3, 2);
  history.Seen(3, {1, true, 11});
  history.Acknowledged(3, {1, true, 11});
  EXPECT_EQ(history.replayed(), 1) << "2 is missing";
  EXPECT_EQ(history.row(1).create, 0);
  history.Acknowledged(2, {1, true, 10});
  history.Seen(2, {1, true, 10});
  EXPECT_EQ(history.replayed(), 3);
  EXPECT_EQ(history.row(1).create, 2);
  EXPECT_EQ(history.row(1).mod, 3);
  EXPECT_EQ(history.row(1).version, 2);
  EXPECT_EQ(history.row(1).stamp, 11U);
  Both(history, 4, {1, false, 0});
  EXPECT_EQ(history.live(), 0U);
  Both(history, 5, {1, true, 12});
  EXPECT_EQ(history.row(1).create, 5);
  EXPECT_EQ(history.row(1).version, 1);
  EXPECT_TRUE(history.settled());
  EXPECT_EQ(history.fault(), "");
}

TEST(History, EveryLieIsAFault) {
  const auto fault = [](auto tell) {
    History history(3, 2);
    Both(history, 2, {1, true, 10});
    tell(history);
    return history.fault();
  };
  EXPECT_EQ(fault([](History& history) { Both(history, 3, {1, false, 0}); }), "");
  EXPECT_NE(fault([](History& history) { history.Seen(2, {1, true, 10}); }), "") << "again";
  EXPECT_NE(fault([](History& history) {
              history.Seen(4, {1, true, 10});
              history.Seen(4, {1, true, 10});
            }),
            "")
      << "twice";
  EXPECT_NE(fault([](History& history) {
              history.Seen(3, {1, true, 10});
              history.Acknowledged(3, {1, true, 11});
            }),
            "")
      << "another value";
  EXPECT_NE(fault([](History& history) { Both(history, 3, {2, false, 0}); }), "")
      << "deletes what is not there";
  EXPECT_NE(fault([](History& history) { history.Seen(10'000'000, {1, true, 10}); }), "")
      << "far ahead";
}

TEST(History, IsNotSettledWhileARevisionIsMissing) {
  History history(3, 2);
  Both(history, 3, {1, true, 10});
  EXPECT_FALSE(history.settled());
  history.Acknowledged(2, {1, true, 9});
  EXPECT_FALSE(history.settled());
  history.Seen(2, {1, true, 9});
  EXPECT_TRUE(history.settled());
}

TEST(History, HashIsOfTheRecordsInTheOrderOfRevisions) {
  History history(3, 2);
  Both(history, 2, {1, true, 10});
  Both(history, 3, {0, true, 11});
  Both(history, 4, {1, true, 12});
  const auto key = [](uint64_t number) { return "k" + std::to_string(number); };
  const auto value = [](uint64_t stamp) { return "v" + std::to_string(stamp); };
  // key, create, mod, version, value
  const std::string first("\0\0\0\0\0\0\0\3_\0\0\0\0\0\0\0\0\x0a\2k0\x10\3\x18\3\x20\1\x2a\3v11",
                          32);
  const std::string second("\0\0\0\0\0\0\0\4_\0\0\0\0\0\0\0\0\x0a\2k1\x10\2\x18\4\x20\2\x2a\3v12",
                           32);
  EXPECT_EQ(history.Hash(key, value), store::Crc32c("key" + first + second));
}

}  // namespace
}  // namespace bench
