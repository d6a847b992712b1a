// SPDX-License-Identifier: Apache-2.0
#include "logagent/tail/discovery.h"

#include "logagent/model/model.h"

#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <system_error>
#include <utility>

namespace logagent {
namespace {

constexpr std::array<std::string_view, 6> kCompressedSuffixes = {".gz",  ".bz2", ".xz",
                                                                 ".zst", ".lz4", ".zip"};

bool IsCompressedLeftover(const std::string& pattern, const Path& path) {
  if (!HasGlobCharacters(pattern) || path.string() == pattern) {
    return false;
  }
  return std::any_of(kCompressedSuffixes.begin(), kCompressedSuffixes.end(),
                     [&](std::string_view suffix) {
                       return path.native().ends_with(suffix) && !pattern.ends_with(suffix);
                     });
}

// A link's target changes in its own directory, so that one must be watched too.
void AddLinkTarget(const Path& path, std::vector<Path>& directories) {
  std::error_code error;
  if (!std::filesystem::is_symlink(path, error)) {
    return;
  }
  Path target = std::filesystem::canonical(path, error);
  if (!error) {
    directories.push_back(target.parent_path());
  }
}

void NoteError(const store::Error& error, Found& found) {
  if (found.error.empty()) {
    found.error = error.message();
    found.denied = error.message().find("ermission denied") != std::string::npos;
  }
}

}  // namespace

Result<Found> Discover(const FileSystem& files, const std::string& pattern) {
  Found found;
  auto match = files.Glob(pattern);
  if (!match) {
    NoteError(match.error(), found);
    found.directories.push_back(Path(pattern).parent_path());
    return found;
  }
  absl::flat_hash_set<std::pair<uint64_t, uint64_t>> seen;
  found.directories = std::move(match->directories);
  for (Path& path : match->files) {
    if (IsCompressedLeftover(pattern, path)) {
      continue;
    }
    auto facts = files.StatPath(path);
    if (!facts) {
      if (facts.error().code() != store::ErrorCode::kNotFound) {
        NoteError(facts.error(), found);
      }
      continue;
    }
    if (!facts->regular) {
      if (found.error.empty() && !HasGlobCharacters(pattern)) {
        found.error = path.string() + ": not a regular file";
      }
      continue;
    }
    AddLinkTarget(path, found.directories);
    if (seen.emplace(facts->device, facts->inode).second) {
      found.files.push_back({std::move(path), *facts});
    }
  }
  std::sort(found.directories.begin(), found.directories.end());
  found.directories.erase(std::unique(found.directories.begin(), found.directories.end()),
                          found.directories.end());
  return found;
}

Result<Path> FindByInode(const FileSystem& files, const Path& last_path, uint64_t device,
                         uint64_t inode) {
  Path directory = last_path.has_parent_path() ? last_path.parent_path() : Path(".");
  auto names = files.List(directory);
  RETURN_IF_ERROR(names);
  for (const DirectoryEntry& entry : *names) {
    if (entry.inode != inode || entry.directory) {
      continue;
    }
    Path path = directory / entry.name;
    auto facts = files.StatPath(path);
    if (facts && facts->device == device && facts->inode == inode) {
      return path;
    }
  }
  return store::Fail(store::ErrorCode::kNotFound,
                     last_path.string() + ": no name of its directory leads to the file any more");
}

}  // namespace logagent
