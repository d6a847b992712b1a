// SPDX-License-Identifier: Apache-2.0
// The whole job with real programs: an operator puts a list with etcdctl, lines arrive in Kafka,
// the list changes while everything runs, the agent is killed, the store or the broker is away.
#include "tests/agent/child_process.h"
#include "tests/agent/etcd_server.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <signal.h>
#include <sstream>
#include <string>
#include <vector>

namespace logagent::testing {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kKey[] = "/logagent/10.1.2.3/collect_config";

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

class Broker {
 public:
  explicit Broker(const std::string& directory) : log_(directory + "/broker.log") {}

  bool Start() {
    process_ = std::make_unique<ChildProcess>(
        std::vector<std::string>{Program("sluice-devbroker"), "--port", std::to_string(port_),
                                 "--topics", "web:1,web2:1,other:1"},
        log_);
    return WaitUntil([this] { return process_->Output().find("is ready") != std::string::npos; });
  }
  std::string address() const { return fmt::format("127.0.0.1:{}", port_); }
  // Everything on the topic now.
  std::vector<std::string> Consume(const std::string& topic) const {
    return Lines(
        RunProgram({"kcat", "-b", address(), "-C", "-t", topic, "-e", "-q", "-o", "beginning"})
            .output);
  }

 private:
  int port_ = FreePort();
  std::string log_;
  std::unique_ptr<ChildProcess> process_;
};

class EndToEndTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(settings_) << fmt::format(
        "agent: {{ip: 10.1.2.3, id: test, state_dir: {}, admin: 127.0.0.1:{}}}\n"
        "store: {{endpoints: [{}], timeout: 2s}}\n"
        "kafka: {{brokers: [{}]}}\n",
        scratch_ / "state", admin_port_, store_.endpoint(), broker_.address());
  }
  void StartAgent() {
    agent_ = std::make_unique<ChildProcess>(
        std::vector<std::string>{Program("sluice-agent"), "-c", settings_}, scratch_ / "agent.log");
  }
  void StartAll() {
    ASSERT_TRUE(store_.Start());
    ASSERT_TRUE(broker_.Start());
    StartAgent();
  }
  std::string Log(const std::string& name) const { return scratch_ / name; }

  std::string Http(const std::string& path) const {
    return RunProgram({"curl", "-s", fmt::format("http://127.0.0.1:{}{}", admin_port_, path)})
        .output;
  }
  json Status() const { return json::parse(Http("/status"), nullptr, /*allow_exceptions=*/false); }

  // The list as the agent runs it: "path>topic:STATE" for each.
  std::string Running() const {
    json status = Status();
    if (!status.contains("entries")) return "(no answer)";
    std::string out;
    for (const json& entry : status["entries"]) {
      out += fmt::format("{}>{}:{} ", std::string(entry["path"]).substr(scratch_.path().size() + 1),
                         std::string(entry["topic"]), std::string(entry["state"]));
    }
    return out;
  }
  bool BecomesRunning(const std::string& wanted) const {
    if (WaitUntil([&] { return Running() == wanted; })) return true;
    ADD_FAILURE() << "runs: " << Running() << "\nwanted: " << wanted << "\n" << Http("/status");
    return false;
  }

  // {"a.log", "web"} pairs.
  std::string List(const std::vector<std::pair<std::string, std::string>>& entries) const {
    json list = json::array();
    for (const auto& [name, topic] : entries) {
      list.push_back({{"path", scratch_ / name}, {"topic", topic}});
    }
    return list.dump();
  }
  bool Arrives(const std::string& topic, const std::vector<std::string>& wanted) const {
    std::vector<std::string> got;
    if (WaitUntil([&] { return (got = broker_.Consume(topic)) == wanted; })) return true;
    ADD_FAILURE() << topic << " has: " << ::testing::PrintToString(got) << "\n" << Http("/status");
    return false;
  }

  ScratchDirectory scratch_;
  EtcdServer store_{scratch_.path()};
  Broker broker_{scratch_.path()};
  int admin_port_ = FreePort();
  std::string settings_ = scratch_ / "settings.yaml";
  std::unique_ptr<ChildProcess> agent_;
};

