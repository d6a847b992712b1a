// SPDX-License-Identifier: Apache-2.0
#include "tests/agent/child_process.h"

#include "store/base/random.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <signal.h>
#include <sstream>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace logagent::testing {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kAskAgain{10};
// Below those that the kernel gives to connections: one of these may be somebody's the moment
// before a server listens, or while it is down.
constexpr int kServerPortMin = 10'000;
constexpr int kServerPortMax = 31'999;
constexpr int kPortGoes = 1000;

bool IsFree(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  const bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  ::close(fd);
  return bound;
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void Become(const std::vector<std::string>& argv,
                         const std::vector<std::string>& environment, const std::string& directory,
                         const std::string& output) {
  // A test that dies takes its programs with it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  int fd = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(fd, STDOUT_FILENO);
  ::dup2(fd, STDERR_FILENO);
  if (!directory.empty() && ::chdir(directory.c_str()) != 0) ::_exit(126);
  for (const std::string& setting : environment) ::putenv(const_cast<char*>(setting.c_str()));
  ::execvp(argv[0].c_str(), Pointers(argv).data());
  ::_exit(127);
}

}  // namespace

ScratchDirectory::ScratchDirectory(bool keep_if_failed) : keep_if_failed_(keep_if_failed) {
  std::string name = (std::filesystem::temp_directory_path() / "sluice_agent_XXXXXX").string();
  EXPECT_NE(::mkdtemp(name.data()), nullptr);
  path_ = name;
}

ScratchDirectory::~ScratchDirectory() {
  if (keep_if_failed_ && ::testing::Test::HasFailure()) {
    fprintf(stderr, "kept for a look: %s\n", path_.c_str());
    return;
  }
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

ChildProcess::ChildProcess(const std::vector<std::string>& argv, std::string output,
                           const std::vector<std::string>& environment,
                           const std::string& directory)
    : output_(std::move(output)) {
  pid_ = ::fork();
  if (pid_ == 0) Become(argv, environment, directory, output_);
}

ChildProcess::~ChildProcess() { Kill(); }

void ChildProcess::Signal(int signal) const {
  if (pid_ > 0 && !exit_code_) ::kill(pid_, signal);
}

void ChildProcess::Kill() {
  Signal(SIGKILL);
  WaitForExit(std::chrono::seconds(30));
}

bool ChildProcess::Running() { return !WaitForExit(std::chrono::milliseconds(0)).has_value(); }

std::optional<int> ChildProcess::WaitForExit(std::chrono::milliseconds timeout) {
  WaitUntil(
      [this] {
        if (exit_code_) return true;
        int status = 0;
        if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
        exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        return true;
      },
      timeout);
  return exit_code_;
}

std::string ChildProcess::Output() const { return ReadAll(output_); }

int FreePort() {
  store::Random random(store::EntropySeed());
  for (int goes = 0; goes < kPortGoes; ++goes) {
    const int port = static_cast<int>(random.Between(kServerPortMin, kServerPortMax));
    if (IsFree(port)) return port;
  }
  ADD_FAILURE() << "no port of loopback is free";
  return 0;
}

Finished RunProgram(const std::vector<std::string>& argv,
                    const std::vector<std::string>& environment, const std::string& input,
                    std::chrono::milliseconds timeout) {
  ScratchDirectory scratch(/*keep_if_failed=*/false);
  std::vector<std::string> command = argv;
  if (!input.empty()) {
    Append(scratch / "input", input);
    command = {"sh", "-c", "exec \"$@\" < " + (scratch / "input"), "sh"};
    command.insert(command.end(), argv.begin(), argv.end());
  }
  ChildProcess process(command, scratch / "output", environment);
  auto code = process.WaitForExit(timeout);
  return {code.value_or(-1), process.Output()};
}

bool WaitUntil(absl::FunctionRef<bool()> condition, std::chrono::milliseconds timeout) {
  auto deadline = steady_clock::now() + timeout;
  while (!condition()) {
    if (steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kAskAgain);
  }
  return true;
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void Append(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::app);
  file << text;
}

std::string Program(const std::string& name) {
  if (const char* directory = std::getenv("SLUICE_BIN")) return std::string(directory) + "/" + name;
  return std::string(SLUICE_BIN_DIRECTORY) + "/" + name;
}

}  // namespace logagent::testing
