// SPDX-License-Identifier: Apache-2.0
// A checkpoint's way from one member's disk to another's: whole, damaged, interrupted at each step.
#include "store/engine/checkpoint.h"

#include "store/base/crc32c.h"
#include "store/base/failpoint.h"
#include "store/engine/mem_engine.h"
#include "store/engine/rocks_engine.h"
#include "tests/unit/base/temp_dir.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace store::engine {
namespace {

using testing::HasSubstr;

constexpr size_t kPartBytes = 1000;
constexpr uint64_t kIndex = 77;

std::string GetRow(const Engine& engine, Key key) {
  auto value = engine.Get(Table::kVal, key, Tier::kAll);
  EXPECT_TRUE(value);
  return value && *value ? std::string((*value)->data(), (*value)->size()) : "(none)";
}

class CheckpointTest : public testing::Test {
 protected:
  ~CheckpointTest() override { Failpoints::DisarmAll(); }

  template <class AnyEngine>
  Checkpoint Make(AnyEngine& engine) {
    auto batch = engine.NewBatch();
    for (int i = 0; i < 50; ++i) batch->Put(Table::kVal, fmt::format("k{}", i), Value(i));
    EXPECT_TRUE(engine.Write(*batch));
    auto checkpoint = engine.MakeCheckpoint(OutgoingDirectory(sender_.path(), "1"));
    EXPECT_TRUE(checkpoint) << checkpoint.error().ToString();
    return *checkpoint;
  }
  Checkpoint MakeMem() {
    MemEngine engine;
    return Make(engine);
  }
  static std::string Value(int i) { return std::string(200, static_cast<char>('a' + i % 26)); }

