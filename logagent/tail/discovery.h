// SPDX-License-Identifier: Apache-2.0
// Discovery: which files a pattern means now, and which directories must be watched to hear of the
// next one. Stateless over the FileSystem seam, on the caller's thread; a walk ends at
// kGlobFilesMax files.
#pragma once

#include "logagent/tail/file_system.h"

#include <string>
#include <string_view>
#include <vector>

namespace logagent {

struct FoundFile {
  Path path;
  FileFacts facts;
  Path target;  // where it really is, when the name is a symbolic link
};

struct Found {
  std::vector<FoundFile>
      files;  // regular files, each (device, inode) once, by the first of its names
  std::vector<Path> directories;  // to watch; includes where symbolic links lead
  std::string error;              // the first name that could not be looked at, with the reason
  bool denied = false;            // that reason was a missing permission
};

// Compressed leftovers of rotation (.gz .bz2 .xz .zst .lz4 .zip) are left out of a glob unless the
// pattern ends with the suffix itself: a compressed copy of collected lines is not a log.
Result<Found> Discover(const FileSystem& files, const std::string& pattern);

// Whether the pattern means this name, whatever is there now.
bool PatternMeans(const std::string& pattern, const Path& path);

// Whether `name` is what a rotation makes of `base`: followed by a dot, dash or underscore and a
// number or date. Both without their directory.
bool IsRotatedName(std::string_view name, std::string_view base);
bool IsCompressed(std::string_view name);

}  // namespace logagent
