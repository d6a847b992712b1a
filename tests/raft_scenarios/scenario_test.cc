// SPDX-License-Identifier: Apache-2.0
// Runs every file of data/ (README.md describes the commands). One test per file, named after it.
#include "store/base/check.h"
#include "tests/raft_scenarios/data_driven.h"
#include "tests/raft_scenarios/group.h"
#include "tests/raft_scenarios/print.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

namespace store::raft {
namespace {

std::vector<NodeId> ParseNodes(const std::string& text) {
  std::vector<NodeId> nodes;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) nodes.emplace_back(std::stoull(word));
  return nodes;
}

std::string_view Name(ProposeResult result) {
  switch (result) {
    case ProposeResult::kAppended:
      return "appended";
    case ProposeResult::kForwarded:
      return "forwarded";
    case ProposeResult::kNoLeader:
      return "no leader";
    case ProposeResult::kTooMuchUncommitted:
      return "too much uncommitted";
    case ProposeResult::kConfChangePending:
      return "conf change pending";
  }
  return "?";
}

class Scenario {
 public:
  std::string Run(const Command& command) {
    std::string printed = Dispatch(command);
    group_.Check();
    return printed;
  }

 private:
  std::string Dispatch(const Command& command) {
    const auto& table = Table();
    auto at = table.find(command.name);
    CHECK(at != table.end(), "unknown command {}", command.name);
    return (this->*at->second)(command);
  }

  using Verb = std::string (Scenario::*)(const Command&);
  static const std::map<std::string, Verb>& Table() {
    static const std::map<std::string, Verb> table = {{"add", &Scenario::Add},
                                                      {"restart", &Scenario::Restart},
                                                      {"campaign", &Scenario::Campaign},
                                                      {"tick", &Scenario::Tick},
                                                      {"propose", &Scenario::Propose},
                                                      {"conf-change", &Scenario::ProposeChange},
                                                      {"read", &Scenario::Read},
                                                      {"transfer", &Scenario::Transfer},
                                                      {"process", &Scenario::Process},
                                                      {"persist", &Scenario::Persist},
                                                      {"apply", &Scenario::Apply},
                                                      {"flush", &Scenario::Flush},
                                                      {"deliver", &Scenario::Deliver},
                                                      {"drop", &Scenario::Drop},
                                                      {"stabilize", &Scenario::Stabilize},
                                                      {"status", &Scenario::Status},
                                                      {"log", &Scenario::Log},
                                                      {"network", &Scenario::Network},
                                                      {"truncate", &Scenario::Truncate},
                                                      {"unreachable", &Scenario::Unreachable},
                                                      {"snapshots", &Scenario::Snapshots}};
    return table;
  }

  Raft& At(const Command& command) { return *group_.At(NodeId(command.Word(0))).raft; }

