// SPDX-License-Identifier: Apache-2.0
#include "store/wal/log_writer.h"

#include "store/base/check.h"

#include <iterator>
#include <span>
#include <utility>

namespace store::wal {
namespace {

size_t UnitBytes(const raft::PersistUnit& unit) {
  size_t bytes = sizeof(unit);
  for (const raft::EntryPtr& entry : unit.entries) bytes += sizeof(*entry) + entry->data.size();
  return bytes;
}

}  // namespace

LogWriter::LogWriter(LogStore& log, Callbacks callbacks)
    : log_(log), callbacks_(std::move(callbacks)), queue_({0, 0}) {}

void LogWriter::Start() {
  thread_ = Thread("log-writer", [this] { Run(); });
}

void LogWriter::Stop() {
  queue_.Close();
  thread_.Join();
}

void LogWriter::Submit(raft::PersistUnit unit) {
  size_t bytes = UnitBytes(unit);
  queue_.PostReserved(std::move(unit), bytes);
}

bool LogWriter::AppendHere(const raft::PersistUnit& unit) {
  CHECK(unit.release.empty() && queue_.items() == 0);
  const raft::PersistUnit* pointer = &unit;
  return AppendOnce({&pointer, 1});
}

bool LogWriter::AppendOnce(std::span<const raft::PersistUnit* const> units) {
  Status appended = log_.Append(units);
  if (!appended) callbacks_.on_failed(appended.error());
  return appended.has_value();
}

void LogWriter::Run() {
  std::vector<raft::PersistUnit> units;
  while (queue_.Wait()) {
    queue_.Drain(&units);
    if (!Append(&units)) return;
    units.clear();
  }
}

bool LogWriter::Append(std::vector<raft::PersistUnit>* units) {
  std::span<raft::PersistUnit> rest = *units;
  while (!rest.empty()) {
    size_t count = 0;
    size_t bytes = 0;
    while (count < rest.size() && (count == 0 || bytes < kGroupBytesMax)) {
      bytes += UnitBytes(rest[count++]);
    }
    if (!AppendGroup(rest.first(count))) return false;
    rest = rest.subspan(count);
  }
  return true;
}

bool LogWriter::AppendGroup(std::span<raft::PersistUnit> group) {
  std::vector<const raft::PersistUnit*> pointers;
  pointers.reserve(group.size());
  for (const raft::PersistUnit& unit : group) pointers.push_back(&unit);
  if (!AppendOnce(pointers)) return false;
  std::vector<raft::Envelope> release;
  for (raft::PersistUnit& unit : group) {
    std::move(unit.release.begin(), unit.release.end(), std::back_inserter(release));
  }
  callbacks_.on_durable(group.back().id, std::move(release));
  return true;
}

}  // namespace store::wal
