// SPDX-License-Identifier: Apache-2.0
#include "store/server/bootstrap.h"

#include "store/base/failpoint.h"
#include "store/base/random.h"
#include "store/cluster/member.h"
#include "store/engine/state_dir.h"
#include "store/server/founding.h"
#include "store/server/process.h"
#include "store/server/remote_cluster.h"
#include "store/wal/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <utility>
#include <vector>

namespace store::server {
namespace {

constexpr Duration kLockRetry = std::chrono::milliseconds(50);
constexpr Duration kFullDiskRetry = std::chrono::seconds(1);
constexpr uint64_t kStartBytesMin = 1 << 20;
// The founders' state counts as a snapshot here, and their logs begin behind it: whoever comes
// later with nothing is sent a snapshot, never entries to be applied to a state without the
// founders.
constexpr raft::Index kFoundingIndex{1};
constexpr raft::Term kFoundingTerm{1};
constexpr std::string_view kNobodyAnswersText =
    "cannot fetch cluster info from peer urls: could not retrieve cluster information from the "
    "given URLs";

std::vector<std::string> Texts(const std::vector<Url>& urls) {
  std::vector<std::string> texts;
  texts.reserve(urls.size());
  for (const Url& url : urls) texts.push_back(url.ToString());
  std::sort(texts.begin(), texts.end());
  return texts;
}

struct Founders {
  wal::Identity identity;
  apply::InitialState state;
  cluster::MemberList remotes;
};

// Everybody who starts with the same flags derives the same ids (cluster/member.h).
Founders FoundCluster(const ServerConfig& config) {
  Founders founders;
  std::vector<raft::NodeId> ids;
  for (const auto& [name, urls] : config.bootstrap_members) {
    cluster::Member member;
    member.name = name;
    member.peer_urls = Texts(urls);
    member.id = cluster::BootstrapMemberId(member.peer_urls, config.initial_cluster_token);
    if (name == config.name) founders.identity.member = member.id;
    ids.push_back(member.id);
    founders.state.members.push_back(std::move(member));
  }
  std::sort(ids.begin(), ids.end());
  std::sort(founders.state.members.begin(), founders.state.members.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  founders.state.index = kFoundingIndex;
  founders.state.term = kFoundingTerm;
  founders.state.conf.voters = ids;
  founders.identity.cluster = cluster::DeriveClusterId(ids);
  return founders;
}

std::vector<std::string> UrlsOfOthers(const ServerConfig& config) {
  std::vector<std::string> urls;
  for (const auto& [name, own] : config.bootstrap_members) {
    if (name == config.name) continue;
    for (std::string& url : Texts(own)) urls.push_back(std::move(url));
  }
  return urls;
}

// --initial-cluster-state existing: the running cluster says who this member is; everything else
// comes with a snapshot.
Result<Founders> JoinCluster(const ServerConfig& config) {
  std::vector<NamedMember> wanted;
  wanted.reserve(config.bootstrap_members.size());
  for (const auto& [name, urls] : config.bootstrap_members) wanted.push_back({name, Texts(urls)});
  const auto fits = [&](const RemoteCluster& remote) {
    return MatchMembers(remote, wanted, config.name).has_value();
  };
  std::optional<RemoteCluster> remote = AskPeers(UrlsOfOthers(config), {}, fits).cluster;
  if (!remote) return Fail(ErrorCode::kUnavailable, std::string(kNobodyAnswersText));
  auto own = MatchMembers(*remote, wanted, config.name);
  RETURN_IF_ERROR(own);
  Founders founders;
  founders.identity.cluster = remote->id;
  founders.identity.member = *own;
  founders.remotes = std::move(remote->members);
  return founders;
}

// A member that lost its directory must not start as a new one: it has forgotten its votes. The
// others know it as one that has run.
Status CheckNeverStarted(const ServerConfig& config, const Founders& founders) {
  if (config.bootstrap_members.size() < 2) return Ok();
  PeersAnswer answer = AskPeers(UrlsOfOthers(config), founders.identity.member);
  if (answer.removed) return Fail(ErrorCode::kMemberNotFound, std::string(kRemovedText));
  const std::optional<RemoteCluster>& remote = answer.cluster;
  if (!remote || remote->id != founders.identity.cluster) return Ok();
  for (const cluster::Member& member : remote->members) {
    if (member.id != founders.identity.member || member.client_urls.empty()) continue;
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("member {:x} has already been bootstrapped", member.id));
  }
  return Ok();
}

Result<Founders> FirstStart(const ServerConfig& config) {
  RETURN_IF_ERROR(config.CheckFirstStart());
  if (config.initial_cluster_state == ClusterState::kExisting) return JoinCluster(config);
  Founders founders = FoundCluster(config);
  RETURN_IF_ERROR(CheckNeverStarted(config, founders));
  return founders;
}

// A directory that was served before knows who it is, whatever the flags say, as in etcd.
void TellForeign(const ServerConfig& config, const wal::Identity& own, const Logger& log) {
  if (config.initial_cluster_state == ClusterState::kExisting) return;
  if (config.bootstrap_members.empty()) return;  // it cannot be read, and need not
  const Founders named = FoundCluster(config);
  if (named.identity.cluster == own.cluster) return;
  log.Warn("the data directory belongs to another cluster than the bootstrap flags; it stays there",
           {{"data-dir", config.data_dir},
            {"cluster-id", fmt::format("{:x}", own.cluster)},
            {"cluster-id-of-flags", fmt::format("{:x}", named.identity.cluster)}});
}

Status PrepareDirectory(const ServerConfig& config, const std::string& member, const Logger& log) {
  if (Status made = MakeDirs(JoinPath(member, "wal")); !made) {
    return Fail(made.error().WithContext("cannot access data directory"));
  }
  // Whoever made it may have been killed before it was durable.
  RETURN_IF_ERROR(SyncDirectory(config.data_dir));
  struct stat facts{};
  if (::stat(config.data_dir.c_str(), &facts) == 0 && (facts.st_mode & 0777) != 0700) {
    log.Warn(
        "data directory should only be accessible by its owner (mode 0700)",
        {{"data-dir", config.data_dir}, {"mode", fmt::format("{:04o}", facts.st_mode & 0777)}});
  }
  if (FileExists(JoinPath(member, "snap/db"))) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("{} is a data directory of etcd; import it with `sluicectl snapshot "
                            "import`, or give another --data-dir",
                            config.data_dir));
  }
  return Ok();
}

