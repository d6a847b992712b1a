// SPDX-License-Identifier: Apache-2.0
#include "store/base/url.h"

#include <gtest/gtest.h>

#include <string>

namespace store {
namespace {

TEST(Url, TellsWhereToListenAndConnect) {
  EXPECT_EQ(ParseUrl("http://127.0.0.1:2379")->Address(), "127.0.0.1:2379");
  EXPECT_EQ(ParseUrl("http://[::1]:2379/")->Address(), "[::1]:2379");
  EXPECT_EQ(ParseUrl("unix:///run/store.sock")->Address(), "unix:/run/store.sock");
  // A file of this name, not a port.
  EXPECT_EQ(ParseUrl("unix://localhost:2379")->Address(), "unix:localhost:2379");
}

TEST(Url, IsWrittenAsItWasRead) {
  for (const char* text : {"http://h:1", "https://[::1]:2", "unix:///a/b", "unixs://localhost:3"}) {
    auto url = ParseUrl(text);
    ASSERT_TRUE(url) << text;
    EXPECT_EQ(url->ToString(), text);
  }
}

TEST(Url, TheSchemeMayBeInCapitals) { EXPECT_EQ(ParseUrl("HTTP://h:1")->ToString(), "http://h:1"); }

// As at etcd, which asks Go's net/url and net.SplitHostPort.
TEST(Url, AHostIsANameOrAnIpv6AddressInBrackets) {
  for (const char* text : {"http://a-b.c_d:1", "http://127.0.0.1:1", "http://:1", "http://h;x:1",
                           "http://[fe80::1%25eth0]:1", "https://[2001:db8::1]:65535"}) {
    EXPECT_TRUE(ParseUrl(text)) << text;
  }
  for (const char* text : {"http://h 1:1",
                           "http://h\t:1",
                           "http://h\x7f:1",
                           "http://h%41:1",
                           "http://a:b:1",
                           "http://::1:1",
                           "http://[::1",
                           "http://[::1]",
                           "http://[::1]x:1",
                           "http://x[::1]:1",
                           "http://[[::1]]:1",
                           "http://h]:1",
                           "http://h[x]:1",
                           "http://[]:1",
                           "http://[h]:1",
                           "http://[127.0.0.1]:1",
                           "http://[fe80::1%eth0]:1",
                           "http://[fe80::1%25a b]:1",
                           "http://h\\x:1",
                           "http://h^x:1",
                           "http://h`x:1",
                           "http://h{x:1",
                           "http://h|x:1",
                           "http://h}x:1",
                           "http://h?x:1",
                           "http://h#x:1"}) {
    EXPECT_FALSE(ParseUrl(text)) << text;
  }
}

TEST(Url, EachOfAListOnce) {
  auto urls = ParseUrls("http://h:1, http://h:2,http://h:1/");
  ASSERT_TRUE(urls);
  ASSERT_EQ(urls->size(), 2u);
  EXPECT_EQ((*urls)[1].port, 2);
}

}  // namespace
}  // namespace store
