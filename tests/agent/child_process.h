// SPDX-License-Identifier: Apache-2.0
// Programs that a test starts: each with its output in a file, killed and reaped when its object
// goes. Also free ports, a directory for the test, and waiting for a condition with a deadline. One
// thread.
#pragma once

#include <absl/functional/function_ref.h>

#include <chrono>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace logagent::testing {

// Removed with everything in it, unless the test failed and there is something to look at.
class ScratchDirectory {
 public:
  explicit ScratchDirectory(bool keep_if_failed = true);
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
  const bool keep_if_failed_;
};

class ChildProcess {
 public:
  // argv[0] is looked up in PATH. stdout and stderr are appended to `output`.
  ChildProcess(const std::vector<std::string>& argv, std::string output,
               const std::vector<std::string>& environment = {}, const std::string& directory = {});
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int signal) const;
  // SIGKILL and reap.
  void Kill();
  bool Running();
  // The exit code (128 + n for a signal), or nothing at the deadline.
  std::optional<int> WaitForExit(std::chrono::milliseconds timeout);
  std::string Output() const;

 private:
  pid_t pid_ = -1;
  std::optional<int> exit_code_;
  std::string output_;
};

// A port of 127.0.0.1 that nobody listened on a moment ago.
int FreePort();
// Runs a program to its end; stdout and stderr together.
struct Finished {
  int exit_code = -1;
  std::string output;
};
Finished RunProgram(const std::vector<std::string>& argv,
                    const std::vector<std::string>& environment = {}, const std::string& input = {},
                    std::chrono::milliseconds timeout = std::chrono::seconds(30));

// Asks `condition` until it is true; false at the deadline.
bool WaitUntil(absl::FunctionRef<bool()> condition,
               std::chrono::milliseconds timeout = std::chrono::seconds(20));

std::string ReadAll(const std::string& path);
void Append(const std::string& path, const std::string& text);
// Path of a program of this build.
std::string Program(const std::string& name);

}  // namespace logagent::testing
