// SPDX-License-Identifier: Apache-2.0
// The log's records: raw bytes, and payloads behind a correct checksum. Whatever is read must be
// written back as the same bytes, or as bytes that read the same.
#include "store/base/check.h"
#include "store/wal/log_state.h"
#include "store/wal/record.h"
#include "tests/fuzz/target.h"

#include <memory>

namespace store::fuzz {
namespace {

using namespace wal;

constexpr uint64_t kSalt = 0x5a17;
constexpr uint64_t kSequence = 4;

void RunPayload(RecordType type, std::string_view payload) {
  std::string record;
  AppendRecord(&record, kSalt, type, payload);
  const auto view = DecodeRecord(record, kSalt);
  CHECK(view && view->payload == payload && view->bytes == record.size());
  CHECK(!DecodeRecord(record, kSalt + 1));
  auto change = DecodeChange(*view);
  if (!change || !*change) return;
  const auto [again, bytes] = EncodeChange(**change);
  CHECK(again == type);
  // Trailing bytes of a fixed payload are read over, so the first round may lose some.
  auto second = DecodeChange({again, bytes, RecordBytes(bytes.size())});
  CHECK(second && *second && EncodeChange(**second).second == bytes);
}

void RunHeader(std::string_view bytes) {
  std::string page(bytes.substr(0, kHeaderBytes));
  page.resize(kHeaderBytes, '\0');
  auto header = DecodeHeader(page, kSequence);
  if (!header || !*header) return;
  auto again = DecodeHeader(EncodeHeader(**header), kSequence);
  CHECK(again && *again && (*again)->salt == (*header)->salt);
}

}  // namespace

void Run(std::string_view input) {
  const unsigned mode = TakeByte(&input) % 8;
  if (mode == 0) {
    (void)DecodeRecord(input, kSalt);
    (void)HighestMark(input, 0, 1, kSalt);
  } else if (mode == 7) {
    RunHeader(input);
  } else {
    RunPayload(static_cast<RecordType>(mode), input);
  }
}

std::vector<std::string> Seeds() {
  const raft::HardState state{raft::Term(3), raft::NodeId(9), raft::Index(70)};
  const raft::SnapshotMeta snapshot{raft::Index(50), raft::Term(2), {{raft::NodeId(9)}, {}, {}}};
  const Change changes[] = {
      state, snapshot, SuffixMark{raft::Index(7), raft::Term(1)},
      std::make_shared<const raft::Entry>(
          raft::Entry{raft::Term(3), raft::Index(71), raft::EntryKind::kCommand, "data"})};
  std::vector<std::string> seeds;
  std::string records(1, '\0');
  AppendRecord(&records, kSalt, RecordType::kSyncMark, EncodeSyncMark({1, 4096}));
  for (const Change& change : changes) {
    const auto [type, payload] = EncodeChange(change);
    seeds.push_back(static_cast<char>(type) + payload);
    AppendRecord(&records, kSalt, type, payload);
  }
  seeds.push_back(std::move(records));
  const SegmentHeader header{.identity = {ClusterId(7), raft::NodeId(9)},
                             .sequence = kSequence,
                             .salt = kSalt,
                             .predecessor = {3, 8192},
                             .before = {raft::Index(70), raft::Term(3)},
                             .truncated = {raft::Index(10), raft::Term(1)},
                             .hard_state = state,
                             .conf = snapshot.conf};
  seeds.push_back('\7' + EncodeHeader(header).substr(0, 256));
  return seeds;
}

}  // namespace store::fuzz
