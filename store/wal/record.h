// SPDX-License-Identifier: Apache-2.0
// Bytes of the log: records and the segment header, all integers little endian.
//
//   record   length u32 · type u8 · crc32c u32 · payload[length] · zeros up to a multiple of 8
//            crc over salt u64, type, payload: bytes of a segment's former life fail it
//   header   magic u64 · version u32 · size u32 · cluster u64 · member u64 · sequence u64 · salt
//   u64 ·
//            predecessor {sequence u64, valid end u64} · before {index u64, term u64} ·
//            truncated {index u64, term u64} · hard state {term u64, vote u64, commit u64} · conf ·
//            crc32c u32
//            (`size` bytes without the crc), zeros up to kHeaderCopyOffset; there the same once
//            more, zeros up to kHeaderBytes
//   conf     three times: count u32 · ids u64: voters, outgoing, learners
//
// Payloads: sync mark {sequence u64, offset u64}; entry {index u64, term u64, kind u8, data}; hard
// state {term, vote, commit u64}; truncate suffix {from u64, term of from - 1 u64}; snapshot {index
// u64, term u64, conf}. Pure functions, any thread.
#pragma once

#include "store/base/error.h"
#include "store/base/ids.h"
#include "store/raft/output.h"
#include "store/raft/types.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace store::wal {

inline constexpr uint32_t kFormatVersion = 1;
inline constexpr size_t kHeaderBytes = 4096;  // records start behind it, on a page of their own
inline constexpr size_t kHeaderCopyOffset = 2048;
inline constexpr size_t kRecordHeadBytes = 9;
inline constexpr size_t kRecordAlignment = 8;

// A place in the log: which segment, which byte.
struct Position {
  uint64_t sequence = 0;
  uint64_t offset = 0;
  friend auto operator<=>(const Position&, const Position&) = default;
};

struct LogPoint {
  raft::Index index;
  raft::Term term;
  friend bool operator==(const LogPoint&, const LogPoint&) = default;
};

struct Identity {
  ClusterId cluster;
  raft::NodeId member;
  friend bool operator==(const Identity&, const Identity&) = default;
};

enum class RecordType : uint8_t {  // 0 is never written: zeros are no record
  kSyncMark = 1,
  kEntry = 2,
  kHardState = 3,
  kTruncateSuffix = 4,
  kSnapshot = 5,
};

struct RecordView {
  RecordType type = RecordType::kSyncMark;
  std::string_view payload;
  size_t bytes = 0;  // with head and padding
};

struct SegmentHeader {
  Identity identity;
  uint64_t sequence = 0;
  uint64_t salt = 0;
  Position predecessor;  // its valid end; sequence 0: none
  LogPoint before;       // the last entry when this segment was begun
  LogPoint truncated;    // the log started behind it then
  raft::HardState hard_state;
  raft::ConfState conf;  // of the newest snapshot, for offline inspection
};

struct SuffixMark {
  raft::Index from;
  raft::Term term_before;
};

size_t RecordBytes(size_t payload_bytes);
void AppendRecord(std::string* out, uint64_t salt, RecordType type, std::string_view payload);
// The record at the start of `bytes`; nullopt if there is no whole valid one.
std::optional<RecordView> DecodeRecord(std::string_view bytes, uint64_t salt);

std::string EncodeSyncMark(const Position& synced);
std::string EncodeEntry(const raft::Entry& entry);
std::string EncodeHardState(const raft::HardState& state);
std::string EncodeSuffixMark(const SuffixMark& mark);
std::string EncodeSnapshot(const raft::SnapshotMeta& meta);
std::optional<Position> DecodeSyncMark(std::string_view payload);
std::optional<raft::Entry> DecodeEntry(std::string_view payload);
std::optional<raft::HardState> DecodeHardState(std::string_view payload);
std::optional<SuffixMark> DecodeSuffixMark(std::string_view payload);
std::optional<raft::SnapshotMeta> DecodeSnapshot(std::string_view payload);

// Exactly kHeaderBytes: two copies, so that a damaged one costs nothing.
std::string EncodeHeader(const SegmentHeader& header);
// Of segment `sequence`, from the start of its file; fewer bytes than kHeaderBytes count as zeros
// behind them. nullopt: the file is not in use (empty, torn at its first write, or a spare that
// still has the header of its former life); kCorruption: it was, but both copies are damaged;
// kUnsupported: a newer format.
Result<std::optional<SegmentHeader>> DecodeHeader(std::string_view bytes, uint64_t sequence);

// The greatest synced offset of segment `sequence` that any valid mark in `bytes` at or behind
// `from` names, wherever it stands: what lies between may be damaged.
uint64_t HighestMark(std::string_view bytes, size_t from, uint64_t sequence, uint64_t salt);

}  // namespace store::wal
