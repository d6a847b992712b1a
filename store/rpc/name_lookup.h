// SPDX-License-Identifier: Apache-2.0
// NameLookup: asks the name service for an address without holding up its loop. The service may be
// away for half a minute, and who asked may be gone by then: so each question has a thread of its
// own, which nobody waits for and which holds nothing of others. Its loop only. Bounds: one
// question at a time; asked again meanwhile, the one answer serves both.
#pragma once

#include "store/base/error.h"
#include "store/rpc/socket_address.h"

#include <absl/functional/any_invocable.h>

#include <memory>
#include <string>
#include <string_view>

namespace store::rpc {

class EventLoop;

class NameLookup {
 public:
  using Resolve = Result<SocketAddress> (*)(std::string_view address);
  using Answered = absl::AnyInvocable<void(Result<SocketAddress>)>;

  NameLookup(EventLoop& loop, Resolve resolve, std::string address, Answered answered);
  // No answer comes any more.
  ~NameLookup();
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

  void Ask();

 private:
  struct Link;

  void OnAnswer(Result<SocketAddress> found);

  const Resolve resolve_;
  const std::string address_;
  Answered answered_;
  bool asked_ = false;
  std::shared_ptr<Link> link_;
};

}  // namespace store::rpc
