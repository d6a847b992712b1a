// SPDX-License-Identifier: Apache-2.0
#include "logagent/deliver/compression_sample.h"

#include "store/base/random.h"
#include "tests/unit/base/seed.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace logagent {
namespace {

// Letters as base64 has them: six of eight bits are chance.
std::string Encoded(size_t bytes, store::Random& random) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  while (text.size() < bytes) {
    text.push_back(kLetters[random.Below(kLetters.size())]);
  }
  return text;
}

std::string AccessLog(size_t lines, store::Random& random) {
  std::string text;
  for (size_t i = 0; i < lines; ++i) {
    text += fmt::format(
        "10.0.{}.{} - - [01/Dec/2026:10:{:02}:{:02} +0000] \"GET /item/{} HTTP/1.1\" 200 {}\n",
        random.Below(256), random.Below(256), random.Below(60), random.Below(60),
        random.Below(100'000), random.Below(10'000));
  }
  return text;
}

TEST(CompressionSample, EncodedLinesAreNotWorthIt) {
  store::Random random = store::SeededRandom("encoded");
  std::string lines;
  for (int i = 0; i < 200; ++i) {
    lines += fmt::format("00 {:010} {}\n", i, Encoded(498, random));
  }
  EXPECT_FALSE(CompressionPays(lines));
}

TEST(CompressionSample, LogLinesAre) {
  store::Random random = store::SeededRandom("log lines");
  EXPECT_TRUE(CompressionPays(AccessLog(1'000, random)));
}

// What follows the sample is not looked at.
TEST(CompressionSample, OnlyItsBytesCount) {
  store::Random random = store::SeededRandom("sample bytes");
  const std::string encoded = Encoded(kSampleBytes, random);
  EXPECT_FALSE(CompressionPays(encoded + std::string(10 * kSampleBytes, 'x')));
  EXPECT_TRUE(CompressionPays(std::string(kSampleBytes, 'x') + encoded));
}

TEST(CompressionSample, ASixteenthIsWorthIt) {
  store::Random random = store::SeededRandom("sixteenth");
  const std::string encoded = Encoded(kSampleBytes, random);
  constexpr size_t kLess = kSampleBytes / 16 / 2;
  constexpr size_t kMore = kSampleBytes / 16 * 2;
  EXPECT_FALSE(CompressionPays(std::string(kLess, 'x') + encoded.substr(kLess)));
  EXPECT_TRUE(CompressionPays(std::string(kMore, 'x') + encoded.substr(kMore)));
}

TEST(CompressionSample, SpeaksOnlyForCodecsWithoutEntropyCoding) {
  EXPECT_TRUE(OnlyFindsRepetitions("lz4"));
  EXPECT_TRUE(OnlyFindsRepetitions("snappy"));
  for (const char* codec : {"none", "gzip", "zstd", ""}) {
    EXPECT_FALSE(OnlyFindsRepetitions(codec)) << codec;
  }
}

}  // namespace
}  // namespace logagent
