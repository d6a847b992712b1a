// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/state_commands.h"

#include "logagent/agent/kafka_settings.h"
#include "logagent/checkpoint/store.h"
#include "logagent/deliver/dead_letter_reader.h"
#include "logagent/deliver/dead_letter_replay.h"
#include "logagent/tail/identity.h"
#include "store/base/clock.h"
#include "store/base/file.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <utility>
#include <vector>

namespace logagent {
namespace {

using store::ErrorCode;
using store::Fail;

Path CheckpointDirectory(const AgentSettings& settings) {
  return Path(settings.state_dir) / "checkpoint";
}

Result<uint64_t> OffsetOf(const std::string& text, uint64_t size) {
  if (text == "start") return uint64_t{0};
  if (text == "end") return size;
  uint64_t offset = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), offset);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Fail(ErrorCode::kInvalidArgument, text + ": this must be start, end or a number");
  }
  if (offset > size) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("offset {} is behind the end of the file at {}", offset, size));
  }
  return offset;
}

// In the middle of a line the agent would send its rest as a line.
Status CheckLineBegins(FileSystem& files, const FileHandle& file, uint64_t offset) {
  if (offset == 0) return store::Ok();
  std::array<char, 1> before{};
  auto count = files.ReadAt(file, offset - 1, before);
  RETURN_IF_ERROR(count);
  if (*count == 1 && before[0] == '\n') return store::Ok();
  return Fail(ErrorCode::kInvalidArgument, fmt::format("no line begins at offset {}", offset));
}

Result<SavedFile> RowAt(FileSystem& files, const std::string& path, const std::string& where) {
  auto file = files.Open(path);
  RETURN_IF_ERROR(file);
  auto facts = files.Stat(**file);
  RETURN_IF_ERROR(facts);
  auto offset = OffsetOf(where, facts->size);
  RETURN_IF_ERROR(offset);
  RETURN_IF_ERROR(CheckLineBegins(files, **file, *offset));
  auto head = ReadHead(files, **file, facts->size);
  RETURN_IF_ERROR(head);
  auto mark = ReadMark(files, **file, *offset);
  RETURN_IF_ERROR(mark);
  SavedFile row;
  row.file = {facts->device, facts->inode, 0};
  row.path = path;
  row.size_seen = facts->size;
  row.offset = *offset;
  row.head = *head;
  row.mark = *mark;
  return row;
}

auto PrintDamage(std::ostream& out) {
  return [&out](const store::Error& error) { fmt::print(out, "damaged: {}\n", error.message()); };
}

store::Error DamagedSpool(const Path& file) {
  return store::Error(ErrorCode::kCorruption, file.string() + " is damaged, and kept");
}

}  // namespace

StateCommands::StateCommands(CLI::App& app) {
  auto* checkpoint = app.add_subcommand("checkpoint", "where each file was left");
  checkpoint->require_subcommand(1);
  list_ =
      checkpoint->add_subcommand("list", "every file and its offset; also beside a running agent");
  set_ = checkpoint->add_subcommand("set", "where a file is read on; the agent must be stopped");
  set_->add_option("path", path_, "the entry's path, as in the list")->required();
  set_->add_option("topic", topic_, "the entry's topic")->required();
  set_->add_option("file", file_, "the file")->required();
  set_->add_option("offset", offset_, "start, end or the offset of a line's first byte")
      ->required();
  auto* dead = app.add_subcommand("dead-letters", "lines that could never be sent");
  dead->require_subcommand(1);
  dead_list_ = dead->add_subcommand("list", "their places and reasons");
  replay_ = dead->add_subcommand("replay", "send them again; refused ones stay in FILE.refused");
  replay_->add_option("--topic", topic_, "to this topic in place of their own");
  for (CLI::App* one : {dead_list_, replay_}) {
    one->add_option("file", spool_, "default: the spool in the state directory");
  }
}

bool StateCommands::parsed() const {
  return list_->parsed() || set_->parsed() || dead_list_->parsed() || replay_->parsed();
}

int StateCommands::Run(const AgentSettings& settings, std::ostream& out, std::ostream& err) const {
  Status done = list_->parsed()        ? ListCheckpoints(settings, out)
                : set_->parsed()       ? SetCheckpoint(settings, out)
                : dead_list_->parsed() ? ListDeadLetters(settings, out)
                                       : Replay(settings, out);
  if (!done) {
    fmt::print(err, "sluice-agent: {}\n", done.error().message());
    return 1;
  }
  return 0;
}

