// SPDX-License-Identifier: Apache-2.0
#include "store/api/wire.h"

#include "store/base/check.h"
#include "store/base/coding.h"

#include <concepts>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

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

// Fills memory of the announced size.
class Writer {
 public:
  Writer(char* out, size_t size) : out_(out), left_(size) {}

  void Byte(uint32_t byte) {
    CHECK(left_ > 0, "more is encoded than was announced");
    *out_++ = static_cast<char>(byte);
    --left_;
  }
  void Varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) Byte(static_cast<uint32_t>(value & 0x7F) | 0x80);
    Byte(static_cast<uint32_t>(value));
  }
  void Bytes(std::string_view bytes) {
    CHECK(bytes.size() <= left_, "more is encoded than was announced");
    std::memcpy(out_, bytes.data(), bytes.size());
    out_ += bytes.size();
    left_ -= bytes.size();
  }
  size_t left() const { return left_; }

 private:
  char* out_;
  size_t left_;
};

void PutVarint(Writer& out, uint32_t field, uint64_t value) {
  if (value == 0) return;
  out.Byte(Tag(field, kVarint));
  out.Varint(value);
}
void PutVarint(Writer& out, uint32_t field, int64_t value) {
  PutVarint(out, field, static_cast<uint64_t>(value));
}
void PutLength(Writer& out, uint32_t field, size_t size) {
  out.Byte(Tag(field, kLengthDelimited));
  out.Varint(size);
}
void PutBytes(Writer& out, uint32_t field, std::string_view bytes) {
  if (bytes.empty()) return;
  PutLength(out, field, bytes.size());
  out.Bytes(bytes);
}

size_t SizeOf(const HeaderFields& header) {
  return VarintFieldSize(header.cluster) + VarintFieldSize(header.member) +
         VarintFieldSize(header.revision.value()) + VarintFieldSize(header.term);
}
void Put(Writer& out, const HeaderFields& header) {
  PutVarint(out, 1, header.cluster);
  PutVarint(out, 2, header.member);
  PutVarint(out, 3, header.revision.value());
  PutVarint(out, 4, header.term);
}
size_t HeaderFieldSize(const HeaderFields& header) { return BytesFieldSize(SizeOf(header)); }
void PutHeaderField(Writer& out, const HeaderFields& header) {
  PutLength(out, 1, SizeOf(header));
  Put(out, header);
}

// mvccpb.KeyValue.
size_t SizeOf(const mvcc::KeyValue& kv) {
  return OptionalBytesFieldSize(kv.key.size()) + VarintFieldSize(kv.create.value()) +
         VarintFieldSize(kv.mod.value()) + VarintFieldSize(kv.version) +
         OptionalBytesFieldSize(kv.value.size()) + VarintFieldSize(kv.lease.value());
}
void Put(Writer& out, const mvcc::KeyValue& kv) {
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
void PutKvFields(Writer& out, const std::vector<mvcc::KeyValue>& kvs) {
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
void Put(Writer& out, const watch::WatchEvent& event) {
  if (event.event.type == mvcc::EventType::kDelete) PutVarint(out, 1, uint64_t{1});
  PutLength(out, 2, SizeOf(event.event.kv));
  Put(out, event.event.kv);
  if (event.prev == nullptr) return;
  PutLength(out, 3, SizeOf(*event.prev));
  Put(out, *event.prev);
}

// What `put` writes, which is `size` bytes; one allocation for them and their reference count.
template <std::invocable<Writer&> Put>
SharedBytes Encoded(size_t size, const Put& put) {
  if (size == 0) return {};
  auto memory = std::make_shared_for_overwrite<char[]>(size);
  Writer out(memory.get(), size);
  put(out);
  CHECK(out.left() == 0, "{} bytes of {} are missing", out.left(), size);
  std::string_view view(memory.get(), size);
  return SharedBytes::Slice(view, std::move(memory));
}

template <std::invocable<Writer&> Put>
rpc::MessageBody EncodedBody(size_t size, const Put& put) {
  rpc::MessageBody body;
  body.Append(Encoded(size, put));
  return body;
}

}  // namespace

rpc::MessageBody EncodeHeaderOnly(const HeaderFields& header) {
  return EncodedBody(HeaderFieldSize(header),
                     [&header](Writer& out) { PutHeaderField(out, header); });
}

rpc::MessageBody EncodeRangeResponse(const HeaderFields& header, const mvcc::RangeResult& result) {
  size_t size = HeaderFieldSize(header) + KvFieldsSize(result.kvs) + (result.more ? 2 : 0) +
                VarintFieldSize(result.count);
  return EncodedBody(size, [&](Writer& out) {
    PutHeaderField(out, header);
    PutKvFields(out, result.kvs);
    PutVarint(out, 3, uint64_t{result.more});
    PutVarint(out, 4, result.count);
  });
}

rpc::MessageBody EncodeRangePiece(const mvcc::RangeChunk& chunk, const HeaderFields& header) {
  size_t inner = KvFieldsSize(chunk.kvs);
  if (chunk.last) {
    inner += HeaderFieldSize(header) + (chunk.more ? 2 : 0) + VarintFieldSize(chunk.count);
  }
  return EncodedBody(BytesFieldSize(inner), [&](Writer& out) {
    PutLength(out, 1, inner);
    if (chunk.last) PutHeaderField(out, header);
    PutKvFields(out, chunk.kvs);
    if (!chunk.last) return;
    PutVarint(out, 3, uint64_t{chunk.more});
    PutVarint(out, 4, chunk.count);
  });
}

SharedBytes EncodeWatchEvents(const std::vector<watch::WatchEvent>& events) {
  size_t size = 0;
  for (const watch::WatchEvent& event : events) size += BytesFieldSize(SizeOf(event));
  return Encoded(size, [&events](Writer& out) {
    for (const watch::WatchEvent& event : events) {
      PutLength(out, 11, SizeOf(event));
      Put(out, event);
    }
  });
}

rpc::MessageBody EncodeWatchResponse(const HeaderFields& header,
                                     const watch::WatchResponse& response) {
  size_t size = HeaderFieldSize(header) + VarintFieldSize(response.id) +
                (response.created ? 2 : 0) + (response.canceled ? 2 : 0) +
                VarintFieldSize(response.compacted.value()) +
                OptionalBytesFieldSize(response.cancel_reason.size()) + (response.fragment ? 2 : 0);
  rpc::MessageBody body = EncodedBody(size, [&](Writer& out) {
    PutHeaderField(out, header);
    PutVarint(out, 2, response.id);
    PutVarint(out, 3, uint64_t{response.created});
    PutVarint(out, 4, uint64_t{response.canceled});
    PutVarint(out, 5, response.compacted.value());
    PutBytes(out, 6, response.cancel_reason);
    PutVarint(out, 7, uint64_t{response.fragment});
  });
  if (response.events != nullptr) body.Append(response.events->encoded);
  return body;
}

}  // namespace store::api
