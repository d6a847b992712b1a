// SPDX-License-Identifier: Apache-2.0
// Real data directories as crashes, operators and other builds leave them: the state behind, at and
// ahead of what the log calls committed, a directory in use, formats of a newer program.
#include "store/apply/command.h"
#include "store/base/coding.h"
#include "store/base/crc32c.h"
#include "store/server/bootstrap.h"
#include "store/server/process.h"
#include "tests/unit/base/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

namespace store::server {
namespace {

using raft::Index;
using raft::Term;
using testing::HasSubstr;

class OpenMemberTest : public testing::Test {
 protected:
  OpenMemberTest() {
    config_.data_dir = directory_.path() + "/data";
    EXPECT_TRUE(config_.Finish());
    config_.wal_segment_bytes = 64 << 10;
  }

  Result<Member> Open() {
    return OpenMember(
        config_, apply::ApplyLimits(), [](engine::EngineTrouble, const Error&) {}, Logger());
  }
  std::string Refusal() {
    auto member = Open();
    EXPECT_FALSE(member);
    return member ? "" : member.error().message();
  }

  static raft::EntryPtr MakePut(uint64_t index) {
    sluice::store::Command command;
    command.mutable_put()->set_key(fmt::format("key-{}", index));
    command.mutable_put()->set_value("value");
    return std::make_shared<const raft::Entry>(raft::Entry{
        Term(1), Index(index), raft::EntryKind::kCommand, apply::EncodeCommand({}, command)});
  }
  // Entries [first, last] made durable; the hard state says `commit`.
  static void Log(Member& member, uint64_t first, uint64_t last, uint64_t commit) {
    raft::PersistUnit unit;
    unit.must_sync = true;
    unit.hard_state = raft::HardState{Term(1), member.id, Index(commit)};
    for (uint64_t index = first; index <= last; ++index) unit.entries.push_back(MakePut(index));
    const raft::PersistUnit* group[] = {&unit};
    ASSERT_TRUE(member.log->Append(group));
  }
  static void Apply(Member& member, uint64_t first, uint64_t last) {
    for (uint64_t index = first; index <= last; ++index) {
      const raft::EntryPtr entry = MakePut(index);
      size_t taken = 0;
      ASSERT_TRUE(member.machine->Apply({&entry, 1}, &taken));
    }
  }
  // What the next life starts from, and the entries it still has to apply.
  void ExpectBoot(uint64_t applied, uint64_t last) {
    auto member = Open();
    ASSERT_TRUE(member) << member.error().ToString();
    EXPECT_FALSE(member->fresh);
    EXPECT_EQ(member->boot.raft.applied, Index(applied));
    ASSERT_FALSE(member->boot.raft.tail.empty());
    EXPECT_EQ(member->boot.raft.tail.back()->index, Index(last));
    EXPECT_EQ(member->machine->mvcc().current().value(), static_cast<int64_t>(1 + applied));
    std::vector<raft::EntryPtr> missing;
    for (const raft::EntryPtr& entry : member->boot.raft.tail) {
      if (entry->index > Index(applied)) missing.push_back(entry);
    }
    size_t taken = 0;
    ASSERT_TRUE(member->machine->Apply(missing, &taken));
    EXPECT_EQ(taken, missing.size());
    EXPECT_EQ(member->machine->mvcc().current().value(), static_cast<int64_t>(1 + last));
  }

