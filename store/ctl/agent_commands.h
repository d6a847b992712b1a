// SPDX-License-Identifier: Apache-2.0
// agent list: the fleet, from the documents that agents keep in the store
// (proto/agent_status.proto) and the revisions of the lists they should have. Reads only. Memory:
// the documents of all agents. One thread.
#pragma once

#include "agent_status.pb.h"
#include "store/ctl/command.h"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace store::ctl {

std::span<const Command> AgentCommands();

// What is known of one agent.
struct AgentRow {
  std::string id;
  bool live = false;
  bool has_status = false;
  sluice::agent::Live live_document;
  sluice::agent::Status status;
  int64_t wanted_revision = 0;  // of the list of one of its addresses; 0: none
};

// Joins the documents by id; `wanted` holds the mod revisions of the lists by address.
std::vector<AgentRow> MakeAgentRows(const std::map<std::string, std::string>& live,
                                    const std::map<std::string, std::string>& status,
                                    const std::map<std::string, int64_t>& wanted);
// The cells of the list, and their names.
const std::vector<std::string>& AgentColumns();
std::vector<std::string> AgentCells(const AgentRow& row);

}  // namespace store::ctl