// Another process that uses the directory may be on its way out: wait for it, as etcd does, until
// it has ended or somebody wants this one to end.
Result<std::unique_ptr<FileLock>> LockDirectory(const ServerConfig& config,
                                                const std::string& member, const Logger& log) {
  auto lock = FileLock::Acquire(JoinPath(member, "LOCK"));
  if (!lock && lock.error().code() == ErrorCode::kBusy) {
    log.Warn("data directory is in use by another process; waiting until it ends",
             {{"data-dir", config.data_dir}});
  }
  while (!lock && lock.error().code() == ErrorCode::kBusy) {
    if (StopRequestedWithin(kLockRetry)) {
      return Fail(ErrorCode::kBusy,
                  fmt::format("data directory {} is in use by another process", config.data_dir));
    }
    lock = FileLock::Acquire(JoinPath(member, "LOCK"));
  }
  if (!lock) return Fail(lock.error());
  return std::make_unique<FileLock>(std::move(*lock));
}

Status OpenState(Member& member, const engine::Path& path, const Founders* founders,
                 const apply::ApplyLimits& limits, EngineTroubleAction on_trouble) {
  engine::RocksSettings settings;
  settings.on_error = std::move(on_trouble);
  auto opened = engine::RocksEngine::Open(path, std::move(settings));
  if (!opened) return Fail(opened.error().WithContext(path.string()));
  member.engine = std::move(*opened);
  member.machine = std::make_unique<apply::StateMachine>(
      limits, apply::ApplySelf{member.id, member.boot_nonce}, member.engine);
  auto row = apply::StateMachine::ReadApplied(*member.engine, engine::Tier::kPersisted);
  RETURN_IF_ERROR(row);
  if (*row) return member.machine->Restore();
  if (founders == nullptr) {
    return Fail(ErrorCode::kCorruption,
                fmt::format("{} says nothing of what was applied; restore the directory from a "
                            "backup or start with an empty --data-dir",
                            path.string()));
  }
  return member.machine->Bootstrap(founders->state);
}

