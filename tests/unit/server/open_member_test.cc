// SPDX-License-Identifier: Apache-2.0
// Real data directories as crashes, operators and other builds leave them: the state behind, at and
// ahead of what the log calls committed, a directory in use, formats of a newer program.
#include "store/apply/command.h"
#include "store/base/coding.h"
#include "store/base/crc32c.h"
#include "store/base/thread.h"
#include "store/engine/checkpoint.h"
#include "store/rpc/event_loop.h"
#include "store/rpc/http_router.h"
#include "store/rpc/server.h"
#include "store/server/bootstrap.h"
#include "store/server/process.h"
#include "store/server/remote_cluster.h"
#include "tests/unit/base/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fcntl.h>
#include <unistd.h>

namespace store::server {
namespace {

using raft::Index;
using raft::Term;
using testing::HasSubstr;

// Another member's peer port, as far as one that joins asks it.
class PeerPort {
 public:
  explicit PeerPort(ClusterId cluster) {
    AddMembersPage(router_, {.id = cluster, .read = [this] {
                               MutexLock lock(mutex_);
                               return lists_;
                             }});
    server_ = std::make_unique<rpc::Server>(methods_, router_, std::vector{&loop_});
    EXPECT_TRUE(server_->Listen("127.0.0.1:0"));
    loop_.Start();
    server_->Start();
    Know({});
  }
  ~PeerPort() { Stop(); }
  PeerPort(const PeerPort&) = delete;
  PeerPort& operator=(const PeerPort&) = delete;

  void Stop() { server_->Stop(); }
  std::string url() const { return "http://" + server_->addresses().front().ToString(); }
  void Know(cluster::MemberList members) {
    MutexLock lock(mutex_);
    lists_ = {std::make_shared<const cluster::MemberList>(std::move(members)),
              std::make_shared<const cluster::RemovedList>()};
  }

 private:
  SystemClock clock_;
  rpc::EventLoop loop_{LoopId(1), clock_, "other"};
  rpc::MethodTable methods_;
  rpc::HttpRouter router_;
  Mutex mutex_;
  MembersPage::Lists lists_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<rpc::Server> server_;
};

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

  void NameCluster(std::string members) {
    config_.initial_cluster = std::move(members);
    config_.wal_segment_bytes = ServerConfig().wal_segment_bytes;  // what a test uses is refused
    EXPECT_TRUE(config_.Finish());
    config_.wal_segment_bytes = 64 << 10;
  }

  static raft::EntryPtr MakePut(uint64_t index, uint64_t term = 1) {
    sluice::store::Command command;
    command.mutable_put()->set_key(fmt::format("key-{}", index));
    command.mutable_put()->set_value("value");
    return std::make_shared<const raft::Entry>(raft::Entry{
        Term(term), Index(index), raft::EntryKind::kCommand, apply::EncodeCommand({}, command)});
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
    EXPECT_EQ(member->machine->mvcc().current().value(), static_cast<int64_t>(applied));
    std::vector<raft::EntryPtr> missing;
    for (const raft::EntryPtr& entry : member->boot.raft.tail) {
      if (entry->index > Index(applied)) missing.push_back(entry);
    }
    size_t taken = 0;
    ASSERT_TRUE(member->machine->Apply(missing, &taken));
    EXPECT_EQ(taken, missing.size());
    EXPECT_EQ(member->machine->mvcc().current().value(), static_cast<int64_t>(last));
  }

