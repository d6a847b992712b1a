// SPDX-License-Identifier: Apache-2.0
// IntervalTree: key ranges [from, to), each with a value, that answers which ranges hold a key
// (stab) or meet a range (overlap) in O(log n + hits). A treap ordered by (from, to, value); each
// node knows the largest end in its subtree. Equal ranges may be there with different values. Used
// by the watch hub (who watches this key) and by auth (which permissions cover this range). Not
// synchronised: one owner thread. Unbounded: the owner limits what it inserts.
#pragma once

#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace store {

// [from, to); without `to` it has no end. Empty if to <= from: such a range holds and meets
// nothing.
template <std::totally_ordered Key>
struct Interval {
  Key from;
  std::optional<Key> to;

  friend bool operator==(const Interval&, const Interval&) = default;
};

// Gets each hit in the order of the tree; may return bool: false ends the query.
template <class V, class Key, class Value>
concept IntervalVisitor = std::invocable<V&, const Interval<Key>&, const Value&>;

template <std::totally_ordered Key, std::totally_ordered Value>
class IntervalTree {
 public:
  using Range = Interval<Key>;

  // False if exactly this range with this value is there already.
  bool Insert(Range range, Value value) {
    if (Contains(range, value)) return false;
    auto node = std::make_unique<Node>(std::move(range), std::move(value), NextPriority());
    auto [less, rest] = Split(std::move(root_), node->range, node->value);
    root_ = Merge(Merge(std::move(less), std::move(node)), std::move(rest));
    ++size_;
    return true;
  }

  // False if it is not there.
  bool Erase(const Range& range, const Value& value) {
    if (!EraseFrom(&root_, range, value)) return false;
    --size_;
    return true;
  }

  bool Contains(const Range& range, const Value& value) const {
    const Node* node = root_.get();
    while (node != nullptr) {
      int order = Order(range, value, *node);
      if (order == 0) return true;
      node = order < 0 ? node->left.get() : node->right.get();
    }
    return false;
  }

  // Visits the ranges that hold `key`; any type that compares with Key (std::string_view for
  // std::string).
  template <class K, IntervalVisitor<Key, Value> Visitor>
    requires std::totally_ordered_with<Key, K>
  void Stab(const K& key, Visitor&& visit) const {
    auto starts = [&](const Range& range) { return range.from <= key; };
    auto reaches = [&](const Range& range) { return !range.to || key < *range.to; };
    Walk(root_.get(), starts, reaches, visit);
  }

  // Visits the ranges that have a key in common with [from, to); without `to` it has no end.
  template <class K, IntervalVisitor<Key, Value> Visitor>
    requires std::totally_ordered_with<Key, K>
  void Overlap(const K& from, const std::optional<K>& to, Visitor&& visit) const {
    if (to && !(from < *to)) return;
    auto starts = [&](const Range& range) { return !to || range.from < *to; };
    auto reaches = [&](const Range& range) { return !range.to || from < *range.to; };
    Walk(root_.get(), starts, reaches, visit);
  }
  template <IntervalVisitor<Key, Value> Visitor>
  void Overlap(const Range& range, Visitor&& visit) const {
    Overlap(range.from, range.to, visit);
  }

  // Visits all in order.
  template <IntervalVisitor<Key, Value> Visitor>
  void ForEach(Visitor&& visit) const {
    auto yes = [](const Range&) { return true; };
    WalkAll(root_.get(), yes, yes, visit, false);
  }

  void Clear() {
    root_.reset();
    size_ = 0;
  }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  struct Node;
  using NodePtr = std::unique_ptr<Node>;
  struct Node {
    Node(Range r, Value v, uint64_t p)
        : range(std::move(r)), value(std::move(v)), priority(p), farthest(this) {}

    const Range range;
    const Value value;
    const uint64_t priority;  // >= that of the children
    const Node* farthest;     // the node of this subtree whose range ends last
    NodePtr left;
    NodePtr right;
  };

