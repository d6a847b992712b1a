// SPDX-License-Identifier: Apache-2.0
#include "store/rpc/grpc_frame.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace store::rpc {
namespace {

using Outcome = MessageReader::Outcome;

std::string Frame(std::string_view message) {
  auto prefix = GrpcPrefix(message.size());
  return std::string(prefix.begin(), prefix.end()) + std::string(message);
}

std::vector<std::string> ReadAll(MessageReader* reader, std::string_view bytes, size_t step) {
  std::vector<std::string> messages;
  for (size_t at = 0; at < bytes.size(); at += step) {
    std::string_view piece = bytes.substr(at, step);
    while (!piece.empty()) {
      SharedBytes message;
      if (reader->Read(&piece, &message) == Outcome::kMessage) {
        messages.emplace_back(message.view());
      }
    }
  }
  return messages;
}

TEST(MessageReader, GivesTheSameMessagesHoweverTheBytesAreCut) {
  std::string large(100'000, 'z');
  std::string bytes = Frame("one") + Frame("") + Frame(large) + Frame("four");
  std::vector<std::string> expected = {"one", "", large, "four"};
  for (size_t step :
       {size_t{1}, size_t{2}, size_t{4}, size_t{5}, size_t{7}, size_t{1000}, bytes.size()}) {
    MessageReader reader(1 << 20);
    EXPECT_EQ(ReadAll(&reader, bytes, step), expected) << "step " << step;
    EXPECT_FALSE(reader.in_message());
  }
}

TEST(MessageReader, RefusesByThePrefixAlone) {
  MessageReader reader(10);
  auto prefix = GrpcPrefix(11);
  std::string_view bytes(prefix.data(), prefix.size());
  SharedBytes message;
  EXPECT_EQ(reader.Read(&bytes, &message), Outcome::kTooLarge);
  EXPECT_EQ(reader.announced(), 11u);
}

TEST(MessageReader, TakesAMessageOfExactlyTheLimit) {
  MessageReader reader(10);
  std::string bytes = Frame("0123456789");
  EXPECT_EQ(ReadAll(&reader, bytes, 3), std::vector<std::string>{"0123456789"});
}

TEST(MessageReader, TellsTheCompressedFlag) {
  MessageReader reader(10);
  std::string bytes = Frame("abc");
  bytes[0] = 1;
  std::string_view view = bytes;
  SharedBytes message;
  EXPECT_EQ(reader.Read(&view, &message), Outcome::kCompressed);
}

TEST(GrpcTimeout, ParsesEveryUnit) {
  using namespace std::chrono_literals;
  EXPECT_EQ(ParseGrpcTimeout("2H"), Duration(2h));
  EXPECT_EQ(ParseGrpcTimeout("3M"), Duration(3min));
  EXPECT_EQ(ParseGrpcTimeout("5S"), Duration(5s));
  EXPECT_EQ(ParseGrpcTimeout("100m"), Duration(100ms));
  EXPECT_EQ(ParseGrpcTimeout("7u"), Duration(7us));
  EXPECT_EQ(ParseGrpcTimeout("99999999n"), Duration(99'999'999ns));
  EXPECT_EQ(ParseGrpcTimeout("0n"), Duration(0));
}

TEST(GrpcTimeout, RefusesWhatIsMalformed) {
  for (const char* text : {"", "S", "5", "5s", "-1S", "+1S", "1 S", "1.5S", "123456789S", "5SS"}) {
    EXPECT_EQ(ParseGrpcTimeout(text), std::nullopt) << text;
  }
}

TEST(GrpcTimeout, CutsWhatDoesNotFit) {
  std::optional<Duration> longest = ParseGrpcTimeout("99999999H");
  ASSERT_TRUE(longest);
  EXPECT_GT(*longest, std::chrono::hours(24 * 365 * 50));
}

TEST(GrpcTimeout, FormatsWithoutShortening) {
  for (int64_t nanos :
       {int64_t{1}, int64_t{99'999'999}, int64_t{100'000'001}, int64_t{5'000'000'000},
        int64_t{123'456'789'012'345}, int64_t{3'600'000'000'000'000}}) {
    std::string text = FormatGrpcTimeout(Duration(nanos));
    std::optional<Duration> parsed = ParseGrpcTimeout(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_GE(parsed->count(), nanos) << text;
    EXPECT_LE(static_cast<double>(parsed->count()), static_cast<double>(nanos) * 1.001) << text;
  }
}

TEST(GrpcMessage, EncodesWhatHeadersCannotCarry) {
  EXPECT_EQ(PercentEncode("etcdserver: no leader"), "etcdserver: no leader");
  EXPECT_EQ(PercentEncode("50%\n\x01\xc3\xa4"), "50%25%0A%01%C3%A4");
  std::string every;
  for (int i = 0; i < 256; ++i) every.push_back(static_cast<char>(i));
  EXPECT_EQ(PercentDecode(PercentEncode(every)), every);
  EXPECT_EQ(PercentDecode("%4"), "%4");
  EXPECT_EQ(PercentDecode("%zz%41"), "%zzA");
}

TEST(GrpcContentType, KnowsItsOwn) {
  EXPECT_TRUE(IsGrpcContentType("application/grpc"));
  EXPECT_TRUE(IsGrpcContentType("application/grpc+proto"));
  EXPECT_TRUE(IsGrpcContentType("application/grpc;charset=utf-8"));
  EXPECT_FALSE(IsGrpcContentType("application/grpcweb"));
  EXPECT_FALSE(IsGrpcContentType("application/json"));
  EXPECT_FALSE(IsGrpcContentType(""));
}

}  // namespace
}  // namespace store::rpc
