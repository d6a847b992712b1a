// SPDX-License-Identifier: Apache-2.0
// KeyRange: the keys a request means, from the (key, range_end) pair of the API:
//   range_end empty      exactly `key`
//   range_end > key      key <= x < range_end
//   range_end == "\0"    every x >= key ("\0","\0" is every key)
//   otherwise            nothing
// Order is unsigned byte-wise. Value type, any thread.
#pragma once

#include <string>
#include <string_view>

namespace store {

struct KeyRange {
  std::string from;
  std::string to;          // exclusive; meaningless when unbounded
  bool unbounded = false;  // no upper end

  static KeyRange Point(std::string_view key) {
    KeyRange range{std::string(key), std::string(key), false};
    range.to.push_back('\0');  // the smallest key above `key`
    return range;
  }
  static KeyRange FromRequest(std::string_view key, std::string_view range_end) {
    if (range_end.empty()) return Point(key);
    if (range_end == std::string_view("\0", 1)) return {std::string(key), {}, true};
    return {std::string(key), std::string(range_end), false};
  }

  bool Empty() const { return !unbounded && to <= from; }
  bool IsPoint() const {
    return !unbounded && to.size() == from.size() + 1 && to.back() == '\0' &&
           std::string_view(to).substr(0, from.size()) == from;
  }
  bool Contains(std::string_view key) const { return key >= from && (unbounded || key < to); }
  bool Overlaps(const KeyRange& other) const {
    return !Empty() && !other.Empty() && (unbounded || other.from < to) &&
           (other.unbounded || from < other.to);
  }
  friend bool operator==(const KeyRange&, const KeyRange&) = default;
};

}  // namespace store
