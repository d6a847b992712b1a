// SPDX-License-Identifier: Apache-2.0
#include "logagent/checkpoint/codec.h"

#include "store/base/coding.h"

namespace logagent {
namespace {

constexpr uint8_t kVersion = 1;

Result<SavedFile> Corrupt() {
  return store::Fail(store::ErrorCode::kCorruption, "a file row of the state directory is damaged");
}

}  // namespace

std::string EncodeFileKey(const FileKey& file, std::string_view entry) {
  std::string key = "f/";
  store::AppendBigEndian64(&key, file.device);
  store::AppendBigEndian64(&key, file.inode);
  store::AppendBigEndian32(&key, file.generation);
  key.push_back('/');
  key.append(entry);
  return key;
}

// version u8 · state u8 · size varint · offset varint · head length varint, hash u64 · mark length
// varint, hash u64 · path length-prefixed. RocksDB's checksums guard the bytes.
std::string EncodeFileValue(const SavedFile& row) {
  std::string value;
  store::AppendU8(&value, kVersion);
  store::AppendU8(&value, static_cast<uint8_t>(row.state));
  store::AppendVarint(&value, row.size_seen);
  store::AppendVarint(&value, row.offset);
  store::AppendVarint(&value, row.head.length);
  store::AppendLittleEndian64(&value, row.head.hash);
  store::AppendVarint(&value, row.mark.length);
  store::AppendLittleEndian64(&value, row.mark.hash);
  store::AppendLengthPrefixed(&value, row.path);
  return value;
}

Result<SavedFile> DecodeFileRow(std::string_view key, std::string_view value) {
  SavedFile row;
  store::ByteReader keys(key);
  std::string_view prefix;
  std::string_view slash;
  if (!keys.ReadBytes(2, &prefix) || prefix != "f/" || !keys.ReadBigEndian64(&row.file.device) ||
      !keys.ReadBigEndian64(&row.file.inode) || !keys.ReadBigEndian32(&row.file.generation) ||
      !keys.ReadBytes(1, &slash) || slash != "/") {
    return Corrupt();
  }
  row.entry = keys.rest();
  store::ByteReader values(value);
  uint8_t version = 0;
  uint8_t state = 0;
  uint64_t head_length = 0;
  uint64_t mark_length = 0;
  std::string_view path;
  if (!values.ReadU8(&version) || version != kVersion || !values.ReadU8(&state) ||
      state > static_cast<uint8_t>(FileState::kFinished) || !values.ReadVarint(&row.size_seen) ||
      !values.ReadVarint(&row.offset) || !values.ReadVarint(&head_length) ||
      head_length > kHeadBytesMax || !values.ReadLittleEndian64(&row.head.hash) ||
      !values.ReadVarint(&mark_length) || mark_length > kTailMarkBytes ||
      !values.ReadLittleEndian64(&row.mark.hash) || !values.ReadLengthPrefixed(&path)) {
    return Corrupt();
  }
  row.state = static_cast<FileState>(state);
  row.head.length = static_cast<uint32_t>(head_length);
  row.mark.length = static_cast<uint32_t>(mark_length);
  row.path = path;
  return row;
}

std::string EncodeEntryKey(std::string_view entry) { return "e/" + std::string(entry); }

}  // namespace logagent
