// SPDX-License-Identifier: Apache-2.0
// The table of every error a client can see: gRPC code and exact text. Go clients look the text up
// byte for byte and ignore the code, so neither may be written anywhere else; handlers only name an
// ErrorCode. Pure functions, any thread.
#pragma once

#include "store/base/error.h"
#include "store/rpc/call.h"

#include <optional>
#include <string_view>

namespace store::api {

struct ErrorRow {
  ErrorCode code;
  rpc::GrpcCode grpc;
  std::string_view text;
};

// The row of a client-visible code; null for codes of the environment (kIo, kInternal, …).
const ErrorRow* FindErrorRow(ErrorCode code);

// What the wire carries. A code without a row becomes Unknown with the error's own text, as Go does
// with errors outside its table.
rpc::RpcStatus StatusOf(ErrorCode code);
rpc::RpcStatus StatusOf(const Error& error);

// The text alone, for places that print it (health checks, Status.errors).
std::string TextOf(const Error& error);

// As Go prints a status inside a text: "rpc error: code = PermissionDenied desc = …".
std::string GoStatusText(ErrorCode code);

}  // namespace store::api
