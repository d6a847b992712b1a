// SPDX-License-Identifier: Apache-2.0
// SniffSession: the first bytes of a plain connection. The HTTP/2 preface makes it an H2Session,
// anything else an Http1Session; both get the bytes seen so far. Loop of the connection; at most
// the 24 bytes of the preface are kept, for at most sniff_timeout.
#pragma once

#include "store/rpc/connection.h"

#include <absl/functional/any_invocable.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace store::rpc {

enum class Protocol : uint8_t { kHttp1, kHttp2 };

// nullopt: more bytes are needed.
std::optional<Protocol> SniffProtocol(std::string_view bytes);

class SniffSession final : public Session {
 public:
  using MakeSession = absl::AnyInvocable<std::unique_ptr<Session>(Connection&, Protocol)>;

  SniffSession(Connection& connection, Duration timeout, MakeSession make);
  ~SniffSession() override;

  void OnBytes(std::string_view bytes) override;
  void FillOutput() override {}
  bool OnEndOfInput() override { return false; }
  void StartDrain() override { connection_.Close(CloseReason::kDone); }
  void OnClosed(CloseReason) override {}

 private:
  Connection& connection_;
  MakeSession make_;
  std::string seen_;
  std::optional<Executor::TimerId> timer_;
};

}  // namespace store::rpc
