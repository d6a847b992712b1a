// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/explain.h"

#include "logagent/tail/discovery.h"
#include "logagent/tail/glob.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fnmatch.h>
#include <iterator>
#include <utility>

namespace logagent {
namespace {

using Json = nlohmann::json;

constexpr size_t kNearMissesMax = 5;

std::vector<std::string> PartsOf(const std::string& path) {
  std::vector<std::string> parts;
  for (const Path& part : Path(path)) {
    parts.push_back(part.string());
  }
  return parts;
}

struct Miss {
  size_t level = 0;  // components that match
  std::string why;
};

Miss MissOf(const std::string& pattern, const Path& path) {
  std::vector<std::string> wanted = PartsOf(pattern);
  std::vector<std::string> given = PartsOf(path.string());
  for (size_t at = 0; at < wanted.size() && at < given.size(); ++at) {
    if (wanted[at] == "**") {
      return {at, "nothing that `**` could stand for makes it match"};
    }
    bool hidden = given[at].starts_with('.') && !wanted[at].starts_with('.');
    if (fnmatch(wanted[at].c_str(), given[at].c_str(), FNM_PATHNAME | FNM_PERIOD) != 0) {
      bool by_dot = hidden && fnmatch(wanted[at].c_str(), given[at].c_str(), FNM_PATHNAME) == 0;
      return {at, by_dot ? fmt::format("\"{}\" is hidden, and \"{}\" does not begin with a dot",
                                       given[at], wanted[at])
                         : fmt::format("\"{}\" does not match \"{}\"", given[at], wanted[at])};
    }
  }
  bool deeper = given.size() > wanted.size();
  return {std::min(wanted.size(), given.size()),
          deeper ? "the file is in a directory below (`**` means any depth)"
                 : "the pattern names a directory level more"};
}

bool Means(const std::string& pattern, const Path& path) {
  return path.native() == pattern || MatchesGlob(pattern, path);
}

std::string Progress(const AgentAccount::File& file) {
  std::string text =
      fmt::format("read to {}, acknowledged to {} of {}", file.read, file.acked, file.size);
  if (file.lag_seconds > 0) {
    text += fmt::format(", {:.1f} s behind", file.lag_seconds);
  }
  return text;
}

class Explainer {
 public:
  Explainer(FileSystem& files, const Path& path, const AgentAccount& account)
      : files_(files), path_(path), account_(account), facts_(files.StatPath(path)) {}

  Explanation Run() {
    Say("{}", path_.string());
    Look();
    size_t matching = 0;
    for (const AgentAccount::Entry& entry : account_.entries) {
      if (Means(entry.path, path_)) {
        ++matching;
        ExplainEntry(entry);
      }
    }
    for (const AgentAccount::File& file : account_.files) {
      if (IsThis(file) && !Means(file.pattern, path_) && IsListed(file)) {
        ++matching;
        Say("  entry {} -> {}: collected it under a name that matches and still has it: {}, {}",
            file.pattern, file.topic, file.state, Progress(file));
        result_.collected = true;
      }
    }
    if (matching == 0) {
      SayMisses();
    }
    Say("  ({})", account_.source);
    return std::move(result_);
  }

 private:
  template <class... Args>
  void Say(fmt::format_string<Args...> format, Args&&... args) {
    result_.text += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }

  // The file as this user sees it.
  void Look() {
    if (!facts_) {
      trouble_ = facts_.error().code() == store::ErrorCode::kNotFound ? "there is no such file"
                                                                      : facts_.error().message();
    } else if (!facts_->regular) {
      trouble_ = "it is not a regular file";
    } else if (auto opened = files_.Open(path_); !opened) {
      trouble_ = opened.error().message();
    } else {
      Say("  regular file, {} bytes, inode {}, readable by this user", facts_->size, facts_->inode);
    }
    if (!trouble_.empty()) {
      Say("  {}", trouble_);
    }
    if (auto link = files_.FollowLink(path_)) {
      Say("  symbolic link to {}", link->target.string());
    }
  }

  bool IsThis(const AgentAccount::File& file) const {
    return facts_ && file.inode == facts_->inode && file.device == facts_->device;
  }

  // Checkpoints of entries that were removed stay.
  bool IsListed(const AgentAccount::File& file) const {
    return std::any_of(account_.entries.begin(), account_.entries.end(), [&](const auto& entry) {
      return entry.path == file.pattern && entry.topic == file.topic;
    });
  }

  void ExplainEntry(const AgentAccount::Entry& entry) {
    Say("  entry {} -> {}: the name matches", entry.path, entry.topic);
    if (!PatternMeans(entry.path, path_)) {
      Say("    excluded: a compressed leftover of rotation; name the suffix in the pattern to "
          "collect it");
      return;
    }
    if (!entry.state.empty() && entry.state != "RUNNING") {
      Say("    the entry is {}{}{}", entry.state, entry.text.empty() ? "" : ": ", entry.text);
    }
    bool known = false;
    for (const AgentAccount::File& file : account_.files) {
      bool same = file.pattern == entry.path && file.topic == entry.topic;
      if (same && (IsThis(file) || (!facts_ && file.path == path_.native()))) {
        known = true;
        SayFile(file);
      }
    }
    if (!known) {
      SayUnknown(entry);
    }
  }

