// SPDX-License-Identifier: Apache-2.0
// sluice-store: parses the command line, starts a member and waits for a signal.
#include "store/base/failpoint.h"
#include "store/server/flags.h"
#include "store/server/process.h"
#include "store/server/server.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

// Read by jemalloc when it starts. Memory that was freed goes back to the system after one second
// instead of ten, and also when nobody allocates: with a million keys 134 instead of 165 MiB
// resident, at the same CPU for a put. MALLOC_CONF in the environment comes after it.
extern "C" {
extern const char* const malloc_conf;
const char* const malloc_conf = "background_thread:true,dirty_decay_ms:1000";
}

namespace {

using store::server::FlagOutcome;

int Refuse(const std::string& text) {
  std::fputs((text + "\n").c_str(), stderr);
  return 1;
}

// Removed from the cluster: no failure, and no reason for a supervisor to start it again. Errors,
// because those are written before the call returns.
[[noreturn]] void EndRemoved(const store::Logger& log, const store::Error& error) {
  log.Error("server error", {{"error", error.message()}});
  log.Error("data-dir used by this member must be removed");
  log.Flush();
  std::_Exit(0);
}

int Run(const FlagOutcome& outcome, const store::Logger& log, const store::Clock& clock,
        const sigset_t& signals) {
  for (const auto& [name, value] : outcome.used_variables) {
    log.Info("recognized and used environment variable",
             {{"variable-name", name}, {"variable-value", value}});
  }
  for (const std::string& note : outcome.notes) log.Info(note);
  for (const std::string& warning : outcome.warnings) log.Warn(warning);
  auto fatal = [log](const store::Error& error) {
    if (error.code() == store::ErrorCode::kMemberNotFound) EndRemoved(log, error);
    log.Fatal("stopping: the member cannot go on", {error});
    log.Flush();
    std::_Exit(1);
  };
  auto server = store::server::Server::Start(outcome.config, clock, log, fatal);
  if (!server && store::server::StopRequestedWithin(store::Duration(0))) {
    int asked = store::server::WaitForSignal(signals);
    log.Info("received signal before the member was started", {{"signal", strsignal(asked)}});
    log.Flush();
    store::server::EndBy(asked, signals);
  }
  if (!server && server.error().code() == store::ErrorCode::kMemberNotFound) {
    EndRemoved(log, server.error());
  }
  if (!server) {
    log.Fatal("discovery failed", {{"error", server.error().message()}});
    log.Flush();
    return 1;
  }
  int signal_number = store::server::WaitForSignal(signals);
  log.Info("received signal; shutting down", {{"signal", strsignal(signal_number)}});
  (*server)->Stop();
  log.Flush();
  store::server::EndBy(signal_number, signals);
}

}  // namespace

int main(int argc, char** argv) {
  const sigset_t signals = store::server::BlockSignals();  // before the log starts its thread
  store::server::RaiseDescriptorLimit();
  auto environment = store::server::ReadEnvironment();
  if (auto armed = store::Failpoints::Parse(environment["SLUICE_FAILPOINTS"]); !armed) {
    return Refuse("SLUICE_FAILPOINTS: " + armed.error().message());
  }
  FlagOutcome outcome = store::server::ParseFlags({argv + 1, argv + argc}, environment);
  if (outcome.kind == FlagOutcome::Kind::kPrint) {
    std::fputs(outcome.text.c_str(), stdout);
    return 0;
  }
  if (outcome.kind == FlagOutcome::Kind::kUsage) {
    std::fputs(outcome.text.c_str(), stderr);
    return 2;
  }
  outcome.config.service_manager = store::server::FindServiceManager(environment);
  store::SystemClock clock;
  auto log = store::OpenLog({.level = outcome.config.log_level,
                             .format = outcome.config.log_format,
                             .outputs = outcome.config.log_outputs},
                            clock);
  if (!log) return Refuse("--log-outputs: " + log.error().message());
  if (outcome.kind == FlagOutcome::Kind::kShadowed) {
    log->Fatal(store::server::kShadowedText, {{"environment-variable", outcome.text}});
    log->Flush();
    return 1;
  }
  if (outcome.kind == FlagOutcome::Kind::kInvalid) {
    log->Warn("failed to verify flags", {{"error", outcome.text}});
    log->Flush();
    return 1;
  }
  return Run(outcome, *log, clock, signals);
}
