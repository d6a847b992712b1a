// SPDX-License-Identifier: Apache-2.0
// CowBtree: an ordered map of items by their key as a copy-on-write B-tree of fan-out 64 whose
// inner nodes count the live items of each child, so the number of live items below a key costs
// O(log n). One writer edits the working tree: nodes made since the last NextEpoch in place, older
// ones through a copy. A root that was published is immutable for ever; its replaced nodes go to
// the garbage list, which the owner hands to an EpochDomain after the new root is visible. Items
// are not owned. The nodes and the search in them: tree_nodes.h.
//
// Writer functions: one thread. Static functions on a published root: any thread under an epoch
// guard.
#pragma once

#include "store/base/check.h"
#include "store/base/key_range.h"
#include "store/mvcc/epoch.h"
#include "store/mvcc/node_search.h"
#include "store/mvcc/tree_nodes.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <new>
#include <numeric>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace store::mvcc {

template <TreeItem Item>
class CowBtree {
 public:
  using Nodes = TreeNodes<Item>;
  using Node = typename Nodes::Node;
  static constexpr uint32_t kFanOut = Nodes::kFanOut;
  static constexpr uint32_t kMergeBelow = kFanOut / 4;  // a node this small looks for a neighbour
  static constexpr uint32_t kMergedMax =
      kFanOut * 3 / 4;  // and joins it if both together are this small
  static constexpr size_t kDepthMax = 16;
  static constexpr size_t kLoadFill = kFanOut - 4;

  CowBtree() : root_(NewLeaf()) {}
  // Frees the working tree, not the items and not the garbage.
  ~CowBtree() { DestroyTree(root_); }
  CowBtree(const CowBtree&) = delete;
  CowBtree& operator=(const CowBtree&) = delete;

  // --- Writer
  const Node* root() const { return root_; }
  void NextEpoch() { ++epoch_; }
  uint64_t epoch() const { return epoch_; }
  std::vector<Garbage>& garbage() { return garbage_; }
  size_t bytes() const { return bytes_; }

  // Puts `item` in the place of the one with its key (`replaces`) or inserts it. `live_change` is
  // by how much the number of live items changes: -1, 0 or 1.
  void Set(Item* item, bool replaces, int live_change) {
    const std::string_view key = item->key();
    root_ = Mutable(root_);
    if (!replaces && root_->count == kFanOut) GrowRoot(key);
    Node* node = root_;
    while (!node->leaf) {
      auto* inner = static_cast<Inner*>(node);
      uint32_t i = Nodes::ChildOf(inner, key);
      inner->children[i] = Mutable(inner->children[i]);
      if (!replaces && inner->children[i]->count == kFanOut) {
        SplitChild(inner, i, key);
        if (key >= inner->low[i + 1]->view()) ++i;
      }
      inner->live[i] += static_cast<uint32_t>(live_change);
      node = inner->children[i];
    }
    SetInLeaf(static_cast<Leaf*>(node), item, replaces);
  }

  // Removes the item with `key`, which must be there.
  void Remove(std::string_view key, int live_change) {
    root_ = Mutable(root_);
    RemoveBelow(root_, key, live_change);
    while (!root_->leaf && root_->count <= 1) {
      auto* inner = static_cast<Inner*>(root_);
      root_ = inner->count == 1 ? inner->children[0] : NewLeaf();
      Discard(inner);
    }
  }

  // Fills the empty tree with items in ascending order, without looking for the place of each.
  void Load(std::span<Item* const> items) {
    CHECK(root_->leaf && root_->count == 0);
    if (items.empty()) return;
    std::vector<Loaded> level;
    ForEachPart(items.size(), [&](size_t from, size_t count) {
      Leaf* leaf = NewLeaf();
      leaf->count = static_cast<uint32_t>(count);
      for (size_t i = 0; i < count; ++i) {
        leaf->items[i] = items[from + i];
        leaf->tags[i] = TagOf(items[from + i]->key());
        if (items[from + i]->live()) leaf->live |= uint64_t{1} << i;
      }
      level.push_back({leaf, items[from]->key(), items[from + count - 1]->key()});
    });
    while (level.size() > 1) level = LoadLevel(level);
    Discard(std::exchange(root_, level.front().node));
  }

