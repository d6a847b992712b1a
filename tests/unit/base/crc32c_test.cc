// SPDX-License-Identifier: Apache-2.0
#include "store/base/crc32c.h"

#include "store/base/hash.h"
#include "tests/unit/base/seed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <string_view>

namespace store {
namespace {

// The definition: one bit at a time.
uint32_t BitwiseCrc(uint32_t crc, std::string_view data) {
  uint32_t state = ~crc;
  for (char byte : data) {
    state ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ ((state & 1) != 0 ? 0x82f63b78u : 0u);
  }
  return ~state;
}

std::string RandomBytes(Random& random, size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Next());
  return bytes;
}

// RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
TEST(Crc32cTest, KnownVectors) {
  std::string ascending(32, '\0');
  std::iota(ascending.begin(), ascending.end(), '\0');
  std::string descending(ascending.rbegin(), ascending.rend());
  for (auto* crc : {&ExtendCrc32cTable, &ExtendCrc32cHardware, &ExtendCrc32c}) {
    EXPECT_EQ(crc(0, ""), 0u);
    EXPECT_EQ(crc(0, "123456789"), 0xe3069283u);
    EXPECT_EQ(crc(0, std::string(32, '\0')), 0x8a9136aau);
    EXPECT_EQ(crc(0, std::string(32, '\xff')), 0x62a8ab43u);
    EXPECT_EQ(crc(0, ascending), 0x46dd794eu);
    EXPECT_EQ(crc(0, descending), 0x113fdb5cu);
  }
}

TEST(Crc32cTest, BothWaysAgreeWithTheDefinitionAtEveryLengthAndAlignment) {
  Random random = SeededRandom("crc32c");
  for (int round = 0; round < 400; ++round) {
    // Around the limits of the interleaved streams too: 768 and 12288 bytes.
    size_t size = random.Chance(0.5) ? random.Below(100) : random.Below(30000);
    std::string bytes = RandomBytes(random, size + 8);
    std::string_view data = std::string_view(bytes).substr(random.Below(8), size);
    auto seed = static_cast<uint32_t>(random.Next());
    uint32_t expected = BitwiseCrc(seed, data);
    ASSERT_EQ(ExtendCrc32cTable(seed, data), expected) << size;
    ASSERT_EQ(ExtendCrc32cHardware(seed, data), expected) << size;
  }
}

TEST(Crc32cTest, ExtendingIsTheCrcOfTheWhole) {
  Random random = SeededRandom("crc32c_extend");
  for (int round = 0; round < 100; ++round) {
    std::string bytes = RandomBytes(random, random.Below(5000));
    size_t cut = random.Below(bytes.size() + 1);
    uint32_t head = Crc32c(std::string_view(bytes).substr(0, cut));
    ASSERT_EQ(ExtendCrc32c(head, std::string_view(bytes).substr(cut)), Crc32c(bytes));
  }
}

// The values are on disks, so they must never change.
TEST(HashTest, KnownVectors) {
  EXPECT_EQ(HashBytes(""), 0x2d06800538d394c2u);
  EXPECT_EQ(HashBytes("a"), 0xe6c632b61e964e1fu);
  EXPECT_NE(HashBytes("a", 1), HashBytes("a"));
}

}  // namespace
}  // namespace store
