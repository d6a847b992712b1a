// SPDX-License-Identifier: Apache-2.0
// What of the answers that nobody reads is in the gauge by which ranges are refused.
#include "store/rpc/server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace store::rpc {
namespace {

constexpr size_t kPayloadBytes = 1 << 20;
constexpr int kStreams = 32;

struct Bytes {
  static bool ParseFromArray(const void*, int) { return true; }
  static bool AppendToString(std::string*) { return true; }
  static size_t ByteSizeLong() { return 0; }
};

std::string Frame(char type, char flags, uint32_t stream, std::string_view payload) {
  std::string frame;
  for (int shift : {16, 8, 0}) frame.push_back(static_cast<char>(payload.size() >> shift));
  frame.push_back(type);
  frame.push_back(flags);
  for (int shift : {24, 16, 8, 0}) frame.push_back(static_cast<char>(stream >> shift));
  return frame.append(payload);
}

std::string Literal(std::string_view text) {
  return std::string(1, static_cast<char>(text.size())).append(text);
}

// A call whose client has ended its half; RFC 7541 appendix A numbers the names.
std::string Call(uint32_t stream, std::string_view path) {
  std::string block = "\x83\x86\x04" + Literal(path);
  block += "\x41" + Literal("here");
  block += "\x5f" + Literal("application/grpc");
  block += std::string(1, '\0') + Literal("te") + Literal("trailers");
  return Frame(1, 0x5, stream, block);
}

class UnsentBytesTest : public testing::Test {
 protected:
  UnsentBytesTest() {
    methods_.AddStream<Bytes, Bytes>("/watch/Shared", [this](Stream<Bytes, Bytes> stream) {
      MessageBody body("header");
      body.Append(payload_);
      Write(std::move(stream), std::move(body));
    });
    methods_.AddStream<Bytes, Bytes>("/range/Own", [this](Stream<Bytes, Bytes> stream) {
      Write(std::move(stream), MessageBody(std::string(kPayloadBytes, 'x')));
    });
    loop_.Start();
    EXPECT_TRUE(server_.Listen("127.0.0.1:0"));
    server_.Start();
    const SocketAddress& address = server_.addresses().front();
    fd_ = socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(fd_, address.get(), address.size()), 0);
    Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(4, 0, 0, {}));
  }
  ~UnsentBytesTest() override {
    server_.Stop();
    loop_.Stop();
  }
  void Write(Stream<Bytes, Bytes> stream, MessageBody body) {
    stream.Write(std::move(body));
    ++answered_;
  }
  void Send(const std::string& bytes) const {
    EXPECT_EQ(send(fd_, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  // Calls that the client does not read the answers of; returns what the gauge says then.
  int64_t AfterCalls(std::string_view path) {
    for (int i = 0; i < kStreams; ++i) Send(Call(static_cast<uint32_t>(2 * i + 1), path));
    while (answered_ < kStreams) std::this_thread::yield();
    // A turn publishes at its end.
    std::promise<void> turned;
    loop_.Post([&turned] { turned.set_value(); });
    turned.get_future().wait();
    return server_.stats().unsent_bytes.load();
  }
  void Leave() {
    close(fd_);
    while (server_.stats().connections_open.load() > 0) std::this_thread::yield();
  }

  const SharedBytes payload_ = SharedBytes::Of(std::string(kPayloadBytes, 'x'));
  SystemClock clock_;
  MethodTable methods_;
  HttpRouter router_;
  std::atomic<int> answered_ = 0;
  EventLoop loop_{LoopId(0), clock_, "loop"};
  Server server_{methods_, router_, {&loop_}, {}};
  int fd_ = -1;
};

// A watch batch is encoded once for all streams that send it.
TEST_F(UnsentBytesTest, APayloadThatManyStreamsShareIsNotCountedForEach) {
  const int64_t unsent = AfterCalls("/watch/Shared");
  EXPECT_GT(unsent, 0);
  EXPECT_LT(unsent, static_cast<int64_t>(kPayloadBytes));
  Leave();
  EXPECT_EQ(server_.stats().unsent_bytes.load(), 0);
}

TEST_F(UnsentBytesTest, AnAnswerOfItsOwnIsCounted) {
  const int64_t unsent = AfterCalls("/range/Own");
  EXPECT_GT(unsent, static_cast<int64_t>(kPayloadBytes) * (kStreams - 1));
  Leave();
  EXPECT_EQ(server_.stats().unsent_bytes.load(), 0);
}

}  // namespace
}  // namespace store::rpc
