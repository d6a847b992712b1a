// SPDX-License-Identifier: Apache-2.0
// Rows of the state directory and their bytes (formats: logagent/checkpoint/README.md). A row says
// where one file was left for one entry; the entry is named by its path and topic, joined by a byte
// no path can hold. Value types and pure functions, any thread.
#pragma once

#include "logagent/tail/file_system.h"
#include "logagent/tail/identity.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace logagent {

enum class FileState : uint8_t {
  kActive = 0,    // still read
  kFinished = 1,  // rotated away, drained and closed
};

struct SavedFile {
  FileKey file;
  std::string entry;  // EntryKey(path, topic) of logagent/model/model.h
  std::string path;   // the last name it was seen under
  uint64_t size_seen = 0;
  uint64_t offset = 0;  // first byte that is not acknowledged
  HeadHash head;
  TailMark mark;  // of the bytes before offset
  FileState state = FileState::kActive;
};

// f/<device, inode, generation: big endian>/<entry>
std::string EncodeFileKey(const FileKey& file, std::string_view entry);
std::string EncodeFileValue(const SavedFile& row);
Result<SavedFile> DecodeFileRow(std::string_view key, std::string_view value);

// e/<entry>
std::string EncodeEntryKey(std::string_view entry);

}  // namespace logagent
