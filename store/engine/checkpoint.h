// SPDX-License-Identifier: Apache-2.0
// Checkpoints on their way from one member to another: read in order, written beside the state,
// verified, and made the state. What a checkpoint holds (applied index, members) its users read
// from the checkpoint itself, opened read-only; here it is files, sizes and checksums.
//
//   <member>/outgoing/<name>          hard links to the state's files, while they are sent
//   <member>/incoming/<index>.part    arriving
//   <member>/incoming/<index>         complete: every file verified and synced
//   <member>/state-N                  after SwitchState, named by STATE
//
// Every step is durable before the next one begins, so a crash leaves one of these. Nothing in
// `incoming` or `outgoing` outlives the process that made it: the start removes both. Threads: one
// at a time per object; blocks on the disk, so never on an event loop. Bounded by: one part in
// memory (the caller's bytes_max), kCheckpointFilesMax files.
#pragma once

#include "store/base/error.h"
#include "store/base/file.h"
#include "store/engine/engine.h"
#include "store/engine/state_dir.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace store::engine {

inline constexpr size_t kCheckpointFilesMax = 20'000;

uint64_t TotalBytes(const std::vector<CheckpointFile>& files);
// Plain, different names, no more files than allowed; kInvalidArgument says what is wrong.
Status CheckFiles(const std::vector<CheckpointFile>& files);

// Opens it read-only by its format: for what is in it, and as the proof that it can be opened.
// kUnsupported for a format this release does not know.
Result<std::shared_ptr<Engine>> OpenCheckpoint(const Path& directory, uint32_t format);

struct CheckpointPart {
  uint32_t file = 0;  // place in Checkpoint::files
  uint64_t offset = 0;
  std::string data;
};

// The files one after another, in parts. A file that is shorter than it was is kCorruption.
class CheckpointReader {
 public:
  explicit CheckpointReader(Checkpoint checkpoint) : checkpoint_(std::move(checkpoint)) {}

  // nullopt: that was all. Empty files give one empty part.
  Result<std::optional<CheckpointPart>> Next(size_t bytes_max);
  const Checkpoint& checkpoint() const { return checkpoint_; }

 private:
  Checkpoint checkpoint_;
  uint32_t file_ = 0;
  uint64_t offset_ = 0;
  UniqueFd open_;
};

// Takes what a CheckpointReader gave, in the same order. Destroyed before Finish it removes what it
// has written.
class CheckpointWriter {
 public:
  // Makes the directory, empty. The files must fit on the disk, else kNoSpace.
  static Result<std::unique_ptr<CheckpointWriter>> Begin(const Path& member, uint64_t index,
                                                         std::vector<CheckpointFile> files);
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // kCorruption: not the next part, or the file's checksum is another one.
  Status Write(uint32_t file, uint64_t offset, std::string_view data);
  // Every file is there and synced: the directory gets synced too. Read it, then call Commit.
  Status Complete();
  // Under its final name, durable.
  Status Commit();

  const Path& part_directory() const { return part_; }
  uint64_t received_bytes() const { return received_bytes_; }

 private:
  CheckpointWriter(const Path& member, uint64_t index, std::vector<CheckpointFile> files);
  Status OpenNext();
  Status EndFile();

  const Path part_;
  const Path final_;
  const std::vector<CheckpointFile> files_;
  size_t file_ = 0;
  uint64_t offset_ = 0;
  uint64_t unsynced_bytes_ = 0;
  uint64_t received_bytes_ = 0;
  uint32_t crc32c_ = 0;
  UniqueFd open_;
  bool committed_ = false;
};

// Complete and not installed.
Path IncomingDirectory(const Path& member, uint64_t index);
Path OutgoingDirectory(const Path& member, std::string_view name);
Status RemoveIncoming(const Path& member, uint64_t index);

// incoming/<index> becomes the state: a directory name of its own, then STATE (the one atomic
// step). The directory that was the state stays; who holds its engine removes it. Not interrupted
// by a crash at any moment: before the step the old state counts, after it the new one.
Result<StateName> SwitchState(const Path& member, uint64_t index, uint64_t term);

}  // namespace store::engine
