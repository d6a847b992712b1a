// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/header_check.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace store::rpc {
namespace {

using Headers = std::vector<std::pair<std::string_view, std::string_view>>;

const Headers kRequest = {{":method", "POST"},
                          {":scheme", "http"},
                          {":path", "/etcdserverpb.KV/Range"},
                          {":authority", "127.0.0.1:2379"}};

HeaderBlock Block(const Headers& headers) {
  HeaderBlock block;
  for (const auto& [name, value] : headers) block.Add(name, value);
  return block;
}
RequestShape Check(Headers headers, const Headers& more = {}) {
  headers.insert(headers.end(), more.begin(), more.end());
  return CheckRequest(Block(headers));
}
Headers Without(std::string_view name) {
  Headers headers = kRequest;
  std::erase_if(headers, [&](const auto& header) { return header.first == name; });
  return headers;
}
Headers With(std::string_view name, std::string_view value) {
  Headers headers = Without(name);
  headers.emplace_back(name, value);
  return headers;
}

TEST(HeaderCheck, TakesWhatGrpcClientsSend) {
  EXPECT_TRUE(
      Check(kRequest, {{"content-type", "application/grpc"}, {"te", "trailers"}}).well_formed);
  EXPECT_TRUE(Check(Without(":authority"), {{"host", "x"}}).well_formed);
}

TEST(HeaderCheck, TakesAnAuthorityThatIsAUrl) {
  EXPECT_TRUE(Check(With(":authority", "http://127.0.0.1:2379")).well_formed);
}

TEST(HeaderCheck, RefusesMissingEmptyAndRepeatedPseudoHeaders) {
  for (std::string_view name : {":method", ":scheme", ":path"}) {
    EXPECT_FALSE(Check(Without(name)).well_formed) << name;
    EXPECT_FALSE(Check(With(name, "")).well_formed) << name;
    EXPECT_FALSE(Check(kRequest, {{name, "/x"}}).well_formed) << name;
  }
  EXPECT_FALSE(Check(kRequest, {{":authority", "again"}}).well_formed);
  EXPECT_FALSE(Check(With(":path", "no slash")).well_formed);
  EXPECT_FALSE(Check(With(":method", "PO ST")).well_formed);
}

TEST(HeaderCheck, RefusesForeignAndLatePseudoHeaders) {
  EXPECT_FALSE(Check(kRequest, {{":status", "200"}}).well_formed);
  EXPECT_FALSE(Check(kRequest, {{":unknown", "x"}}).well_formed);
  EXPECT_FALSE(Check(Without(":path"), {{"a", "b"}, {":path", "/"}}).well_formed);
}

TEST(HeaderCheck, RefusesUppercaseNamesAndConnectionHeaders) {
  for (std::string_view name : {"X-Upper", "", "connection", "keep-alive", "proxy-connection",
                                "transfer-encoding", "upgrade", "te"}) {
    EXPECT_FALSE(Check(kRequest, {{name, "x"}}).well_formed) << name;
    EXPECT_FALSE(IsWellFormedTrailer(Block({{name, "x"}}))) << name;
  }
}

TEST(HeaderCheck, ReadsOneContentLength) {
  EXPECT_EQ(Check(kRequest, {{"content-length", "12"}}).content_length, 12u);
  EXPECT_FALSE(Check(kRequest).content_length);
  for (std::string_view wrong : {"", "-1", "1x", "99999999999999999999999"}) {
    EXPECT_FALSE(Check(kRequest, {{"content-length", wrong}}).well_formed) << wrong;
  }
  EXPECT_FALSE(Check(kRequest, {{"content-length", "1"}, {"content-length", "1"}}).well_formed);
}

TEST(HeaderCheck, TrailersHaveNoPseudoHeaders) {
  EXPECT_TRUE(IsWellFormedTrailer(Block({{"grpc-status", "0"}})));
  EXPECT_FALSE(IsWellFormedTrailer(Block({{":method", "GET"}})));
}

}  // namespace
}  // namespace store::rpc
