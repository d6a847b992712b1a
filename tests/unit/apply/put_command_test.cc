// SPDX-License-Identifier: Apache-2.0
// Plain puts without generated messages: the same bytes, the same fields, and no opinion about
// anything else. tests/fuzz/log_command.cc says it for bytes nobody has thought of.
#include "store/apply/put_command.h"

#include "tests/unit/apply/machine.h"
#include "tests/unit/base/seed.h"

namespace store::apply {
namespace {

using etcdserverpb::PutRequest;

// Field 40 of a message, a varint: nobody knows it.
const std::string kUnknownField = "\xc0\x02\x01";

std::string Text(Random& random, size_t size_max) {
  return std::string(random.Below(size_max + 1), static_cast<char>(random.Below(256)));
}

PutRequest RandomPut(Random& random) {
  PutRequest put;
  put.set_key(Text(random, 300));
  put.set_value(Text(random, random.Chance(0.1) ? 20'000 : 200));
  if (random.Chance(0.5)) put.set_lease(static_cast<int64_t>(random.Next() >> random.Below(64)));
  put.set_prev_kv(random.Chance(0.3));
  put.set_ignore_value(random.Chance(0.3));
  put.set_ignore_lease(random.Chance(0.3));
  return put;
}

void ExpectFields(const PutFields& fields, const PutRequest& put) {
  EXPECT_EQ(fields.key, put.key());
  EXPECT_EQ(fields.value, put.value());
  EXPECT_EQ(fields.lease.value(), put.lease());
  EXPECT_EQ(fields.prev_kv, put.prev_kv());
  EXPECT_EQ(fields.ignore_value, put.ignore_value());
  EXPECT_EQ(fields.ignore_lease, put.ignore_lease());
}

TEST(PutCommandTest, IsTheGeneratedEncodingByteForByteAndReadsBack) {
  Random random = SeededRandom("IsTheGeneratedEncodingByteForByteAndReadsBack");
  for (int round = 0; round < 2000; ++round) {
    const PutRequest put = RandomPut(random);
    const RequestId id{random.Next() >> random.Below(64), random.Next(),
                       LoopId(static_cast<uint32_t>(random.Below(3))),
                       random.Next() >> random.Below(64)};
    Command command;
    *command.mutable_put() = put;
    const std::string bytes = EncodePutCommand(id, put.SerializeAsString());
    ASSERT_EQ(bytes, EncodeCommand(id, command));
    auto read = ReadPutCommand(bytes);
    ASSERT_TRUE(read);
    ASSERT_EQ(read->id, id);
    ExpectFields(read->put, put);
    // No prefix of it is a whole command.
    EXPECT_FALSE(ReadPutCommand(std::string_view(bytes).substr(0, random.Below(bytes.size()))));
  }
}

// Else a watcher that holds an event of one byte could hold a megabyte of replaced values.
TEST(PutCommandTest, AFieldThatComesTwiceIsNotPlain) {
  PutRequest first;
  first.set_key("a");
  first.set_value("1");
  PutRequest second;
  second.set_key("bb");
  const std::string bytes = first.SerializeAsString() + second.SerializeAsString();
  ASSERT_TRUE(ReadPutFields(first.SerializeAsString()));
  EXPECT_FALSE(ReadPutFields(bytes));
  // Then what counts is the generated reader's: the last.
  Machine machine;
  machine.DoEntry(EncodePutCommand({}, bytes));
  EXPECT_EQ(machine.Keys(), "bb=1@2/2/1/0");
}

TEST(PutCommandTest, WhatIsNotPlainIsLeftToTheGeneratedMessages) {
  const Command put = PutOf("key", "value");
  const RequestId id{kSelf, kNonce, LoopId(1), 3};
  const std::string request = put.put().SerializeAsString();
  const std::string plain = EncodePutCommand(id, request);
  ASSERT_TRUE(ReadPutCommand(plain));
  EXPECT_FALSE(ReadPutFields(request + kUnknownField));
  EXPECT_FALSE(ReadPutFields(request + "\x0a")) << "no length";
  EXPECT_FALSE(ReadPutFields("\x08\x01")) << "the key is not a number";
  EXPECT_FALSE(ReadPutCommand(EncodePutCommand(id, request + kUnknownField)));
  EXPECT_FALSE(ReadPutCommand(plain + kUnknownField));
  Command other = DeleteOf("key");
  EXPECT_FALSE(ReadPutCommand(EncodeCommand(id, other)));
  Command newer = put;
  newer.set_format(kCommandFormat + 1);
  EXPECT_FALSE(ReadPutCommand(newer.SerializeAsString()));
  Command with_user = put;
  with_user.set_format(kCommandFormat);
  with_user.mutable_header()->set_auth_user("root");
  EXPECT_FALSE(ReadPutCommand(with_user.SerializeAsString()));
}

TEST(PutCommandTest, BothWaysOfReadingGiveTheSameState) {
  Machine plain;
  Machine parsed;
  for (Machine* machine : {&plain, &parsed}) {
    machine->Do(GrantOf(7, 60));
    const std::string unknown = machine == &parsed ? kUnknownField : "";
    Command keeps = PutOf("b", "", 0);
    keeps.mutable_put()->set_ignore_value(true);
    keeps.mutable_put()->set_prev_kv(true);
    for (const Command& command : {PutOf("a", "1"), PutOf("b", "2", 7), PutOf("a", ""), keeps,
                                   PutOf("c", "3", 8), PutOf("a", std::string(9000, 'x'))}) {
      machine->DoEntry(machine->make()(command) + unknown);
    }
  }
  EXPECT_EQ(DumpOf(plain.engine()), DumpOf(parsed.engine()));
  EXPECT_EQ(plain.Keys(), parsed.Keys());
}

TEST(PutCommandTest, KeyAndValueOfAnEventAreBytesOfTheLogEntry) {
  Machine machine;
  std::vector<raft::EntryPtr> log = {MakeEntry(1, machine.make()(PutOf("key", "value")))};
  size_t taken = 0;
  auto outcome = machine.state().Apply(log, &taken);
  ASSERT_TRUE(outcome);
  const std::string* data = &log[0]->data;
  const mvcc::Event& event = outcome->events->events.at(0);
  for (std::string_view part : {event.kv.key.view(), event.kv.value.view()}) {
    EXPECT_GE(part.data(), data->data());
    EXPECT_LE(part.data() + part.size(), data->data() + data->size());
  }
  // Then they are good as long as somebody holds them, whoever else has let the entry go.
  const mvcc::EventBatchPtr events = outcome->events;
  log.clear();
  EXPECT_EQ(events->events[0].kv.value.view(), "value");
}

}  // namespace
}  // namespace store::apply
