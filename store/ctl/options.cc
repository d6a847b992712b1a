// SPDX-License-Identifier: Apache-2.0
#include "store/ctl/options.h"

#include "store/base/file.h"
#include "store/ctl/go_text.h"

#include <fmt/format.h>
#include <termios.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <unistd.h>
#include <utility>

namespace store::ctl {
namespace {

constexpr std::string_view kPrefix = "ETCDCTL_";
constexpr size_t kCertificateBytesMax = size_t{1} << 20;

constexpr auto kGlobalFlags = std::to_array<FlagSpec>({
    {"endpoints", FlagKind::kList, "127.0.0.1:2379", "gRPC endpoints"},
    {"write-out", FlagKind::kText, "simple", "output: fields, json, protobuf, simple or table",
     'w'},
    {"hex", FlagKind::kBool, "false", "print byte strings as hex escapes"},
    {"debug", FlagKind::kBool, "false", "accepted; there is no client log"},
    {"dial-timeout", FlagKind::kDuration, "2s", "time for one connection attempt"},
    {"command-timeout", FlagKind::kDuration, "5s", "time for a short command"},
    {"keepalive-time", FlagKind::kDuration, "2s", "how often a connection is asked for life"},
    {"keepalive-timeout", FlagKind::kDuration, "6s", "how long the answer may take"},
    {"max-request-bytes", FlagKind::kInt, "0", "accepted; the server's limit counts"},
    {"max-recv-bytes", FlagKind::kInt, "0", "accepted; answers of any size are taken"},
    {"insecure-transport", FlagKind::kBool, "true", "no TLS, unless a certificate flag is given"},
    {"insecure-discovery", FlagKind::kBool, "true", "accepted; there is no discovery"},
    {"insecure-skip-tls-verify", FlagKind::kBool, "false", "not supported, refused"},
    {"cert", FlagKind::kText, "", "client certificate file"},
    {"key", FlagKind::kText, "", "its key file"},
    {"cacert", FlagKind::kText, "", "certificates of the authorities that are trusted"},
    {"user", FlagKind::kText, "", "name[:password]"},
    {"password", FlagKind::kText, "", "password, if it is not in --user"},
    {"discovery-srv", FlagKind::kText, "", "not supported, refused", 'd'},
    {"discovery-srv-name", FlagKind::kText, "", "not supported, refused"},
    {"help", FlagKind::kBool, "false", "help for the command", 'h'},
});

// Variables that are not flags.
constexpr std::string_view kOtherVariables[] = {"ETCDCTL_API", "ETCDCTL_WATCH_KEY",
                                                "ETCDCTL_WATCH_RANGE_END"};

tl::unexpected<Error> Refuse(std::string text) {
  return Fail(ErrorCode::kInvalidArgument, std::move(text));
}

std::string VariableOf(std::string_view flag) {
  std::string name = std::string(kPrefix) + UpperCase(flag);
  std::ranges::replace(name, '-', '_');
  return name;
}

Result<OutputFormat> ParseFormat(std::string_view text) {
  if (text == "simple") return OutputFormat::kSimple;
  if (text == "json") return OutputFormat::kJson;
  if (text == "fields") return OutputFormat::kFields;
  if (text == "table") return OutputFormat::kTable;
  if (text == "protobuf") return OutputFormat::kProtobuf;
  return Refuse("unsupported output format");
}

// One line from the terminal without showing it.
Result<std::string> AskPassword() {
  termios shown{};
  if (::isatty(STDIN_FILENO) == 0 || ::tcgetattr(STDIN_FILENO, &shown) != 0) {
    return Refuse("--user has no password and there is no terminal to ask for it");
  }
  std::cerr << "Password: " << std::flush;
  termios hidden = shown;
  hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
  std::string password;
  std::getline(std::cin, password);
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
  std::cerr << "\n";
  return password;
}

Status ReadUser(const ParsedFlags& flags, client::ClientOptions* client) {
  std::string user = flags.Text("user");
  if (user.empty()) return Ok();
  client->username = user;
  client->password = flags.Text("password");
  if (flags.Given("password")) return Ok();
  if (size_t colon = user.find(':'); colon != std::string::npos) {
    client->username = user.substr(0, colon);
    client->password = user.substr(colon + 1);
    return Ok();
  }
  auto password = AskPassword();
  if (!password) return Fail(std::move(password).error());
  client->password = std::move(*password);
  return Ok();
}

Status ReadPem(const std::string& path, std::string* text) {
  if (path.empty()) return Ok();
  auto read = ReadFile(path, kCertificateBytesMax);
  if (!read) return Fail(std::move(read).error());
  *text = std::move(*read);
  return Ok();
}

Status ReadTls(const ParsedFlags& flags, client::ClientOptions* client) {
  std::string cert = flags.Text("cert");
  std::string key = flags.Text("key");
  std::string ca = flags.Text("cacert");
  if (cert.empty() != key.empty()) {
    return Refuse(
        fmt::format("KeyFile and CertFile must both be present[key: {}, cert: {}]", key, cert));
  }
  bool secure_endpoint = std::ranges::any_of(
      client->endpoints, [](const std::string& text) { return text.starts_with("https://"); });
  bool wanted = flags.Given("insecure-transport") && !flags.Bool("insecure-transport");
  if (cert.empty() && ca.empty() && !secure_endpoint && !wanted) return Ok();
  client->tls.emplace();
  RETURN_IF_ERROR(ReadPem(ca, &client->tls->ca));
  RETURN_IF_ERROR(ReadPem(cert, &client->tls->certificate));
  return ReadPem(key, &client->tls->key);
}

}  // namespace

std::span<const FlagSpec> GlobalFlags() { return kGlobalFlags; }

Status ApplyEnvironment(const Environment& environment, ParsedFlags* flags,
                        absl::FunctionRef<void(const std::string&)> warn) {
  for (const std::string& variable : environment) {
    if (!variable.starts_with(kPrefix)) continue;
    std::string name = variable.substr(0, variable.find('='));
    if (std::ranges::find(kOtherVariables, name) != std::end(kOtherVariables)) continue;
    auto flag = std::ranges::find_if(
        kGlobalFlags, [&](const FlagSpec& known) { return VariableOf(known.name) == name; });
    if (flag == kGlobalFlags.end()) {
      warn(fmt::format("unrecognized environment variable {}", variable));
      continue;
    }
    if (name.size() + 1 >= variable.size()) continue;
    if (flags->Given(flag->name)) {
      return Refuse(fmt::format(
          "conflicting environment variable \"{}\" is shadowed by corresponding command-line flag "
          "(either unset environment variable or disable flag)",
          name));
    }
    auto set = flags->Set(flag->name, variable.substr(name.size() + 1));
    if (!set) return Fail(set.error().WithContext(name));
  }
  return Ok();
}

Result<GlobalOptions> ReadGlobalOptions(const ParsedFlags& flags) {
  GlobalOptions options;
  auto format = ParseFormat(flags.Text("write-out"));
  if (!format) return Fail(std::move(format).error());
  options.format = *format;
  options.hex = flags.Bool("hex");
  options.client.endpoints = flags.List("endpoints");
  auto empty = [](const std::string& text) { return text.empty(); };
  if (options.client.endpoints.empty() || std::ranges::any_of(options.client.endpoints, empty)) {
    return Refuse("--endpoints: an endpoint is empty");
  }
  for (std::string_view refused : {"discovery-srv", "discovery-srv-name"}) {
    if (!flags.Text(refused).empty()) return Refuse(fmt::format("--{} is not supported", refused));
  }
  if (flags.Bool("insecure-skip-tls-verify")) {
    return Refuse("--insecure-skip-tls-verify is not supported: give --cacert");
  }
  options.client.call_timeout = flags.Time("command-timeout");
  options.client.connect_timeout = flags.Time("dial-timeout");
  options.client.keepalive_time = flags.Time("keepalive-time");
  options.client.keepalive_timeout = flags.Time("keepalive-timeout");
  for (std::string_view positive : {"command-timeout", "dial-timeout"}) {
    if (flags.Time(positive) <= Duration::zero()) {
      return Refuse(fmt::format("--{} must be longer than 0", positive));
    }
  }
  RETURN_IF_ERROR(ReadUser(flags, &options.client));
  RETURN_IF_ERROR(ReadTls(flags, &options.client));
  return options;
}

}  // namespace store::ctl
