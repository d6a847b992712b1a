// SPDX-License-Identifier: Apache-2.0
// What a machine may run out of: descriptors, watches, room for the state, a writable state
// directory, the directories themselves. The agent goes on with what it can, says what it cannot
// and recovers by itself. Limits and mounts are those of a user namespace of the agent's own.
#include "tests/agent/child_process.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace logagent::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class ResourcesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(scratch_ / "logs");
    broker_ = std::make_unique<ChildProcess>(
        std::vector<std::string>{Program("sluice-devbroker"), "--port",
                                 std::to_string(broker_port_), "--topics", "web:1,other:1"},
        scratch_ / "broker.log");
    ASSERT_TRUE(WaitUntil([&] { return broker_->Output().find("is ready") != std::string::npos; }));
  }
  // `before`: what starts the agent, with its arguments.
  void StartAgent(const std::vector<std::string>& before, const std::string& pattern) {
    std::ofstream(scratch_ / "settings.yaml") << fmt::format(
        "agent: {{id: test, state_dir: {}, admin: 127.0.0.1:{}}}\nkafka: {{brokers: "
        "[127.0.0.1:{}]}}\nentries: [{{path: \"{}\", topic: web}}, {{path: \"{}\", topic: "
        "other}}]\n",
        scratch_ / "state", admin_port_, broker_port_, scratch_ / pattern, scratch_ / "plain.log");
    std::vector<std::string> argv = before;
    argv.insert(argv.end(), {Program("sluice-agent"), "-c", scratch_ / "settings.yaml"});
    agent_ = std::make_unique<ChildProcess>(argv, scratch_ / "agent.log");
    ASSERT_TRUE(WaitUntil([&] { return Status().contains("entries"); })) << agent_->Output();
  }
  // In a namespace where `script` may mount and set limits; then it is the agent.
  void StartInNamespace(const std::string& script, const std::string& pattern) {
    StartAgent({"unshare", "-rm", "sh", "-c", script + " && exec \"$@\"", "sh"}, pattern);
  }
  bool InNamespace(const std::string& script) const {
    Finished done = RunProgram({"nsenter", "-t", std::to_string(agent_->pid()), "-U", "-m",
                                "--preserve-credentials", "sh", "-c", script});
    EXPECT_EQ(done.exit_code, 0) << script << ": " << done.output;
    return done.exit_code == 0;
  }
  // What a restart in the namespace would go on with.
  std::string SavedRows() const {
    return RunProgram({"nsenter", "-t", std::to_string(agent_->pid()), "-U", "-m",
                       "--preserve-credentials", Program("sluice-agent"), "-c",
                       scratch_ / "settings.yaml", "checkpoint", "list"})
        .output;
  }
  // A file as the agent sees it.
  std::string Inside(const std::string& name) const {
    return fmt::format("/proc/{}/root{}", agent_->pid(), scratch_ / name);
  }

  json Status() const {
    Finished got =
        RunProgram({"curl", "-s", fmt::format("http://127.0.0.1:{}/status", admin_port_)});
    json status = json::parse(got.output, nullptr, /*allow_exceptions=*/false);
    return status.is_object() ? status : json::object();
  }
  std::string Text(const std::string& name) const { return Status().value(name, ""); }
  std::string EntryText() const {
    json status = Status();
    return status.contains("entries") ? status["entries"][0].value("text", "") : "(no answer)";
  }
  std::multiset<std::string> Arrived(const std::string& topic) const {
    std::istringstream stream(RunProgram({"kcat", "-b", fmt::format("127.0.0.1:{}", broker_port_),
                                          "-C", "-t", topic, "-e", "-q", "-o", "beginning"})
                                  .output);
    std::multiset<std::string> lines;
    for (std::string line; std::getline(stream, line);) lines.insert(line);
    return lines;
  }
  void ExpectArrived(const std::string& topic, const std::multiset<std::string>& wanted) const {
    std::multiset<std::string> got;
    EXPECT_TRUE(WaitUntil([&] { return (got = Arrived(topic)) == wanted; }))
        << topic << ": " << got.size() << " of " << wanted.size() << " lines\n"
        << Status().dump(1);
  }

  ScratchDirectory scratch_;
  int broker_port_ = FreePort();
  int admin_port_ = FreePort();
  std::unique_ptr<ChildProcess> broker_;
  std::unique_ptr<ChildProcess> agent_;
};

TEST_F(ResourcesTest, SixtyFourDescriptorsAreEnoughForAHundredFiles) {
  StartAgent({"prlimit", "--nofile=64"}, "logs/*.log");
  std::multiset<std::string> wanted;
  for (const char* round : {"first", "second"}) {
    for (int i = 0; i < 100; ++i) {
      wanted.insert(fmt::format("{} of {}", round, i));
      Append(scratch_ / fmt::format("logs/{}.log", i), fmt::format("{} of {}\n", round, i));
    }
    ExpectArrived("web", wanted);
  }
  std::filesystem::directory_iterator fds(fmt::format("/proc/{}/fd", agent_->pid()));
  EXPECT_LE(std::distance(begin(fds), end(fds)), 64);
  EXPECT_TRUE(WaitUntil([&] { return Text("state") == "APPLIED" && EntryText().empty(); }))
      << Status().dump(1);
}

