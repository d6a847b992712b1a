// SPDX-License-Identifier: Apache-2.0
// History: what one run has written, replayed in the order of revisions into a model of the store.
// Each change is told twice, by the answer to its write and by a watch of everything, in any order;
// it is replayed when both have come, they are equal and nothing before it is missing. So a
// revision that is lost, comes twice or says something else is a fault. One thread. Bounds: the
// changes that were told once (kOpenMax, beyond it is a fault) and one row for each key.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace bench {

// A value is named by its stamp, a number that no other value of the run has.
struct Change {
  uint64_t key = 0;
  bool put = true;  // else: deleted
  uint64_t stamp = 0;
  friend bool operator==(const Change&, const Change&) = default;
};

class History {
 public:
  struct Row {
    int64_t create = 0;  // 0: the key is not there
    int64_t mod = 0;
    int64_t version = 0;
    uint64_t stamp = 0;
  };
  static constexpr size_t kOpenMax = 1'000'000;

  // The first change of the run will be at `first`.
  History(uint64_t keys, int64_t first) : next_(first), rows_(keys) {}

  void Acknowledged(int64_t revision, const Change& change) { Tell(revision, change, true); }
  void Seen(int64_t revision, const Change& change) { Tell(revision, change, false); }

  const Row& row(uint64_t key) const { return rows_.at(key); }
  int64_t replayed() const { return next_ - 1; }
  // Nothing was told only once.
  bool settled() const { return open_.empty(); }
  // The first; empty: none.
  const std::string& fault() const { return fault_; }
  uint64_t live() const;

  // HashKV of a store that was compacted at replayed(), of which the last change was a put:
  // CRC-32C of the bucket's name, then of each live key's record in the order of revisions.
  using Text = absl::FunctionRef<std::string(uint64_t)>;
  uint32_t Hash(Text key_of, Text value_of) const;

 private:
  struct Open {
    bool acknowledged = false;
    bool seen = false;
    Change change;
  };

  void Tell(int64_t revision, const Change& change, bool answer);
  void Replay(const Change& change);
  void Fault(std::string text);

  int64_t next_;
  std::deque<Open> open_;  // of next_, next_ + 1, ...
  std::vector<Row> rows_;
  std::string fault_;
};

}  // namespace bench
