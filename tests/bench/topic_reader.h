// SPDX-License-Identifier: Apache-2.0
// What a topic holds, asked at the broker itself: how many records, and whether they are the lines
// that were written, each in the order of its file within a partition. One thread at a time.
// Memory: one bit per line.
#pragma once

#include "store/base/error.h"

#include <librdkafka/rdkafka.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace bench {

struct TopicContents {
  uint64_t records = 0;
  uint64_t foreign = 0;   // no lines of ours
  uint64_t repeated = 0;  // seen before
  uint64_t disorder = 0;  // a first arrival behind a later line of its file in its partition
  uint64_t distinct = 0;
  uint64_t partitions_used = 0;
};

// Where the agent sends the file's lines.
store::Result<int32_t> PartitionOfFile(const std::string& path, int32_t partitions);

class TopicReader {
 public:
  static store::Result<std::unique_ptr<TopicReader>> Open(const std::string& brokers,
                                                          const std::string& topic);
  ~TopicReader();
  TopicReader(const TopicReader&) = delete;
  TopicReader& operator=(const TopicReader&) = delete;

  // First and next offset of each partition.
  store::Result<std::vector<std::pair<int64_t, int64_t>>> Offsets();
  // Sum of the next offsets: records ever written, for a topic that was created for this.
  store::Result<uint64_t> Written();
  // False when the deadline passed.
  store::Result<bool> WaitWritten(uint64_t records, std::chrono::seconds deadline);
  // The consumer stands at the end of that partition.
  store::Status FollowFromEnd(int32_t partition);
  int32_t partitions() const { return partitions_; }
  rd_kafka_t* consumer() { return consumer_; }
  // Reads all that is held now.
  store::Result<TopicContents> ReadAll();

 private:
  class Judge;

  TopicReader(std::string topic, rd_kafka_t* consumer)
      : topic_(std::move(topic)), consumer_(consumer) {}

  const std::string topic_;
  rd_kafka_t* consumer_;
  int32_t partitions_ = 0;
};

}  // namespace bench