  std::string Add(const Command& command) {
    ConfState conf;
    conf.voters = ParseNodes(command.values.at("voters"));
    if (command.Has("learners")) conf.learners = ParseNodes(command.values.at("learners"));
    Config config;
    config.pre_vote = command.Value("pre-vote", 1) != 0;
    config.check_quorum = command.Value("check-quorum", 1) != 0;
    config.message_bytes_max = command.Value("message-bytes", config.message_bytes_max);
    config.lease_reads = command.Value("lease-reads", 0) != 0;
    config.inflight_bytes_max = command.Value("inflight-bytes", config.inflight_bytes_max);
    config.inflight_messages_max = command.Value("inflight", config.inflight_messages_max);
    config.apply_bytes_max = command.Value("apply-bytes", config.apply_bytes_max);
    config.uncommitted_bytes_max = command.Value("uncommitted-bytes", config.uncommitted_bytes_max);
    config.window_bytes_max = command.Value("window-bytes", config.window_bytes_max);
    for (const std::string& word : command.words) {
      config.id = NodeId(std::stoull(word));
      config.seed = config.id.value();
      group_.Add(config, conf);
    }
    return {};
  }
  std::string Restart(const Command& command) {
    group_.RestartMember(NodeId(command.Word(0)));
    return {};
  }
  std::string Campaign(const Command& command) {
    At(command).Campaign();
    return {};
  }
  std::string Tick(const Command& command) {
    for (uint64_t i = 0; i < command.Value("n", 1); ++i) At(command).Tick();
    return {};
  }
  std::string Propose(const Command& command) {
    std::vector<std::string> commands(command.words.begin() + 1, command.words.end());
    return std::string(Name(At(command).Propose(std::move(commands))));
  }
  std::string ProposeChange(const Command& command) {
    ConfChange change;
    if (command.Has("add"))
      change = {ConfChangeKind::kAddVoter, NodeId(command.Value("add", 0)), {}};
    if (command.Has("learner")) {
      change = {ConfChangeKind::kAddLearner, NodeId(command.Value("learner", 0)), {}};
    }
    if (command.Has("remove")) {
      change = {ConfChangeKind::kRemove, NodeId(command.Value("remove", 0)), {}};
    }
    return std::string(Name(At(command).ProposeConfChange(change)));
  }
  std::string Read(const Command& command) {
    return fmt::format("batch {}", At(command).RequestRead());
  }
  std::string Transfer(const Command& command) {
    At(command).TransferLeadership(NodeId(command.Value("to", 0)));
    return {};
  }
  std::string Process(const Command& command) {
    std::string text = group_.Process(NodeId(command.Word(0)));
    return text.empty() ? "  (nothing)" : text;
  }
  std::string Persist(const Command& command) {
    return group_.Persist(NodeId(command.Word(0)), command.Value("through", 0));
  }
  std::string Apply(const Command& command) {
    group_.Apply(NodeId(command.Word(0)));
    return fmt::format("applied {}", group_.At(NodeId(command.Word(0))).applied);
  }
  std::string Flush(const Command& command) {
    group_.Flush(NodeId(command.Word(0)));
    return {};
  }
  std::string Deliver(const Command& command) {
    return fmt::format("{} delivered", group_.Deliver(NodeId(command.Value("to", 0))));
  }
  std::string Drop(const Command& command) {
    size_t dropped = group_.Drop(NodeId(command.Value("from", 0)), NodeId(command.Value("to", 0)));
    return fmt::format("{} dropped", dropped);
  }
  std::string Stabilize(const Command& command) {
    std::vector<NodeId> except;
    if (command.Has("except")) except = ParseNodes(command.values.at("except"));
    group_.Stabilize(except);
    return {};
  }
  std::string Status(const Command& command) {
    if (!command.words.empty()) return ToString(At(command).status());
    std::string text;
    for (auto& [node, member] : group_.members()) text += ToString(member.raft->status()) + "\n";
    return text;
  }
  std::string Unreachable(const Command& command) {
    At(command).OnUnreachable(NodeId(command.Value("peer", 0)));
    return {};
  }
  // Whether snapshots of a member reach their peer.
  std::string Snapshots(const Command& command) {
    group_.At(NodeId(command.Word(0))).snapshots_fail = command.Value("fail", 0) != 0;
    return {};
  }
  // What the disk of a member holds.
  std::string Log(const Command& command) {
    const UnitDisk& disk = group_.At(NodeId(command.Word(0))).disk;
    std::string text = fmt::format("term {} vote {} commit {} behind {}@{}", disk.hard_state.term,
                                   disk.hard_state.vote, disk.hard_state.commit, disk.truncated,
                                   disk.truncated_term);
    for (const EntryPtr& entry : disk.entries) text += "\n  " + Print(*entry);
    return text;
  }
  std::string Network(const Command&) {
    std::string text;
    for (const Envelope& envelope : group_.network()) text += "  " + Print(envelope) + "\n";
    return text.empty() ? "  (nothing)" : text;
  }
  // The state is flushed and the log cut behind `through`.
  std::string Truncate(const Command& command) {
    Index through(command.Value("through", 0));
    group_.Flush(NodeId(command.Word(0)));
    At(command).TruncateLog(through);
    group_.At(NodeId(command.Word(0))).disk.TruncatePrefix(through);
    return {};
  }

  Group group_;
};

std::vector<std::string> Files() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(SCENARIO_DIR)) {
    if (file.path().extension() == ".txt") names.push_back(file.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class ScenarioTest : public testing::TestWithParam<std::string> {};

TEST_P(ScenarioTest, PrintsWhatTheFileSays) {
  Scenario scenario;
  RunFile(std::string(SCENARIO_DIR) + "/" + GetParam() + ".txt",
          [&](const Command& command) { return scenario.Run(command); });
}

// What a file begins with, as one line.
std::string FirstComment(const std::string& path) {
  std::ifstream file(path);
  std::string comment;
  for (std::string line; std::getline(file, line) && line.starts_with("#");) {
    comment += line.substr(1);
  }
  return comment;
}

// A story without a source is only what the code happens to do.
TEST_P(ScenarioTest, BeginsWithWhatItCoversAndItsSource) {
  const std::string comment = FirstComment(std::string(SCENARIO_DIR) + "/" + GetParam() + ".txt");
  EXPECT_TRUE(std::regex_search(
      comment, std::regex(R"(\b((thesis|architecture) [0-9]+(\.[0-9]+)*|etcd [0-9]{4,5})\b)")))
      << "no section of the thesis or of the architecture, no issue of etcd in: " << comment;
}

INSTANTIATE_TEST_SUITE_P(Data, ScenarioTest, testing::ValuesIn(Files()),
                         [](const auto& file) { return file.param; });

}  // namespace
}  // namespace store::raft
