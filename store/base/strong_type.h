// SPDX-License-Identifier: Apache-2.0
// StrongInt: an integer with a name, so that a swapped (term, index) does not compile. Comparison
// and hashing always; arithmetic only for types whose tag asks for it. Value type, any thread.
//
//   struct IndexTag { static constexpr bool kArithmetic = true; };
//   using Index = StrongInt<IndexTag, uint64_t>;
#pragma once

#include <fmt/format.h>

#include <compare>
#include <concepts>
#include <cstddef>
#include <functional>
#include <ostream>
#include <utility>

namespace store {

template <class Tag, std::integral Rep>
class StrongInt {
 public:
  using rep = Rep;

  constexpr StrongInt() = default;
  constexpr explicit StrongInt(Rep value) : value_(value) {}

  constexpr Rep value() const { return value_; }
  constexpr explicit operator bool() const { return value_ != 0; }
  friend constexpr auto operator<=>(StrongInt, StrongInt) = default;

  // Distances and steps: Index + 3, Index - Index.
  friend constexpr StrongInt operator+(StrongInt a, Rep step)
    requires(Tag::kArithmetic)
  {
    return StrongInt(static_cast<Rep>(a.value_ + step));
  }
  friend constexpr StrongInt operator-(StrongInt a, Rep step)
    requires(Tag::kArithmetic)
  {
    return StrongInt(static_cast<Rep>(a.value_ - step));
  }
  friend constexpr Rep operator-(StrongInt a, StrongInt b)
    requires(Tag::kArithmetic)
  {
    return static_cast<Rep>(a.value_ - b.value_);
  }
  constexpr StrongInt& operator++()
    requires(Tag::kArithmetic)
  {
    ++value_;
    return *this;
  }

  template <class H>
  friend H AbslHashValue(H state, StrongInt v) {
    return H::combine(std::move(state), v.value_);
  }
  friend std::ostream& operator<<(std::ostream& out, StrongInt v) { return out << v.value_; }

 private:
  Rep value_ = 0;
};

}  // namespace store

template <class Tag, class Rep>
struct std::hash<store::StrongInt<Tag, Rep>> {
  size_t operator()(store::StrongInt<Tag, Rep> v) const { return std::hash<Rep>()(v.value()); }
};

template <class Tag, class Rep>
struct fmt::formatter<store::StrongInt<Tag, Rep>> : fmt::formatter<Rep> {
  template <class Context>
  auto format(store::StrongInt<Tag, Rep> v, Context& context) const {
    return fmt::formatter<Rep>::format(v.value(), context);
  }
};
