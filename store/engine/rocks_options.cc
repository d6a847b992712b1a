// SPDX-License-Identifier: Apache-2.0
#include "store/engine/rocks_options.h"

#include <rocksdb/rate_limiter.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>

namespace store::engine {
namespace {

constexpr size_t kKiB = size_t{1} << 10;
constexpr size_t kMiB = size_t{1} << 20;

size_t WriteBufferBytes(Table table) {
  switch (table) {
    case Table::kRev:
      return 16 * kMiB;
    case Table::kVal:
      return 32 * kMiB;  // values are most of the bytes
    case Table::kSys:
      return 4 * kMiB;  // few rows, the same again and again
  }
  return 4 * kMiB;
}

}  // namespace

std::string_view TableName(Table table) {
  switch (table) {
    case Table::kRev:
      return "rev";
    case Table::kVal:
      return "val";
    case Table::kSys:
      return "sys";
  }
  return "";
}

rocksdb::DBOptions MakeDbOptions(const RocksSettings& settings) {
  rocksdb::DBOptions options;
  options.create_if_missing = settings.create_if_missing;
  options.create_missing_column_families = settings.create_if_missing;
  // The WAL is off and all tables must come back at one cut: the state after some whole batch.
  options.atomic_flush = true;
  // Closing is not a way to make data durable: Flush is, and a test may take closing for a crash.
  options.avoid_flush_during_shutdown = true;
  // Memtables of all tables together, apart from the block cache: charged to it they would evict
  // it.
  options.write_buffer_manager =
      std::make_shared<rocksdb::WriteBufferManager>(settings.memtable_bytes_max);
  // Two cores: one flush and one compaction, never more.
  options.max_background_jobs = 2;
  // Background writing must leave the disk to the log's fsync.
  options.rate_limiter.reset(
      rocksdb::NewGenericRateLimiter(static_cast<int64_t>(settings.background_bytes_per_second)));
  // Write-back in small portions instead of one burst that an fsync of the log would wait for.
  options.bytes_per_sync = kMiB;
  // Taken at each start: the default of 4 MiB is what a nearly full disk has left.
  options.manifest_preallocation_size = 64 * kKiB;
  // RocksDB's own log: only what is wrong, and bounded.
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.max_log_file_size = kMiB;
  options.keep_log_file_num = 2;
  // Statistics are asked for through Sizes; the periodic dumps only cost.
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  return options;
}

rocksdb::ColumnFamilyOptions MakeTableOptions(Table table,
                                              const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = WriteBufferBytes(table);
  // Apply goes on while a flush runs; four cover a slow disk before writes are slowed.
  options.max_write_buffer_number = 4;
  // One compression on all levels: a change on the way down forbids trivial moves, and keys that
  // only grow move down without being rewritten (measured: 0 against 390-440 MB rewritten).
  options.compression = rocksdb::kLZ4Compression;
  // Level sizes follow the data: less space amplification for small states.
  options.level_compaction_dynamic_level_bytes = true;

  rocksdb::BlockBasedTableOptions blocks;
  // Every read needs the index of its file, so it stays with the open file, at the largest quota
  // 50 MB. As an entry of the cache it would outlive its file: those of files long compacted away
  // filled the cache within an hour of writes.
  blocks.cache_index_and_filter_blocks = false;
  if (table == Table::kVal) {
    // Values that are read again are in the value cache, their files in the kernel's: looking for
    // the block of one that is read once cost a twelfth of a range.
    blocks.no_block_cache = true;
  } else {
    // With its indexes, so that the cache's size is what reading takes.
    blocks.block_cache = cache;
    blocks.cache_usage_options.options_overrides[rocksdb::CacheEntryRole::kBlockBasedTableReader] =
        {.charged = rocksdb::CacheEntryRoleOptions::Decision::kEnabled};
  }
  // Reads are scans, or of rows known to exist: a filter would only cost. Larger blocks compress
  // better; but values are read one by one, and each costs a block.
  blocks.block_size = table == Table::kVal ? 2 * kKiB : 16 * kKiB;
  if (table == Table::kVal) {
    // Some seven values a block: found by halving, not by decoding half of them. Revisions share so
    // few bytes that prefixes save nothing.
    blocks.block_restart_interval = 1;
    // In the index they do, and the fewer places that halving looks at stay in the caches: with
    // blocks half as large a range of 5 M keys costs 10.5 instead of 11.4 us, in no more memory.
    blocks.index_block_restart_interval = 16;
  }
  blocks.format_version = 5;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(blocks));
  return options;
}

}  // namespace store::engine