replica::Boot MakeBoot(wal::LogImage image, const apply::AppliedRow& applied,
                       const apply::StateMachine& machine) {
  replica::Boot boot;
  boot.raft.hard_state = image.hard_state;
  boot.raft.conf = applied.conf;
  boot.raft.applied = applied.index;
  boot.raft.truncated = image.truncated;
  boot.raft.truncated_term = image.truncated_term;
  boot.raft.runs = std::move(image.runs);
  boot.raft.tail = std::move(image.entries);
  boot.members = machine.Read()->members;
  for (const auto& [id, lease] : machine.leases().leases()) {
    boot.leases.push_back({id, lease.ttl_seconds, lease.remaining_seconds});
  }
  return boot;
}

// Of the entry at `index`, or of the last one that was cut.
raft::Term TermInLog(const wal::LogImage& image, raft::Index index) {
  raft::Term term = image.truncated_term;
  for (const raft::TermRun& run : image.runs) {
    if (run.first <= index) term = run.term;
  }
  return term;
}

}  // namespace

// Two clusters can agree on every index and term; the ids they derive from their URLs and token
// differ.
Status CheckMemberIsOfState(const wal::Identity& identity, const raft::ConfState& conf) {
  auto has = [&](const std::vector<raft::NodeId>& ids) {
    return std::find(ids.begin(), ids.end(), identity.member) != ids.end();
  };
  if (has(conf.voters) || has(conf.outgoing) || has(conf.learners)) return Ok();
  return Fail(ErrorCode::kCorruption,
              fmt::format("the log belongs to member {:x} of cluster {:x}, whom the state does not "
                          "know: log and state are of different clusters; put the right "
                          "directories together or start with an empty --data-dir",
                          identity.member, identity.cluster));
}

bool LogIsFromBeforeInstall(const wal::LogImage& image, const engine::StateName& state) {
  const raft::Index index(state.index);
  if (image.truncated >= index) return false;
  const raft::Index last = image.entries.empty() ? image.truncated : image.entries.back()->index;
  return last < index || TermInLog(image, index) != raft::Term(state.term);
}

// The term of the snapshot was entered by a leader of it, so to be in it without a vote is true; a
// vote that was given in it or later is durable and stays.
Status EmptyLogBehind(const raft::SnapshotMeta& installed, wal::LogStore& log,
                      wal::LogImage* image) {
  raft::HardState hard = image->hard_state;
  if (hard.term < installed.term) hard = {installed.term, raft::NodeId(), hard.commit};
  hard.commit = installed.index;
  raft::PersistUnit unit;
  unit.hard_state = hard;
  unit.reset_to = installed;
  unit.must_sync = true;
  const raft::PersistUnit* group[] = {&unit};
  RETURN_IF_ERROR(log.Append(group));
  *image = {};
  image->hard_state = hard;
  image->truncated = installed.index;
  image->truncated_term = installed.term;
  image->conf = installed.conf;
  return Ok();
}

Status CheckLogAgainstState(const wal::LogImage& image, const apply::AppliedRow& applied) {
  raft::Index last = image.entries.empty() ? image.truncated : image.entries.back()->index;
  if (last < applied.index) {
    return Fail(ErrorCode::kCorruption,
                fmt::format("the log ends at index {}, but the state has applied {}: the log lost "
                            "its end; replace this member",
                            last, applied.index));
  }
  if (applied.index < image.truncated) {
    return Fail(ErrorCode::kCorruption,
                fmt::format("the log starts behind index {}, but the state has applied only {}: "
                            "entries between them are gone; replace this member",
                            image.truncated, applied.index));
  }
  if (raft::Term term = TermInLog(image, applied.index); term != applied.term) {
    return Fail(ErrorCode::kCorruption,
                fmt::format("the log has term {} at index {}, but the state was applied from term "
                            "{}: log and state are not of one member; replace it",
                            term, applied.index, applied.term));
  }
  return Ok();
}

