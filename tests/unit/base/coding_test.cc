// SPDX-License-Identifier: Apache-2.0
#include "store/base/coding.h"

#include "tests/unit/base/seed.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <variant>
#include <vector>

namespace store {
namespace {

TEST(CodingTest, FixedWidthHasTheNamedByteOrder) {
  std::string out;
  AppendBigEndian16(&out, 0x0102);
  AppendBigEndian32(&out, 0x01020304);
  AppendBigEndian64(&out, 0x0102030405060708);
  AppendLittleEndian16(&out, 0x0102);
  AppendLittleEndian32(&out, 0x01020304);
  AppendLittleEndian64(&out, 0x0102030405060708);
  EXPECT_EQ(out, std::string("\1\2"
                             "\1\2\3\4"
                             "\1\2\3\4\5\6\7\10"
                             "\2\1"
                             "\4\3\2\1"
                             "\10\7\6\5\4\3\2\1"));
}

TEST(CodingTest, BigEndianSortsAsTheNumbers) {
  Random random = SeededRandom("coding_sort");
  for (int i = 0; i < 1000; ++i) {
    uint64_t a = random.Next() >> random.Below(64);
    uint64_t b = random.Next() >> random.Below(64);
    std::string left;
    std::string right;
    AppendBigEndian64(&left, a);
    AppendBigEndian64(&right, b);
    ASSERT_EQ(a < b, left < right) << a << " " << b;
    ASSERT_EQ(LoadBigEndian64(left.data()), a);
  }
}

TEST(CodingTest, VarintsHaveTheBytesOfProtobuf) {
  std::string out;
  AppendVarint(&out, 0);
  AppendVarint(&out, 127);
  AppendVarint(&out, 300);
  EXPECT_EQ(out, std::string("\0\x7f\xac\x02", 4));
  out.clear();
  AppendVarint(&out, std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(out, std::string(9, '\xff') + '\1');
}

TEST(CodingTest, VarintOfMoreThan64BitsIsRefused) {
  for (const std::string& bytes : {std::string(9, '\xff') + '\2', std::string(10, '\x80') + '\0',
                                   std::string(3, '\x80'), std::string()}) {
    ByteReader reader(bytes);
    uint64_t value = 7;
    EXPECT_FALSE(reader.ReadVarint(&value));
    EXPECT_EQ(value, 7u);
    EXPECT_EQ(reader.position(), 0u);
  }
}

TEST(CodingTest, ZigZagKeepsSmallMagnitudesSmall) {
  EXPECT_EQ(ZigZag(0), 0u);
  EXPECT_EQ(ZigZag(-1), 1u);
  EXPECT_EQ(ZigZag(1), 2u);
  for (int64_t value : {std::numeric_limits<int64_t>::min(), int64_t{-5}, int64_t{0}, int64_t{9},
                        std::numeric_limits<int64_t>::max()}) {
    EXPECT_EQ(UnZigZag(ZigZag(value)), value);
  }
}

// One field as the model of the property test below holds it.
struct Varint {
  uint64_t value;
};
using Item = std::variant<uint8_t, uint32_t, uint64_t, Varint, std::string>;

Item RandomItem(Random& random) {
  switch (random.Below(5)) {
    case 0:
      return static_cast<uint8_t>(random.Next());
    case 1:
      return static_cast<uint32_t>(random.Next());
    case 2:
      return random.Next();
    case 3:
      return Varint{random.Next() >> random.Below(64)};
    default:
      return std::string(random.Below(300), static_cast<char>(random.Next()));
  }
}

void Append(std::string* out, const Item& item) {
  if (const auto* u8 = std::get_if<uint8_t>(&item)) AppendU8(out, *u8);
  if (const auto* u32 = std::get_if<uint32_t>(&item)) AppendLittleEndian32(out, *u32);
  if (const auto* u64 = std::get_if<uint64_t>(&item)) AppendBigEndian64(out, *u64);
  if (const auto* varint = std::get_if<Varint>(&item)) AppendVarint(out, varint->value);
  if (const auto* bytes = std::get_if<std::string>(&item)) AppendLengthPrefixed(out, *bytes);
}

// True if the item could be read; then it must be the same.
bool ReadBack(ByteReader* reader, const Item& item) {
  uint64_t value = 0;
  if (const auto* u8 = std::get_if<uint8_t>(&item)) {
    uint8_t read = 0;
    if (!reader->ReadU8(&read)) return false;
    EXPECT_EQ(read, *u8);
  } else if (const auto* u32 = std::get_if<uint32_t>(&item)) {
    uint32_t read = 0;
    if (!reader->ReadLittleEndian32(&read)) return false;
    EXPECT_EQ(read, *u32);
  } else if (const auto* u64 = std::get_if<uint64_t>(&item)) {
    if (!reader->ReadBigEndian64(&value)) return false;
    EXPECT_EQ(value, *u64);
  } else if (const auto* varint = std::get_if<Varint>(&item)) {
    if (!reader->ReadVarint(&value)) return false;
    EXPECT_EQ(value, varint->value);
  } else {
    std::string_view bytes;
    if (!reader->ReadLengthPrefixed(&bytes)) return false;
    EXPECT_EQ(bytes, std::get<std::string>(item));
  }
  return true;
}

TEST(CodingTest, ReadsBackWhatWasAppendedAndRefusesEveryCut) {
  Random random = SeededRandom("coding");
  for (int round = 0; round < 200; ++round) {
    std::vector<Item> items(random.Below(20));
    std::string bytes;
    std::vector<size_t> ends;
    for (Item& item : items) {
      item = RandomItem(random);
      Append(&bytes, item);
      ends.push_back(bytes.size());
    }
    size_t cut = random.Chance(0.5) ? bytes.size() : random.Below(bytes.size() + 1);
    // An exact copy, so that AddressSanitizer sees a read beyond the cut.
    std::vector<char> exact(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(cut));
    ByteReader reader(std::string_view(exact.data(), exact.size()));
    for (size_t i = 0; i < items.size(); ++i) {
      size_t before = reader.position();
      bool whole = ends[i] <= cut;
      ASSERT_EQ(ReadBack(&reader, items[i]), whole);
      ASSERT_EQ(reader.position(), whole ? ends[i] : before);
      if (!whole) break;
    }
  }
}

TEST(CodingTest, VarintSizeIsWhatAppendWrites) {
  for (int bit = 0; bit < 64; ++bit) {
    for (uint64_t value : {uint64_t{1} << bit, (uint64_t{1} << bit) - 1}) {
      std::string out;
      AppendVarint(&out, value);
      EXPECT_EQ(VarintSize(value), out.size()) << value;
    }
  }
}

}  // namespace
}  // namespace store
