// SPDX-License-Identifier: Apache-2.0
// The file system RocksDB writes through: the default one with failpoints at the two calls that a
// disk makes fail: "rocks-append" (as error(no_space) or error(io)) and "rocks-sync". Private to
// store/engine and its tests. Any thread.
#pragma once

#include <rocksdb/file_system.h>

#include <memory>

namespace store::engine {

std::shared_ptr<rocksdb::FileSystem> MakeRocksFileSystem();

}  // namespace store::engine
