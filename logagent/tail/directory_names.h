// SPDX-License-Identifier: Apache-2.0
// DirectoryNames: which name of a directory leads to a file that is not where it was. Listings are
// kept for a moment, so that thousands of files that are removed together cost one look through
// their directory and not one each. A listing proposes names, and the file system confirms them; it
// tells that a file is gone only when it was made after the file was last seen there. One thread,
// its owner's. Bounded by kNamesMax names, kept for kKept at most.
#pragma once

#include "logagent/tail/file_system.h"
#include "store/base/clock.h"

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <string>
#include <vector>

namespace logagent {

class DirectoryNames {
 public:
  DirectoryNames(const FileSystem& files, const store::Clock& clock)
      : files_(files), clock_(clock) {}

  // A moment in the order of looks at the file system: when a file was seen under a name.
  uint64_t Seen() { return ++moment_; }
  // A name in the directory of `last_path` that leads to the file, which was last seen there at
  // `seen`. kNotFound when there is none.
  Result<Path> Find(const Path& last_path, uint64_t device, uint64_t inode, uint64_t seen);
  // Drops what is too old to be used.
  void Expire();

 private:
  static constexpr size_t kNamesMax = 100'000;
  static constexpr store::Duration kKept = std::chrono::milliseconds(100);

  struct Listing {
    uint64_t moment = 0;
    store::TimePoint made;
    absl::flat_hash_map<uint64_t, std::vector<std::string>> names;  // by inode
  };

  Result<const Listing*> Make(const Path& directory);
  Result<Path> Look(const Listing& listing, const Path& directory, const Path& last_path,
                    uint64_t device, uint64_t inode) const;

  const FileSystem& files_;
  const store::Clock& clock_;
  uint64_t moment_ = 0;
  size_t names_ = 0;  // of all listings
  absl::flat_hash_map<std::string, Listing> listings_;
};

}  // namespace logagent