namespace {

// A first start, or one that was interrupted before the log had anything.
Status BeginFoundersLog(const apply::AppliedRow& applied, Member& member, wal::LogImage* image) {
  const bool founding = applied.index == kFoundingIndex && applied.term == kFoundingTerm;
  const bool untouched = image->truncated == raft::Index(0) && image->entries.empty() &&
                         image->hard_state == raft::HardState();
  if (!founding || !untouched) return Ok();
  return EmptyLogBehind({applied.index, applied.term, applied.conf}, *member.log, image);
}

// A log without a beginning cannot be told from one that was never there; one that was emptied by
// an install exists.
Status FinishInstall(const engine::StateName& state, const apply::AppliedRow& applied,
                     Member& member, wal::LogImage* image, const Logger& log) {
  if (state.index == 0) return Ok();
  if (member.fresh) {
    return Fail(ErrorCode::kCorruption,
                fmt::format("the state was installed from a snapshot at index {}, but there is no "
                            "log: it was removed; replace this member",
                            state.index));
  }
  if (!LogIsFromBeforeInstall(*image, state)) return Ok();
  const raft::SnapshotMeta installed{raft::Index(state.index), raft::Term(state.term),
                                     applied.conf};
  RETURN_IF_ERROR(EmptyLogBehind(installed, *member.log, image));
  log.Info("the install of a snapshot was interrupted and is complete now",
           {{"snapshot-index", state.index}, {"snapshot-term", state.term}});
  FAILPOINT("boot-log-emptied");
  return Ok();
}

bool Contains(const std::vector<raft::NodeId>& ids, raft::NodeId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

// Peer URLs of the others, as the state knows them.
std::vector<std::string> KnownUrls(const Member& member) {
  std::vector<std::string> urls;
  auto members = member.machine->Read()->members;
  for (const cluster::Member& one : *members) {
    if (one.id == member.id) continue;
    urls.insert(urls.end(), one.peer_urls.begin(), one.peer_urls.end());
  }
  return urls;
}

// One that has been told nothing yet is not known to those that answer, so there is nobody whom it
// could speak to.
Status CannotJoinYet(const wal::Identity& own, const PeersAnswer& answer) {
  if (!answer.cluster) return Fail(ErrorCode::kUnavailable, std::string(kNobodyAnswersText));
  if (answer.cluster->id != own.cluster) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("the members at --initial-cluster are of cluster {:x}, this one is of cluster "
                    "{:x}",
                    answer.cluster->id, own.cluster));
  }
  return Fail(ErrorCode::kUnavailable,
              fmt::format("no member that answers knows member {:x} of cluster {:x} yet",
                          own.member, own.cluster));
}

// A member that was removed while it was away learns it here: nobody speaks to it any more. One
// that joins is in nobody's configuration until a snapshot has told; until then it has to ask the
// others at each start whom to speak to.
Status CheckMembership(const ServerConfig& config, const wal::Identity& own,
                       const raft::ConfState& conf, Member& member) {
  bool removed = Contains(*member.machine->Read()->removed, own.member);
  bool known = CheckMemberIsOfState(own, conf).has_value();
  if (!removed && known && !member.fresh) {
    removed = AskPeers(KnownUrls(member), own.member).removed;
  }
  if (removed) return Fail(ErrorCode::kMemberNotFound, std::string(kRemovedText));
  if (known || !member.remotes.empty()) return Ok();
  const auto joins = [&](const RemoteCluster& remote) {
    return remote.id == own.cluster &&
           std::any_of(remote.members.begin(), remote.members.end(),
                       [&](const cluster::Member& one) { return one.id == own.member; });
  };
  PeersAnswer answer = AskPeers(UrlsOfOthers(config), own.member, joins);
  if (answer.removed) return Fail(ErrorCode::kMemberNotFound, std::string(kRemovedText));
  if (!answer.cluster || !joins(*answer.cluster)) {
    const bool told = conf != raft::ConfState();
    return told ? CheckMemberIsOfState(own, conf) : CannotJoinYet(own, answer);
  }
  member.remotes = std::move(answer.cluster->members);
  return Ok();
}