  // --- Any root; null: not there
  static Item* Find(const Node* node, std::string_view key) { return Nodes::Find(node, key); }
  // Many at once, which wait for memory together.
  static void FindTogether(const Node* node, std::span<const std::string_view> keys,
                           std::span<Item*> found) {
    Nodes::FindTogether(node, keys, found);
  }

  // Live items with a key below `key`. `touched` (may be null) counts the nodes looked at.
  static int64_t Rank(const Node* node, std::string_view key, size_t* touched = nullptr) {
    int64_t rank = 0;
    for (; !node->leaf; Count(touched)) {
      auto* inner = static_cast<const Inner*>(node);
      const uint32_t child = Nodes::ChildOf(inner, key);
      for (uint32_t i = 0; i < child; ++i) rank += inner->live[i];
      node = inner->children[child];
    }
    Count(touched);
    auto* leaf = static_cast<const Leaf*>(node);
    const uint32_t i = Nodes::PositionIn(leaf, key);
    const uint64_t below = i == kFanOut ? ~uint64_t{0} : (uint64_t{1} << i) - 1;
    return rank + std::popcount(leaf->live & below);
  }
  static int64_t Live(const Node* node) {
    if (node->leaf) return std::popcount(static_cast<const Leaf*>(node)->live);
    auto* inner = static_cast<const Inner*>(node);
    return std::accumulate(inner->live, inner->live + inner->count, int64_t{0});
  }
  static int64_t CountLive(const Node* node, const KeyRange& range, size_t* touched = nullptr) {
    if (range.Empty()) return 0;
    if (range.unbounded) Count(touched);
    const int64_t end = range.unbounded ? Live(node) : Rank(node, range.to, touched);
    return end - Rank(node, range.from, touched);
  }

  // Walks items in ascending order from the first with key >= `from`.
  class Cursor {
   public:
    Cursor(const Node* root, std::string_view from) {
      const Node* node = root;
      while (!node->leaf) {
        auto* inner = static_cast<const Inner*>(node);
        const uint32_t i = Nodes::ChildOf(inner, from);
        Push(node, i);
        node = inner->children[i];
      }
      Push(node, Nodes::PositionIn(static_cast<const Leaf*>(node), from));
      Settle();
    }
    bool Valid() const { return depth_ > 0; }
    Item* item() const {
      const Step& step = path_[depth_ - 1];
      return static_cast<const Leaf*>(step.node)->items[step.index];
    }
    void Next() {
      ++path_[depth_ - 1].index;
      Settle();
    }

   private:
    struct Step {
      const Node* node;
      uint32_t index;
    };
    void Push(const Node* node, uint32_t index) {
      CHECK(depth_ < kDepthMax);
      path_[depth_++] = {node, index};
    }
    // Climbs out of exhausted nodes and down to the next leaf.
    void Settle() {
      while (depth_ > 0 && path_[depth_ - 1].index >= path_[depth_ - 1].node->count) {
        --depth_;
        if (depth_ > 0) ++path_[depth_ - 1].index;
      }
      while (depth_ > 0 && !path_[depth_ - 1].node->leaf) {
        const Step& step = path_[depth_ - 1];
        Push(static_cast<const Inner*>(step.node)->children[step.index], 0);
      }
    }
    std::array<Step, kDepthMax> path_;
    size_t depth_ = 0;
  };

  // Order, separators, counts and bytes of the whole working tree; for tests.
  void CheckInvariants() const { CHECK(CheckNode(root_, {}, nullptr) == bytes_); }

 private:
  using Separator = typename Nodes::Separator;
  using Leaf = typename Nodes::Leaf;
  using Inner = typename Nodes::Inner;

  static void Count(size_t* touched) {
    if (touched != nullptr) ++*touched;
  }

  Leaf* NewLeaf() {
    auto* leaf = new Leaf;
    leaf->owner = epoch_;
    leaf->count = 0;
    leaf->leaf = true;
    leaf->live = 0;
    bytes_ += sizeof(Leaf);
    return leaf;
  }
  Inner* NewInner() {
    auto* inner = new Inner;
    inner->owner = epoch_;
    inner->count = 0;
    inner->leaf = false;
    inner->common = 0;
    bytes_ += sizeof(Inner);
    return inner;
  }
  // The shortest string above `left` and not above `right`.
  Separator* NewSeparator(std::string_view left, std::string_view right) {
    const size_t size = CommonPrefix(left, right) + 1;
    auto* separator =
        new (::operator new(sizeof(Separator) + size)) Separator{static_cast<uint32_t>(size)};
    std::memcpy(reinterpret_cast<char*>(separator + 1), right.data(), size);
    bytes_ += sizeof(Separator) + size;
    return separator;
  }

