// SPDX-License-Identifier: Apache-2.0
// The rules on small repositories made of a few lines: each must find what it is for, and nothing
// in what looks like it.
#include "tests/tidy/rules.h"

#include "tests/tidy/floors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace tidy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Repository With(std::string path, std::string text) {
  Repository repository;
  repository.Add(std::move(path), std::move(text));
  return repository;
}

std::vector<int> LinesOf(const Findings& findings) {
  std::vector<int> lines;
  for (const Finding& finding : findings) {
    lines.push_back(finding.line);
  }
  return lines;
}

TEST(Floors, DownIsAllowedUpAndSidewaysAreNot) {
  EXPECT_EQ(IncludeProblem("store/mvcc/a.cc", "store/engine/engine.h"), "");
  EXPECT_EQ(IncludeProblem("store/mvcc/a.cc", "store/mvcc/record.h"), "");
  EXPECT_NE(IncludeProblem("store/engine/a.cc", "store/mvcc/record.h"), "");
  EXPECT_NE(IncludeProblem("store/mvcc/a.cc", "store/lease/lease.h"), "");
  EXPECT_NE(IncludeProblem("store/replica/a.cc", "store/rpc/call.h"), "");
  EXPECT_NE(IncludeProblem("store/base/a.cc", "tests/tidy/rules.h"), "");
  EXPECT_EQ(IncludeProblem("tests/tidy/a.cc", "store/server/server.h"), "");
}

TEST(Floors, RaftSeesThreeHeadersOfBase) {
  EXPECT_EQ(IncludeProblem("store/raft/raft.cc", "store/base/check.h"), "");
  EXPECT_EQ(IncludeProblem("store/raft/raft.cc", "store/base/random.h"), "");
  EXPECT_NE(IncludeProblem("store/raft/raft.cc", "store/base/bytes.h"), "");
}

TEST(Floors, TheAgentSeesOnlyWhatComesBefore) {
  EXPECT_EQ(IncludeProblem("logagent/deliver/a.cc", "logagent/tail/chunk.h"), "");
  EXPECT_NE(IncludeProblem("logagent/tail/a.cc", "logagent/deliver/sink.h"), "");
  EXPECT_EQ(IncludeProblem("logagent/config/a.cc", "store/client/client.h"), "");
  EXPECT_NE(IncludeProblem("logagent/model/a.cc", "store/client/client.h"), "");
  EXPECT_NE(IncludeProblem("logagent/agent/a.cc", "store/mvcc/record.h"), "");
}

TEST(Floors, LibrariesHaveTheirPlaces) {
  EXPECT_EQ(IncludeProblem("store/engine/a.cc", "rocksdb/db.h"), "");
  EXPECT_NE(IncludeProblem("store/mvcc/a.cc", "rocksdb/db.h"), "");
  EXPECT_EQ(IncludeProblem("logagent/deliver/a.cc", "librdkafka/rdkafka.h"), "");
  EXPECT_NE(IncludeProblem("logagent/agent/a.cc", "librdkafka/rdkafka.h"), "");
  EXPECT_NE(IncludeProblem("store/rpc/a.cc", "grpcpp/grpcpp.h"), "");
  EXPECT_NE(IncludeProblem("store/auth/a.cc", "openssl/ssl.h"), "");
  EXPECT_EQ(IncludeProblem("store/auth/a.cc", "openssl/evp.h"), "");
  EXPECT_EQ(IncludeProblem("store/api/a.cc", "proto/etcd/rpc.pb.h"), "");
  EXPECT_NE(IncludeProblem("store/api/a.cc", "etcd/rpc.grpc.pb.h"), "");
  EXPECT_NE(IncludeProblem("store/raft/a.cc", "rpc.pb.h"), "");
}

TEST(Floors, AnUnknownFolderIsAFinding) {
  EXPECT_THAT(IncludeProblem("store/util/a.cc", "string"), HasSubstr("no row"));
}