Status StateCommands::ListCheckpoints(const AgentSettings& settings, std::ostream& out) const {
  auto state = ReadRocksCheckpoint(CheckpointDirectory(settings));
  RETURN_IF_ERROR(state);
  fmt::print(out, "{:>14} {:>14} {:>12} {:>4}  {}\n", "offset", "size seen", "inode", "gen",
             "file <- entry -> topic");
  for (const SavedFile& row : state->files) {
    size_t nul = row.entry.find('\0');
    fmt::print(out, "{:>14} {:>14} {:>12} {:>4}  {} <- {} -> {}\n", row.offset, row.size_seen,
               row.file.inode, row.file.generation, row.path, row.entry.substr(0, nul),
               nul == std::string::npos ? "" : row.entry.substr(nul + 1));
  }
  return store::Ok();
}

Status StateCommands::SetCheckpoint(const AgentSettings& settings, std::ostream& out) const {
  PosixFileSystem files;
  auto row = RowAt(files, file_, offset_);
  RETURN_IF_ERROR(row);
  row->entry = EntryKey(path_, topic_);
  auto opened = OpenRocksCheckpoint(CheckpointDirectory(settings));
  RETURN_IF_ERROR(opened);
  auto state = opened->store->LoadAll();
  RETURN_IF_ERROR(state);
  SavedChanges changes;
  for (const SavedFile& old : state->files) {
    bool same = old.entry == row->entry && old.file.device == row->file.device &&
                old.file.inode == row->file.inode;
    if (same) {
      changes.gone.emplace_back(old.file, old.entry);
      row->file.generation = std::max(row->file.generation, old.file.generation);
    }
  }
  changes.entries.push_back(row->entry);
  uint64_t offset = row->offset;
  changes.files.push_back(std::move(*row));
  RETURN_IF_ERROR(opened->store->Save(changes, true));
  fmt::print(out, "{}: the next start reads on at {}\n", file_, offset);
  return store::Ok();
}

Status StateCommands::ListDeadLetters(const AgentSettings& settings, std::ostream& out) const {
  Path file = spool_.empty() ? Path(settings.state_dir) / kSpoolName : Path(spool_);
  if (spool_.empty() && !store::FileExists(file.string())) {
    fmt::print(out, "no dead letters\n");
    return store::Ok();
  }
  auto print = [&out](const DeadLetterRecord& record) {
    fmt::print(out, "{} bytes at {} of {} for topic {}: {}\n", record.bytes, record.offset,
               record.path, record.topic, record.reason);
    return store::Ok();
  };
  auto damaged = ForEachDeadLetter(file, print, PrintDamage(out));
  RETURN_IF_ERROR(damaged);
  return *damaged > 0 ? Fail(DamagedSpool(file)) : store::Ok();
}

Status StateCommands::Replay(const AgentSettings& settings, std::ostream& out) const {
  auto kafka = KafkaConfigOf(settings);
  RETURN_IF_ERROR(kafka);
  Path file = spool_.empty() ? Path() : std::filesystem::absolute(spool_);
  if (spool_.empty()) {
    Path spool = Path(settings.state_dir) / kSpoolName;
    if (!store::FileExists(spool.string())) {
      fmt::print(out, "no dead letters\n");
      return store::Ok();
    }
    auto aside = TakeSpoolAside(spool);
    RETURN_IF_ERROR(aside);
    file = std::move(*aside);
  }
  store::SystemClock clock;
  auto replayed = ReplayDeadLetters(*kafka, file, topic_, clock, PrintDamage(out));
  if (!replayed) {
    return Fail(replayed.error().WithContext(
        fmt::format("{} is kept, some of it may have been sent", file.string())));
  }
  fmt::print(out, "{} sent, {} refused again\n", replayed->delivered, replayed->refused);
  if (replayed->refused > 0) {
    fmt::print(out, "refused: {}\n", replayed->refused_file.string());
  }
  if (replayed->damaged > 0) {
    return Fail(DamagedSpool(file).WithContext("sent as far as it is whole"));
  }
  return store::Ok();
}

}  // namespace logagent
