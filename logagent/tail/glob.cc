// SPDX-License-Identifier: Apache-2.0
#include "logagent/tail/glob.h"

#include "logagent/model/model.h"

#include <algorithm>
#include <cstdint>
#include <fnmatch.h>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

namespace logagent {
namespace {

class Walk {
 public:
  Walk(const FileSystem& files, std::vector<std::string> components)
      : files_(files), components_(std::move(components)) {}

  GlobMatch Run(const Path& root) {
    Visit(root, 0, 0);
    std::sort(match_.files.begin(), match_.files.end());
    match_.files.erase(std::unique(match_.files.begin(), match_.files.end()), match_.files.end());
    std::sort(match_.directories.begin(), match_.directories.end());
    match_.directories.erase(std::unique(match_.directories.begin(), match_.directories.end()),
                             match_.directories.end());
    return std::move(match_);
  }

 private:
  void Visit(const Path& directory, size_t at, size_t depth) {
    if (depth > kGlobDepthMax || match_.truncated) {
      match_.truncated = true;
      return;
    }
    const std::string& component = components_[at];
    bool last = at + 1 == components_.size();
    if (component == "**") {
      VisitAnyDepth(directory, at, depth);
      return;
    }
    auto names = files_.List(directory);
    if (!names) {
      return;  // not a directory, gone, or not ours to see: Discover reports what a person named
    }
    match_.directories.push_back(directory);
    for (const DirectoryEntry& entry : *names) {
      if (fnmatch(component.c_str(), entry.name.c_str(), FNM_PATHNAME | FNM_PERIOD) != 0) {
        continue;
      }
      if (!last) {
        Visit(directory / entry.name, at + 1, depth + 1);
      } else if (!entry.directory) {
        AddFile(directory / entry.name);
      }
    }
  }

  // `**`: this directory and everything below it takes the rest of the pattern. As the last
  // component it means every file.
  void VisitAnyDepth(const Path& directory, size_t at, size_t depth) {
    if (!FirstVisit(directory, at)) {
      return;
    }
    bool last = at + 1 == components_.size();
    if (!last) {
      Visit(directory, at + 1, depth + 1);
    }
    auto names = files_.List(directory);
    if (!names) {
      return;
    }
    match_.directories.push_back(directory);
    // In order, so that of two names of a directory it is always the same one that is followed.
    std::ranges::sort(*names, {}, &DirectoryEntry::name);
    for (const DirectoryEntry& entry : *names) {
      if (entry.name.starts_with('.')) {
        continue;
      }
      if (entry.directory) {
        Visit(directory / entry.name, at, depth + 1);
      } else if (last) {
        AddFile(directory / entry.name);
      }
    }
  }

  // Links make circles, and two of them in one directory more ways through it than can be walked.
  bool FirstVisit(const Path& directory, size_t at) {
    auto facts = files_.StatPath(directory);
    return !facts || visited_.emplace(facts->device, facts->inode, at).second;
  }

  void AddFile(Path path) {
    if (match_.files.size() >= kGlobFilesMax) {
      match_.truncated = true;
      return;
    }
    match_.files.push_back(std::move(path));
  }

  const FileSystem& files_;
  const std::vector<std::string> components_;
  // What `**` went through: device, inode, and which of the pattern's components it is.
  std::set<std::tuple<uint64_t, uint64_t, size_t>> visited_;
  GlobMatch match_;
};

using Parts = std::vector<std::string>;

bool PartsMatch(const Parts& pattern, size_t at, const Parts& path, size_t from);

// The rest of the pattern after `**` matches from some component on; none that is skipped is
// hidden.
bool MatchesAnyDepth(const Parts& pattern, size_t at, const Parts& path, size_t from) {
  for (; from < path.size(); ++from) {
    if (at == pattern.size() || PartsMatch(pattern, at, path, from)) {
      return true;
    }
    if (path[from].starts_with('.')) {
      return false;
    }
  }
  return false;
}

bool PartsMatch(const Parts& pattern, size_t at, const Parts& path, size_t from) {
  for (; at < pattern.size(); ++at, ++from) {
    if (pattern[at] == "**") {
      return MatchesAnyDepth(pattern, at + 1, path, from);
    }
    if (from >= path.size() ||
        fnmatch(pattern[at].c_str(), path[from].c_str(), FNM_PATHNAME | FNM_PERIOD) != 0) {
      return false;
    }
  }
  return from == path.size();
}

Parts PartsOf(const Path& path) {
  Parts parts;
  for (const Path& part : path) {
    if (!part.empty() && part != ".") {
      parts.push_back(part.string());
    }
  }
  return parts;
}

}  // namespace

bool MatchesGlob(const std::string& pattern, const Path& path) {
  return HasGlobCharacters(pattern) && PartsMatch(PartsOf(Path(pattern)), 0, PartsOf(path), 0);
}

Path NearestDirectory(const FileSystem& files, const Path& path) {
  Path at = path;
  while (at.has_relative_path()) {
    if (files.List(at)) {
      return at;
    }
    at = at.parent_path();
  }
  return path.is_absolute() ? Path("/") : Path(".");
}

Result<GlobMatch> WalkGlob(const FileSystem& files, const std::string& pattern) {
  Path root;
  std::vector<std::string> components;
  for (const Path& part : Path(pattern)) {
    if (components.empty() && !HasGlobCharacters(part.string())) {
      root /= part;
    } else if (!part.empty()) {
      components.push_back(part.string());
    }
  }
  if (components.empty()) {
    return store::Fail(store::ErrorCode::kInvalidArgument,
                       pattern + ": a pattern must end with the name of a file");
  }
  if (root.empty()) {
    root = ".";
  }
  GlobMatch match = Walk(files, std::move(components)).Run(root);
  if (match.directories.empty()) {
    match.directories.push_back(NearestDirectory(files, root));
  }
  return match;
}

}  // namespace logagent