  // The state of a member that is ahead, applied up to `index` of term 2, has arrived and was
  // switched to: an install that died before it emptied the log.
  void SwitchToSnapshotAt(uint64_t index) {
    ServerConfig ahead_config = config_;
    ahead_config.data_dir = directory_.path() + fmt::format("/ahead-{}", index);
    auto ahead = OpenMember(
        ahead_config, apply::ApplyLimits(), [](engine::EngineTrouble, const Error&) {}, Logger());
    ASSERT_TRUE(ahead) << ahead.error().ToString();
    for (uint64_t i = 2; i <= index; ++i) {
      const raft::EntryPtr entry = MakePut(i, 2);
      size_t taken = 0;
      ASSERT_TRUE(ahead->machine->Apply({&entry, 1}, &taken));
    }
    auto checkpoint = ahead->engine->MakeCheckpoint(directory_.path() + "/checkpoint");
    ASSERT_TRUE(checkpoint);
    const engine::Path root = config_.data_dir + "/member";
    auto writer = engine::CheckpointWriter::Begin(root, index, checkpoint->files);
    ASSERT_TRUE(writer) << writer.error().ToString();
    engine::CheckpointReader reader(*checkpoint);
    for (auto part = reader.Next(1 << 20); *part; part = reader.Next(1 << 20)) {
      ASSERT_TRUE((*writer)->Write((*part)->file, (*part)->offset, (*part)->data));
    }
    ASSERT_TRUE((*writer)->Complete());
    ASSERT_TRUE((*writer)->Commit());
    ASSERT_TRUE(engine::SwitchState(root, index, 2));
    ASSERT_TRUE(RemoveAll(checkpoint->directory.string()));
  }
  // The log starts behind (index, term 2), with `tail` entries.
  void ExpectLogBehind(uint64_t index, size_t tail) {
    auto member = Open();
    ASSERT_TRUE(member) << member.error().ToString();
    EXPECT_EQ(member->boot.raft.applied, Index(index));
    EXPECT_EQ(member->boot.raft.truncated, Index(index));
    EXPECT_EQ(member->boot.raft.truncated_term, Term(2));
    EXPECT_GE(member->boot.raft.hard_state.term, Term(2));
    EXPECT_EQ(member->boot.raft.tail.size(), tail);
    EXPECT_EQ(member->machine->mvcc().current().value(), static_cast<int64_t>(index));
  }