  static void DeleteLeaf(void* node) { delete static_cast<Leaf*>(node); }
  static void DeleteInner(void* node) { delete static_cast<Inner*>(node); }
  static void DeleteSeparator(void* separator) { ::operator delete(separator); }

  // Unlinked from the working tree; published trees may still hold it unless it is of this epoch.
  void Discard(Node* node) {
    const size_t bytes = node->leaf ? sizeof(Leaf) : sizeof(Inner);
    auto* deleter = node->leaf ? &DeleteLeaf : &DeleteInner;
    bytes_ -= bytes;
    if (node->owner == epoch_) {
      deleter(node);
    } else {
      garbage_.push_back({node, deleter, bytes});
    }
  }
  void Discard(Separator* separator) {
    const size_t bytes = sizeof(Separator) + separator->size;
    bytes_ -= bytes;
    garbage_.push_back({separator, &DeleteSeparator, bytes});
  }

  // A node that Load has made, and its least and greatest key.
  struct Loaded {
    Node* node;
    std::string_view first;
    std::string_view last;
  };
  // Even parts of at most kLoadFill, which leaves room for the next changes.
  template <class Visit>
  static void ForEachPart(size_t size, Visit visit) {
    const size_t parts = (size + kLoadFill - 1) / kLoadFill;
    for (size_t part = 0; part < parts; ++part) {
      const size_t from = size * part / parts;
      visit(from, size * (part + 1) / parts - from);
    }
  }
  std::vector<Loaded> LoadLevel(std::span<const Loaded> below) {
    std::vector<Loaded> level;
    ForEachPart(below.size(), [&](size_t from, size_t count) {
      Inner* inner = NewInner();
      inner->count = static_cast<uint32_t>(count);
      for (size_t i = 0; i < count; ++i) {
        const Loaded& child = below[from + i];
        inner->children[i] = child.node;
        inner->low[i] = i == 0 ? nullptr : NewSeparator(below[from + i - 1].last, child.first);
        inner->live[i] = static_cast<uint32_t>(Live(child.node));
      }
      Nodes::SetHeads(inner);
      level.push_back({inner, below[from].first, below[from + count - 1].last});
    });
    return level;
  }

  Node* Mutable(Node* node) {
    if (node->owner == epoch_) return node;
    Node* copy = node->leaf ? static_cast<Node*>(CopyLeaf(static_cast<Leaf*>(node)))
                            : static_cast<Node*>(CopyInner(static_cast<Inner*>(node)));
    Discard(node);
    return copy;
  }
  Leaf* CopyLeaf(const Leaf* from) {
    Leaf* leaf = NewLeaf();
    leaf->count = from->count;
    leaf->live = from->live;
    std::copy_n(from->tags, from->count, leaf->tags);
    std::copy_n(from->items, from->count, leaf->items);
    return leaf;
  }
  Inner* CopyInner(const Inner* from) {
    Inner* inner = NewInner();
    inner->count = from->count;
    inner->common = from->common;
    std::copy_n(from->begins, Nodes::kBeginsMax, inner->begins);
    std::copy_n(from->heads, from->count, inner->heads);
    CopyChildren(from, 0, from->count, inner, 0);
    return inner;
  }

  void SetInLeaf(Leaf* leaf, Item* item, bool replaces) {
    const KeyTag tag = TagOf(item->key());
    const uint32_t place = Nodes::PlaceOf(leaf, item->key(), tag);
    CHECK((place < leaf->count) == replaces);
    const uint32_t i = replaces ? place : Nodes::PositionIn(leaf, item->key());
    const uint64_t bit = uint64_t{1} << i;
    if (!replaces) {
      std::copy_backward(leaf->items + i, leaf->items + leaf->count, leaf->items + leaf->count + 1);
      std::copy_backward(leaf->tags + i, leaf->tags + leaf->count, leaf->tags + leaf->count + 1);
      leaf->live = (leaf->live & (bit - 1)) | ((leaf->live & ~(bit - 1)) << 1);
      ++leaf->count;
    }
    leaf->items[i] = item;
    leaf->tags[i] = tag;
    leaf->live = item->live() ? leaf->live | bit : leaf->live & ~bit;
  }

