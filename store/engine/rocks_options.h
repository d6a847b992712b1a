// SPDX-License-Identifier: Apache-2.0
// Every RocksDB option that differs from its default, with the reason beside it (rocks_options.cc).
// Private to store/engine: the only folder of the store that includes RocksDB. Pure functions.
#pragma once

#include "store/engine/engine.h"
#include "store/engine/rocks_engine.h"

#include <rocksdb/cache.h>
#include <rocksdb/options.h>

#include <memory>
#include <string_view>

namespace store::engine {

std::string_view TableName(Table table);
rocksdb::DBOptions MakeDbOptions(const RocksSettings& settings);
rocksdb::ColumnFamilyOptions MakeTableOptions(Table table,
                                              const std::shared_ptr<rocksdb::Cache>& cache);

}  // namespace store::engine
