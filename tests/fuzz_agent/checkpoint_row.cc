// SPDX-License-Identifier: Apache-2.0
// Rows of the agent's state directory: the key's length in a byte, key, value. What decodes
// encodes to a row that means the same.
#include "logagent/checkpoint/codec.h"
#include "store/base/check.h"
#include "tests/fuzz/target.h"

#include <algorithm>

namespace store::fuzz {
namespace {

// The first byte says how long the key is.
std::string Joined(const logagent::SavedFile& row) {
  const std::string key = logagent::EncodeFileKey(row.file, row.entry);
  return std::string(1, static_cast<char>(key.size())) + key + logagent::EncodeFileValue(row);
}

logagent::SavedFile Row(uint64_t offset) {
  logagent::SavedFile row;
  row.file = {2049, 77, 3};
  row.entry = std::string("/a/*.log\0web", 12);
  row.path = "/a/b.log";
  row.size_seen = offset + 5;
  row.offset = offset;
  row.head = {1024, 0x1234567890ABCDEF};
  row.mark = {64, 0xFEDCBA0987654321};
  return row;
}

}  // namespace

void Run(std::string_view input) {
  if (input.empty()) {
    return;
  }
  const size_t length = std::min<size_t>(static_cast<unsigned char>(input[0]), input.size() - 1);
  auto row = logagent::DecodeFileRow(input.substr(1, length), input.substr(1 + length));
  if (!row) {
    return;
  }
  auto again = logagent::DecodeFileRow(logagent::EncodeFileKey(row->file, row->entry),
                                       logagent::EncodeFileValue(*row));
  CHECK(again.has_value(), "{}", again.error().message());
  CHECK(again->file == row->file && again->entry == row->entry && again->path == row->path);
  CHECK(again->offset == row->offset && again->size_seen == row->size_seen);
  CHECK(again->head == row->head && again->mark == row->mark && again->state == row->state);
}

std::vector<std::string> Seeds() {
  return {Joined(Row(0)), Joined(Row(100)), Joined(Row(uint64_t{1} << 40))};
}

}  // namespace store::fuzz
