// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/sniff_session.h"

#include <gtest/gtest.h>

namespace store::rpc {
namespace {

TEST(SniffProtocol, WaitsOnlyWhileBothArePossible) {
  constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  for (size_t i = 0; i < kPreface.size(); ++i) {
    EXPECT_EQ(SniffProtocol(kPreface.substr(0, i)), std::nullopt) << i;
  }
  EXPECT_EQ(SniffProtocol(kPreface), Protocol::kHttp2);
  EXPECT_EQ(SniffProtocol("G"), Protocol::kHttp1);
  EXPECT_EQ(SniffProtocol("PUT /"), Protocol::kHttp1);
  EXPECT_EQ(SniffProtocol("PRI /x HTTP/1.1"), Protocol::kHttp1);
  EXPECT_EQ(SniffProtocol("PRI * HTTP/2.0\r\n\r\nXX"), Protocol::kHttp2);
}

}  // namespace
}  // namespace store::rpc
