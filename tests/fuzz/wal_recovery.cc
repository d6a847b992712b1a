// SPDX-License-Identifier: Apache-2.0
// Recovery of a directory of two segments. The input says what stands in them: records with a
// correct checksum, whose types and payloads are the input's, then raw damage. Recovery may refuse;
// if it does not, the log must go on working over one more append and recovery.
#include "store/base/check.h"
#include "store/wal/wal.h"
#include "tests/fuzz/target.h"
#include "tests/unit/wal/log_maker.h"

#include <algorithm>
#include <memory>
#include <string>

namespace store::fuzz {
namespace {

using namespace wal;

constexpr uint64_t kSegmentBytes = 16 << 10;

// A log that was killed: its first segment is full, its second has room.
std::unique_ptr<FaultFileSystem> MakeDisk() {
  auto files = std::make_unique<FaultFileSystem>();
  auto log = OpenLog(*files, 1, kSegmentBytes);
  CHECK(log->Load());
  for (uint64_t i = 1; i <= 8; ++i) CHECK(AppendOne(*log, MakeUnit(2 * i - 1, 2, 1, 700)));
  return files;
}

// Where the valid records end, and the salt behind them.
struct End {
  uint64_t offset = kHeaderBytes;
  uint64_t salt = 0;
};

End EndOf(const std::string& bytes, const SegmentHeader& header) {
  End end{kHeaderBytes, header.salt};
  while (auto record = DecodeRecord(std::string_view(bytes).substr(end.offset), end.salt)) {
    end.offset += record->bytes;
  }
  return end;
}

void AppendRecords(const SegmentHeader& header, std::string_view* input, std::string* segment) {
  const End end = EndOf(*segment, header);
  std::string records;
  for (unsigned count = TakeByte(input) % 8; count > 0 && !input->empty(); --count) {
    const auto type = static_cast<RecordType>(TakeByte(input) % 7);
    const size_t wanted = TakeByte(input);
    const size_t size = std::min(wanted, input->size());
    if (type != RecordType(0)) AppendRecord(&records, end.salt, type, input->substr(0, size));
    input->remove_prefix(size);
  }
  if (end.offset + records.size() <= segment->size()) {
    segment->replace(end.offset, records.size(), records);
  }
}

// The rest of the input: places and what is written over them.
void Damage(std::string_view input, std::string* segment) {
  while (input.size() >= 3) {
    const unsigned high = TakeByte(&input);
    const size_t at = (high << 8 | TakeByte(&input)) % segment->size();
    (*segment)[at] = static_cast<char>(TakeByte(&input));
  }
}

}  // namespace

void Run(std::string_view input) {
  static const std::unique_ptr<FaultFileSystem> disk = MakeDisk();
  auto files = disk->Clone();
  const std::string path = files->Paths().at(TakeByte(&input) % files->Paths().size());
  std::string segment = files->Get(path);
  if (segment.size() < kSegmentBytes) return;
  // "wal/<sequence>.wal"
  const auto header = DecodeHeader(segment, std::stoull(path.substr(4)));
  if (header && *header) AppendRecords(**header, &input, &segment);
  Damage(input, &segment);
  files->Set(path, segment);

  auto log = OpenLog(*files, 2, kSegmentBytes);
  auto image = log->Load();
  if (!image) return;
  const uint64_t last = image->truncated.value() + image->entries.size();
  const uint64_t term = image->hard_state.term.value() + 1;
  const uint64_t newest = image->runs.empty() ? 0 : image->runs.back().term.value();
  // Only a peer could have written such terms; what this log does next is not asked.
  if (term == 0 || last > UINT64_MAX / 2 || newest >= term) return;
  CHECK(AppendOne(*log, MakeUnit(last + 1, 1, term)));
  files->Crash(Survival::kNothing, nullptr);
  log = OpenLog(*files, 3, kSegmentBytes);
  image = log->Load();
  CHECK(image, "{}", image.error().ToString());
  CHECK(image->truncated.value() + image->entries.size() == last + 1);
}

std::vector<std::string> Seeds() {
  const std::string state = EncodeHardState({raft::Term(2), raft::NodeId(1), raft::Index(16)});
  const std::string entry =
      EncodeEntry({raft::Term(2), raft::Index(17), raft::EntryKind::kCommand, "next"});
  auto record = [](RecordType type, const std::string& payload) {
    return std::string{static_cast<char>(type), static_cast<char>(payload.size())} + payload;
  };
  const std::string two = record(RecordType::kHardState, state) + record(RecordType::kEntry, entry);
  const std::string cut =
      record(RecordType::kTruncateSuffix, EncodeSuffixMark({raft::Index(12), raft::Term(1)}));
  const std::string mark = record(RecordType::kSyncMark, EncodeSyncMark({2, 9000}));
  std::vector<std::string> seeds;
  for (char file : {'\0', '\1', '\2'}) {
    seeds.push_back(file + std::string(1, '\2') + two);
    seeds.push_back(file + std::string(1, '\1') + cut);
    seeds.push_back(file + std::string(1, '\3') + mark + two);
    seeds.push_back(file + std::string(1, '\0') + std::string("\x12\x34\x56"));
  }
  return seeds;
}

}  // namespace store::fuzz
