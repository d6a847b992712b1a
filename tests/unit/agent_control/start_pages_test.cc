// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/start_pages.h"

#include <gtest/gtest.h>

namespace logagent {
namespace {

TEST(StartPages, OnlyCodeAndConstantsOfLibrariesAreLetGo) {
  FileMapping code =
      ParseMapping("7f00-7f10 r-xp 00000000 fe:00 1234    /usr/lib/librocksdb.so.7.8.3");
  EXPECT_EQ(code.begin, 0x7f00U);
  EXPECT_EQ(code.end, 0x7f10U);
  EXPECT_TRUE(code.read_only_file);
  EXPECT_TRUE(ParseMapping("1-2 r--p 0 fe:00 1    /usr/bin/sluice-agent").read_only_file);
  EXPECT_FALSE(ParseMapping("1-2 rw-p 0 fe:00 1    /usr/lib/librocksdb.so.7.8.3").read_only_file);
  EXPECT_FALSE(ParseMapping("1-2 r--p 0 fe:00 1    /var/cache/some.file").read_only_file);
  EXPECT_FALSE(ParseMapping("1-2 rw-p 0 00:00 0    [heap]").read_only_file);
  EXPECT_FALSE(ParseMapping("Rss:                 12 kB").read_only_file);
}

TEST(StartPages, ProgramGoesOnWithoutThem) {
  EXPECT_GT(ReleaseStartPages(), 0U);
  EXPECT_GT(ReleaseStartPages(), 0U);
}

}  // namespace
}  // namespace logagent