TEST(Floors, TheTableIsOrderedFromBelow) {
  // Whatever a row may include stands in a row before it.
  std::vector<std::string_view> seen;
  for (const Floor& floor : Floors()) {
    for (std::string_view allowed : floor.may_include) {
      bool agent_model = allowed == "logagent/model";
      EXPECT_TRUE(agent_model ||
                  std::find(seen.begin(), seen.end(), FloorFolderOf(allowed)) != seen.end())
          << floor.folder << " may include " << allowed << ", which does not stand below it";
    }
    seen.push_back(floor.folder);
  }
}

TEST(BannedCalls, AreFoundAsPlainAndStdFunctions) {
  Repository repository = With("store/base/a.cc",
                               "int a = time(nullptr);\nstd::exit(1);\n::usleep(3);\n"
                               "std::this_thread::sleep_for(x);\nint b = rand();\n"
                               "if (printf(\"\")) {}\nstd::function<void()> f;\n");
  Findings findings = CheckBannedCalls(repository);
  EXPECT_THAT(LinesOf(findings), testing::UnorderedElementsAre(1, 2, 3, 4, 5, 6, 7))
      << Print(findings);
}

TEST(BannedCalls, MembersOwnNamesTextAndCommentsAreNone) {
  EXPECT_THAT(
      CheckBannedCalls(With("store/base/a.cc",
                            "a.time(1); b->exit(2); lease::time(3); uptime(4);\n"
                            "// time(5)\nconst char* c = \"rand()\";\nsnprintf(d, 1, e);\n")),
      IsEmpty());
}

TEST(BannedCalls, ProgramsMayPrintAndExit) {
  const std::string text = "int main() { printf(\"\"); exit(1); }\n";
  EXPECT_THAT(CheckBannedCalls(With("store/ctl/print.cc", text)), IsEmpty());
  EXPECT_THAT(CheckBannedCalls(With("store/server/main.cc", text)), IsEmpty());
  EXPECT_THAT(CheckBannedCalls(With("logagent/devbroker/a.cc", text)), IsEmpty());
  EXPECT_THAT(CheckBannedCalls(With("store/server/server.cc", text)), SizeIs(2));
}

TEST(BannedCalls, AWaitOfATestMayPauseBetweenItsQuestions) {
  const std::string text =
      "bool WaitUntil(C c) {\n  while (!c()) std::this_thread::sleep_for(x);\n}\n";
  EXPECT_THAT(CheckBannedCalls(With("tests/agent/a.cc", text)), IsEmpty());
  EXPECT_THAT(CheckBannedCalls(With("logagent/agent/a.cc", text)), SizeIs(1));
  EXPECT_THAT(CheckBannedCalls(With("tests/agent/a.cc", text + "void F() { sleep(1); }\n")),
              SizeIs(1));
}

TEST(FileLengths, TestsMayBeLonger) {
  std::string lines;
  for (int i = 0; i < 701; ++i) {
    lines += "x\n";
  }
  EXPECT_THAT(CheckFileLengths(With("store/base/a.cc", lines)), SizeIs(1));
  EXPECT_THAT(CheckFileLengths(With("tests/unit/base/a_test.cc", lines)), IsEmpty());
}

TEST(FunctionRules, LongAndDeepOnesAreFound) {
  std::string body;
  for (int i = 0; i < 59; ++i) {
    body += "a();\n";
  }
  EXPECT_THAT(CheckFunctions(With("store/base/a.cc", "void F() {\n" + body + "}\n")), SizeIs(1));
  Findings deep = CheckFunctions(
      With("store/base/a.cc", "void F() {\nif (a) {\nif (b) {\nif (c) {\nif (d) {\n}}}}}\n"));
  EXPECT_THAT(LinesOf(deep), ElementsAre(5));
}