TEST_F(EndToEndTest, FollowsTheListWhileItChanges) {
  StartAll();
  Append(Log("a.log"), "before the entry\n");
  ASSERT_TRUE(store_.Put(kKey, List({{"a.log", "web"}})));
  ASSERT_TRUE(BecomesRunning("a.log>web:RUNNING "));
  Append(Log("a.log"), "one\ntwo\n");
  ASSERT_TRUE(Arrives("web", {"one", "two"}));

  // Another topic for the path, live: what comes goes there, nothing twice.
  ASSERT_TRUE(store_.Put(kKey, List({{"a.log", "web2"}})));
  ASSERT_TRUE(BecomesRunning("a.log>web2:RUNNING "));
  Append(Log("a.log"), "three\n");
  ASSERT_TRUE(Arrives("web2", {"three"}));

  // An entry more; its file appears later and is read from its beginning.
  ASSERT_TRUE(store_.Put(kKey, List({{"a.log", "web2"}, {"b-*.log", "other"}})));
  ASSERT_TRUE(BecomesRunning("a.log>web2:RUNNING b-*.log>other:NO_MATCH "));
  Append(Log("b-1.log"), "first\n");
  ASSERT_TRUE(Arrives("other", {"first"}));

  // A list that is wrong changes nothing and is reported.
  ASSERT_TRUE(store_.Put(kKey, "[{\"path\":7}]"));
  ASSERT_TRUE(WaitUntil([&] { return Status().value("state", "") == "FAILED"; }));
  EXPECT_EQ(Status()["error"], "1:10: \"path\" must be a string, this is a number");
  Append(Log("b-1.log"), "second\n");
  ASSERT_TRUE(Arrives("other", {"first", "second"}));

  // An entry less, as a course program writes it; the other one does not notice.
  std::string opened = "sluice_agent_entry_files_opened_total{path=\"" + Log("a.log") + "\"";
  ASSERT_THAT(Http("/metrics"), HasSubstr(opened));
  ASSERT_TRUE(store_.Put(kKey, List({{"a.log", "web2"}})));
  ASSERT_TRUE(BecomesRunning("a.log>web2:RUNNING "));
  Append(Log("b-1.log"), "nobody reads this\n");
  Append(Log("a.log"), "four\n");
  ASSERT_TRUE(Arrives("web2", {"three", "four"}));
  EXPECT_THAT(broker_.Consume("other"), ElementsAre("first", "second"));
  EXPECT_THAT(Http("/metrics"), HasSubstr(opened + ",topic=\"web2\"} 1\n"));

  EXPECT_EQ(Http("/healthz"), "ok\n");
  agent_->Signal(SIGTERM);
  EXPECT_EQ(agent_->WaitForExit(std::chrono::seconds(20)), 0);
  // The live key goes with the lease.
  EXPECT_THAT(store_.Etcdctl({"get", "/logagent/_/live/test"}).output, IsEmpty());
  EXPECT_THAT(store_.Etcdctl({"get", "/logagent/_/status/test"}).output, HasSubstr("APPLIED"));
}

TEST_F(EndToEndTest, AKilledAgentLosesNothing) {
  StartAll();
  Append(Log("a.log"), "");
  ASSERT_TRUE(store_.Put(kKey, List({{"a.log", "web"}})));
  ASSERT_TRUE(BecomesRunning("a.log>web:RUNNING "));
  constexpr int kRounds = 5;
  constexpr int kLines = 2000;
  std::set<std::string> written;
  for (int round = 0; round < kRounds; ++round) {
    std::string text;
    for (int i = 0; i < kLines; ++i) {
      std::string line = fmt::format("{} {}", round, i);
      written.insert(line);
      text += line + "\n";
      if (i % 100 != 0) continue;
      Append(Log("a.log"), text);
      text.clear();
      if (i == kLines / 2) agent_->Kill();
    }
    Append(Log("a.log"), text);
    StartAgent();
    ASSERT_TRUE(BecomesRunning("a.log>web:RUNNING "));
  }
  std::set<std::string> arrived;
  EXPECT_TRUE(WaitUntil([&] {
    auto lines = broker_.Consume("web");
    arrived.insert(lines.begin(), lines.end());
    return arrived.size() >= written.size();
  })) << arrived.size()
      << " of " << written.size();
  EXPECT_EQ(arrived, written);
}

TEST_F(EndToEndTest, WithTheStoreAwayItUsesTheLastGoodListAndComesBack) {
  StartAll();
  Append(Log("a.log"), "");
  ASSERT_TRUE(store_.Put(kKey, List({{"a.log", "web"}})));
  ASSERT_TRUE(BecomesRunning("a.log>web:RUNNING "));
  agent_->Kill();
  store_.Kill();
  StartAgent();
  ASSERT_TRUE(BecomesRunning("a.log>web:RUNNING "));
  EXPECT_EQ(Status()["source"], "last good");
  Append(Log("a.log"), "without the store\n");
  ASSERT_TRUE(Arrives("web", {"without the store"}));
  ASSERT_TRUE(store_.Start());
  ASSERT_TRUE(store_.Put(kKey, List({{"a.log", "web2"}})));
  ASSERT_TRUE(BecomesRunning("a.log>web2:RUNNING "));
  EXPECT_EQ(Status()["source"], "store");
}

