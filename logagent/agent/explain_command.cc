// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/explain_command.h"

#include "logagent/config/last_good.h"
#include "logagent/model/entry_list.h"
#include "store/base/file.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <system_error>
#include <utility>
#include <vector>

namespace logagent {
namespace {

using store::ErrorCode;
using store::Fail;
using store::UniqueFd;

Result<UniqueFd> Connect(const std::string& address) {
  size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int error = ::getaddrinfo(host.c_str(), address.substr(colon + 1).c_str(), &hints, &found);
  if (error != 0) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", address, ::gai_strerror(error)));
  }
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  UniqueFd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return Fail(store::ErrnoError(errno, address));
  timeval limit{};
  limit.tv_sec = kAnswerLimit.count();
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  if (::connect(fd.get(), found->ai_addr, found->ai_addrlen) != 0) {
    return Fail(store::ErrnoError(errno, address));
  }
  return fd;
}

Result<AgentAccount> AskAgent(const AgentSettings& settings) {
  auto address = NormalizeAddress(settings.admin_address, 2112);
  RETURN_IF_ERROR(address);
  auto status = HttpGet(*address, "/status");
  RETURN_IF_ERROR(status);
  auto files = HttpGet(*address, "/debug/files");
  RETURN_IF_ERROR(files);
  return AccountOfPages(*status, *files);
}

// The list a start without store would run with.
Result<std::vector<EntryConfig>> ListOf(const AgentConfig& config, const SavedState& state) {
  if (!config.entries.empty()) return config.entries;
  std::string text;
  if (!config.settings.entries_file.empty()) {
    auto read = store::ReadFile(config.settings.entries_file, kEntryListBytesMax + 1);
    RETURN_IF_ERROR(read);
    text = std::move(*read);
  } else if (state.config) {
    auto last_good = DecodeLastGood(*state.config);
    RETURN_IF_ERROR(last_good);
    text = std::move(last_good->text);
  } else {
    return Fail(ErrorCode::kNotFound,
                "no agent answers, and its state directory holds no list: start it, or give its "
                "settings with -c");
  }
  auto list = ParseEntryList(text);
  RETURN_IF_ERROR(list);
  return std::move(list->entries);
}

Result<AgentAccount> ReadState(const AgentConfig& config) {
  Path directory = Path(config.settings.state_dir) / "checkpoint";
  SavedState state;
  std::error_code error;
  if (std::filesystem::exists(directory, error) || error) {
    auto read = ReadRocksCheckpoint(directory);
    RETURN_IF_ERROR(read);
    state = std::move(*read);
  }
  auto entries = ListOf(config, state);
  RETURN_IF_ERROR(entries);
  return AccountOfState(*entries, state);
}

}  // namespace

Result<std::string> HttpGet(const std::string& address, const std::string& target) {
  auto fd = Connect(address);
  RETURN_IF_ERROR(fd);
  std::string request =
      fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", target, address);
  if (::send(fd->get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    return Fail(store::ErrnoError(errno, address));
  }
  std::string answer;
  std::array<char, 64 << 10> buffer;
  while (true) {
    ssize_t got = ::recv(fd->get(), buffer.data(), buffer.size(), 0);
    if (got < 0) return Fail(store::ErrnoError(errno, address));
    if (got == 0) break;
    answer.append(buffer.data(), static_cast<size_t>(got));
    if (answer.size() > kAnswerBytesMax) {
      return Fail(ErrorCode::kInvalidArgument, address + ": the answer does not end");
    }
  }
  size_t body = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.1 200 ") || body == std::string::npos) {
    return Fail(ErrorCode::kInvalidArgument, address + ": what answers there is no agent");
  }
  return answer.substr(body + 4);
}

int RunExplain(const AgentConfig& config, const std::string& path, std::ostream& out,
               std::ostream& err) {
  Result<AgentAccount> account = Fail(ErrorCode::kUnavailable, "it has no HTTP address");
  if (!config.settings.admin_address.empty()) account = AskAgent(config.settings);
  if (!account) {
    std::string silent = account.error().message();
    account = ReadState(config);
    if (account) account->source += fmt::format("; its HTTP: {}", silent);
  }
  if (!account) {
    fmt::print(err, "sluice-agent: {}\n", account.error().message());
    return 1;
  }
  PosixFileSystem files;
  // As the patterns are written, but for names relative to another directory than the agent's.
  std::error_code error;
  Path name = std::filesystem::absolute(path, error).lexically_normal();
  if (error) {
    fmt::print(err, "sluice-agent: {}: {}\n", JsonQuoted(path), error.message());
    return 1;
  }
  bool literal = std::any_of(account->entries.begin(), account->entries.end(),
                             [&](const auto& entry) { return entry.path == path; });
  Explanation explained = Explain(files, literal ? Path(path) : name, *account);
  fmt::print(out, "{}", explained.text);
  return explained.collected ? 0 : 1;
}

}  // namespace logagent
