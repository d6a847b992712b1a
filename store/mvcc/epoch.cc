// SPDX-License-Identifier: Apache-2.0
#include "store/mvcc/epoch.h"

#include "store/base/check.h"

#include <functional>
#include <limits>
#include <memory>
#include <thread>

namespace store::mvcc {
namespace {

using AnyDeleter = absl::AnyInvocable<void() &&>;

void RunDeleter(void* object) {
  std::unique_ptr<AnyDeleter> deleter(static_cast<AnyDeleter*>(object));
  std::move (*deleter)();
}

}  // namespace

EpochDomain::~EpochDomain() {
  CHECK(OldestSlot() == std::numeric_limits<uint64_t>::max(), "a view outlives its store");
  for (Generation& generation : sealed_) Free(generation);
  Free(open_);
}

// The exchange and the writer's scan of the slots are sequentially consistent: either the scan sees
// this slot, or the pointer stores before the scan are visible to the reader's load after it. An
// epoch that was read too early is only too careful.
EpochDomain::Guard EpochDomain::Enter() const {
  const size_t start = std::hash<std::thread::id>{}(std::this_thread::get_id());
  for (size_t i = 0; i < kSlots; ++i) {
    std::atomic<uint64_t>& slot = slots_[(start + i) % kSlots].epoch;
    uint64_t expected = 0;
    if (slot.load(std::memory_order_relaxed) == 0 &&
        slot.compare_exchange_strong(expected, epoch_.load(std::memory_order_seq_cst),
                                     std::memory_order_seq_cst)) {
      return Guard(&slot);
    }
  }
  CHECK(false, "more than {} views at once: somebody keeps them over turns", kSlots);
  return Guard();
}

void EpochDomain::Retire(void* object, Deleter deleter, size_t bytes) {
  open_.objects.push_back({object, deleter});
  open_.bytes += bytes;
  retired_bytes_.fetch_add(bytes, std::memory_order_relaxed);
}

void EpochDomain::Retire(absl::AnyInvocable<void() &&> deleter, size_t bytes) {
  Retire(new AnyDeleter(std::move(deleter)), &RunDeleter, bytes);
}

void EpochDomain::Seal() {
  if (!open_.objects.empty()) {
    const uint64_t epoch = epoch_.load(std::memory_order_relaxed);
    open_.epoch = epoch;
    sealed_.push_back(std::move(open_));
    open_ = Generation();
    epoch_.store(epoch + 1, std::memory_order_seq_cst);
  }
  if (sealed_.empty()) return;
  const uint64_t oldest = OldestSlot();
  while (!sealed_.empty() && sealed_.front().epoch < oldest) {
    retired_bytes_.fetch_sub(sealed_.front().bytes, std::memory_order_relaxed);
    Free(sealed_.front());
    sealed_.pop_front();
  }
}

void EpochDomain::Free(Generation& generation) {
  for (const Retired& retired : generation.objects) retired.deleter(retired.object);
  generation.objects.clear();
}

uint64_t EpochDomain::OldestSlot() const {
  uint64_t oldest = std::numeric_limits<uint64_t>::max();
  for (const Slot& slot : slots_) {
    const uint64_t epoch = slot.epoch.load(std::memory_order_seq_cst);
    if (epoch != 0 && epoch < oldest) oldest = epoch;
  }
  return oldest;
}

}  // namespace store::mvcc
