// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/revision.h"

#include "store/base/coding.h"

namespace store::mvcc {

void AppendRecordKey(RecordId id, std::string* out) {
  AppendBigEndian64(out, static_cast<uint64_t>(id.main.value()));
  AppendBigEndian32(out, id.sub);
}

std::string RecordKey(RecordId id) {
  std::string key;
  key.reserve(kRecordKeySize);
  AppendRecordKey(id, &key);
  return key;
}

std::optional<RecordId> ParseRecordKey(std::string_view bytes) {
  if (bytes.size() != kRecordKeySize) return std::nullopt;
  RecordId id;
  id.main = Revision(static_cast<int64_t>(LoadBigEndian64(bytes.data())));
  id.sub = LoadBigEndian32(bytes.data() + 8);
  return id;
}

}  // namespace store::mvcc