  // `count` children, within a node too; its count and heads are the caller's.
  static void CopyChildren(const Inner* from, uint32_t at, uint32_t count, Inner* to, uint32_t i) {
    MoveValues(from->children + at, count, to->children + i);
    MoveValues(from->low + at, count, to->low + i);
    MoveValues(from->live + at, count, to->live + i);
  }
  void GrowRoot(std::string_view key) {
    Inner* inner = NewInner();
    inner->count = 1;
    inner->children[0] = root_;
    inner->low[0] = nullptr;
    inner->live[0] = static_cast<uint32_t>(Live(root_));
    root_ = inner;
    SplitChild(inner, 0, key);
  }

  // Splits the full, mutable child i. Keys that arrive in ascending order leave full nodes behind.
  void SplitChild(Inner* parent, uint32_t i, std::string_view key) {
    Node* right = nullptr;
    Separator* separator = nullptr;
    if (parent->children[i]->leaf) {
      auto* left = static_cast<Leaf*>(parent->children[i]);
      const bool at_end = left->items[kFanOut - 1]->key() < key;
      const uint32_t keep = at_end ? kFanOut - 4 : kFanOut / 2;
      separator = NewSeparator(left->items[keep - 1]->key(), left->items[keep]->key());
      right = SplitLeaf(left, keep);
    } else {
      auto* left = static_cast<Inner*>(parent->children[i]);
      const bool at_end = left->low[kFanOut - 1]->view() < key;
      const uint32_t keep = at_end ? kFanOut - 4 : kFanOut / 2;
      separator = left->low[keep];
      right = SplitInner(left, keep);
    }
    CopyChildren(parent, i + 1, parent->count - i - 1, parent, i + 2);
    ++parent->count;
    parent->children[i + 1] = right;
    parent->low[i + 1] = separator;
    parent->live[i + 1] = static_cast<uint32_t>(Live(right));
    parent->live[i] -= parent->live[i + 1];
    Nodes::SetHeads(parent);
  }
  Leaf* SplitLeaf(Leaf* left, uint32_t keep) {
    Leaf* right = NewLeaf();
    right->count = left->count - keep;
    std::copy_n(left->items + keep, right->count, right->items);
    std::copy_n(left->tags + keep, right->count, right->tags);
    right->live = left->live >> keep;
    left->live &= (uint64_t{1} << keep) - 1;
    left->count = keep;
    return right;
  }
  Inner* SplitInner(Inner* left, uint32_t keep) {
    Inner* right = NewInner();
    right->count = left->count - keep;
    CopyChildren(left, keep, right->count, right, 0);
    right->low[0] = nullptr;  // moved up into the parent
    left->count = keep;
    Nodes::SetHeads(left);
    Nodes::SetHeads(right);
    return right;
  }

