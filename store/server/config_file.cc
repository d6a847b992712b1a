// SPDX-License-Identifier: Apache-2.0
#include "store/server/config_file.h"

#include "store/base/file.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <string_view>
#include <utility>

namespace store::server {
namespace {

constexpr size_t kFileBytesMax = 1 << 20;

// A mapping whose keys are flags without their prefix.
struct Section {
  std::string_view key;
  std::string_view prefix;
  std::string_view allowed_prefix;  // of allowed-cn and allowed-hostname
};

constexpr Section kSections[] = {
    {"client-transport-security", "", "client-cert-"},
    {"peer-transport-security", "peer-", "peer-cert-"},
    {"socket-options", "socket-", "socket-"},
    {"discovery-config", "discovery-", "discovery-"},
};

const Section* FindSection(std::string_view key) {
  for (const Section& section : kSections) {
    if (section.key == key) return &section;
  }
  return nullptr;
}

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path) {}

  Status Read(const YAML::Node& root) {
    if (root.IsNull()) return Ok();
    if (!root.IsMap()) return Refuse(root.Mark(), "the file must be keys with values");
    for (const auto& row : root) {
      const std::string key = row.first.as<std::string>();
      if (const Section* section = FindSection(key)) {
        RETURN_IF_ERROR(ReadSection(key, *section, row.second));
      } else {
        RETURN_IF_ERROR(Add(key, key, row.second));
      }
    }
    return Ok();
  }

  tl::unexpected<Error> Refuse(const YAML::Mark& mark, std::string_view reason) const {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}, line {}: {}", path_, mark.line + 1, reason));
  }

  std::vector<FileValue> Take() { return std::move(values_); }

 private:
  Status ReadSection(const std::string& key, const Section& section, const YAML::Node& node) {
    if (node.IsNull()) return Ok();
    if (!node.IsMap()) return Refuse(node.Mark(), key + " must be keys with values");
    for (const auto& row : node) {
      const std::string name = row.first.as<std::string>();
      std::string_view prefix =
          name.starts_with("allowed-") ? section.allowed_prefix : section.prefix;
      RETURN_IF_ERROR(
          Add(fmt::format("{}{}", prefix, name), fmt::format("{}.{}", key, name), row.second));
    }
    return Ok();
  }

  Status Add(std::string flag, const std::string& key, const YAML::Node& value) {
    std::string text;
    if (value.IsMap()) return Refuse(value.Mark(), key + " takes one value, not keys");
    if (value.IsScalar()) text = value.Scalar();
    if (value.IsSequence()) {
      for (const YAML::Node& item : value) {
        if (!item.IsScalar()) return Refuse(item.Mark(), key + " takes a list of plain values");
        if (!text.empty()) text += ',';
        text += item.Scalar();
      }
    }
    if (text.empty()) return Ok();
    values_.push_back({std::move(flag), std::move(text),
                       fmt::format("{} ({}, line {})", key, path_, value.Mark().line + 1)});
    return Ok();
  }

  const std::string& path_;
  std::vector<FileValue> values_;
};

}  // namespace

Result<std::vector<FileValue>> ReadConfigFile(const std::string& path) {
  auto text = ReadFile(path, kFileBytesMax);
  if (!text) return Fail(text.error().WithContext("--config-file"));
  Reader reader(path);
  try {
    RETURN_IF_ERROR(reader.Read(YAML::Load(*text)));
  } catch (const YAML::Exception& error) {
    return reader.Refuse(error.mark, error.msg);
  }
  return reader.Take();
}

}  // namespace store::server
