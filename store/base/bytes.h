// SPDX-License-Identifier: Apache-2.0
// SharedBytes: an immutable run of bytes that several threads may hold: a pointer, a length and a
// reference to whatever keeps the memory alive. Copying costs one atomic increment, slicing the
// same. Values travel from the log entry to the engine, the watchers and the wire without being
// copied. Any thread (the bytes never change).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace store {

class SharedBytes {
 public:
  SharedBytes() = default;

  static SharedBytes Of(std::string bytes) {
    auto owner = std::make_shared<const std::string>(std::move(bytes));
    std::string_view view = *owner;
    return SharedBytes(view, std::move(owner));
  }
  static SharedBytes Copy(std::string_view bytes) { return Of(std::string(bytes)); }
  // `view` must stay valid while `owner` lives.
  static SharedBytes Slice(std::string_view view, std::shared_ptr<const void> owner) {
    return SharedBytes(view, std::move(owner));
  }

  std::string_view view() const { return view_; }
  operator std::string_view() const { return view_; }
  const char* data() const { return view_.data(); }
  size_t size() const { return view_.size(); }
  bool empty() const { return view_.empty(); }

  SharedBytes Slice(size_t offset, size_t length) const {
    return SharedBytes(view_.substr(offset, length), owner_);
  }
  friend bool operator==(const SharedBytes& a, const SharedBytes& b) { return a.view_ == b.view_; }

 private:
  SharedBytes(std::string_view view, std::shared_ptr<const void> owner)
      : view_(view), owner_(std::move(owner)) {}

  std::string_view view_;
  std::shared_ptr<const void> owner_;
};

// Lower-case hex, for ids and logs.
std::string ToHex(std::string_view bytes);
// Printable form of arbitrary bytes for messages: \xNN for what is not printable, cut at
// `bytes_max`.
std::string Printable(std::string_view bytes, size_t bytes_max = 64);

}  // namespace store