// Everything of the directory but its lock.
Result<Member> OpenLocked(const ServerConfig& config, const apply::ApplyLimits& limits,
                          EngineTroubleAction on_trouble, const Logger& log) {
  const std::string root = JoinPath(config.data_dir, "member");
  const std::string wal_directory = JoinPath(root, "wal");
  Member member;
  member.boot_nonce = EntropySeed();
  member.files = std::make_unique<wal::PosixWalFileSystem>();

  // The log's identity is the member's. A directory without one has never written its log: what an
  // interrupted first start left of the state is completed.
  auto identity = wal::ReadIdentity(*member.files, wal_directory);
  RETURN_IF_ERROR(identity);
  std::optional<Founders> founders;
  if (!*identity) {
    auto first = FirstStart(config);
    RETURN_IF_ERROR(first);
    founders = std::move(*first);
    member.remotes = founders->remotes;
    *identity = founders->identity;
  } else {
    TellForeign(config, **identity, log);
  }
  member.fresh = founders.has_value();
  member.cluster = (*identity)->cluster;
  member.id = (*identity)->member;

  auto state = engine::OpenStateDir(root);
  RETURN_IF_ERROR(state);
  RETURN_IF_ERROR(engine::RemoveStaleStates(root, *state));
  FAILPOINT("boot-state-named");
  // Opening the state and the log writes a little, and would wait for room deaf to signals.
  auto space = GetDiskSpace(root);
  if (space && space->available_bytes < kStartBytesMin) {
    return Fail(ErrorCode::kNoSpace, fmt::format("{} bytes are free, a start needs {}",
                                                 space->available_bytes, kStartBytesMin));
  }
  RETURN_IF_ERROR(OpenState(member, engine::Path(root) / state->directory,
                            founders ? &*founders : nullptr, limits, std::move(on_trouble)));
  FAILPOINT("boot-state-open");

  member.log = std::make_unique<wal::WalLogStore>(
      *member.files, wal::WalOptions{.directory = wal_directory,
                                     .identity = **identity,
                                     .seed = EntropySeed(),
                                     .segment_bytes = config.wal_segment_bytes});
  auto image = member.log->Load();
  RETURN_IF_ERROR(image);
  FAILPOINT("boot-log-loaded");
  auto applied = apply::StateMachine::ReadApplied(*member.engine, engine::Tier::kPersisted);
  RETURN_IF_ERROR(applied);
  RETURN_IF_ERROR(BeginFoundersLog(**applied, member, &*image));
  RETURN_IF_ERROR(FinishInstall(*state, **applied, member, &*image, log));
  RETURN_IF_ERROR(CheckLogAgainstState(*image, **applied));
  if (config.force_new_cluster) {
    RETURN_IF_ERROR(StayAlone(member, **applied, &*image, log));
  } else {
    RETURN_IF_ERROR(CheckMembership(config, **identity, (*applied)->conf, member));
  }
  member.boot = MakeBoot(std::move(*image), **applied, *member.machine);
  return member;
}

}  // namespace

Result<Member> OpenMember(const ServerConfig& config, const apply::ApplyLimits& limits,
                          EngineTroubleAction on_trouble, const Logger& log) {
  const std::string root = JoinPath(config.data_dir, "member");
  RETURN_IF_ERROR(PrepareDirectory(config, root, log));
  auto lock = LockDirectory(config, root, log);
  RETURN_IF_ERROR(lock);
  FAILPOINT("boot-locked");
  auto shared_action = std::make_shared<const EngineTroubleAction>(std::move(on_trouble));
  auto open = [&] {
    return OpenLocked(
        config, limits,
        [shared_action](engine::EngineTrouble trouble, const Error& error) {
          (*shared_action)(trouble, error);
        },
        log);
  };
  auto member = open();
  if (!member && member.error().code() == ErrorCode::kNoSpace) {
    log.Error("the disk is full; the start waits until there is room",
              {{"data-dir", config.data_dir}, member.error()});
  }
  // To end and be started again would only repeat this, and hide it behind a supervisor's back-off.
  while (!member && member.error().code() == ErrorCode::kNoSpace) {
    if (StopRequestedWithin(kFullDiskRetry)) break;
    member = open();
  }
  RETURN_IF_ERROR(member);
  member->lock = std::move(*lock);
  return member;
}

}  // namespace store::server
