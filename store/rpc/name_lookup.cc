// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/name_lookup.h"

#include "store/base/thread.h"
#include "store/rpc/event_loop.h"

#include <fmt/format.h>

#include <system_error>
#include <thread>
#include <utility>

namespace store::rpc {

// What a thread and the one that asked have in common.
struct NameLookup::Link {
  Mutex mutex;
  EventLoop* loop ABSL_GUARDED_BY(mutex);  // null: nobody wants the answer
  NameLookup* asker;                       // the loop's

  Link(EventLoop& its_loop, NameLookup& its_asker) : loop(&its_loop), asker(&its_asker) {}
};

NameLookup::NameLookup(EventLoop& loop, Resolve resolve, std::string address, Answered answered)
    : resolve_(std::move(resolve)),
      address_(std::move(address)),
      answered_(std::move(answered)),
      link_(std::make_shared<Link>(loop, *this)) {}

NameLookup::~NameLookup() {
  link_->asker = nullptr;
  MutexLock lock(link_->mutex);
  link_->loop = nullptr;
}

void NameLookup::Ask() {
  if (std::exchange(asked_, true)) return;
  auto tell = [link = link_](Result<SocketAddress> found) {
    MutexLock lock(link->mutex);
    if (link->loop == nullptr) return;
    link->loop->Post([link, found = std::move(found)]() mutable {
      if (link->asker != nullptr) link->asker->OnAnswer(std::move(found));
    });
  };
  try {
    std::thread([tell, resolve = resolve_, address = address_]() noexcept {
      tell(resolve(address));
    }).detach();
  } catch (const std::system_error& error) {
    tell(Fail(ErrorCode::kUnavailable, fmt::format("look up {}: {}", address_, error.what())));
  }
}

void NameLookup::OnAnswer(Result<SocketAddress> found) {
  asked_ = false;
  answered_(std::move(found));
}

}  // namespace store::rpc
