// SPDX-License-Identifier: Apache-2.0
#include "logagent/tail/discovery.h"

#include "logagent/model/model.h"
#include "logagent/tail/glob.h"

#include <absl/container/flat_hash_set.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
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

// Links on the way to the files: when one is switched, it is its own directory that hears of it.
void WatchLinks(const FileSystem& files, const std::string& pattern, Found& found) {
  std::vector<Path> links;
  Path prefix;
  for (const Path& part : Path(pattern).parent_path()) {
    if (HasGlobCharacters(part.string())) {
      break;
    }
    prefix /= part;
    links.push_back(prefix);
  }
  links.insert(links.end(), found.directories.begin(), found.directories.end());
  for (const Path& link : links) {
    if (auto trail = files.FollowLink(link)) {
      found.directories.push_back(link.has_parent_path() ? link.parent_path() : Path("."));
      for (const Path& hop : trail->directories) {
        found.directories.push_back(hop);
      }
    }
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
  if (match->truncated) {
    found.error = fmt::format(
        "{}: only {} files of it are collected, not more and none deeper than {} "
        "directories: name fewer, in several entries",
        pattern, kGlobFilesMax, kGlobDepthMax);
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
    Path target;
    if (auto trail = files.FollowLink(path)) {
      target = std::move(trail->target);
      found.directories.insert(found.directories.end(), trail->directories.begin(),
                               trail->directories.end());
    }
    if (seen.emplace(facts->device, facts->inode).second) {
      found.files.push_back({std::move(path), *facts, std::move(target)});
    }
  }
  WatchLinks(files, pattern, found);
  std::sort(found.directories.begin(), found.directories.end());
  found.directories.erase(std::unique(found.directories.begin(), found.directories.end()),
                          found.directories.end());
  return found;
}

bool IsCompressed(std::string_view name) {
  return std::any_of(kCompressedSuffixes.begin(), kCompressedSuffixes.end(),
                     [&](std::string_view suffix) { return name.ends_with(suffix); });
}

bool IsRotatedName(std::string_view name, std::string_view base) {
  if (base.empty() || !name.starts_with(base) || name.size() < base.size() + 2) {
    return false;
  }
  std::string_view suffix = name.substr(base.size());
  return std::string_view(".-_").find(suffix.front()) != std::string_view::npos &&
         suffix.find_first_of("0123456789") != std::string_view::npos &&
         suffix.find_first_not_of("0123456789.-_:TZ") == std::string_view::npos;
}

bool PatternMeans(const std::string& pattern, const Path& path) {
  if (IsCompressedLeftover(pattern, path)) {
    return false;
  }
  return path.native() == pattern || MatchesGlob(pattern, path);
}

}  // namespace logagent
