// SPDX-License-Identifier: Apache-2.0
#include "store/cluster/version.h"

#include <gtest/gtest.h>

#include <vector>

namespace store::cluster {
namespace {

constexpr Version kV30{3, 0, 0};
constexpr Version kV36{3, 6, 0};
constexpr Version kV37{3, 7, 0};

TEST(ClusterVersion, TheFirstDecisionIsMadeWithWhatThereIs) {
  EXPECT_EQ(DecideClusterVersion({}, {}, {}), kV30);
  EXPECT_EQ(DecideClusterVersion({}, Version{3, 7, 2}, {}), kV37);
}

TEST(ClusterVersion, RisesWithTheLowestMemberAndNeverFalls) {
  EXPECT_EQ(DecideClusterVersion(kV30, Version{3, 6, 9}, {}), kV36);
  EXPECT_EQ(DecideClusterVersion(kV36, Version{3, 6, 9}, {}), std::nullopt);
  EXPECT_EQ(DecideClusterVersion(kV37, kV36, {}), std::nullopt);
  EXPECT_EQ(DecideClusterVersion(kV30, std::nullopt, {}), std::nullopt) << "somebody is away";
  EXPECT_EQ(DecideClusterVersion(kV37, Version{4, 0, 0}, {}), std::nullopt);
}

TEST(ClusterVersion, ADowngradeLowersItByOneMinor) {
  const Downgrade to36{true, "3.6.0"};
  EXPECT_EQ(DowngradeTarget(kV37), kV36);
  EXPECT_EQ(DowngradeTarget(Version{4, 0, 0}), std::nullopt);
  EXPECT_EQ(DecideClusterVersion(kV37, kV37, to36), kV36);
  EXPECT_EQ(DecideClusterVersion(kV36, kV37, to36), std::nullopt) << "once";
  EXPECT_EQ(DecideClusterVersion(kV37, kV37, {true, "3.5.0"}), std::nullopt);
  EXPECT_EQ(DecideClusterVersion(kV37, kV37, {true, "odd"}), std::nullopt);
}

TEST(ClusterVersion, ADowngradeIsDoneWhenEverybodyRunsTheTarget) {
  const Downgrade to36{true, "3.6.0"};
  EXPECT_FALSE(IsDowngradeDone(std::vector{kV36, kV37}, to36));
  EXPECT_TRUE(IsDowngradeDone(std::vector{kV36, Version{3, 6, 4}}, to36));
  EXPECT_FALSE(IsDowngradeDone(std::vector{kV36}, {}));
}

TEST(ClusterVersion, IsShownWithoutItsPatch) {
  EXPECT_EQ(MajorMinor("3.7.0"), "3.7");
  EXPECT_EQ(MajorMinor(""), "");
}

}  // namespace
}  // namespace store::cluster
