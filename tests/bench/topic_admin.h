// SPDX-License-Identifier: Apache-2.0
// What a test does to a topic at the broker: create it with settings, delete it, forbid writing.
// Each call waits for the broker's answer. One thread.
#pragma once

#include "store/base/error.h"

#include <string>
#include <utility>
#include <vector>

namespace bench {

using TopicSettings = std::vector<std::pair<std::string, std::string>>;

store::Status CreateTopic(const std::string& brokers, const std::string& topic, int partitions,
                          const TopicSettings& settings);
store::Status AlterTopic(const std::string& brokers, const std::string& topic,
                         const TopicSettings& settings);
store::Status DropTopic(const std::string& brokers, const std::string& topic);
// An ACL that denies everybody to write; `deny` false takes it away again.
store::Status DenyWrites(const std::string& brokers, const std::string& topic, bool deny);

}  // namespace bench
