// SPDX-License-Identifier: Apache-2.0
// KeyIndex: all keys with their facts, the working copy of the writer. Reads of disk are not needed
// for a put, a compare, a count. Everything it unlinks collects in its garbage until TakeGarbage,
// which the owner calls after the new root is visible and hands to the EpochDomain (see epoch.h for
// the order).
//
// IndexRoot is what readers get: one published state of the tree with its revisions and the engine
// that holds its values. Immutable; freed through the EpochDomain.
//
// KeyIndex: apply thread only. IndexRoot: any thread under an epoch guard. bytes() is the memory of
// nodes, keys and history, which the member's index limit bounds.
#pragma once

#include "store/base/ids.h"
#include "store/engine/engine.h"
#include "store/mvcc/cow_btree.h"
#include "store/mvcc/key_meta.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace store::mvcc {

class MvccStore;

using KeyTree = CowBtree<KeyMeta>;
using IndexNode = KeyTree::Node;

struct IndexRoot {
  const IndexNode* top;
  Revision current;
  Revision compacted;
  std::shared_ptr<engine::Engine> engine;
  const MvccStore* store;
};

class KeyIndex {
 public:
  KeyIndex() = default;
  // Frees keys and nodes of the working tree and the garbage not yet taken: no reader may be left.
  ~KeyIndex();
  KeyIndex(const KeyIndex&) = delete;
  KeyIndex& operator=(const KeyIndex&) = delete;

  const IndexNode* top() const { return tree_.root(); }
  // Newest facts, tombstones included; null: unknown key. Valid until the next change.
  const KeyFacts* Find(std::string_view key) const;
  // A change of `key`, newer than all before; version 0 in `facts` is a tombstone.
  void Add(std::string_view key, const KeyFacts& facts);
  // Drops what a compaction at `at` does not keep; returns the RecordBytes of what went.
  size_t Trim(std::string_view key, Revision at);

  void NextEpoch() { tree_.NextEpoch(); }
  std::vector<Garbage> TakeGarbage() { return std::exchange(tree_.garbage(), {}); }
  size_t bytes() const { return tree_.bytes() + key_bytes_; }
  void CheckInvariants() const { tree_.CheckInvariants(); }

 private:
  void Discard(KeyMeta* meta);
  void Discard(HistoryChunk* chunk);
  KeyMeta* NewMeta(std::string_view key, const KeyFacts& newest);
  // Appends to the newest chunk of `meta`, which belongs to the current epoch.
  void PushHistory(KeyMeta* meta, const KeyFacts& facts);

  KeyTree tree_;
  size_t key_bytes_ = 0;  // KeyMeta and chunks
};

}  // namespace store::mvcc
