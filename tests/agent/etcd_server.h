// SPDX-License-Identifier: Apache-2.0
// A store for tests, on free ports of loopback: Debian's etcd, or the program named by
// SLUICE_TEST_STORE, which takes etcd's flags. Start and Kill may alternate; the data stays.
#pragma once

#include "tests/agent/child_process.h"

#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace logagent::testing {

class EtcdServer {
 public:
  explicit EtcdServer(std::string directory)
      : directory_(std::move(directory)), client_port_(FreePort()), peer_port_(FreePort()) {}

  // True when it answers.
  bool Start() {
    const char* program = std::getenv("SLUICE_TEST_STORE");
    std::string client = fmt::format("http://{}", endpoint());
    std::string peer = fmt::format("http://127.0.0.1:{}", peer_port_);
    process_ = std::make_unique<ChildProcess>(
        std::vector<std::string>{program != nullptr ? program : "etcd", "--name", "one",
                                 "--data-dir", directory_ + "/data", "--listen-client-urls", client,
                                 "--advertise-client-urls", client, "--listen-peer-urls", peer,
                                 "--initial-advertise-peer-urls", peer, "--initial-cluster",
                                 "one=" + peer},
        directory_ + "/store.log");
    return WaitUntil([this] { return Etcdctl({"get", "x"}).exit_code == 0; });
  }
  void Kill() { process_.reset(); }
  ChildProcess& process() { return *process_; }

  std::string endpoint() const { return fmt::format("127.0.0.1:{}", client_port_); }
  Finished Etcdctl(std::vector<std::string> arguments) const {
    std::vector<std::string> argv = {"etcdctl", "--endpoints", endpoint(), "--command-timeout=2s"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return RunProgram(argv, {"ETCDCTL_API=3"});
  }
  bool Put(const std::string& key, const std::string& value) const {
    return Etcdctl({"put", "--", key, value}).exit_code == 0;
  }

 private:
  std::string directory_;
  int client_port_;
  int peer_port_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace logagent::testing