  std::unique_ptr<CheckpointWriter> Begin(const Checkpoint& checkpoint) {
    auto writer = CheckpointWriter::Begin(receiver(), kIndex, checkpoint.files);
    EXPECT_TRUE(writer) << writer.error().ToString();
    return std::move(*writer);
  }
  static Status Transfer(CheckpointReader& reader, CheckpointWriter& writer) {
    while (true) {
      auto part = reader.Next(kPartBytes);
      RETURN_IF_ERROR(part);
      if (!*part) return writer.Complete();
      EXPECT_LE((*part)->data.size(), kPartBytes);
      RETURN_IF_ERROR(writer.Write((*part)->file, (*part)->offset, (*part)->data));
    }
  }
  Status Receive(const Checkpoint& checkpoint) {
    CheckpointReader reader(checkpoint);
    auto writer = Begin(checkpoint);
    RETURN_IF_ERROR(Transfer(reader, *writer));
    return writer->Commit();
  }
  // Runs `work` in a process of its own with that failpoint; the signal that ended it, 0: none.
  template <class Work>
  static int KilledBy(const std::string& failpoint, Work work) {
    const pid_t child = ::fork();
    if (child == 0) {
      (void)Failpoints::Parse(failpoint);
      work();
      ::_exit(0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  }
  Path receiver() const { return receiver_.path(); }
  bool Exists(const char* name) const { return FileExists((receiver() / name).string()); }

  TempDir sender_;
  TempDir receiver_;
};

TEST_F(CheckpointTest, OfRocksArrivesAndBecomesTheState) {
  ASSERT_TRUE(OpenStateDir(receiver()));
  ASSERT_TRUE(MakeDirs((receiver() / "state-1").string()));
  auto engine = *RocksEngine::Open(Path(sender_.path()) / "state-1", {});
  const Checkpoint sent = Make(*engine);
  EXPECT_EQ(sent.format, kRocksFormat);
  CheckpointReader reader(sent);
  auto writer = Begin(sent);
  ASSERT_TRUE(Transfer(reader, *writer));
  EXPECT_EQ(writer->received_bytes(), TotalBytes(sent.files));
  {
    auto arrived = OpenCheckpoint(writer->part_directory(), kRocksFormat);
    ASSERT_TRUE(arrived) << arrived.error().ToString();
    EXPECT_EQ(GetRow(**arrived, "k49"), Value(49));
  }
  ASSERT_TRUE(writer->Commit());
  EXPECT_TRUE(Exists("incoming/77"));
  auto name = SwitchState(receiver(), kIndex, 5);
  ASSERT_TRUE(name) << name.error().ToString();
  EXPECT_EQ(*name, (StateName{"state-2", kIndex, 5}));
  EXPECT_EQ(**ReadStateName(receiver()), *name);
  EXPECT_FALSE(Exists("incoming/77"));
  auto installed = RocksEngine::Open(receiver() / name->directory, {});
  ASSERT_TRUE(installed);
  EXPECT_EQ(GetRow(**installed, "k0"), Value(0));
}

TEST_F(CheckpointTest, EmptyFilesTravelToo) {
  Checkpoint checkpoint = MakeMem();
  ASSERT_TRUE(ReplaceFile((checkpoint.directory / "empty").string(), ""));
  checkpoint.files.insert(checkpoint.files.begin(), {"empty", 0, 0});
  checkpoint.files.push_back({"empty-2", 0, 0});
  ASSERT_TRUE(ReplaceFile((checkpoint.directory / "empty-2").string(), ""));
  ASSERT_TRUE(Receive(checkpoint));
  EXPECT_TRUE(Exists("incoming/77/empty"));
  EXPECT_TRUE(Exists("incoming/77/empty-2"));
}

TEST_F(CheckpointTest, AFormatNobodyKnowsIsRefused) {
  auto opened = OpenCheckpoint(receiver(), 99);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::kUnsupported);
}

TEST_F(CheckpointTest, ADamagedByteIsFoundAndNothingStays) {
  const Checkpoint checkpoint = MakeMem();
  {
    CheckpointReader reader(checkpoint);
    auto writer = Begin(checkpoint);
    Status written = Ok();
    for (auto part = reader.Next(kPartBytes); written && *part; part = reader.Next(kPartBytes)) {
      if ((*part)->offset == 2 * kPartBytes) (*part)->data[17] ^= 1;
      written = writer->Write((*part)->file, (*part)->offset, (*part)->data);
    }
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code(), ErrorCode::kCorruption);
    EXPECT_THAT(written.error().message(), HasSubstr("checksum"));
  }
  EXPECT_FALSE(Exists("incoming/77.part"));
  EXPECT_FALSE(Exists("incoming/77"));
}

TEST_F(CheckpointTest, PartsThatAreNotTheNextAreRefused) {
  const Checkpoint checkpoint = MakeMem();
  CheckpointReader reader(checkpoint);
  const CheckpointPart first = **reader.Next(kPartBytes);
  const CheckpointPart second = **reader.Next(kPartBytes);
  struct Case {
    uint32_t file;
    uint64_t offset;
    std::string data;
  };
  const std::vector<Case> wrong = {
      {0, second.offset, second.data},                               // one is missing
      {1, 0, first.data},                                            // another file
      {0, 0, ""},                                                    // nothing
      {0, 0, std::string(checkpoint.files[0].size_bytes + 1, 'x')},  // longer than the file
  };
  for (const Case& one : wrong) {
    auto writer = Begin(checkpoint);
    EXPECT_FALSE(writer->Write(one.file, one.offset, one.data)) << one.file << " " << one.offset;
  }
  auto writer = Begin(checkpoint);
  ASSERT_TRUE(writer->Write(0, 0, first.data));
  EXPECT_FALSE(writer->Write(0, 0, first.data)) << "twice";
  EXPECT_FALSE(writer->Complete()) << "not all came";
}

TEST_F(CheckpointTest, NamesThatLeaveTheDirectoryAreRefused) {
  for (const char* name : {"", ".", "..", "a/b", "/etc/passwd", "../x"}) {
    EXPECT_FALSE(CheckFiles({{name, 1, 0}})) << name;
  }
  EXPECT_FALSE(CheckFiles({{std::string("a\0b", 3), 1, 0}}));
  EXPECT_FALSE(CheckFiles({{"a", 1, 0}, {"a", 1, 0}}));
  EXPECT_FALSE(CheckFiles({}));
  EXPECT_TRUE(CheckFiles({{"000012.sst", 1, 0}, {"CURRENT", 0, 0}}));
}

TEST_F(CheckpointTest, WhatDoesNotFitIsRefusedBeforeItComes) {
  auto writer = CheckpointWriter::Begin(receiver(), kIndex, {{"rows", uint64_t{1} << 60, 0}});
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().code(), ErrorCode::kNoSpace);
}

