// SPDX-License-Identifier: Apache-2.0
// TreeNodes: what the nodes of CowBtree look like, and how a key is found in them: one at a time,
// each node asked for whole before it is searched, or many side by side, so that their waits for
// memory overlap. Separators between children are short byte strings of their own, because the item
// a separator was cut from may be gone long before the separator. Static functions: any thread, on
// nodes that do not change (a published root under an epoch guard, or the writer's own).
#pragma once

#include "store/base/check.h"
#include "store/mvcc/node_search.h"

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace store::mvcc {

template <class T>
concept TreeItem = requires(const T& item) {
  { item.key() } -> std::convertible_to<std::string_view>;
  { item.live() } -> std::convertible_to<bool>;
};

template <TreeItem Item>
struct TreeNodes {
  static constexpr uint32_t kFanOut = 64;
  static constexpr size_t kBeginsMax = 44;  // up to the end of the node's first cache line
  // About what a core can wait for at once.
  static constexpr size_t kTogether = 32;

  struct Node {
    uint64_t owner;
    uint32_t count;
    bool leaf;
  };
  struct Separator {
    uint32_t size;
    std::string_view view() const { return {reinterpret_cast<const char*>(this + 1), size}; }
  };
  struct Leaf : Node {
    uint64_t live;  // bit i: items[i] is live
    KeyTag tags[kFanOut];
    Item* items[kFanOut];
  };
  struct Inner : Node {
    uint32_t common;          // bytes that all separators begin with
    char begins[kBeginsMax];  // these, if they are not more
    uint64_t heads[kFanOut];  // of what stands behind these in low[i]
    Node* children[kFanOut];
    Separator* low[kFanOut];  // least key of children[i]; [0] is null: no lower bound
    uint32_t live[kFanOut];
  };

  static constexpr size_t kItemBytes = 128;  // an item and its key, if that is not long
  // Of either kind of node: all of a leaf, the heads of an inner one.
  static constexpr size_t kSearchedBytes = sizeof(Leaf);
  static constexpr size_t kTagsEnd = sizeof(Leaf) - sizeof(Leaf::items);

  // Null: not there.
  static Item* Find(const Node* node, std::string_view key) {
    while (!node->leaf) {
      node = Child(node, key);
      Prefetch(node, kSearchedBytes);
    }
    return ItemOf(static_cast<const Leaf*>(node), key, TagOf(key));
  }
  // found[i]: of keys[i].
  static void FindTogether(const Node* top, std::span<const std::string_view> keys,
                           std::span<Item*> found) {
    CHECK(found.size() >= keys.size());
    const size_t height = HeightOf(top);
    for (size_t at = 0; at < keys.size(); at += kTogether) {
      const size_t count = std::min(kTogether, keys.size() - at);
      FindSome(top, height, keys.subspan(at, count), found.subspan(at, count));
    }
  }

  static std::string_view CommonOf(const Inner* inner) {
    if (inner->common <= kBeginsMax) return {inner->begins, inner->common};
    return inner->low[1]->view().substr(0, inner->common);
  }
  static uint32_t ChildOf(const Inner* inner, std::string_view key) {
    if (inner->count == 1) return 0;
    const std::string_view common = CommonOf(inner);
    const int order = key.substr(0, common.size()).compare(common);
    if (order != 0) return order < 0 ? 0 : inner->count - 1;
    const uint64_t head = HeadOf(key.substr(common.size()));
    const uint64_t* end = inner->heads + inner->count;
    const uint64_t* at = std::lower_bound(inner->heads + 1, end, head);
    // Equal heads: the whole separators decide.
    while (at != end && *at == head && inner->low[at - inner->heads]->view() <= key) ++at;
    return static_cast<uint32_t>(at - inner->heads) - 1;
  }
  // After a change of its separators.
  static void SetHeads(Inner* inner) {
    inner->common = 0;
    if (inner->count < 2) return;
    // They are in order: what the first and the last begin with, all do.
    inner->common = static_cast<uint32_t>(
        CommonPrefix(inner->low[1]->view(), inner->low[inner->count - 1]->view()));
    inner->low[1]->view().copy(inner->begins, std::min<size_t>(inner->common, kBeginsMax));
    for (uint32_t i = 1; i < inner->count; ++i) {
      inner->heads[i] = HeadOf(inner->low[i]->view().substr(inner->common));
    }
  }
  // kFanOut: not there.
  static uint32_t PlaceOf(const Leaf* leaf, std::string_view key, KeyTag tag) {
    for (uint64_t places = PlacesOf(leaf, tag); places != 0; places &= places - 1) {
      const auto i = static_cast<uint32_t>(std::countr_zero(places));
      Prefetch(leaf->items[i], kItemBytes);
      if (leaf->items[i]->key() == key) return i;
    }
    return kFanOut;
  }
  // Of the first item that is not below `key`.
  static uint32_t PositionIn(const Leaf* leaf, std::string_view key) {
    auto* end = leaf->items + leaf->count;
    auto* it = std::lower_bound(leaf->items, end, key, [](const Item* item, std::string_view k) {
      return item->key() < k;
    });
    return static_cast<uint32_t>(it - leaf->items);
  }

 private:
  static const Node* Child(const Node* node, std::string_view key) {
    auto* inner = static_cast<const Inner*>(node);
    return inner->children[ChildOf(inner, key)];
  }
  static Item* ItemOf(const Leaf* leaf, std::string_view key, KeyTag tag) {
    const uint32_t i = PlaceOf(leaf, key, tag);
    return i < leaf->count ? leaf->items[i] : nullptr;
  }
  // Bit i: items[i] may have the key with that tag.
  static uint64_t PlacesOf(const Leaf* leaf, KeyTag tag) {
    const uint64_t all = leaf->count < kFanOut ? (uint64_t{1} << leaf->count) - 1 : ~uint64_t{0};
    return MatchingTags(leaf->tags, tag) & all;
  }
  // Of inner nodes above a leaf; all leaves are equally deep.
  static size_t HeightOf(const Node* node) {
    size_t height = 0;
    for (; !node->leaf; ++height) node = static_cast<const Inner*>(node)->children[0];
    return height;
  }
  // Each step asks for what the next one looks at, and for no more: together they are bound by
  // lines, of which a leaf has ten and a search needs three.
  static void FindSome(const Node* top, size_t height, std::span<const std::string_view> keys,
                       std::span<Item*> found) {
    std::array<const Node*, kTogether> nodes;
    std::array<KeyTag, kTogether> tags;
    nodes.fill(top);
    for (size_t level = height; level > 0; --level) {
      for (size_t i = 0; i < keys.size(); ++i) {
        nodes[i] = Child(nodes[i], keys[i]);
        Prefetch(nodes[i], level == 1 ? kTagsEnd : kSearchedBytes);
      }
    }
    for (size_t i = 0; i < keys.size(); ++i) {
      tags[i] = TagOf(keys[i]);
      EachPlace(nodes[i], tags[i],
                [](Item* const& item) { __builtin_prefetch(static_cast<const void*>(&item)); });
    }
    for (size_t i = 0; i < keys.size(); ++i) {
      EachPlace(nodes[i], tags[i], [](Item* const& item) { Prefetch(item, kItemBytes); });
    }
    for (size_t i = 0; i < keys.size(); ++i) {
      found[i] = ItemOf(static_cast<const Leaf*>(nodes[i]), keys[i], tags[i]);
    }
  }
  template <class Visit>
  static void EachPlace(const Node* node, KeyTag tag, Visit visit) {
    auto* leaf = static_cast<const Leaf*>(node);
    for (uint64_t places = PlacesOf(leaf, tag); places != 0; places &= places - 1) {
      visit(leaf->items[std::countr_zero(places)]);
    }
  }
};

}  // namespace store::mvcc
