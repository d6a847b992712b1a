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

#include <absl/container/flat_hash_set.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
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
  // The key, tombstones included; null: unknown. For Add, so that a put looks once for its key;
  // valid until the next change.
  KeyMeta* Find(std::string_view key) const;
  // A change of `key`, newer than all before; version 0 in `facts` is a tombstone. `old`: what Find
  // says of the key.
  void Add(KeyMeta* old, std::string_view key, const KeyFacts& facts);
  // Fills an empty index from all facts of all keys, in the order of their revisions: several times
  // cheaper than Add, which keeps the tree in order at every step. Finish once, at the end.
  class Loader {
   public:
    explicit Loader(KeyIndex& index) : index_(index) {}
    // Without Finish everything is freed again.
    ~Loader();
    Loader(const Loader&) = delete;
    Loader& operator=(const Loader&) = delete;
    // False: not newer than the last facts of this key.
    [[nodiscard]] bool Add(std::string_view key, const KeyFacts& facts);
    void Finish();

   private:
    // A row of the table: the hash stands in it, so that growing looks at no key.
    struct Known {
      size_t hash;
      size_t place;  // in metas_
    };
    struct Wanted {
      size_t hash;
      std::string_view key;
      const std::vector<KeyMeta*>& metas;
    };
    struct Hash {
      using is_transparent = void;
      size_t operator()(const Known& known) const { return known.hash; }
      size_t operator()(const Wanted& wanted) const { return wanted.hash; }
    };
    struct Eq {
      using is_transparent = void;
      bool operator()(const Known& a, const Known& b) const { return a.place == b.place; }
      bool operator()(const Known& known, const Wanted& wanted) const {
        return known.hash == wanted.hash && wanted.metas[known.place]->key() == wanted.key;
      }
    };

    KeyIndex& index_;
    // In the order in which the keys came, which is about that of their bytes in memory: Finish
    // walks over them.
    std::vector<KeyMeta*> metas_;
    absl::flat_hash_set<Known, Hash, Eq> places_;
  };
  // Drops what a compaction at `at` does not keep; returns the RecordBytes of what went.
  size_t Trim(std::string_view key, Revision at);

  void NextEpoch() { tree_.NextEpoch(); }
  std::vector<Garbage> TakeGarbage() { return std::exchange(tree_.garbage(), {}); }
  size_t bytes() const { return tree_.bytes() + key_bytes_; }
  // The tree, the order of each key's facts, bytes(); for tests. Returns the RecordBytes of all
  // facts.
  size_t CheckInvariants() const;

 private:
  static void Destroy(KeyMeta* meta);
  void Discard(KeyMeta* meta);
  void Discard(HistoryChunk* chunk);
  KeyMeta* NewMeta(std::string_view key, const KeyFacts& newest, History history);
  // The history with `facts` behind it, for a KeyMeta that replaces the one it belongs to.
  History Pushed(History history, const KeyFacts& facts);

  KeyTree tree_;
  size_t key_bytes_ = 0;  // KeyMeta and chunks
};

}  // namespace store::mvcc
