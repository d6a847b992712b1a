// SPDX-License-Identifier: Apache-2.0
// HeaderBlock: the headers of one request, response or trailer, as the session collects them before
// anybody knows what the stream is. One per session, reused for each block, so that a call
// allocates only for what it keeps. One thread; bounded by Limits::header_bytes_max.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace store::rpc {

class HeaderBlock {
 public:
  struct Header {
    std::string_view name;
    std::string_view value;
  };

  void Clear() {
    bytes_.clear();
    places_.clear();
  }
  void Add(std::string_view name, std::string_view value) {
    places_.push_back({static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(name.size()),
                       static_cast<uint32_t>(value.size())});
    bytes_.append(name).append(value);
  }
  // As HTTP/2 counts a header list: 32 bytes for each entry.
  size_t size_bytes() const { return bytes_.size() + 32 * places_.size(); }
  size_t count() const { return places_.size(); }
  // Valid until the next Add or Clear.
  Header at(size_t index) const {
    const Place& place = places_[index];
    std::string_view all = bytes_;
    return {all.substr(place.offset, place.name_bytes),
            all.substr(place.offset + place.name_bytes, place.value_bytes)};
  }
  // First value of that name, or empty.
  std::string_view Find(std::string_view name) const {
    for (size_t i = 0; i < places_.size(); ++i) {
      Header header = at(i);
      if (header.name == name) return header.value;
    }
    return {};
  }

 private:
  struct Place {
    uint32_t offset;
    uint32_t name_bytes;
    uint32_t value_bytes;
  };
  std::string bytes_;
  std::vector<Place> places_;
};

}  // namespace store::rpc
