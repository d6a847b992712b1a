// SPDX-License-Identifier: Apache-2.0
// Explain: why one file is or is not collected. It compares the name with the entries' patterns,
// looks at the file as the caller's user sees it, and puts beside it what the agent says: a running
// one by its pages /status and /debug/files, a stopped one by its list and its checkpoints. Pure
// over the FileSystem seam, on the caller's thread; the text names at most a few entries that do
// not match.
#pragma once

#include "logagent/checkpoint/store.h"
#include "logagent/model/model.h"
#include "logagent/tail/file_system.h"

#include <cstdint>
#include <string>
#include <vector>

namespace logagent {

// What an agent says about its entries and files.
struct AgentAccount {
  struct Entry {
    std::string path;
    std::string topic;
    std::string state;  // empty: the agent does not run
    std::string text;
    bool applied = false;  // known from before: new files start at their beginning
  };
  struct File {
    std::string pattern;  // the entry's
    std::string topic;
    std::string path;
    uint64_t device = 0;
    uint64_t inode = 0;
    uint64_t size = 0;
    uint64_t read = 0;
    uint64_t acked = 0;
    double lag_seconds = 0;
    std::string state;
    std::string error;
  };
  bool running = false;
  std::string source;  // one line: whom this comes from
  std::vector<Entry> entries;
  std::vector<File> files;
};

// From the pages /status and /debug/files of a running agent.
Result<AgentAccount> AccountOfPages(const std::string& status, const std::string& files);
AgentAccount AccountOfState(const std::vector<EntryConfig>& entries, const SavedState& state);

struct Explanation {
  bool collected = false;  // by one entry at least, now or as soon as the agent runs
  std::string text;
};
Explanation Explain(FileSystem& files, const Path& path, const AgentAccount& account);

}  // namespace logagent
