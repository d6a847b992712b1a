// SPDX-License-Identifier: Apache-2.0
#include "logagent/tail/directory_names.h"

#include <utility>

namespace logagent {

Result<Path> DirectoryNames::Find(const Path& last_path, uint64_t device, uint64_t inode,
                                  uint64_t seen) {
  Path directory = last_path.has_parent_path() ? last_path.parent_path() : Path(".");
  auto kept = listings_.find(directory.native());
  if (kept != listings_.end() && clock_.Now() - kept->second.made < kKept) {
    bool named = kept->second.names.contains(inode);
    auto path = Look(kept->second, directory, last_path, device, inode);
    if (path || (!named && kept->second.moment > seen)) {
      return path;
    }
  }
  auto listing = Make(directory);
  RETURN_IF_ERROR(listing);
  return Look(**listing, directory, last_path, device, inode);
}

void DirectoryNames::Expire() {
  if (listings_.empty()) {
    return;
  }
  store::TimePoint now = clock_.Now();
  absl::erase_if(listings_, [&](const auto& row) {
    bool old = now - row.second.made >= kKept;
    names_ -= old ? row.second.names.size() : 0;
    return old;
  });
}

Result<const DirectoryNames::Listing*> DirectoryNames::Make(const Path& directory) {
  Listing listing;
  listing.moment = ++moment_;
  listing.made = clock_.Now();
  auto entries = files_.List(directory);
  RETURN_IF_ERROR(entries);
  for (DirectoryEntry& entry : *entries) {
    if (!entry.directory) {
      listing.names[entry.inode].push_back(std::move(entry.name));
    }
  }
  auto former = listings_.find(directory.native());
  names_ -= former == listings_.end() ? 0 : former->second.names.size();
  names_ += listing.names.size();
  if (names_ > kNamesMax) {
    listings_.clear();
    names_ = listing.names.size();
  }
  return &listings_.insert_or_assign(directory.native(), std::move(listing)).first->second;
}

Result<Path> DirectoryNames::Look(const Listing& listing, const Path& directory,
                                  const Path& last_path, uint64_t device, uint64_t inode) const {
  auto names = listing.names.find(inode);
  if (names != listing.names.end()) {
    for (const std::string& name : names->second) {
      Path path = directory / name;
      auto facts = files_.StatPath(path);
      if (facts && facts->device == device && facts->inode == inode) {
        return path;
      }
    }
  }
  return store::Fail(store::ErrorCode::kNotFound,
                     last_path.string() + ": no name of its directory leads to the file any more");
}

}  // namespace logagent
