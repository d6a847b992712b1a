// SPDX-License-Identifier: Apache-2.0
// damage_state DATA_DIR KEY VALUE: the state of a member that is stopped is made to differ from the
// others': the newest record of KEY gets VALUE, with checksums that fit, as an error in the program
// or a bit that fell over in memory would leave it. Nothing below the comparison of histories can
// find that. For tests/cluster/corruption.
#include "store/base/crc32c.h"
#include "store/engine/rocks_engine.h"
#include "store/engine/state_dir.h"
#include "store/mvcc/record.h"

#include <fmt/core.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace store {
namespace {

struct Found {
  std::string row;
  std::string header;
};

Result<std::optional<Found>> FindNewest(const engine::Engine& engine, std::string_view key) {
  std::optional<Found> found;
  auto cursor = engine.Scan(engine::Table::kRev, {}, {}, {});
  for (; cursor->Valid(); cursor->Next()) {
    auto header = mvcc::ParseRecordHeader(cursor->value());
    RETURN_IF_ERROR(header);
    if (header->key == key) found = {std::string(cursor->key()), std::string(cursor->value())};
  }
  RETURN_IF_ERROR(cursor->status());
  return found;
}

Status Damage(const std::string& data_dir, std::string_view key, std::string_view value) {
  const engine::Path member = engine::Path(data_dir) / "member";
  auto name = engine::ReadStateName(member);
  RETURN_IF_ERROR(name);
  if (!*name) return Fail(ErrorCode::kNotFound, data_dir + " holds no state");
  engine::RocksSettings settings;
  settings.create_if_missing = false;
  auto engine = engine::RocksEngine::Open(member / (*name)->directory, std::move(settings));
  RETURN_IF_ERROR(engine);
  auto found = FindNewest(**engine, key);
  RETURN_IF_ERROR(found);
  if (!*found) return Fail(ErrorCode::kNotFound, fmt::format("no record of {}", key));
  auto header = mvcc::ParseRecordHeader((*found)->header);
  RETURN_IF_ERROR(header);
  header->value_size = static_cast<uint32_t>(value.size());
  header->value_crc = Crc32c(value);
  std::string damaged;
  mvcc::AppendRecordHeader(*header, &damaged);
  auto batch = (*engine)->NewBatch();
  batch->Put(engine::Table::kRev, (*found)->row, damaged);
  batch->Put(engine::Table::kVal, (*found)->row, value);
  RETURN_IF_ERROR((*engine)->Write(*batch));
  return (*engine)->Flush();
}

}  // namespace
}  // namespace store

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "damage_state DATA_DIR KEY VALUE\n");
    return 2;
  }
  store::Status damaged = store::Damage(argv[1], argv[2], argv[3]);
  if (damaged) return 0;
  fmt::print(stderr, "{}\n", damaged.error().ToString());
  return 1;
}
