// SPDX-License-Identifier: Apache-2.0
// Identity: how a file is recognised after a restart or a rename. Device and inode alone restore
// nothing (inodes are reused); the hash of the file's head must match too, and the hash of the
// bytes just before the checkpoint (the tail mark) unmasks a file that was truncated and has grown
// again. Pure functions over the FileSystem seam, on the caller's thread.
#pragma once

#include "logagent/tail/file_system.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace logagent {

inline constexpr size_t kHeadBytesMax = 1024;
inline constexpr size_t kTailMarkBytes = 64;

// Hash of the first `length` bytes; `length` grows with the file up to kHeadBytesMax.
struct HeadHash {
  uint32_t length = 0;
  uint64_t hash = 0;
  friend bool operator==(const HeadHash&, const HeadHash&) = default;
};

// Hash of the `length` bytes before an offset; length is 64, less near the file's start.
struct TailMark {
  uint32_t length = 0;
  uint64_t hash = 0;
  friend bool operator==(const TailMark&, const TailMark&) = default;
};

HeadHash HashHead(std::string_view first_bytes);
// `before` are the bytes that end at the offset; only the last 64 count.
TailMark MarkOf(std::string_view before);

Result<HeadHash> ReadHead(FileSystem& files, const FileHandle& file, uint64_t bytes_max);
Result<TailMark> ReadMark(FileSystem& files, const FileHandle& file, uint64_t offset);

// Whether the open file is the one a checkpoint was written for: long enough, same head, same mark.
Result<bool> Matches(FileSystem& files, const FileHandle& file, uint64_t offset,
                     const HeadHash& head, const TailMark& mark);

}  // namespace logagent