TEST_F(EndToEndTest, StoreAndBrokerMayComeAfterTheAgent) {
  StartAgent();
  ASSERT_TRUE(WaitUntil([&] { return Http("/healthz") == "ok\n"; }));
  ASSERT_TRUE(store_.Start());
  ASSERT_TRUE(store_.Put(kKey, List({{"a.log", "web"}})));
  ASSERT_TRUE(WaitUntil([&] { return Running().starts_with("a.log>web:"); }));
  Append(Log("a.log"), "early\n");
  ASSERT_TRUE(broker_.Start());
  ASSERT_TRUE(Arrives("web", {"early"}));
  ASSERT_TRUE(BecomesRunning("a.log>web:RUNNING "));
}

TEST_F(EndToEndTest, ADeletedKeyStopsTheTasksAfterItsGrace) {
  StartAll();
  ASSERT_TRUE(store_.Put(kKey, List({{"a.log", "web"}})));
  ASSERT_TRUE(WaitUntil([&] { return Running() == "a.log>web:NO_MATCH "; }));
  ASSERT_EQ(store_.Etcdctl({"del", kKey}).exit_code, 0);
  ASSERT_TRUE(BecomesRunning(""));
  EXPECT_TRUE(agent_->Running());
}

TEST_F(EndToEndTest, TheCoursesIniStartsTheAgentUnchanged) {
  ASSERT_TRUE(store_.Start());
  ASSERT_TRUE(broker_.Start());
  std::ofstream(scratch_ / "config.ini") << fmt::format(
      "[kafka]\naddress={}\nchan_max_size=100000\n[etcd]\naddress={}\ntimeout=5\n"
      "collect_log_key=/logagent/%s/collect_config\n",
      broker_.address(), store_.endpoint());
  agent_ = std::make_unique<ChildProcess>(
      std::vector<std::string>{Program("sluice-agent"), "-c", scratch_ / "config.ini", "--ip",
                               "10.1.2.3", "--state-dir", scratch_ / "state", "--admin",
                               fmt::format("127.0.0.1:{}", admin_port_)},
      scratch_ / "agent.log");
  ASSERT_TRUE(store_.Put(kKey, List({{"a.log", "web"}})));
  ASSERT_TRUE(BecomesRunning("a.log>web:NO_MATCH "));
  Append(Log("a.log"), "from the course\n");
  EXPECT_TRUE(Arrives("web", {"from the course"}));
}

struct BadStart {
  std::vector<std::string> arguments;
  std::string settings;
  int exit_code;
  std::string message;
};
class BadStartTest : public ::testing::TestWithParam<BadStart> {};

TEST_P(BadStartTest, EndsWithOneClearMessage) {
  ScratchDirectory scratch;
  std::string file = scratch / "settings.yaml";
  std::ofstream(file) << GetParam().settings;
  std::vector<std::string> argv = {Program("sluice-agent"), "-c",        file, "--state-dir",
                                   scratch / "state",       "--no-admin"};
  argv.insert(argv.end(), GetParam().arguments.begin(), GetParam().arguments.end());
  Finished finished = RunProgram(argv);
  EXPECT_EQ(finished.exit_code, GetParam().exit_code) << finished.output;
  EXPECT_THAT(finished.output, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadStartTest,
    ::testing::Values(
        BadStart{{"--frobnicate"}, "", 2, "--frobnicate"}, BadStart{{"dance"}, "", 2, "dance"},
        BadStart{{"-c", "/nonexistent.yaml"}, "", 2, "--config"},
        BadStart{{}, "kafka:\n  broker: x\n", 1, "settings.yaml:2:3: kafka.broker: unknown key"},
        BadStart{{}, "kafka: {brokers: [a:b]}", 1, "kafka.brokers: a:b: \"b\" is not a port"},
        BadStart{{}, "kafka: {properties: {no.such.thing: 1}}", 1, "no.such.thing"},
        BadStart{{}, "agent: {", 1, "settings.yaml:"},
        BadStart{{"check"}, "kafka: {properties: {linger.ms: soon}}", 1, "linger.ms"},
        BadStart{{"check"}, "", 0, "settings ok"},
        BadStart{{"check", "-f", "/nonexistent.json"}, "", 1, "/nonexistent.json"},
        BadStart{{"check", "-f", "/dev/null"}, "", 1, "/dev/null:1:1: the text is empty"},
        BadStart{{"--version"}, "", 0, "sluice-agent "},
        BadStart{{"--help"}, "", 0, "--state-dir"}));

}  // namespace
}  // namespace logagent::testing