  // Expected depth is O(log n) whatever the keys are, because the priorities do not depend on them.
  uint64_t NextPriority() {
    uint64_t z = (priorities_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  template <class T>
  static int Compare(const T& a, const T& b) {
    return a < b ? -1 : b < a ? 1 : 0;
  }
  // No end is after every end.
  static int CompareEnds(const std::optional<Key>& a, const std::optional<Key>& b) {
    if (!a || !b) return static_cast<int>(!a) - static_cast<int>(!b);
    return Compare(*a, *b);
  }
  static int Order(const Range& range, const Value& value, const Node& node) {
    if (int order = Compare(range.from, node.range.from); order != 0) return order;
    if (int order = CompareEnds(range.to, node.range.to); order != 0) return order;
    return Compare(value, node.value);
  }

  static void Update(Node* node) {
    node->farthest = node;
    for (const Node* child : {node->left.get(), node->right.get()}) {
      if (child != nullptr &&
          CompareEnds(child->farthest->range.to, node->farthest->range.to) > 0) {
        node->farthest = child->farthest;
      }
    }
  }

  // What is before (range, value) and the rest.
  static std::pair<NodePtr, NodePtr> Split(NodePtr node, const Range& range, const Value& value) {
    if (!node) return {};
    if (Order(range, value, *node) > 0) {
      auto [less, rest] = Split(std::move(node->right), range, value);
      node->right = std::move(less);
      Update(node.get());
      return {std::move(node), std::move(rest)};
    }
    auto [less, rest] = Split(std::move(node->left), range, value);
    node->left = std::move(rest);
    Update(node.get());
    return {std::move(less), std::move(node)};
  }

  // Everything in `a` is before everything in `b`.
  static NodePtr Merge(NodePtr a, NodePtr b) {
    if (!a) return b;
    if (!b) return a;
    if (a->priority >= b->priority) {
      a->right = Merge(std::move(a->right), std::move(b));
      Update(a.get());
      return a;
    }
    b->left = Merge(std::move(a), std::move(b->left));
    Update(b.get());
    return b;
  }

  static bool EraseFrom(NodePtr* node, const Range& range, const Value& value) {
    if (!*node) return false;
    int order = Order(range, value, **node);
    if (order == 0) {
      NodePtr gone = std::move(*node);
      *node = Merge(std::move(gone->left), std::move(gone->right));
      return true;
    }
    if (!EraseFrom(order < 0 ? &(*node)->left : &(*node)->right, range, value)) return false;
    Update(node->get());
    return true;
  }

  // False as soon as the visitor wants no more.
  template <class Visitor>
  static bool Call(Visitor& visit, const Node& node) {
    if constexpr (std::is_same_v<decltype(visit(node.range, node.value)), bool>) {
      return visit(node.range, node.value);
    } else {
      visit(node.range, node.value);
      return true;
    }
  }

  // `starts` says whether a range starts before the end of the query: true up to some node in
  // order, then false. `reaches` says whether it ends after the query's start.
  template <class Starts, class Reaches, class Visitor>
  static bool Walk(const Node* node, const Starts& starts, const Reaches& reaches, Visitor& visit) {
    return WalkAll(node, starts, reaches, visit, true);
  }
  template <class Starts, class Reaches, class Visitor>
  static bool WalkAll(const Node* node, const Starts& starts, const Reaches& reaches,
                      Visitor& visit, bool skip_empty) {
    if (node == nullptr || !reaches(node->farthest->range)) return true;
    if (!WalkAll(node->left.get(), starts, reaches, visit, skip_empty)) return false;
    if (!starts(node->range)) return true;
    bool empty = node->range.to && !(node->range.from < *node->range.to);
    if (reaches(node->range) && !(skip_empty && empty) && !Call(visit, *node)) return false;
    return WalkAll(node->right.get(), starts, reaches, visit, skip_empty);
  }

  NodePtr root_;
  size_t size_ = 0;
  uint64_t priorities_ = 0;
};

}  // namespace store
