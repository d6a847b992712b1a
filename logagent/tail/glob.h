// SPDX-License-Identifier: Apache-2.0
// Glob: the walk behind FileSystem::Glob. The part of the pattern before its first glob character
// is resolved once; only the rest is walked, by directory listings without a stat per name.
// Symbolic links to directories are followed where the pattern names a component, not by `**`, so a
// loop of links ends. Pure over the FileSystem seam, on the caller's thread; bounded by
// kGlobFilesMax files and kGlobDepthMax levels.
#pragma once

#include "logagent/tail/file_system.h"

#include <cstddef>
#include <string>

namespace logagent {

inline constexpr size_t kGlobFilesMax = 100'000;
inline constexpr size_t kGlobDepthMax = 64;

// `pattern` has glob characters and does not exist literally.
Result<GlobMatch> WalkGlob(const FileSystem& files, const std::string& pattern);

// Whether the walk would find a file of this name; `path` is as the walk would spell it.
bool MatchesGlob(const std::string& pattern, const Path& path);

// `path` itself, or the nearest ancestor that is a directory.
Path NearestDirectory(const FileSystem& files, const Path& path);

}  // namespace logagent
