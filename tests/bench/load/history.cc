// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/load/history.h"

#include "store/base/coding.h"
#include "store/base/crc32c.h"

#include <etcd/kv.pb.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace bench {
namespace {

std::string Shown(const Change& change) {
  return change.put ? fmt::format("put of key {}, stamp {}", change.key, change.stamp)
                    : fmt::format("delete of key {}", change.key);
}

// As etcd stores it: main 8 big endian, '_', sub 8 big endian; then the message.
std::string Record(int64_t mod, const mvccpb::KeyValue& kv) {
  std::string record(17, '\0');
  store::StoreBigEndian64(static_cast<uint64_t>(mod), record.data());
  record[8] = '_';
  return record + kv.SerializeAsString();
}

}  // namespace

void History::Fault(std::string text) {
  if (fault_.empty()) fault_ = std::move(text);
}

void History::Tell(int64_t revision, const Change& change, bool answer) {
  const char* who = answer ? "an answer" : "an event";
  if (revision < next_) {
    return Fault(fmt::format("{} of revision {} ({}) comes again or too late: {} are replayed", who,
                             revision, Shown(change), next_ - 1));
  }
  const auto place = static_cast<size_t>(revision - next_);
  if (place >= kOpenMax) {
    return Fault(fmt::format("revision {} was told, but {} not yet", revision, next_));
  }
  if (place >= open_.size()) open_.resize(place + 1);
  Open& open = open_[place];
  bool& told = answer ? open.acknowledged : open.seen;
  const bool other = answer ? open.seen : open.acknowledged;
  if (told) return Fault(fmt::format("two of revision {}: {}", revision, Shown(change)));
  if (other && open.change != change) {
    return Fault(fmt::format("revision {} was told as {} and as {}", revision, Shown(open.change),
                             Shown(change)));
  }
  told = true;
  open.change = change;
  while (!open_.empty() && open_.front().acknowledged && open_.front().seen) {
    Replay(open_.front().change);
    open_.pop_front();
    ++next_;
  }
}

void History::Replay(const Change& change) {
  Row& row = rows_.at(change.key);
  if (!change.put) {
    if (row.create == 0) Fault(fmt::format("revision {} deletes what is not there", next_));
    row = {};
    return;
  }
  if (row.create == 0) row.create = next_;
  row.mod = next_;
  ++row.version;
  row.stamp = change.stamp;
}

uint64_t History::live() const {
  return static_cast<uint64_t>(
      std::ranges::count_if(rows_, [](const Row& row) { return row.create != 0; }));
}

uint32_t History::Hash(Text key_of, Text value_of) const {
  std::vector<std::pair<int64_t, uint64_t>> order;
  for (uint64_t key = 0; key < rows_.size(); ++key) {
    if (rows_[key].create != 0) order.emplace_back(rows_[key].mod, key);
  }
  std::ranges::sort(order);
  uint32_t crc = store::Crc32c("key");
  for (const auto& [mod, key] : order) {
    const Row& row = rows_[key];
    mvccpb::KeyValue kv;
    kv.set_key(key_of(key));
    kv.set_create_revision(row.create);
    kv.set_mod_revision(mod);
    kv.set_version(row.version);
    kv.set_value(value_of(row.stamp));
    crc = store::ExtendCrc32c(crc, Record(mod, kv));
  }
  return crc;
}

}  // namespace bench