TEST_F(CheckpointTest, AFileThatShrankIsNoticedByItsReader) {
  Checkpoint checkpoint = MakeMem();
  ++checkpoint.files[0].size_bytes;
  CheckpointReader reader(checkpoint);
  Result<std::optional<CheckpointPart>> part = std::optional<CheckpointPart>();
  do part = reader.Next(kPartBytes);
  while (part && *part);
  ASSERT_FALSE(part);
  EXPECT_EQ(part.error().code(), ErrorCode::kCorruption);
}

TEST_F(CheckpointTest, AFailedWriteIsToldAndNothingStays) {
  const Checkpoint checkpoint = MakeMem();
  ASSERT_TRUE(Failpoints::Parse("snapshot-write=2+error(no_space)"));
  const Status received = Receive(checkpoint);
  ASSERT_FALSE(received);
  EXPECT_EQ(received.error().code(), ErrorCode::kNoSpace);
  EXPECT_FALSE(Exists("incoming/77.part"));
}

// SIGKILL at each step of receiving and switching. Whatever is left, the start finds one state that
// opens, the old one before STATE was replaced and the new one after it, and clears the rest away.
TEST_F(CheckpointTest, AKillAtAnyStepLeavesOneState) {
  struct Step {
    const char* failpoint;
    bool installed;
  };
  const std::vector<Step> steps = {{"snapshot-write", false},       {"snapshot-write=3+", false},
                                   {"snapshot-file-synced", false}, {"snapshot-complete", false},
                                   {"snapshot-renamed", false},     {"install-begin", false},
                                   {"install-moved", false},        {"file-replace", false},
                                   {"file-replaced", true},         {"install-switched", true}};
  const Checkpoint checkpoint = MakeMem();
  for (const Step& step : steps) {
    ASSERT_TRUE(RemoveAll(receiver().string()));
    ASSERT_TRUE(OpenStateDir(receiver()));
    ASSERT_TRUE(MakeDirs((receiver() / "state-1").string()));
    std::string armed = step.failpoint;
    if (armed.find('=') == std::string::npos) armed += "=";
    EXPECT_EQ(KilledBy(armed + "crash",
                       [&] {
                         (void)Receive(checkpoint);
                         (void)SwitchState(receiver(), kIndex, 5);
                       }),
              SIGKILL)
        << step.failpoint;
    auto name = OpenStateDir(receiver());
    ASSERT_TRUE(name) << step.failpoint << ": " << name.error().ToString();
    EXPECT_EQ(name->index, step.installed ? kIndex : 0) << step.failpoint;
    ASSERT_TRUE(RemoveStaleStates(receiver(), *name));
    EXPECT_FALSE(Exists("incoming")) << step.failpoint;
    EXPECT_TRUE(FileExists((receiver() / name->directory).string())) << step.failpoint;
    EXPECT_NE(Exists("state-1"), Exists("state-2")) << step.failpoint;
    if (step.installed) {
      auto engine = MemEngine::OpenCheckpoint(receiver() / name->directory);
      ASSERT_TRUE(engine) << step.failpoint;
      EXPECT_EQ(GetRow(**engine, "k7"), Value(7));
    }
  }
}

TEST_F(CheckpointTest, TheFormerStateGoesWithItsLastReader) {
  const Path state = Path(sender_.path()) / "state-1";
  auto engine = *RocksEngine::Open(state, {});
  (void)Make(*engine);
  auto cursor = engine->Scan(Table::kVal, {}, {}, {});
  engine->RemoveWhenClosed();
  engine.reset();
  EXPECT_TRUE(FileExists(state.string())) << "a cursor still reads it";
  int rows = 0;
  for (; cursor->Valid(); cursor->Next()) ++rows;
  EXPECT_EQ(rows, 50);
  cursor.reset();
  EXPECT_FALSE(FileExists(state.string()));
}

}  // namespace
}  // namespace store::engine
