// SPDX-License-Identifier: Apache-2.0
#include "store/watch/watch_response.h"

#include <utility>

namespace store::watch {
namespace {

// Tags, lengths and four integers of a key-value, the event around it and a margin.
constexpr size_t kKeyValueOverhead = 64;

// The response around its events: two ids, revision and term in the header, watch id, fragment
// mark. All watchers of a share get the same pieces, so it is not that of one of them.
constexpr size_t kResponseOverhead = 36;

size_t KeyValueBytes(const mvcc::KeyValue& kv) {
  return kKeyValueOverhead + kv.key.size() + kv.value.size();
}

std::shared_ptr<WatchResponse> Make(WatchId id, Revision header) {
  auto response = std::make_shared<WatchResponse>();
  response->id = id;
  response->header = header;
  return response;
}

}  // namespace

size_t EventBytes(const mvcc::Event& event, const mvcc::KeyValue* prev) {
  return KeyValueBytes(event.kv) + (prev != nullptr ? KeyValueBytes(*prev) : 0);
}

bool MayHavePrevious(const mvcc::Event& event) {
  if (!event.previous.valid()) return false;
  return event.type == mvcc::EventType::kDelete || event.kv.create != event.kv.mod;
}

WatchResponsePtr CreatedResponse(WatchId id, Revision header) {
  auto response = Make(id, header);
  response->created = true;
  return response;
}

WatchResponsePtr RefusedResponse(Revision header, std::string reason) {
  auto response = Make(kNoWatch, header);
  response->created = true;
  response->canceled = true;
  response->cancel_reason = std::move(reason);
  return response;
}

WatchResponsePtr CanceledResponse(WatchId id, Revision header) {
  auto response = Make(id, header);
  response->canceled = true;
  return response;
}

WatchResponsePtr CompactedResponse(WatchId id, Revision compacted) {
  auto response = Make(id, Revision(0));
  response->canceled = true;
  response->compacted = compacted;
  return response;
}

WatchResponsePtr ProgressResponse(WatchId id, Revision header) { return Make(id, header); }

std::vector<size_t> CutFragments(std::span<const size_t> sizes, size_t bytes_max) {
  std::vector<size_t> lengths;
  size_t length = 0;
  size_t bytes = kResponseOverhead;
  for (size_t next : sizes) {
    if (length > 0 && bytes + next >= bytes_max) {
      lengths.push_back(length);
      length = 0;
      bytes = kResponseOverhead;
    }
    ++length;
    bytes += next;
  }
  if (length > 0) lengths.push_back(length);
  return lengths;
}

absl::InlinedVector<WatchResponsePtr, 1> EventResponses(
    WatchId id, Revision header, std::span<const std::shared_ptr<const WatchEvents>> pieces) {
  absl::InlinedVector<WatchResponsePtr, 1> responses;
  responses.reserve(pieces.size());
  for (const auto& piece : pieces) {
    auto response = Make(id, header);
    response->events = piece;
    response->fragment = responses.size() + 1 < pieces.size();
    responses.push_back(std::move(response));
  }
  return responses;
}

}  // namespace store::watch
