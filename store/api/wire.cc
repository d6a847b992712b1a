// SPDX-License-Identifier: Apache-2.0
#include "store/api/wire.h"

#include "store/base/check.h"
#include "store/base/coding.h"

#include <string>
#include <string_view>

namespace store::api {
namespace {

constexpr uint32_t kVarint = 0;
constexpr uint32_t kLengthDelimited = 2;

constexpr uint32_t Tag(uint32_t field, uint32_t kind) { return field << 3 | kind; }

// Field numbers below 16 only: their tags are one byte.
size_t VarintFieldSize(uint64_t value) { return value == 0 ? 0 : 1 + VarintSize(value); }
size_t VarintFieldSize(int64_t value) { return VarintFieldSize(static_cast<uint64_t>(value)); }
size_t BytesFieldSize(size_t size) { return 1 + VarintSize(size) + size; }
size_t OptionalBytesFieldSize(size_t size) { return size == 0 ? 0 : BytesFieldSize(size); }

void PutVarint(std::string* out, uint32_t field, uint64_t value) {
  if (value == 0) return;
  AppendU8(out, static_cast<uint8_t>(Tag(field, kVarint)));
  AppendVarint(out, value);
}
void PutVarint(std::string* out, uint32_t field, int64_t value) {
  PutVarint(out, field, static_cast<uint64_t>(value));
}
void PutLength(std::string* out, uint32_t field, size_t size) {
  AppendU8(out, static_cast<uint8_t>(Tag(field, kLengthDelimited)));
  AppendVarint(out, size);
}
void PutBytes(std::string* out, uint32_t field, std::string_view bytes) {
  if (bytes.empty()) return;
  PutLength(out, field, bytes.size());
  out->append(bytes);
}

size_t SizeOf(const HeaderFields& header) {
  return VarintFieldSize(header.cluster) + VarintFieldSize(header.member) +
         VarintFieldSize(header.revision.value()) + VarintFieldSize(header.term);
}
void Put(std::string* out, const HeaderFields& header) {
  PutVarint(out, 1, header.cluster);
  PutVarint(out, 2, header.member);
  PutVarint(out, 3, header.revision.value());
  PutVarint(out, 4, header.term);
}
size_t HeaderFieldSize(const HeaderFields& header) { return BytesFieldSize(SizeOf(header)); }
void PutHeaderField(std::string* out, const HeaderFields& header) {
  PutLength(out, 1, SizeOf(header));
  Put(out, header);
}

// mvccpb.KeyValue.
size_t SizeOf(const mvcc::KeyValue& kv) {
  return OptionalBytesFieldSize(kv.key.size()) + VarintFieldSize(kv.create.value()) +
         VarintFieldSize(kv.mod.value()) + VarintFieldSize(kv.version) +
         OptionalBytesFieldSize(kv.value.size()) + VarintFieldSize(kv.lease.value());
}
void Put(std::string* out, const mvcc::KeyValue& kv) {
  PutBytes(out, 1, kv.key);
  PutVarint(out, 2, kv.create.value());
  PutVarint(out, 3, kv.mod.value());
  PutVarint(out, 4, kv.version);
  PutBytes(out, 5, kv.value);
  PutVarint(out, 6, kv.lease.value());
}

size_t KvFieldsSize(const std::vector<mvcc::KeyValue>& kvs) {
  size_t size = 0;
  for (const mvcc::KeyValue& kv : kvs) size += BytesFieldSize(SizeOf(kv));
  return size;
}
void PutKvFields(std::string* out, const std::vector<mvcc::KeyValue>& kvs) {
  for (const mvcc::KeyValue& kv : kvs) {
    PutLength(out, 2, SizeOf(kv));
    Put(out, kv);
  }
}

// mvccpb.Event.
size_t SizeOf(const watch::WatchEvent& event) {
  size_t size = BytesFieldSize(SizeOf(event.event.kv));
  if (event.event.type == mvcc::EventType::kDelete) size += 2;
  if (event.prev != nullptr) size += BytesFieldSize(SizeOf(*event.prev));
  return size;
}
void Put(std::string* out, const watch::WatchEvent& event) {
  if (event.event.type == mvcc::EventType::kDelete) PutVarint(out, 1, uint64_t{1});
  PutLength(out, 2, SizeOf(event.event.kv));
  Put(out, event.event.kv);
  if (event.prev == nullptr) return;
  PutLength(out, 3, SizeOf(*event.prev));
  Put(out, *event.prev);
}

rpc::MessageBody Finished(std::string bytes, size_t size) {
  CHECK(bytes.size() == size, "encoded {} bytes, announced {}", bytes.size(), size);
  return rpc::MessageBody(std::move(bytes));
}

}  // namespace

rpc::MessageBody EncodeHeaderOnly(const HeaderFields& header) {
  size_t size = HeaderFieldSize(header);
  std::string bytes;
  bytes.reserve(size);
  PutHeaderField(&bytes, header);
  return Finished(std::move(bytes), size);
}

rpc::MessageBody EncodeRangeResponse(const HeaderFields& header, const mvcc::RangeResult& result) {
  size_t size = HeaderFieldSize(header) + KvFieldsSize(result.kvs) + (result.more ? 2 : 0) +
                VarintFieldSize(result.count);
  std::string bytes;
  bytes.reserve(size);
  PutHeaderField(&bytes, header);
  PutKvFields(&bytes, result.kvs);
  PutVarint(&bytes, 3, uint64_t{result.more});
  PutVarint(&bytes, 4, result.count);
  return Finished(std::move(bytes), size);
}

rpc::MessageBody EncodeRangePiece(const mvcc::RangeChunk& chunk, const HeaderFields& header) {
  size_t inner = KvFieldsSize(chunk.kvs);
  if (chunk.last) {
    inner += HeaderFieldSize(header) + (chunk.more ? 2 : 0) + VarintFieldSize(chunk.count);
  }
  size_t size = BytesFieldSize(inner);
  std::string bytes;
  bytes.reserve(size);
  PutLength(&bytes, 1, inner);
  if (chunk.last) PutHeaderField(&bytes, header);
  PutKvFields(&bytes, chunk.kvs);
  if (chunk.last) {
    PutVarint(&bytes, 3, uint64_t{chunk.more});
    PutVarint(&bytes, 4, chunk.count);
  }
  return Finished(std::move(bytes), size);
}

SharedBytes EncodeWatchEvents(const std::vector<watch::WatchEvent>& events) {
  size_t size = 0;
  for (const watch::WatchEvent& event : events) size += BytesFieldSize(SizeOf(event));
  std::string bytes;
  bytes.reserve(size);
  for (const watch::WatchEvent& event : events) {
    PutLength(&bytes, 11, SizeOf(event));
    Put(&bytes, event);
  }
  CHECK(bytes.size() == size);
  return SharedBytes::Of(std::move(bytes));
}

rpc::MessageBody EncodeWatchResponse(const HeaderFields& header,
                                     const watch::WatchResponse& response) {
  std::string prefix;
  prefix.reserve(64 + response.cancel_reason.size());
  PutHeaderField(&prefix, header);
  PutVarint(&prefix, 2, response.id);
  PutVarint(&prefix, 3, uint64_t{response.created});
  PutVarint(&prefix, 4, uint64_t{response.canceled});
  PutVarint(&prefix, 5, response.compacted.value());
  PutBytes(&prefix, 6, response.cancel_reason);
  PutVarint(&prefix, 7, uint64_t{response.fragment});
  rpc::MessageBody body(std::move(prefix));
  if (response.events != nullptr) body.Append(response.events->encoded);
  return body;
}

}  // namespace store::api
