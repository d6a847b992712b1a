// SPDX-License-Identifier: Apache-2.0
// The house's rules run over the repository itself (style rule 28). Each failing test prints every
// place with file and line.
#include "tests/tidy/rules.h"

#include <gtest/gtest.h>

namespace tidy {
namespace {

class RepositoryTest : public testing::Test {
 protected:
  RepositoryTest() : repository_(Repository::Read(SLUICE_SOURCE_DIR)) {}

  Repository repository_;
};

void ExpectNone(const Findings& findings) {
  EXPECT_TRUE(findings.empty()) << findings.size() << " findings:" << Print(findings);
}

TEST_F(RepositoryTest, IsNotEmpty) {
  EXPECT_TRUE(repository_.files().contains("CMakeLists.txt"));
  EXPECT_TRUE(repository_.sources().contains("store/base/check.h"));
}

TEST_F(RepositoryTest, IncludesStayOnTheirFloors) { ExpectNone(CheckFloors(repository_)); }

TEST_F(RepositoryTest, FilesAreShort) { ExpectNone(CheckFileLengths(repository_)); }

TEST_F(RepositoryTest, FunctionsAreShortAndFlat) { ExpectNone(CheckFunctions(repository_)); }

TEST_F(RepositoryTest, NobodyCallsWhatIsBanned) { ExpectNone(CheckBannedCalls(repository_)); }

TEST_F(RepositoryTest, SourcesSayTheirLicence) { ExpectNone(CheckLicenceLines(repository_)); }

TEST_F(RepositoryTest, FoldersHaveReadmes) { ExpectNone(CheckReadmes(repository_)); }

TEST_F(RepositoryTest, NoFileIsDead) { ExpectNone(CheckDeadFiles(repository_)); }

TEST_F(RepositoryTest, HeadersAreGuardedAndOpenNoNamespace) {
  ExpectNone(CheckHeaders(repository_));
}

TEST_F(RepositoryTest, NoTextNamesAMachineOrUnfinishedWork) { ExpectNone(CheckText(repository_)); }

}  // namespace
}  // namespace tidy
