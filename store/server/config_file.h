// SPDX-License-Identifier: Apache-2.0
// The YAML file of --config-file: etcd's keys, which are the names of flags, and its few mappings.
// Only read here: what the values mean is flag_table.h's. Any thread.
#pragma once

#include "store/base/error.h"

#include <string>
#include <vector>

namespace store::server {

struct FileValue {
  std::string flag;   // the name of the flag, of a nested key too (peer-cert-file)
  std::string value;  // a list joined by commas; never of a key without a value
  std::string where;  // "key (FILE, line N)"
};

// In the order of the file. kNotFound, kIo or kInvalidArgument: what is wrong and where.
Result<std::vector<FileValue>> ReadConfigFile(const std::string& path);

}  // namespace store::server
