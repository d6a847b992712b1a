// SPDX-License-Identifier: Apache-2.0
#include "store/wal/log_state.h"

#include "store/base/check.h"

#include <fmt/format.h>

namespace store::wal {
namespace {

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};

Status Corrupt(std::string message) { return Fail(ErrorCode::kCorruption, std::move(message)); }

template <class T>
Result<std::optional<Change>> Decoded(std::optional<T> value, std::string_view what) {
  if (!value) return Fail(ErrorCode::kCorruption, fmt::format("a {} record is malformed", what));
  return std::optional<Change>(Change(*std::move(value)));
}

}  // namespace

std::pair<RecordType, std::string> EncodeChange(const Change& change) {
  using Encoded = std::pair<RecordType, std::string>;
  return std::visit(Overloaded{[](const raft::HardState& state) {
                                 return Encoded(RecordType::kHardState, EncodeHardState(state));
                               },
                               [](const raft::SnapshotMeta& meta) {
                                 return Encoded(RecordType::kSnapshot, EncodeSnapshot(meta));
                               },
                               [](const SuffixMark& mark) {
                                 return Encoded(RecordType::kTruncateSuffix,
                                                EncodeSuffixMark(mark));
                               },
                               [](const raft::EntryPtr& entry) {
                                 return Encoded(RecordType::kEntry, EncodeEntry(*entry));
                               }},
                    change);
}

Result<std::optional<Change>> DecodeChange(const RecordView& record) {
  switch (record.type) {
    case RecordType::kSyncMark:
      return std::nullopt;
    case RecordType::kHardState:
      return Decoded(DecodeHardState(record.payload), "hard state");
    case RecordType::kTruncateSuffix:
      return Decoded(DecodeSuffixMark(record.payload), "truncation");
    case RecordType::kSnapshot:
      return Decoded(DecodeSnapshot(record.payload), "snapshot");
    case RecordType::kEntry: {
      std::optional<raft::Entry> entry = DecodeEntry(record.payload);
      if (!entry) return Fail(ErrorCode::kCorruption, "an entry record is malformed");
      return std::optional<Change>(
          Change(raft::EntryPtr(std::make_shared<const raft::Entry>(*std::move(entry)))));
    }
  }
  return Fail(ErrorCode::kUnsupported,
              fmt::format("a record has the unknown type {}", static_cast<int>(record.type)));
}

Status LogState::Check(const Change& change) const {
  if (const auto* state = std::get_if<raft::HardState>(&change)) {
    if (state->term < hard_state.term) {
      return Corrupt(fmt::format("term goes from {} back to {}", hard_state.term, state->term));
    }
    if (state->term == hard_state.term && hard_state.vote && state->vote != hard_state.vote) {
      return Corrupt(fmt::format("vote of term {} goes from {} to {}", state->term, hard_state.vote,
                                 state->vote));
    }
  }
  if (const auto* entry = std::get_if<raft::EntryPtr>(&change)) {
    if ((*entry)->index != table.last() + 1) {
      return Corrupt(fmt::format("entry {} stands behind {}", (*entry)->index, table.last()));
    }
    if ((*entry)->term < table.end().term) {
      return Corrupt(fmt::format("entry {} has term {}, the one before it {}", (*entry)->index,
                                 (*entry)->term, table.end().term));
    }
  }
  if (const auto* mark = std::get_if<SuffixMark>(&change)) {
    const bool within = mark->from > table.truncated().index && mark->from <= table.last();
    if (mark->from == raft::Index(0) ||
        (within && table.TermAt(mark->from - 1) != mark->term_before)) {
      return Corrupt(fmt::format("a truncation from {} does not fit behind an entry of term {}",
                                 mark->from, mark->term_before));
    }
  }
  return Ok();
}

void LogState::Apply(const Change& change, const Position& position) {
  std::visit(Overloaded{[this](const raft::HardState& state) { hard_state = state; },
                        [this](const raft::SnapshotMeta& meta) {
                          conf = meta.conf;
                          table.Reset({meta.index, meta.term});
                        },
                        [this](const SuffixMark& mark) { table.TruncateSuffix(mark); },
                        [&](const raft::EntryPtr& entry) {
                          CHECK(entry->index == table.last() + 1, "entry {} behind {}",
                                entry->index, table.last());
                          table.Add(entry->term, position);
                        }},
             change);
}

void ApplyToEntries(const Change& change, std::vector<raft::EntryPtr>* entries) {
  if (std::holds_alternative<raft::SnapshotMeta>(change)) {
    entries->clear();
  } else if (const auto* mark = std::get_if<SuffixMark>(&change)) {
    while (!entries->empty() && entries->back()->index >= mark->from) entries->pop_back();
  } else if (const auto* entry = std::get_if<raft::EntryPtr>(&change)) {
    entries->push_back(*entry);
  }
}

}  // namespace store::wal