  TempDir directory_;
  ServerConfig config_;
};

TEST_F(OpenMemberTest, StateBehindTheLogIsReplayed) {
  {
    auto member = Open();
    ASSERT_TRUE(member) << member.error().ToString();
    EXPECT_TRUE(member->fresh);
    Log(*member, 1, 20, 12);
    Apply(*member, 1, 5);
    ASSERT_TRUE(member->engine->Flush());
    Apply(*member, 6, 12);  // in memory only: closing flushes nothing
  }
  ExpectBoot(5, 20);
}

TEST_F(OpenMemberTest, StateAtTheEndOfTheLogReplaysNothing) {
  {
    auto member = Open();
    ASSERT_TRUE(member);
    Log(*member, 1, 20, 20);
    Apply(*member, 1, 20);
    ASSERT_TRUE(member->engine->Flush());
  }
  ExpectBoot(20, 20);
}

// The commit index is written, not synced; what was applied was committed all the same.
TEST_F(OpenMemberTest, StateAheadOfTheLogsCommitIndexStarts) {
  {
    auto member = Open();
    ASSERT_TRUE(member);
    Log(*member, 1, 20, 3);
    Apply(*member, 1, 15);
    ASSERT_TRUE(member->engine->Flush());
  }
  ExpectBoot(15, 20);
  auto member = Open();
  ASSERT_TRUE(member);
  raft::Config config;
  config.id = member->id;
  raft::Raft raft(config, std::move(member->boot.raft));
  EXPECT_EQ(raft.position().commit, Index(15));
}

TEST_F(OpenMemberTest, StateAheadOfTheLogsEndIsRefused) {
  {
    auto member = Open();
    ASSERT_TRUE(member);
    Log(*member, 1, 5, 5);
    Apply(*member, 1, 9);
    ASSERT_TRUE(member->engine->Flush());
  }
  EXPECT_THAT(Refusal(), HasSubstr("the log ends at index 5, but the state has applied 9"));
}

TEST_F(OpenMemberTest, ADirectoryInUseIsWaitedForUntilASignalComes) {
  auto first = std::make_unique<Result<Member>>(Open());
  ASSERT_TRUE(*first);
  const sigset_t signals = BlockSignals();
  ASSERT_EQ(pthread_kill(pthread_self(), SIGTERM), 0);
  EXPECT_THAT(Refusal(), HasSubstr("is in use by another process"));
  EXPECT_EQ(WaitForSignal(signals), SIGTERM);
  first.reset();
  EXPECT_TRUE(Open());
}

// Writes `bytes` over `path` at `offset`.
void Overwrite(const std::string& path, uint64_t offset, std::string_view bytes) {
  auto file = OpenFile(path, O_RDWR);
  ASSERT_TRUE(file);
  ASSERT_EQ(pwrite(file->get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)),
            static_cast<ssize_t>(bytes.size()));
}

TEST_F(OpenMemberTest, ALogOfANewerFormatIsRefused) {
  ASSERT_TRUE(Open());
  const std::string wal = config_.data_dir + "/member/wal";
  auto names = ListDirectory(wal);
  ASSERT_TRUE(names);
  const std::string path = wal + "/" + names->front();
  auto bytes = ReadFile(path);
  ASSERT_TRUE(bytes);
  // magic u64 · version u32 · size u32 · … · crc32c
  std::string header = bytes->substr(0, LoadLittleEndian32(bytes->data() + 12));
  StoreLittleEndian32(wal::kFormatVersion + 1, header.data() + 8);
  AppendLittleEndian32(&header, Crc32c(header));
  Overwrite(path, 0, header);
  const std::string refusal = Refusal();
  EXPECT_THAT(refusal, HasSubstr(path));
  EXPECT_THAT(refusal, HasSubstr("log format 2, this program reads 1"));
}

TEST_F(OpenMemberTest, AStateFileOfANewerFormatIsRefused) {
  ASSERT_TRUE(Open());
  std::string text = "sluice-state 2 state-1 0 0";
  text += fmt::format(" {:08x}\n", Crc32c(text));
  ASSERT_TRUE(ReplaceFile(config_.data_dir + "/member/STATE", text));
  EXPECT_THAT(Refusal(), HasSubstr("STATE"));
  // Nothing was thrown away over it.
  EXPECT_TRUE(FileExists(config_.data_dir + "/member/state-1"));
}

}  // namespace
}  // namespace store::server
