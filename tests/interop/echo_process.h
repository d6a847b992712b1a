// SPDX-License-Identifier: Apache-2.0
// EchoProcess: rpc_echo as a program of its own, with every limit at its default, so that its
// memory can be told from the test's. Bystander: a client that does nothing wrong meanwhile and
// counts what it had to suffer. One thread makes and destroys them.
#pragma once

#include "tests/agent/child_process.h"
#include "tests/interop/test_channel.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <string>
#include <thread>

namespace store::rpc::test {

class EchoProcess {
 public:
  EchoProcess()
      : output_(directory_ / "output"),
        process_({logagent::testing::Program("rpc_echo")}, output_) {
    const std::string said = "listening ";
    EXPECT_TRUE(logagent::testing::WaitUntil([&] {
      std::string text = logagent::testing::ReadAll(output_);
      size_t at = text.find(said);
      size_t end = text.find('\n');
      if (at == std::string::npos || end == std::string::npos) return false;
      address_ = text.substr(at + said.size(), end - at - said.size());
      return true;
    }));
  }
  ~EchoProcess() {
    process_.Signal(SIGTERM);
    EXPECT_EQ(process_.WaitForExit(std::chrono::seconds(15)), 0);
  }

  const std::string& address() const { return address_; }
  size_t rss_kib() const { return Field("VmRSS:"); }
  size_t peak_kib() const { return Field("VmHWM:"); }

 private:
  size_t Field(const std::string& name) const {
    std::string text = logagent::testing::ReadAll(fmt::format("/proc/{}/status", process_.pid()));
    size_t at = text.find(name);
    return at == std::string::npos ? 0 : std::stoul(text.substr(at + name.size()));
  }

  logagent::testing::ScratchDirectory directory_;
  std::string output_;
  logagent::testing::ChildProcess process_;
  std::string address_;
};

class Bystander {
 public:
  explicit Bystander(const std::string& address) : channel_(address) {
    Call();
    // Once at least: on a loaded machine the flood may be over before this thread runs.
    thread_ = std::thread([this] {
      do {
        Call();
      } while (!stop_);
    });
  }
  ~Bystander() { Stop(); }
  void Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  int answered() const { return answered_; }
  int failed() const { return failed_; }

 private:
  void Call() {
    CallOptions options;
    // Not a measurement: a server that is held up for this long serves nobody.
    options.timeout = std::chrono::seconds(5);
    bool ok = channel_.Unary("Unary", "hello", std::move(options)).text == "hello";
    ++(ok ? answered_ : failed_);
  }

  TestChannel channel_;
  std::atomic<int> answered_ = 0;
  std::atomic<int> failed_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace store::rpc::test
