// SPDX-License-Identifier: Apache-2.0
#include "tests/tidy/floors.h"

#include <fmt/format.h>

#include <algorithm>

namespace tidy {
namespace {

using Folders = std::vector<std::string_view>;

Folders Join(Folders first, const Folders& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// What floors 4 and 5 see below them; the client library is for programs, not for the server.
const Folders kState = {"store/base", "proto",         "store/raft",  "store/engine",
                        "store/wal",  "store/mvcc",    "store/watch", "store/lease",
                        "store/auth", "store/cluster", "store/apply"};
const Folders kBelowServices =
    Join(kState, {"store/rpc", "store/client", "store/replica", "store/peer"});
const Folders kAgentBase = {"store/base", "store/client"};

std::vector<Floor> MakeFloors() {
  std::vector<Floor> floors = {
      // 0
      {"proto", {}},
      {"store/base", {}},
      // 1
      {"store/raft", {"store/base/check", "store/base/strong_type", "store/base/random"}},
      {"store/engine", {"store/base"}},
      {"store/rpc", {"store/base"}},
      // 2
      {"store/wal", {"store/base", "store/raft"}},
      {"store/mvcc", {"store/base", "store/engine"}},
      {"store/watch", {"store/base", "store/mvcc"}},
      {"store/lease", {"store/base", "store/engine"}},
      {"store/auth", {"store/base", "store/engine"}},
      // A member is known by its raft id.
      {"store/cluster", {"store/base", "store/engine", "store/raft/types"}},
      {"store/client", {"store/base", "proto"}},
      // 3
      {"store/apply",
       {"store/base", "proto", "store/raft", "store/engine", "store/wal", "store/mvcc",
        "store/watch", "store/lease", "store/auth", "store/cluster"}},
      // 4
      {"store/replica", kState},
      // It is the transport behind the replica's seam, and knows no more of the replica.
      {"store/peer",
       Join(kState, {"store/rpc", "store/replica/env", "store/replica/peer_transport"})},
      // 5
      {"store/api", kBelowServices},
      {"store/backup", kBelowServices},
      {"store/center", Join(kBelowServices, {"logagent/model"})},
      {"store/console", kBelowServices},
      // 6
      {"store/server", Join(kBelowServices, {"store/api", "store/backup", "store/center",
                                             "store/console", "logagent/model"})},
      {"store/ctl",
       {"store/base", "proto", "store/client", "store/backup", "logagent/model", "store/wal",
        "store/engine", "store/mvcc"}},
      // Beside the agent: librdkafka's mock cluster knows nothing of it.
      {"logagent/devbroker", {"store/base"}},
  };
  // The agent's folders, lowest first: each sees those before it.
  Folders below;
  for (std::string_view folder :
       {"logagent/model", "logagent/tail", "logagent/process", "logagent/deliver",
        "logagent/checkpoint", "logagent/config", "logagent/agent"}) {
    floors.push_back({folder, below.empty() ? Folders{"store/base"} : Join(kAgentBase, below)});
    below.push_back(folder);
  }
  // Its status document is a message of ours.
  floors.back().may_include.push_back("proto");
  return floors;
}

std::vector<Library> MakeLibraries() {
  const Folders messages = {"proto",         "store/client", "store/apply",  "store/replica",
                            "store/peer",    "store/api",    "store/backup", "store/center",
                            "store/console", "store/server", "store/ctl",    "logagent/agent"};
  return {
      {"rocksdb/",
       "RocksDB's types stay behind Engine and the checkpoint store",
       {"store/engine", "logagent/checkpoint"}},
      {"nghttp2/", "HTTP/2 lives in the transport", {"store/rpc"}},
      {"openssl/ssl.h", "sockets live in the transport", {"store/rpc"}},
      {"openssl/",
       "TLS, hashes and signatures have their places",
       {"store/rpc", "store/auth", "store/backup", "store/engine", "store/cluster",
        "logagent/deliver", "logagent/agent"}},
      {"sys/epoll.h",
       "event loops have their places",
       {"store/rpc", "logagent/tail", "logagent/agent", "logagent/devbroker"}},
      {"librdkafka/", "Kafka stays behind Sink", {"logagent/deliver", "logagent/devbroker"}},
      {"grpc/", "gRPC C++ is the client only", {"store/client"}},
      {"grpcpp/", "gRPC C++ is the client only", {"store/client"}},
      {"google/protobuf/", "messages do not cross the storage floors", messages},
      {"yaml-cpp/",
       "YAML is for configuration files",
       {"store/server", "store/center", "logagent/model", "logagent/config"}},
      {"CLI/",
       "command lines belong to programs",
       {"store/server", "store/ctl", "logagent/agent", "logagent/devbroker"}},
  };
}

bool IsOneOf(std::string_view name, const Folders& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// "store/rpc.h" is no part of "store/rp".
bool IsInside(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

const Floor* RowOf(std::string_view path) {
  for (const Floor& floor : Floors()) {
    if (IsInside(path, floor.folder)) {
      return &floor;
    }
  }
  return nullptr;
}

bool IsOurs(std::string_view header) {
  return header.starts_with("store/") || header.starts_with("logagent/") ||
         header.starts_with("proto/") || header.starts_with("tests/");
}

std::string OwnHeaderProblem(const Floor& floor, std::string_view header) {
  if (IsInside(header, floor.folder)) {
    return "";
  }
  std::string_view stem = header.substr(0, header.rfind('.'));
  for (std::string_view allowed : floor.may_include) {
    if (IsInside(header, allowed) || stem == allowed) {
      return "";
    }
  }
  return fmt::format("{} may not include {} (floors: tests/tidy/floors.cc)", floor.folder, header);
}

// Only the first row that fits counts: the longer prefixes stand first.
std::string LibraryProblem(const Floor& floor, std::string_view header) {
  for (const Library& library : Libraries()) {
    if (header.starts_with(library.header)) {
      return IsOneOf(floor.folder, library.folders)
                 ? ""
                 : fmt::format("{} may not include {}: {}", floor.folder, header, library.reason);
    }
  }
  return "";
}

}  // namespace

const std::vector<Floor>& Floors() {
  static const std::vector<Floor> floors = MakeFloors();
  return floors;
}

const std::vector<Library>& Libraries() {
  static const std::vector<Library> libraries = MakeLibraries();
  return libraries;
}

std::string_view FloorFolderOf(std::string_view path) {
  const Floor* floor = RowOf(path);
  return floor == nullptr ? std::string_view() : floor->folder;
}

std::string IncludeProblem(std::string_view path, std::string_view header) {
  if (path.starts_with("tests/")) {
    return "";
  }
  const Floor* floor = RowOf(path);
  if (floor == nullptr) {
    return "the folder has no row in tests/tidy/floors.cc";
  }
  // Generated headers are found by different include directories, their endings are their own.
  if (header.ends_with(".grpc.pb.h")) {
    return IsOneOf(floor->folder, {"store/client", "proto"})
               ? ""
               : fmt::format("{} may not include {}: only store/client has the generated clients",
                             floor->folder, header);
  }
  if (header.ends_with(".pb.h")) {
    bool allowed = floor->folder == "proto" || IsOneOf("proto", floor->may_include);
    return allowed ? "" : fmt::format("{} may not include messages ({})", floor->folder, header);
  }
  return IsOurs(header) ? OwnHeaderProblem(*floor, header) : LibraryProblem(*floor, header);
}

}  // namespace tidy