  TempDir directory_;
  ServerConfig config_;
};

TEST_F(OpenMemberTest, StateBehindTheLogIsReplayed) {
  {
    auto member = Open();
    ASSERT_TRUE(member) << member.error().ToString();
    EXPECT_TRUE(member->fresh);
    Log(*member, 2, 20, 12);
    Apply(*member, 2, 5);
    ASSERT_TRUE(member->engine->Flush());
    Apply(*member, 6, 12);  // in memory only: closing flushes nothing
  }
  ExpectBoot(5, 20);
}

// Revision 1 at (1, 1), as on every founder, also at the second start.
TEST_F(OpenMemberTest, FoundersBeginBehindAnEntryThatNobodySends) {
  for (int start = 0; start < 2; ++start) {
    auto member = Open();
    ASSERT_TRUE(member) << member.error().ToString();
    EXPECT_EQ(member->boot.raft.applied, Index(1));
    EXPECT_EQ(member->boot.raft.truncated, Index(1));
    EXPECT_EQ(member->boot.raft.truncated_term, Term(1));
    EXPECT_EQ(member->boot.raft.hard_state.term, Term(1));
    EXPECT_TRUE(member->boot.raft.tail.empty());
    EXPECT_EQ(member->machine->mvcc().current(), Revision(1));
  }
}

// Killed between the switch of STATE and the moment the emptied log is durable, also twice.
TEST_F(OpenMemberTest, AnInstallThatDiedBeforeTheLogWasEmptiedIsFinished) {
  {
    auto member = Open();
    ASSERT_TRUE(member) << member.error().ToString();
    Log(*member, 2, 20, 20);
    Apply(*member, 2, 20);
  }
  SwitchToSnapshotAt(30);
  ExpectLogBehind(30, 0);
  ExpectLogBehind(30, 0);
  EXPECT_FALSE(FileExists(config_.data_dir + "/member/state-1"));
  EXPECT_TRUE(FileExists(config_.data_dir + "/member/state-2"));
}

TEST_F(OpenMemberTest, AnInstallIntoAnEmptyMemberIsFinished) {
  ASSERT_TRUE(Open());
  SwitchToSnapshotAt(30);
  ExpectLogBehind(30, 0);
}

// What it had at the snapshot's place came from a deposed leader.
TEST_F(OpenMemberTest, ALogOfAnotherTermIsEmptiedAtTheSnapshot) {
  {
    auto member = Open();
    ASSERT_TRUE(member);
    Log(*member, 2, 40, 20);
    Apply(*member, 2, 20);
  }
  SwitchToSnapshotAt(30);
  ExpectLogBehind(30, 0);
}

TEST_F(OpenMemberTest, ALogThatWentOnAfterTheInstallIsKept) {
  ASSERT_TRUE(Open());
  SwitchToSnapshotAt(30);
  {
    auto member = Open();
    ASSERT_TRUE(member);
    raft::PersistUnit unit;
    unit.must_sync = true;
    unit.hard_state = raft::HardState{Term(3), raft::NodeId(), Index(30)};
    for (uint64_t index = 31; index <= 35; ++index) unit.entries.push_back(MakePut(index, 3));
    const raft::PersistUnit* group[] = {&unit};
    ASSERT_TRUE(member->log->Append(group));
  }
  ExpectLogBehind(30, 5);
}

// The log agrees with the snapshot and goes beyond it: nothing of it was acknowledged in vain.
TEST_F(OpenMemberTest, ALogThatHoldsTheSnapshotsEntryIsKept) {
  {
    auto member = Open();
    ASSERT_TRUE(member);
    raft::PersistUnit unit;
    unit.must_sync = true;
    unit.hard_state = raft::HardState{Term(2), raft::NodeId(), Index(10)};
    for (uint64_t index = 2; index <= 40; ++index) unit.entries.push_back(MakePut(index, 2));
    const raft::PersistUnit* group[] = {&unit};
    ASSERT_TRUE(member->log->Append(group));
  }
  SwitchToSnapshotAt(30);
  auto member = Open();
  ASSERT_TRUE(member) << member.error().ToString();
  EXPECT_EQ(member->boot.raft.truncated, Index(1));
  EXPECT_EQ(member->boot.raft.applied, Index(30));
  EXPECT_EQ(member->boot.raft.tail.size(), 39U);
}

TEST_F(OpenMemberTest, AnInstalledStateWithoutALogIsRefused) {
  ASSERT_TRUE(Open());
  SwitchToSnapshotAt(30);
  ASSERT_TRUE(RemoveAll(config_.data_dir + "/member/wal"));
  EXPECT_THAT(Refusal(), HasSubstr("there is no log"));
  EXPECT_TRUE(FileExists(config_.data_dir + "/member/state-2"));
}

// The install died when the snapshot had its final place but STATE named the old one.
TEST_F(OpenMemberTest, ASnapshotThatWasNotSwitchedToIsClearedAway) {
  {
    auto member = Open();
    ASSERT_TRUE(member);
    Log(*member, 2, 20, 20);
    Apply(*member, 2, 20);
    ASSERT_TRUE(member->engine->Flush());
  }
  const std::string root = config_.data_dir + "/member";
  for (const char* left : {"/state-2", "/incoming/30", "/incoming/31.part", "/outgoing/1"}) {
    ASSERT_TRUE(MakeDirs(root + left));
  }
  ExpectBoot(20, 20);
  for (const char* left : {"/state-2", "/incoming", "/outgoing"}) {
    EXPECT_FALSE(FileExists(root + left)) << left;
  }
}

TEST_F(OpenMemberTest, StateAtTheEndOfTheLogReplaysNothing) {
  {
    auto member = Open();
    ASSERT_TRUE(member);
    Log(*member, 2, 20, 20);
    Apply(*member, 2, 20);
    ASSERT_TRUE(member->engine->Flush());
  }
  ExpectBoot(20, 20);
}

// The commit index is written, not synced; what was applied was committed all the same.
TEST_F(OpenMemberTest, StateAheadOfTheLogsCommitIndexStarts) {
  {
    auto member = Open();
    ASSERT_TRUE(member);
    Log(*member, 2, 20, 3);
    Apply(*member, 2, 15);
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
    Log(*member, 2, 5, 5);
    Apply(*member, 2, 9);
    ASSERT_TRUE(member->engine->Flush());
  }
  EXPECT_THAT(Refusal(), HasSubstr("the log ends at index 5, but the state has applied 9"));
}

TEST_F(OpenMemberTest, AFirstStartThatWasInterruptedBeforeTheLogGoesOn) {
  {
    auto member = Open();
    ASSERT_TRUE(member);
  }
  const std::string wal = config_.data_dir + "/member/wal";
  auto names = ListDirectory(wal);
  ASSERT_TRUE(names);
  for (const std::string& name : *names) ASSERT_EQ(unlink(JoinPath(wal, name).c_str()), 0);
  auto member = Open();
  ASSERT_TRUE(member) << member.error().ToString();
  EXPECT_TRUE(member->boot.raft.tail.empty());
  EXPECT_EQ(member->boot.raft.truncated, Index(1));
  EXPECT_EQ(member->boot.raft.applied, Index(1));
}

// --force-new-cluster: everything in the log counts, and nobody else is left.
TEST_F(OpenMemberTest, ForcedToBeAloneTheMemberKeepsItsLogAndLeads) {
  NameCluster("default=http://localhost:2380,b=http://localhost:2390");
  {
    ASSERT_TRUE(Open());
  }
  config_.force_new_cluster = true;
  for (int round = 0; round < 2; ++round) {
    auto member = Open();
    ASSERT_TRUE(member) << member.error().ToString();
    EXPECT_EQ(member->boot.raft.tail.back()->index, Index(2)) << "once is enough";
    EXPECT_EQ(member->boot.raft.hard_state.commit, Index(2));
    std::span<const raft::EntryPtr> left(member->boot.raft.tail);
    left = left.subspan(member->boot.raft.applied - member->boot.raft.truncated);
    size_t taken = 0;
    ASSERT_TRUE(member->machine->Apply(left, &taken));
    EXPECT_EQ(member->machine->Read()->members->size(), 1u);
    EXPECT_EQ(member->machine->Read()->members->front().id, member->id);
    ASSERT_TRUE(member->engine->Flush());
  }
}

TEST_F(OpenMemberTest, ARunningClusterThatCannotBeAskedCannotBeJoined) {
  config_.initial_cluster_state = ClusterState::kExisting;
  NameCluster("default=http://localhost:2380,b=http://127.0.0.1:1");
  EXPECT_EQ(Refusal(),
            "cannot fetch cluster info from peer urls: could not retrieve cluster information from "
            "the given URLs");
}

// etcd's flow for a new peer URL: `member update`, then a start with it; the rest of the command
// line is of the day the cluster was founded. A name may change, too.
TEST_F(OpenMemberTest, BootstrapFlagsThatDisagreeRefuseAFirstStartOnly) {
  const std::string moved = "default=http://localhost:1,b=http://localhost:2390";
  const std::string renamed = "a=http://localhost:2380,b=http://localhost:2390";
  NameCluster(moved);
  EXPECT_EQ(Refusal(),
            "--initial-cluster has default=http://localhost:1 but --initial-advertise-peer-urls is "
            "http://localhost:2380");
  NameCluster(renamed);
  EXPECT_EQ(Refusal(), "couldn't find local name \"default\" in the initial cluster configuration");
  const std::string unreadable = "default";
  NameCluster(unreadable);
  EXPECT_EQ(Refusal(), "--initial-cluster: \"default\" is not name=peer-url");
  const std::string twice = "default=http://localhost:2380,b=http://localhost:2380";
  NameCluster(twice);
  EXPECT_EQ(Refusal(), "initial cluster \"" + twice + "\" has duplicate url http://localhost:2380");
  NameCluster("default=http://localhost:2380,b=http://localhost:2390");
  EXPECT_TRUE(Open());
  for (const std::string& flags : {moved, renamed, unreadable, twice}) {
    NameCluster(flags);
    auto member = Open();
    ASSERT_TRUE(member) << member.error().ToString();
    EXPECT_FALSE(member->fresh);
  }
}

// Nothing of its directory is wrong: it has not been told anything yet.
TEST_F(OpenMemberTest, OneThatJoinsAsksAtEachStartUntilASnapshotHasTold) {
  auto at = [](uint64_t id, std::string url) {
    cluster::Member member;
    member.id = raft::NodeId(id);
    member.peer_urls = {std::move(url)};
    return member;
  };
  PeerPort other(ClusterId(0xc));
  const cluster::MemberList both = {at(1, other.url()), at(2, "http://localhost:2380")};
  config_.initial_cluster_state = ClusterState::kExisting;
  NameCluster("b=" + other.url() + ",default=http://localhost:2380");
  other.Know(both);
  for (bool fresh : {true, false}) {
    auto member = Open();
    ASSERT_TRUE(member) << member.error().ToString();
    EXPECT_EQ(member->fresh, fresh);
    EXPECT_EQ(member->remotes, both);
  }
  other.Know({both.front()});
  EXPECT_EQ(Refusal(), "no member that answers knows member 2 of cluster c yet");
  other.Stop();
  EXPECT_EQ(Refusal(),
            "cannot fetch cluster info from peer urls: could not retrieve cluster information from "
            "the given URLs");
  PeerPort foreign(ClusterId(0xd));
  NameCluster("b=" + foreign.url() + ",default=http://localhost:2380");
  EXPECT_EQ(Refusal(),
            "the members at --initial-cluster are of cluster d, this one is of cluster c");
}

// It was announced with its URLs when it was added; etcd does not compare them again.
TEST_F(OpenMemberTest, OneThatJoinsIsKnownByTheUrlsOfTheInitialCluster) {
  NameCluster("default=http://127.0.0.1:2,b=http://127.0.0.1:1");
  config_.initial_cluster_state = ClusterState::kExisting;
  EXPECT_THAT(Refusal(), HasSubstr("cannot fetch cluster info from peer urls"));
}

TEST_F(OpenMemberTest, ADirectoryInUseIsWaitedForUntilASignalComes) {
  auto first = std::make_unique<Result<Member>>(Open());
  ASSERT_TRUE(*first);
  const sigset_t signals = BlockSignals();
  ASSERT_EQ(raise(SIGTERM), 0);
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
