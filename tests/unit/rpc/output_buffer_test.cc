// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/output_buffer.h"

#include "tests/unit/base/seed.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace store::rpc {
namespace {

TEST(OutputBuffer, GivesBackWhatWasAppendedHoweverItIsWritten) {
  Random random = SeededRandom("output buffer");
  OutputBuffer buffer;
  std::string expected;
  std::string written;
  for (int i = 0; i < 3000; ++i) {
    std::string bytes(random.Below(random.Chance(0.1) ? 40'000 : 100),
                      static_cast<char>('a' + i % 26));
    expected += bytes;
    if (random.Chance(0.5)) {
      buffer.Append(bytes);
    } else {
      buffer.Append(SharedBytes::Of(std::move(bytes)));
    }
    if (random.Chance(0.5)) continue;
    std::array<iovec, 4> parts;
    size_t count = buffer.Gather(parts);
    size_t room = random.Below(60'000);
    size_t taken = 0;
    for (size_t p = 0; p < count && taken < room; ++p) {
      size_t piece = std::min(parts[p].iov_len, room - taken);
      written.append(static_cast<const char*>(parts[p].iov_base), piece);
      taken += piece;
    }
    buffer.Consume(taken);
    ASSERT_EQ(buffer.size(), expected.size() - written.size());
  }
  while (!buffer.empty()) {
    std::array<iovec, 4> parts;
    ASSERT_GT(buffer.Gather(parts), 0u);
    written.append(static_cast<const char*>(parts[0].iov_base), parts[0].iov_len);
    buffer.Consume(parts[0].iov_len);
  }
  EXPECT_TRUE(written == expected);
}

TEST(OutputBuffer, KeepsLargePayloadsByReference) {
  OutputBuffer buffer;
  SharedBytes large = SharedBytes::Of(std::string(100'000, 'x'));
  buffer.Append("head");
  buffer.Append(large);
  std::array<iovec, 4> parts;
  ASSERT_EQ(buffer.Gather(parts), 2u);
  EXPECT_EQ(parts[1].iov_base, large.data());
}

}  // namespace
}  // namespace store::rpc