TEST_F(ResourcesTest, DirectoriesWithoutAWatchAreScannedAndWatchedAgain) {
  std::multiset<std::string> wanted;
  for (int i = 0; i < 20; ++i) {
    std::filesystem::create_directory(scratch_ / fmt::format("logs/{}", i));
  }
  StartInNamespace("echo 8 > /proc/sys/user/max_inotify_watches", "logs/*/a.log");
  for (int i = 0; i < 20; ++i) {
    wanted.insert(fmt::format("of {}", i));
    Append(scratch_ / fmt::format("logs/{}/a.log", i), fmt::format("of {}\n", i));
  }
  ExpectArrived("web", wanted);
  EXPECT_THAT(EntryText(), HasSubstr("no inotify watch left"));
  EXPECT_THAT(Text("watch_error"), HasSubstr("fs.inotify.max_user_watches"));
  ASSERT_TRUE(InNamespace("echo 100 > /proc/sys/user/max_inotify_watches"));
  EXPECT_TRUE(WaitUntil([&] { return EntryText().empty() && Text("watch_error").empty(); }))
      << Status().dump(1);
}

TEST_F(ResourcesTest, FullStateDirectoryIsToldAndWaitedOut) {
  std::filesystem::create_directory(scratch_ / "state");
  StartInNamespace(fmt::format("mount -t tmpfs -o size=600k tmpfs {}", scratch_ / "state"),
                   "logs/*.log");
  std::multiset<std::string> wanted;
  ASSERT_TRUE(WaitUntil([&] { return Text("checkpoint_error").empty(); }));
  std::ofstream(Inside("state/fill")) << std::string(1 << 20, 'x');
  // More rows than the last page of the log has room for.
  for (int i = 0; i < 100; ++i) {
    wanted.insert(fmt::format("line {}", i));
    Append(scratch_ / fmt::format("logs/{}.log", i), fmt::format("line {}\n", i));
  }
  EXPECT_TRUE(WaitUntil([&] { return !Text("checkpoint_error").empty(); })) << Status().dump(1);
  EXPECT_THAT(Text("checkpoint_error"), HasSubstr("No space left"));
  wanted.insert("meanwhile");
  Append(scratch_ / "logs/1.log", "meanwhile\n");
  ExpectArrived("web", wanted);
  std::filesystem::remove(Inside("state/fill"));
  EXPECT_TRUE(WaitUntil([&] { return Text("checkpoint_error").empty(); })) << Status().dump(1);
  EXPECT_TRUE(WaitUntil([&] { return SavedRows().find("logs/99.log") != std::string::npos; }));
  wanted.insert("after");
  Append(scratch_ / "logs/1.log", "after\n");
  ExpectArrived("web", wanted);
}

TEST_F(ResourcesTest, ReadOnlyStateDirectoryIsToldAndUsedOnceItCanBeWritten) {
  std::filesystem::create_directory(scratch_ / "state");
  StartInNamespace(fmt::format("mount -t tmpfs -o ro tmpfs {}", scratch_ / "state"), "logs/*.log");
  EXPECT_THAT(Text("state_error"), HasSubstr("Read-only file system"));
  Append(scratch_ / "logs/a.log", "one\n");
  ExpectArrived("web", {"one"});
  ASSERT_TRUE(InNamespace("mount -o remount,rw " + scratch_ / "state"));
  EXPECT_TRUE(WaitUntil([&] {
    return Text("state_error").empty() && Text("checkpoint_error").empty();
  })) << Status().dump(1);
  // What was read before is in it.
  EXPECT_TRUE(WaitUntil([&] { return SavedRows().find("logs/a.log") != std::string::npos; }));
}

TEST_F(ResourcesTest, DirectoryThatVanishesAndComesBackIsCollectedAgain) {
  StartAgent({}, "logs/*.log");
  Append(scratch_ / "logs/a.log", "one\n");
  ExpectArrived("web", {"one"});
  std::filesystem::remove_all(scratch_ / "logs");
  EXPECT_TRUE(WaitUntil([&] { return Status()["entries"][0]["state"] == "NO_MATCH"; }))
      << Status().dump(1);
  EXPECT_THAT(EntryText(), HasSubstr("no file matches"));
  Append(scratch_ / "plain.log", "beside\n");
  ExpectArrived("other", {"beside"});
  std::filesystem::create_directory(scratch_ / "logs");
  Append(scratch_ / "logs/a.log", "two\n");
  ExpectArrived("web", {"one", "two"});
}

TEST_F(ResourcesTest, MountThatGoesAndComesBackGoesOnWhereItWasLeft) {
  std::filesystem::create_directory(scratch_ / "disk");
  StartInNamespace(fmt::format("mount -t tmpfs tmpfs {0} && mount --bind {0} {1}",
                               scratch_ / "disk", scratch_ / "logs"),
                   "logs/*.log");
  Append(Inside("logs/a.log"), "one\n");
  ExpectArrived("web", {"one"});
  ASSERT_TRUE(InNamespace("umount -l " + scratch_ / "logs"));
  Append(Inside("disk/a.log"), "while it is away\n");
  Append(scratch_ / "plain.log", "beside\n");
  ExpectArrived("other", {"beside"});
  ASSERT_TRUE(InNamespace(fmt::format("mount --bind {} {}", scratch_ / "disk", scratch_ / "logs")));
  Append(Inside("logs/a.log"), "back\n");
  ExpectArrived("web", {"one", "while it is away", "back"});
}

}  // namespace
}  // namespace logagent::testing
