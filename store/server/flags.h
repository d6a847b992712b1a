// SPDX-License-Identifier: Apache-2.0
// Command line, environment and file of sluice-store: etcd's flag names, Go's rules. One or two
// dashes are the same, `--x=v` or `--x v`, the last one wins; ETCD_NAME fills a flag that is not
// given, and both given is refused; --config-file replaces both. What each flag means: flag_table.h
// and other_flags.h. Any thread; reads that file, and asks for the machine's address when others
// are to be told one and none was named.
#pragma once

#include "store/base/error.h"
#include "store/server/config.h"
#include "store/server/default_host.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace store::server {

struct FlagOutcome {
  enum class Kind {
    kRun,       // start with `config`
    kPrint,     // --help, --version: `text` on stdout, exit 0
    kUsage,     // wrong syntax: `text` on stderr, exit 2
    kInvalid,   // a value or a combination: one log line "failed to verify flags" with `text`, exit
                // 1
    kShadowed,  // a flag and its variable: one fatal line kShadowedText with `text`, the variable's
                // name; exit 1
  };
  Kind kind = Kind::kRun;
  std::string text;
  ServerConfig config;
  std::vector<std::string> warnings;  // unknown ETCD_ variables, flags without effect
  std::vector<std::string> notes;     // for the log, at info
  std::vector<std::pair<std::string, std::string>> used_variables;  // for the log: names, values
};

inline constexpr const char* kShadowedText =
    "conflicting environment variable is shadowed by corresponding command-line flag (either unset "
    "environment variable or disable flag))";

// `arguments` without the program's name. `environment`: names and values; only ETCD_* are looked
// at.
FlagOutcome ParseFlags(const std::vector<std::string>& arguments,
                       const std::map<std::string, std::string>& environment,
                       DefaultHost default_host = FindDefaultHost);

// What --version prints; the first line is read by tools as a semantic version.
std::string VersionText();

}  // namespace store::server