TEST(Licence, FirstLineOrSecondOfAScript) {
  const std::string licence = "SPDX-License-Identifier: Apache-2.0\n";
  EXPECT_THAT(CheckLicenceLines(With("store/a.cc", "// " + licence)), IsEmpty());
  EXPECT_THAT(CheckLicenceLines(With("deploy/a", "#!/bin/sh\n# " + licence)), IsEmpty());
  EXPECT_THAT(CheckLicenceLines(With("deploy/a", "#!/bin/sh\n")), SizeIs(1));
  EXPECT_THAT(CheckLicenceLines(With("store/a.cc", "\n// " + licence)), SizeIs(1));
  EXPECT_THAT(CheckLicenceLines(With("configs/a.yaml", "a: 1\n")), IsEmpty());
}

TEST(Readmes, EveryFolderWithSourcesHasOne) {
  Repository repository = With("store/base/a.cc", "");
  EXPECT_THAT(CheckReadmes(repository), SizeIs(1));
  repository.Add("store/base/README.md", "");
  repository.Add("tests/unit/base/a_test.cc", "");
  EXPECT_THAT(CheckReadmes(repository), IsEmpty());
}

TEST(DeadFiles, SourcesAreBuiltAndHeadersIncluded) {
  Repository repository = With("store/base/CMakeLists.txt", "sluice_library(x SOURCES a.cc)");
  repository.Add("store/base/a.cc", "#include \"store/base/a.h\"\n");
  repository.Add("store/base/a.h", "");
  EXPECT_THAT(CheckDeadFiles(repository), IsEmpty());
  repository.Add("store/base/b.cc", "");
  repository.Add("store/base/c.h", "");
  EXPECT_THAT(CheckDeadFiles(repository), SizeIs(2));
}

TEST(DeadFiles, AFolderOfHeadersOnlyWaitsForItsFirstSource) {
  Repository repository = With("store/wal/log_store.h", "");
  EXPECT_THAT(CheckDeadFiles(repository), IsEmpty());
  EXPECT_THAT(CheckReadmes(repository), IsEmpty());
  repository.Add("store/wal/CMakeLists.txt", "wal.cc");
  repository.Add("store/wal/wal.cc", "");
  EXPECT_THAT(CheckDeadFiles(repository), SizeIs(1));
  EXPECT_THAT(CheckReadmes(repository), SizeIs(1));
}

TEST(DeadFiles, ALoopInCMakeNamesManySources) {
  Repository repository =
      With("tests/fuzz/CMakeLists.txt", "foreach(name frame)\n  add(${name}_fuzz.cc)\n");
  repository.Add("tests/fuzz/frame_fuzz.cc", "");
  EXPECT_THAT(CheckDeadFiles(repository), IsEmpty());
  repository.Add("tests/fuzz/json_fuzz.cc", "");
  EXPECT_THAT(CheckDeadFiles(repository), SizeIs(1));
}

TEST(Headers, HavePragmaOnceAndOpenNoNamespace) {
  EXPECT_THAT(CheckHeaders(With("store/a.h", "#pragma once\n")), IsEmpty());
  EXPECT_THAT(CheckHeaders(With("store/a.h", "using namespace std;\n")), SizeIs(2));
}

TEST(Text, MarksNeedAnIssueAndMachinesHaveNoPlace) {
  const std::string mark = std::string("TO") + "DO";
  EXPECT_THAT(CheckText(With("a.md", mark + "(#12): x\n")), IsEmpty());
  EXPECT_THAT(CheckText(With("a.md", mark + ": x\n")), SizeIs(1));
  EXPECT_THAT(CheckText(With("a.md", mark + "\n")), SizeIs(1));
  EXPECT_THAT(CheckText(With("a.md", std::string("cd /ro") + "ot/x\nthe framework/part\n")),
              SizeIs(1));
  EXPECT_THAT(CheckText(With("a.md", std::string("https://proxy.golang") + ".org/x\n")), SizeIs(1));
}

}  // namespace
}  // namespace tidy