  void SayFile(const AgentAccount::File& file) {
    bool held = file.state == "held back";
    result_.collected = result_.collected || !held;
    Say("    {}: {}, {}", held ? "not collected yet" : "collected", file.state, Progress(file));
    if (file.path != path_.native()) {
      Say("    under its other name {}", file.path);
    }
    if (!file.error.empty()) {
      Say("    {}", file.error);
    }
  }

  void SayUnknown(const AgentAccount::Entry& entry) {
    if (!trouble_.empty()) {
      Say("    not collected: {}", trouble_);
      return;
    }
    if (account_.running) {
      Say("    not collected yet: the agent has not seen it (it scans each minute, or each second "
          "where it cannot watch), or cannot: is it another user than you, or in another mount "
          "namespace?");
      return;
    }
    result_.collected = true;
    Say("    no checkpoint: the agent would start at its {}",
        entry.applied ? "beginning" : "end, for it has never applied this entry");
  }

  void SayMisses() {
    if (account_.entries.empty()) {
      Say("  not collected: the list has no entry");
      return;
    }
    std::vector<std::pair<Miss, const AgentAccount::Entry*>> misses;
    misses.reserve(account_.entries.size());
    for (const AgentAccount::Entry& entry : account_.entries) {
      misses.emplace_back(MissOf(entry.path, path_), &entry);
    }
    std::stable_sort(misses.begin(), misses.end(),
                     [](const auto& a, const auto& b) { return a.first.level > b.first.level; });
    Say("  not collected: no pattern of {} matches; the nearest:", misses.size());
    misses.resize(std::min(misses.size(), kNearMissesMax));
    for (const auto& [miss, entry] : misses) {
      Say("    {} -> {}: {}", entry->path, entry->topic, miss.why);
    }
  }

  FileSystem& files_;
  const Path& path_;
  const AgentAccount& account_;
  const Result<FileFacts> facts_;
  std::string trouble_;
  Explanation result_;
};

// Throws what the library throws when a member is of another type than the agent's.
AgentAccount ReadPages(const Json& document, const Json& table) {
  AgentAccount account;
  account.running = true;
  account.source =
      fmt::format("as the running agent {} says, version {}", document.value("id", std::string()),
                  document.value("version", std::string()));
  for (const Json& entry : document.at("entries")) {
    account.entries.push_back(
        {entry.value("path", std::string()), entry.value("topic", std::string()),
         entry.value("state", std::string()), entry.value("text", std::string()), true});
  }
  for (const Json& file : table) {
    AgentAccount::File& row = account.files.emplace_back();
    row.pattern = file.value("pattern", std::string());
    row.topic = file.value("topic", std::string());
    row.path = file.value("path", std::string());
    row.device = file.value("device", uint64_t{0});
    row.inode = file.value("inode", uint64_t{0});
    row.size = file.value("size", uint64_t{0});
    row.read = file.value("read", uint64_t{0});
    row.acked = file.value("acked", uint64_t{0});
    row.lag_seconds = file.value("lag_seconds", 0.0);
    row.state = file.value("state", std::string());
    row.error = file.value("error", std::string());
  }
  return account;
}

}  // namespace

Result<AgentAccount> AccountOfPages(const std::string& status, const std::string& files) {
  Json document = Json::parse(status, nullptr, /*allow_exceptions=*/false);
  Json table = Json::parse(files, nullptr, /*allow_exceptions=*/false);
  const auto foreign = [] {
    return store::Fail(store::ErrorCode::kInvalidArgument, "what answers there is no agent");
  };
  if (!document.is_object() || !table.is_array()) return foreign();
  try {
    return ReadPages(document, table);
  } catch (const Json::exception&) {
    return foreign();
  }
}

AgentAccount AccountOfState(const std::vector<EntryConfig>& entries, const SavedState& state) {
  AgentAccount account;
  account.source = "no agent answers: from its list and its checkpoints";
  for (const EntryConfig& entry : entries) {
    account.entries.push_back({entry.path, entry.topic, "", "",
                               state.entries.contains(EntryKey(entry.path, entry.topic))});
  }
  for (const SavedFile& saved : state.files) {
    size_t nul = saved.entry.find('\0');
    AgentAccount::File& row = account.files.emplace_back();
    row.pattern = saved.entry.substr(0, nul);
    row.topic = nul == std::string::npos ? "" : saved.entry.substr(nul + 1);
    row.path = saved.path;
    row.device = saved.file.device;
    row.inode = saved.file.inode;
    row.size = saved.size_seen;
    row.read = row.acked = saved.offset;
    row.state = saved.state == FileState::kFinished ? "finished" : "checkpointed";
  }
  return account;
}

Explanation Explain(FileSystem& files, const Path& path, const AgentAccount& account) {
  return Explainer(files, path, account).Run();
}

}  // namespace logagent
