// SPDX-License-Identifier: Apache-2.0
// Whether what a client sent is a request by RFC 9113 sections 8.2 and 8.3. nghttp2 checks the same
// rules and one too many: it resets a stream whose :authority is a URL, and etcd's Go clients send
// just that when an endpoint is given with its scheme (clientv3's Maintenance calls, so `etcdctl
// endpoint status --cluster`). So the server side of a session has nghttp2's checks off and asks
// here; :authority is not looked at, as gRPC servers do not. Pure functions, any thread.
#pragma once

#include "store/rpc/header_block.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace store::rpc {

struct RequestShape {
  bool well_formed = false;
  std::optional<uint64_t> content_length;
};

RequestShape CheckRequest(const HeaderBlock& headers);
// The block that ends a request.
bool IsWellFormedTrailer(const HeaderBlock& headers);
// A header with a value that is none is left out, as nghttp2 leaves it out; its name still counts.
bool IsHeaderValue(std::string_view value);

}  // namespace store::rpc
