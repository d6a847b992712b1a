// SPDX-License-Identifier: Apache-2.0
// Chunk: a read buffer that lines point into. Filled by the shard, then immutable; shared with the
// sink until the last of its lines is decided. Its memory counts against the entry's share of the
// budget until then.
#pragma once

#include "logagent/tail/budget.h"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace logagent {

// One line within a chunk.
struct Line {
  uint32_t begin = 0;   // in the chunk
  uint32_t length = 0;  // without the newline
};

// What a line costs besides its bytes while it is in flight (librdkafka's message struct and our
// own).
inline constexpr size_t kLineOverhead = 256;

class Chunk {
 public:
  // Null when the budget does not allow it now.
  static std::shared_ptr<Chunk> TryMake(size_t capacity, const BudgetSharePtr& budget);
  ~Chunk();
  Chunk(const Chunk&) = delete;
  Chunk& operator=(const Chunk&) = delete;

  char* data() { return data_.get(); }
  const char* data() const { return data_.get(); }
  size_t capacity() const { return capacity_; }
  size_t size() const { return size_; }
  void set_size(size_t size) { size_ = size; }
  // Counts kLineOverhead per line until the chunk goes.
  void ChargeLines(size_t lines);

 private:
  Chunk(size_t capacity, BudgetSharePtr budget);

  std::unique_ptr<char[]> data_;
  size_t capacity_;
  size_t charged_;
  size_t size_ = 0;
  BudgetSharePtr budget_;
};
using ChunkPtr = std::shared_ptr<const Chunk>;

}  // namespace logagent
