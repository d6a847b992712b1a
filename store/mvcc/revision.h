// SPDX-License-Identifier: Apache-2.0
// RecordId: where one change stands in the history: its transaction's main revision and its place
// inside. Its 12-byte key (main 8 big endian, sub 4 big endian) orders records as they happened.
// Values.
#pragma once

#include "store/base/ids.h"

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace store::mvcc {

struct RecordId {
  Revision main;
  uint32_t sub = 0;
  friend constexpr auto operator<=>(const RecordId&, const RecordId&) = default;
  bool valid() const { return main.value() > 0; }
};

inline constexpr size_t kRecordKeySize = 12;

// Appends the 12 bytes; parses exactly 12 bytes.
void AppendRecordKey(RecordId id, std::string* out);
std::string RecordKey(RecordId id);
std::optional<RecordId> ParseRecordKey(std::string_view bytes);

}  // namespace store::mvcc
