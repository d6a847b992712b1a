// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/commands.h"

#include "logagent/agent/agent.h"
#include "logagent/agent/explain_command.h"
#include "logagent/agent/kafka_settings.h"
#include "logagent/agent/state_commands.h"
#include "logagent/agent/version.h"
#include "logagent/model/entry_list.h"
#include "logagent/model/legacy_ini.h"
#include "logagent/model/settings_yaml.h"
#include "store/base/file.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <iterator>
#include <signal.h>
#include <string_view>
#include <utility>

namespace logagent {
namespace {

using store::ErrorCode;
using store::Fail;

constexpr int kOk = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

// Where the course's programs look, then ours.
constexpr std::string_view kUsualFiles[] = {"./conf/config.ini", "./config/config.ini",
                                            "/etc/sluice/logagent.yaml"};

struct Options {
  std::string settings_file;
  std::string list_file;
  std::string id;
  std::string ip;
  std::string state_dir;
  std::string admin;
  std::string explained;
  bool no_admin = false;
};

bool IsIni(const std::string& path) {
  std::string end = std::filesystem::path(path).extension().string();
  return end == ".ini" || end == ".conf" || end == ".cfg";
}

// The text of a file, or of stdin for "-".
Result<std::string> ReadInput(const std::string& path) {
  if (path != "-") return store::ReadFile(path, kEntryListBytesMax + 1);
  return std::string(std::istreambuf_iterator<char>(std::cin), {});
}

// The settings, with what the command line says on top.
Result<LoadedSettings> Load(const Options& options) {
  std::string path = options.settings_file;
  for (std::string_view usual : kUsualFiles) {
    if (path.empty() && store::FileExists(std::string(usual))) path = usual;
  }
  LoadedSettings loaded;
  if (!path.empty()) {
    auto read = LoadSettings(path);
    if (!read) return read;
    loaded = std::move(*read);
  }
  AgentSettings& settings = loaded.config.settings;
  if (!options.id.empty()) settings.id = options.id;
  if (!options.ip.empty()) settings.ip = options.ip;
  if (!options.state_dir.empty()) settings.state_dir = options.state_dir;
  if (!options.admin.empty()) settings.admin_address = options.admin;
  if (options.no_admin) settings.admin_address.clear();
  RETURN_IF_ERROR(ValidateSettings(settings));
  return loaded;
}

Status CheckKafka(const AgentSettings& settings) {
  auto kafka = KafkaConfigOf(settings);
  RETURN_IF_ERROR(kafka);
  auto checked = CheckKafkaConfig(*kafka);
  if (!checked) return Fail(checked.error().WithContext("kafka"));
  return store::Ok();
}

int Check(const Options& options, std::ostream& out, std::ostream& err) {
  auto loaded = Load(options);
  if (!loaded) {
    fmt::print(err, "{}\n", loaded.error().message());
    return kFailed;
  }
  for (const std::string& warning : loaded->warnings) fmt::print(err, "warning: {}\n", warning);
  if (auto kafka = CheckKafka(loaded->config.settings); !kafka) {
    fmt::print(err, "{}\n", kafka.error().message());
    return kFailed;
  }
  if (options.list_file.empty()) {
    fmt::print(out, "settings ok\n");
    return kOk;
  }
  std::string name = options.list_file == "-" ? "stdin" : options.list_file;
  auto text = ReadInput(options.list_file);
  if (!text) {
    fmt::print(err, "{}\n", text.error().message());
    return kFailed;
  }
  auto list = ParseEntryList(*text);
  if (!list) {
    fmt::print(err, "{}:{}\n", name, list.error().message());
    return kFailed;
  }
  for (const Warning& warning : list->warnings) {
    fmt::print(err, "warning: {}:{}\n", name, warning.ToString());
  }
  fmt::print(out, "settings ok, {} entries ok\n", list->entries.size());
  return kOk;
}

int RunAgent(const Options& options, std::ostream& err) {
  auto loaded = Load(options);
  if (!loaded) {
    fmt::print(err, "sluice-agent: {}\n", loaded.error().message());
    return kFailed;
  }
  store::SystemClock clock;
  const LogSettings& log_settings = loaded->config.settings.log;
  store::LogOptions log_options;
  log_options.level = store::ParseLogLevel(log_settings.level).value_or(store::LogLevel::kInfo);
  log_options.format =
      log_settings.format == "console" ? store::LogFormat::kConsole : store::LogFormat::kJson;
  log_options.outputs = {log_settings.output};
  auto log = store::OpenLog(log_options, clock);
  if (!log) {
    fmt::print(err, "sluice-agent: log: {}\n", log.error().message());
    return kFailed;
  }
  for (const std::string& warning : loaded->warnings) log->Warn(warning);
  // Blocked before the first thread, so that all of them inherit it and only sigwait sees them.
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  Agent agent(std::move(loaded->config), AgentTiming(), clock, *log);
  if (auto started = agent.Start(); !started) {
    agent.Stop();
    fmt::print(err, "sluice-agent: {}\n", started.error().message());
    return kFailed;
  }
  int signal = 0;
  while (::sigwait(&signals, &signal) != 0) {
  }
  agent.Stop();
  return kOk;
}

}  // namespace

Result<LoadedSettings> LoadSettings(const std::string& path) {
  auto text = store::ReadFile(path, kEntryListBytesMax);
  if (!text) return Fail(std::move(text).error());
  LoadedSettings loaded;
  auto in_file = [&path](const store::Error& error) {
    return store::Error(error.code(), fmt::format("{}:{}", path, error.message()));
  };
  auto warn = [&](const std::vector<Warning>& warnings) {
    for (const Warning& warning : warnings) {
      loaded.warnings.push_back(fmt::format("{}:{}", path, warning.ToString()));
    }
  };
  if (!IsIni(path)) {
    std::vector<Warning> warnings;
    auto config = ParseSettingsYaml(*text, &warnings);
    if (!config) return Fail(in_file(config.error()));
    loaded.config = std::move(*config);
    warn(warnings);
    return loaded;
  }
  auto legacy = ParseLegacyIni(*text);
  if (!legacy) return Fail(in_file(legacy.error()));
  loaded.config = std::move(legacy->config);
  warn(legacy->warnings);
  return loaded;
}

int RunCommandLine(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  CLI::App app{"sluice-agent: follows log files and sends their lines to Kafka"};
  Options options;
  app.set_version_flag("--version", fmt::format("sluice-agent {}", kAgentVersion));
  app.add_option("-c,--config", options.settings_file,
                 "settings: YAML, or the course's ini (.ini .conf .cfg)");
  app.add_option("--agent-id", options.id, "name in the store (default: the machine id)");
  app.add_option("--ip", options.ip, "address that fills the key template");
  app.add_option("--state-dir", options.state_dir, "checkpoints and the last good list");
  auto* admin = app.add_option("--admin", options.admin, "host:port of /metrics /status /healthz");
  app.add_flag("--no-admin", options.no_admin, "no HTTP")->excludes(admin);
  app.require_subcommand(0, 1);
  app.fallthrough();
  app.add_subcommand("run", "follow the list until SIGTERM (the default)");
  auto* check = app.add_subcommand("check", "read settings and a list, say what is wrong, stop");
  check->add_option("-f,--file", options.list_file, "a list (JSON) to check; - is stdin");
  auto* explain = app.add_subcommand("explain", "why a file is or is not collected");
  explain->add_option("path", options.explained, "the file")->required();
  StateCommands state(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    int code = app.exit(error, out, err);
    return code == 0 ? kOk : kUsage;
  }
  if (check->parsed()) return Check(options, out, err);
  if (state.parsed() || explain->parsed()) {
    auto loaded = Load(options);
    if (loaded && explain->parsed()) return RunExplain(loaded->config, options.explained, out, err);
    if (loaded) return state.Run(loaded->config.settings, out, err);
    fmt::print(err, "sluice-agent: {}\n", loaded.error().message());
    return kFailed;
  }
  return RunAgent(options, err);
}

}  // namespace logagent
