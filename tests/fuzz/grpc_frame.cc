// SPDX-License-Identifier: Apache-2.0
// What gRPC adds to HTTP/2: messages behind their prefix, however cut, and the header values that a
// client writes.
#include "store/rpc/grpc_frame.h"

#include "store/base/check.h"
#include "store/rpc/http_router.h"
#include "tests/fuzz/target.h"

#include <algorithm>

namespace store::fuzz {
namespace {

using rpc::MessageReader;

constexpr size_t kMessageBytesMax = 300;

std::string ReadAll(std::string_view bytes, size_t step) {
  MessageReader reader(kMessageBytesMax);
  std::string said;
  while (!bytes.empty()) {
    std::string_view piece = bytes.substr(0, step);
    const size_t before = piece.size();
    SharedBytes message;
    const auto outcome = reader.Read(&piece, &message);
    bytes.remove_prefix(before - piece.size());
    if (outcome == MessageReader::Outcome::kMessage) {
      CHECK(message.size() <= kMessageBytesMax);
      said += std::string(message.view()) + '\n';
    } else if (outcome != MessageReader::Outcome::kNeedMore) {
      return said + std::to_string(static_cast<int>(outcome));
    }
  }
  return said;
}

void RunTexts(std::string_view text) {
  CHECK(rpc::PercentDecode(rpc::PercentEncode(text)) == text);
  (void)rpc::PercentDecode(text);
  if (rpc::IsGrpcContentType(text)) CHECK(rpc::LooksLikeGrpc(text));
  const auto timeout = rpc::ParseGrpcTimeout(text);
  if (!timeout) return;
  CHECK(*timeout >= Duration(0));
  const auto again = rpc::ParseGrpcTimeout(rpc::FormatGrpcTimeout(*timeout));
  CHECK(again && *again >= *timeout);
}

}  // namespace

void Run(std::string_view input) {
  if (TakeByte(&input) % 2 == 0) return RunTexts(input);
  const std::string whole = ReadAll(input, input.size() + 1);
  CHECK(ReadAll(input, 1) == whole);
  CHECK(ReadAll(input, 3) == whole);
}

std::vector<std::string> Seeds() {
  auto message = [](std::string_view bytes) {
    const auto prefix = rpc::GrpcPrefix(bytes.size());
    return std::string(prefix.data(), prefix.size()) + std::string(bytes);
  };
  std::vector<std::string> seeds = {'\1' + message("hello") + message("") + message("x"),
                                    '\1' + message(std::string(299, 'y'))};
  for (std::string_view text : {"5S", "100m", "99999999H", "1n", "a%20b%zz",
                                "application/grpc+proto", "application/grpc; charset=x"}) {
    seeds.push_back(std::string(1, '\0') + std::string(text));
  }
  return seeds;
}

}  // namespace store::fuzz
