// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/sniff_session.h"

#include <utility>

namespace store::rpc {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

}  // namespace

std::optional<Protocol> SniffProtocol(std::string_view bytes) {
  if (bytes.starts_with(kPreface)) return Protocol::kHttp2;
  if (kPreface.starts_with(bytes)) return std::nullopt;
  // HTTP/2 with a broken end of its preface: nghttp2 gives the proper answer.
  return bytes.starts_with(kPreface.substr(0, 14)) ? Protocol::kHttp2 : Protocol::kHttp1;
}

SniffSession::SniffSession(Connection& connection, Duration timeout, MakeSession make)
    : connection_(connection), make_(std::move(make)) {
  timer_ = connection_.loop().After(timeout, [this] {
    timer_.reset();
    connection_.Close(CloseReason::kTimeout);
  });
}

SniffSession::~SniffSession() {
  if (timer_) connection_.loop().Cancel(*timer_);
}

void SniffSession::OnBytes(std::string_view bytes) {
  seen_.append(bytes);
  std::optional<Protocol> protocol = SniffProtocol(seen_);
  if (!protocol) return;
  connection_.SwitchTo(make_(connection_, *protocol), std::move(seen_));
}

}  // namespace store::rpc
