// SPDX-License-Identifier: Apache-2.0
// A verb as a row of a table, and the Session in which it runs: streams, global options, the client
// that is connected when the verb first asks for it, and the printer of the chosen format. Exit
// codes are 0 (done), 1 (failed) and 2 (wrong use). One thread; a watch has more and says so.
#pragma once

#include "store/base/error.h"
#include "store/client/client.h"
#include "store/ctl/flags.h"
#include "store/ctl/options.h"
#include "store/ctl/print.h"

#include <iosfwd>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace store::ctl {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

struct Streams {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
};

class Session {
 public:
  Session(GlobalOptions options, Streams streams, Environment environment);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  client::Client& client();
  // A client of this endpoint alone, with the same options.
  std::unique_ptr<client::Client> ClientOf(const std::string& endpoint) const;
  // `value_only`: the keys are left out, where there are some.
  Printer& printer() { return *printer_; }
  void PrintValuesOnly();

  const GlobalOptions& options() const { return options_; }
  std::istream& in() { return streams_.in; }
  std::ostream& out() { return streams_.out; }
  std::ostream& err() { return streams_.err; }
  // The value of an environment variable; empty if it is not set.
  std::string Variable(std::string_view name) const;
  const Environment& environment() const { return environment_; }

  // "Error: …" and the exit code for it.
  int Usage(std::string_view text);
  int Failed(std::string_view text);
  int Failed(const Error& error) { return Failed(TextOf(error)); }
  // After printing: the format may not know this answer.
  int Printed(const Status& status);

  // What people read of an error, in etcdctl's words where it has some.
  static std::string TextOf(const Error& error);

 private:
  const GlobalOptions options_;
  const Streams streams_;
  const Environment environment_;
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<Printer> printer_;
};

struct Command {
  std::string_view name;       // "lease grant"
  std::string_view arguments;  // "<ttl>"
  std::string_view summary;
  std::span<const FlagSpec> flags;
  int (*run)(Session& session, const ParsedFlags& flags);
};

// Runs the verb that the arguments name; words may be shortened while only one verb begins so.
int RunCommand(std::span<const Command> commands, std::span<const std::string> arguments,
               const Environment& environment, Streams streams);

// Blocks the caller for this time; an interrupt ends the process.
void WaitFor(Duration duration);

}  // namespace store::ctl