  void RemoveBelow(Node* node, std::string_view key, int live_change) {
    if (node->leaf) return RemoveInLeaf(static_cast<Leaf*>(node), key);
    auto* inner = static_cast<Inner*>(node);
    const uint32_t i = Nodes::ChildOf(inner, key);
    inner->children[i] = Mutable(inner->children[i]);
    inner->live[i] += static_cast<uint32_t>(live_change);
    RemoveBelow(inner->children[i], key, live_change);
    if (inner->children[i]->count == 0) {
      Discard(inner->children[i]);
      EraseChild(inner, i);
    } else if (inner->children[i]->count < kMergeBelow) {
      if (i + 1 < inner->count && Merge(inner, i)) return;
      if (i > 0) Merge(inner, i - 1);
    }
  }
  void RemoveInLeaf(Leaf* leaf, std::string_view key) {
    const uint32_t i = Nodes::PlaceOf(leaf, key, TagOf(key));
    CHECK(i < leaf->count);
    std::copy(leaf->tags + i + 1, leaf->tags + leaf->count, leaf->tags + i);
    std::copy(leaf->items + i + 1, leaf->items + leaf->count, leaf->items + i);
    const uint64_t below = (uint64_t{1} << i) - 1;
    leaf->live = (leaf->live & below) | ((leaf->live >> 1) & ~below);
    --leaf->count;
  }
  // Takes slot i and the separator in front of what follows out of `inner`; the child is the
  // caller's.
  void EraseChild(Inner* inner, uint32_t i) {
    if (i > 0) {
      Discard(inner->low[i]);
    } else if (inner->count > 1) {
      Discard(inner->low[1]);
      inner->low[1] = nullptr;
    }
    CopyChildren(inner, i + 1, inner->count - i - 1, inner, i);
    --inner->count;
    Nodes::SetHeads(inner);
  }
  // Joins children i and i + 1 if they fit well into one node.
  bool Merge(Inner* inner, uint32_t i) {
    Node* right = inner->children[i + 1];
    if (inner->children[i]->count + right->count > kMergedMax) return false;
    Node* left = inner->children[i] = Mutable(inner->children[i]);
    if (left->leaf) {
      AppendLeaf(static_cast<Leaf*>(left), static_cast<const Leaf*>(right));
      Discard(inner->low[i + 1]);
    } else {
      AppendInner(static_cast<Inner*>(left), static_cast<const Inner*>(right), inner->low[i + 1]);
    }
    inner->live[i] += inner->live[i + 1];
    CopyChildren(inner, i + 2, inner->count - i - 2, inner, i + 1);
    --inner->count;
    Nodes::SetHeads(inner);
    Discard(right);
    return true;
  }
  static void AppendLeaf(Leaf* left, const Leaf* right) {
    std::copy_n(right->items, right->count, left->items + left->count);
    std::copy_n(right->tags, right->count, left->tags + left->count);
    left->live |= right->live << left->count;
    left->count += right->count;
  }
  static void AppendInner(Inner* left, const Inner* right, Separator* between) {
    CopyChildren(right, 0, right->count, left, left->count);
    left->low[left->count] = between;
    left->count += right->count;
    Nodes::SetHeads(left);
  }

  static void DestroyTree(Node* node) {
    if (node->leaf) return DeleteLeaf(node);
    auto* inner = static_cast<Inner*>(node);
    for (uint32_t i = 0; i < inner->count; ++i) {
      DestroyTree(inner->children[i]);
      if (i > 0) DeleteSeparator(inner->low[i]);
    }
    DeleteInner(inner);
  }

  // Returns the bytes of nodes and separators.
  static size_t CheckNode(const Node* node, std::string_view low, const std::string_view* high) {
    if (node->leaf) {
      auto* leaf = static_cast<const Leaf*>(node);
      for (uint32_t i = 0; i < leaf->count; ++i) {
        const std::string_view key = leaf->items[i]->key();
        CHECK(key >= low && (high == nullptr || key < *high));
        CHECK(i == 0 || leaf->items[i - 1]->key() < key);
        CHECK(((leaf->live >> i) & 1) == (leaf->items[i]->live() ? 1U : 0U));
        CHECK(leaf->tags[i] == TagOf(key));
      }
      CHECK(leaf->count == kFanOut || leaf->live >> leaf->count == 0);
      return sizeof(Leaf);
    }
    auto* inner = static_cast<const Inner*>(node);
    CHECK(inner->count > 0 && inner->low[0] == nullptr);
    size_t bytes = sizeof(Inner);
    for (uint32_t i = 0; i < inner->count; ++i) {
      const std::string_view from = i == 0 ? low : inner->low[i]->view();
      std::string_view to;
      if (i + 1 < inner->count) to = inner->low[i + 1]->view();
      bytes += CheckNode(inner->children[i], from, i + 1 < inner->count ? &to : high);
      if (i > 0) {
        bytes += sizeof(Separator) + inner->low[i]->size;
        CHECK(inner->low[i]->view().substr(0, inner->common) == Nodes::CommonOf(inner));
        CHECK(inner->heads[i] == HeadOf(inner->low[i]->view().substr(inner->common)));
      }
      CHECK(inner->live[i] == Live(inner->children[i]));
    }
    return bytes;
  }

  uint64_t epoch_ = 1;
  size_t bytes_ = 0;
  std::vector<Garbage> garbage_;
  Node* root_;
};

}  // namespace store::mvcc
