// SPDX-License-Identifier: Apache-2.0
// EpochDomain: when memory that readers may still look at can be freed. Readers enter through slots
// and are never blocked; the writer (apply) hands over what it unlinked and frees it once no slot
// is old enough to see it.
//
//   reader:  auto guard = epochs.Enter();  const State* state = pointer.load();   // in this order
//   writer:  pointer.store(next);  epochs.Retire(old);  ...  epochs.Seal();
//
// Seal belongs to the *next* publish, never to the one that unlinked: apply publishes two pointers
// one after the other (the index root and the StateView that names it), and between the two a
// reader still finds the old root through the old StateView. MvccStore::Publish seals what was
// retired before it was called, so the rule for apply is only: publish the StateView of a batch
// before the next MvccStore::Publish.
//
// Enter from any thread, at most kSlots guards at once in the process. Retire and Seal: apply
// thread. Bounded by: guards are held for one turn (views that live longer enter again at every
// step, see read_view.h); retired_bytes() is the gauge.
#pragma once

#include <absl/functional/any_invocable.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

namespace store::mvcc {

// What was unlinked and is freed when no reader can see it.
struct Garbage {
  void* object;
  void (*deleter)(void*);
  size_t bytes;
};

class EpochDomain {
 public:
  static constexpr size_t kSlots = 256;
  using Deleter = void (*)(void* object);

  // While it is held nothing that was reachable when it was taken is freed.
  class Guard {
   public:
    Guard() = default;
    Guard(Guard&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}
    Guard& operator=(Guard&& other) noexcept {
      if (this != &other) {
        Release();
        slot_ = std::exchange(other.slot_, nullptr);
      }
      return *this;
    }
    ~Guard() { Release(); }

    void Release() {
      if (slot_ != nullptr) std::exchange(slot_, nullptr)->store(0, std::memory_order_release);
    }
    bool held() const { return slot_ != nullptr; }

   private:
    friend class EpochDomain;
    explicit Guard(std::atomic<uint64_t>* slot) : slot_(slot) {}
    std::atomic<uint64_t>* slot_ = nullptr;
  };

  EpochDomain() = default;
  // No guard may be held; frees everything.
  ~EpochDomain();
  EpochDomain(const EpochDomain&) = delete;
  EpochDomain& operator=(const EpochDomain&) = delete;

  [[nodiscard]] Guard Enter() const;

  // `object` is unreachable for readers that enter after the next pointer store of the writer.
  void Retire(void* object, Deleter deleter, size_t bytes);
  void Retire(absl::AnyInvocable<void() &&> deleter, size_t bytes);
  template <class T>
  void RetireObject(const T* object, size_t bytes = sizeof(T)) {
    Retire(const_cast<T*>(object), [](void* p) { delete static_cast<T*>(p); }, bytes);
  }
  // Closes the current epoch (what was retired since the last Seal belongs to it) and frees what no
  // slot can see any more.
  void Seal();

  // Waiting to be freed. Any thread.
  size_t retired_bytes() const { return retired_bytes_.load(std::memory_order_relaxed); }

 private:
  struct Retired {
    void* object;
    Deleter deleter;
  };
  struct Generation {
    uint64_t epoch = 0;
    std::vector<Retired> objects;
    size_t bytes = 0;
  };
  struct alignas(64) Slot {
    std::atomic<uint64_t> epoch{0};  // 0: free
  };

  static void Free(Generation& generation);
  uint64_t OldestSlot() const;

  mutable std::array<Slot, kSlots> slots_;
  std::atomic<uint64_t> epoch_{1};
  Generation open_;                // retired since the last Seal
  std::deque<Generation> sealed_;  // ascending epochs
  std::atomic<size_t> retired_bytes_{0};
};

}  // namespace store::mvcc
