// SPDX-License-Identifier: Apache-2.0
#include "store/engine/state_dir.h"

#include "store/base/crc32c.h"
#include "store/base/file.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <string_view>

namespace store::engine {
namespace {

constexpr std::string_view kMagic = "sluice-state";
constexpr std::string_view kPrefix = "state-";
constexpr const char* kFreshState = "state-1";

std::string StatePath(const Path& member) { return (member / "STATE").string(); }

template <class Number>
bool ParseNumber(std::string_view text, int base, Number* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number, base);
  return error == std::errc() && end == text.data() + text.size();
}

std::optional<StateName> Parse(std::string_view text) {
  if (text.empty() || text.back() != '\n') return std::nullopt;
  text.remove_suffix(1);
  const size_t checksum_at = text.rfind(' ');
  if (checksum_at == std::string_view::npos) return std::nullopt;
  uint32_t checksum = 0;
  if (!ParseNumber(text.substr(checksum_at + 1), 16, &checksum)) return std::nullopt;
  if (checksum != Crc32c(text.substr(0, checksum_at))) return std::nullopt;
  std::array<std::string_view, 5> words;
  std::string_view rest = text.substr(0, checksum_at);
  for (std::string_view& word : words) {
    const size_t end = rest.find(' ');
    word = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  StateName name;
  name.directory = words[2];
  const bool good = words[0] == kMagic && words[1] == "1" && rest.empty() &&
                    name.directory.starts_with(kPrefix) &&
                    name.directory.find('/') == std::string::npos &&
                    ParseNumber(words[3], 10, &name.index) && ParseNumber(words[4], 10, &name.term);
  if (!good) return std::nullopt;
  return name;
}

// Names below `directory` that start with `prefix`; none if the directory is not there.
Result<std::vector<std::string>> NamesWith(const Path& directory, std::string_view prefix) {
  if (!FileExists(directory.string())) return std::vector<std::string>();
  auto names = ListDirectory(directory.string());
  if (!names) return Fail(std::move(names).error());
  std::erase_if(*names, [prefix](const std::string& name) { return !name.starts_with(prefix); });
  return names;
}

}  // namespace

Result<std::optional<StateName>> ReadStateName(const Path& member) {
  const std::string path = StatePath(member);
  if (!FileExists(path)) {
    auto states = NamesWith(member, kPrefix);
    if (!states) return Fail(std::move(states).error());
    if (states->empty()) return std::optional<StateName>();
    return Fail(
        ErrorCode::kCorruption,
        fmt::format("{} is missing although {} exists: restore the file or replace this member",
                    path, states->front()));
  }
  auto text = ReadFile(path, 4096);
  if (!text) return Fail(std::move(text).error());
  auto name = Parse(*text);
  if (!name) {
    return Fail(ErrorCode::kCorruption,
                fmt::format("{} is not readable: restore the file or replace this member", path));
  }
  return name;
}

Status WriteStateName(const Path& member, const StateName& name) {
  std::string text = fmt::format("{} 1 {} {} {}", kMagic, name.directory, name.index, name.term);
  text += fmt::format(" {:08x}\n", Crc32c(text));
  return ReplaceFile(StatePath(member), text);
}

Result<StateName> OpenStateDir(const Path& member) {
  auto known = ReadStateName(member);
  if (!known) return Fail(std::move(known).error());
  if (known->has_value()) return **known;
  RETURN_IF_ERROR(MakeDirs(member.string()));
  StateName fresh;
  fresh.directory = kFreshState;
  RETURN_IF_ERROR(WriteStateName(member, fresh));
  return fresh;
}

Status RemoveStaleStates(const Path& member, const StateName& name) {
  auto states = NamesWith(member, kPrefix);
  if (!states) return Fail(std::move(states).error());
  for (const std::string& state : *states) {
    if (state != name.directory) RETURN_IF_ERROR(RemoveAll((member / state).string()));
  }
  // Transfers that an earlier life did not end: nobody knows of them any more.
  RETURN_IF_ERROR(RemoveAll((member / "incoming").string()));
  return RemoveAll((member / "outgoing").string());
}

}  // namespace store::engine
