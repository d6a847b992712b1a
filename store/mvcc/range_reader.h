// SPDX-License-Identifier: Apache-2.0
// RangeReader: one Range over the index in steps, so that the caller may change roots between them
// (a held view enters anew every 64 keys). First Begin and Step collect keys and facts from memory,
// then Finish filters, sorts, cuts and reads the values that are wanted, all with the rules of a
// RangeRequest:
//
//   key order            stops at limit + 1 matches
//   another target,      the first limit + 1 keys by key, sorted by the
//     no order, no       target, cut to limit (as etcd)
//     filter
//   everything else      the whole range, filtered, sorted, cut; with a
//                        limit no more rows are held than twice that (or
//                        kRowsMin)
//
// Sorting by value is the only case that needs values of rows it does not return; they may take 64
// MiB. One thread; nothing of a root is kept between calls.
#pragma once

#include "store/base/error.h"
#include "store/engine/engine.h"
#include "store/mvcc/event.h"
#include "store/mvcc/key_index.h"
#include "store/mvcc/range.h"

#include <absl/functional/function_ref.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace store::mvcc {

class ValueCache;

inline constexpr size_t kKeysPerStep = 64;
inline constexpr size_t kValueSortBytesMax = 64 << 20;
// So many rows are held before any is dropped.
inline constexpr size_t kRowsMin = 1024;

struct RangeRow {
  size_t key_offset = 0;  // in the reader's key bytes
  size_t key_size = 0;
  KeyFacts facts;
  SharedBytes value;
};

// Fills the value of each row; at most kKeysPerStep rows at a time.
using ValueLoader = absl::FunctionRef<Status(std::span<RangeRow>)>;

class RangeReader {
 public:
  // `at` is the revision to read; query.at is not looked at.
  RangeReader(const RangeQuery& query, Revision at);

  // For pieces of a range, before Begin: no count, and rows of at most `bytes_max` of keys and
  // values (but always one). cut() says that it stopped there, next_key() where the next piece
  // begins.
  void ReadPiece(size_t bytes_max) {
    piece_ = true;
    bytes_max_ = bytes_max;
  }
  bool cut() const { return cut_; }
  const std::string& next_key() const { return next_; }

  // First root; `newest`: the revision to read is the root's own, so that it can count by subtrees.
  void Begin(const IndexNode* top, bool newest);
  // Instead of Begin and Step, for a single key that has been found, or not (null).
  void BeginAt(const KeyMeta* meta);
  // Looks at no more than `keys_max` keys; true when everything is collected.
  bool Step(const IndexNode* top, size_t keys_max = std::numeric_limits<size_t>::max());
  // Result.current is left to the caller.
  Result<RangeResult> Finish(ValueLoader load);

 private:
  bool Matches(const KeyFacts& facts) const;
  bool Enough() const { return wanted_ >= 0 && static_cast<int64_t>(rows_.size()) >= wanted_; }
  bool Visit(const KeyMeta& meta);
  bool FitsPiece(const KeyMeta& meta, const KeyFacts& facts);
  // May be among the first `kept_`.
  bool MayStay(const KeyFacts& facts) const;
  void DropRows();
  void DropKeys();
  std::string_view KeyOf(const RangeRow& row) const {
    return std::string_view(keys_).substr(row.key_offset, row.key_size);
  }
  Status LoadValues(ValueLoader load);
  void Sort();
  void SortBy(SortTarget target, bool descend);
  std::vector<KeyValue> TakeKeyValues();

  const RangeQuery query_;
  const Revision at_;
  int64_t wanted_ = -1;          // rows to collect at most; -1: all
  size_t kept_ = 0;              // first rows of the sorted range to hold at least; 0: all
  std::optional<int64_t> last_;  // what the last of so many is sorted by
  bool counting_ = false;        // count_ is found by walking
  int64_t count_ = 0;
  bool finished_ = false;
  bool piece_ = false;
  bool cut_ = false;
  size_t bytes_ = 0;  // of the rows, only for pieces
  size_t bytes_max_ = 0;
  std::string next_;  // key to go on at
  std::string keys_;  // bytes of the collected keys
  std::vector<RangeRow> rows_;
};

// Reads the values that are not there yet, from the cache (null: none) or the engine; kCompacted
// when one is gone.
Status LoadFromEngine(const engine::Engine& engine, ValueCache* cache, std::span<RangeRow> rows);

}  // namespace store::mvcc
