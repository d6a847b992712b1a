// SPDX-License-Identifier: Apache-2.0
// Chunk: a read buffer that lines point into. Filled by the shard, then immutable; shared with the sink until
// the last of its lines is delivered. Its memory counts against the agent's budget until then.
#pragma once

#include <cstddef>
#include <memory>

namespace logagent {

class Budget;

class Chunk {
 public:
  Chunk(size_t capacity, std::shared_ptr<Budget> budget);
  ~Chunk();
  Chunk(const Chunk&) = delete;
  Chunk& operator=(const Chunk&) = delete;

  char* data() { return data_.get(); }
  const char* data() const { return data_.get(); }
  size_t capacity() const { return capacity_; }
  size_t size() const { return size_; }
  void set_size(size_t size) { size_ = size; }

 private:
  std::unique_ptr<char[]> data_;
  size_t capacity_;
  size_t size_ = 0;
  std::shared_ptr<Budget> budget_;
};
using ChunkPtr = std::shared_ptr<const Chunk>;

}  // namespace logagent
