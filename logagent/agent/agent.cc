// SPDX-License-Identifier: Apache-2.0
#include "logagent/agent/agent.h"

#include "logagent/agent/kafka_settings.h"
#include "logagent/agent/start_pages.h"
#include "logagent/agent/version.h"
#include "logagent/config/last_good.h"
#include "logagent/config/own_address.h"
#include "store/base/bytes.h"
#include "store/base/file.h"
#include "store/base/random.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

namespace logagent {
namespace {

using store::ErrorCode;
using store::Fail;
using store::Ok;

constexpr size_t kShareBytesMin = 512 << 10;
constexpr uint64_t kDeadLetterBytesMax = uint64_t{1} << 30;
// By then the store and Kafka were asked and the first lines were read.
constexpr store::Duration kStartOver = std::chrono::seconds(5);
// Connections, RocksDB, HTTP, events; seen: 29 when idle, 44 with a backlog, a scrape and a broker
// more each; lines that do not compress have as many producers again. With less than twice as many
// there are no producers for backlogs.
constexpr size_t kDescriptorsOfOthers = 80;
// While nothing happens a picture is due so many times later: a wake-up costs 0.1 ms, and those of
// this thread were nearly half of what an idle agent costs.
constexpr int kQuietPublishes = 4;
constexpr store::Duration kBeatLimit = std::chrono::seconds(30);

std::string Stripped(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

std::string HostName() {
  char name[256] = {};
  if (::gethostname(name, sizeof(name) - 1) != 0) return "unknown";
  return name;
}

// The machine id is the same after a reinstall of the agent and another on each machine.
std::string MachineId() {
  auto id = store::ReadFile("/etc/machine-id", 4096);
  std::string text = id ? Stripped(std::move(*id)) : std::string();
  return text.empty() ? HostName() : text;
}

// Of agent.memory three eighths are left to what the client library holds besides the lines:
// requests that are being written, compressed or waiting for their answer. With a quarter one
// outage (kafka_outage) ended above agent.memory + 24 MiB.
size_t LineBudget(size_t memory_bytes_max) { return memory_bytes_max / 8 * 5; }

size_t DescriptorsMax() {
  rlimit limit{};
  bool limited = ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  return limited ? limit.rlim_cur : SIZE_MAX;
}

// What is left when connections, the state and HTTP have theirs.
ShardOptions LimitDescriptors(ShardOptions options, size_t descriptors) {
  size_t files =
      descriptors > 2 * kDescriptorsOfOthers ? descriptors - kDescriptorsOfOthers : descriptors / 2;
  options.read_files_max = files;
  options.unread_files_max = std::min(options.unread_files_max, files);
  options.open_files_max = std::min(options.open_files_max, files / 2);
  return options;
}

}  // namespace

Agent::Agent(AgentConfig config, AgentTiming timing, const store::Clock& clock, store::Logger log)
    : config_(std::move(config)),
      timing_(timing),
      clock_(clock),
      log_(std::move(log)),
      admin_(clock),
      mail_({.items_max = 4 * kEntriesMax, .bytes_max = 4 * kEntryListBytesMax}) {}

Agent::~Agent() { Stop(); }

AgentViewPtr Agent::view() const {
  store::MutexLock lock(mutex_);
  return published_;
}

void Agent::Identify() {
  const AgentSettings& settings = config_.settings;
  OwnAddress own = FindOwnAddress(settings.ip, settings.store.endpoints);
  config_key_ = FormatConfigKey(settings.store.config_key, own.ip);
  AgentIdentity& identity = view_.identity;
  identity.id = settings.id.empty() ? MachineId() : settings.id;
  store::Random random(store::EntropySeed());
  identity.boot_id = fmt::format("{:016x}", random.Next());
  identity.ip = own.ip;
  identity.ips = AllAddresses();
  identity.host = HostName();
  identity.version = kAgentVersion;
  identity.started = Rfc3339(clock_.WallMicros());
  identity.pid = static_cast<uint32_t>(::getpid());
  view_.config_key = config_key_;
  view_.source = "none";
  log_.Info("agent starts", {{"id", identity.id},
                             {"version", identity.version},
                             {"ip", own.ip},
                             {"ip_found_by", own.found_by},
                             {"config_key", config_key_}});
}

Status Agent::OpenState() {
  const std::string& directory = config_.settings.state_dir;
  std::unique_ptr<CheckpointStore> state;
  Status made = store::MakeDirs(directory);
  auto opened = made ? OpenRocksCheckpoint(Path(directory) / "checkpoint")
                     : Result<OpenedCheckpoint>(Fail(made.error()));
  if (opened) {
    if (!opened->notice.empty()) log_.Info(opened->notice, {{"directory", directory}});
    state = std::move(opened->store);
  } else if (opened.error().code() == ErrorCode::kBusy) {
    return Fail(opened.error().WithContext(fmt::format("state directory {}", directory)));
  } else {
    state_error_ = opened.error().ToString();
    log_.Error("the state directory cannot be used now: a restart would repeat or miss lines",
               {{"directory", directory}, opened.error()});
    state = MakeLateCheckpoint(Path(directory) / "checkpoint");
  }
  checkpointer_ =
      std::make_unique<Checkpointer>(std::move(state), CheckpointerOptions(), clock_, log_);
  return checkpointer_->Start();
}

Status Agent::StartDelivery() {
  const AgentSettings& settings = config_.settings;
  spool_ = std::make_unique<DeadLetterSpool>(Path(settings.state_dir) / kSpoolName,
                                             kDeadLetterBytesMax, clock_);
  auto kafka = KafkaConfigOf(settings);
  RETURN_IF_ERROR(kafka);
  size_t descriptors = DescriptorsMax();
  auto sink = KafkaLanes::Make(*kafka, *spool_, clock_, log_,
                               descriptors > 2 * kDescriptorsOfOthers ? kBacklogLanes : 0);
  if (!sink) return Fail(sink.error().WithContext("kafka"));
  sink_ = std::move(*sink);
  budget_ = std::make_shared<Budget>(LineBudget(settings.memory_bytes_max), kShareBytesMin);
  ShardOptions reading = LimitDescriptors(ShardOptions(), descriptors);
  shard_ = std::make_unique<Shard>(reading, files_, *sink_, *checkpointer_, *spool_, budget_,
                                   clock_, log_);
  poller_ = std::make_unique<Poller>(*sink_, std::vector<Shard*>{shard_.get()});
  poller_->Start();
  return shard_->Start();
}

Status Agent::StartAdmin() {
  if (config_.settings.admin_address.empty()) return Ok();
  auto address = NormalizeAddress(config_.settings.admin_address, 2112);
  if (!address) return Fail(std::move(address).error());
  auto now = [this] { return Rfc3339(clock_.WallMicros()); };
  admin_.Add("/status", [this, now] {
    return HttpPage{.content_type = "application/json", .body = StatusPage(*view(), now())};
  });
  admin_.Add("/debug/files", [this] {
    return HttpPage{.content_type = "application/json", .body = FilesPage(*view())};
  });
  admin_.Add("/metrics", [this] {
    return HttpPage{.content_type = "text/plain; version=0.0.4; charset=utf-8",
                    .body = MetricsText(*view())};
  });
  admin_.Add("/metrics/files", [this] {
    return HttpPage{.content_type = "text/plain; version=0.0.4; charset=utf-8",
                    .body = FileMetricsText(*view())};
  });
  admin_.Add("/healthz", [this] {
    store::Duration since = clock_.Now().time_since_epoch() - store::Duration(beat_ns_.load());
    if (since > kBeatLimit) return HttpPage{.status = 503, .body = "the control thread hangs\n"};
    return HttpPage{.body = "ok\n"};
  });
  return admin_.Start(*address);
}

std::unique_ptr<store::client::Client> Agent::MakeClient() const {
  const StoreSettings& settings = config_.settings.store;
  store::client::ClientOptions options;
  options.endpoints = settings.endpoints;
  options.call_timeout = settings.timeout;
  options.username = settings.username;
  options.password = settings.password;
  return std::make_unique<store::client::Client>(options);
}

void Agent::StartSource() {
  SourceHandlers handlers;
  handlers.on_config = [this](ConfigText config) { mail_.PostReserved(std::move(config)); };
  handlers.on_error = [this](const store::Error& error) {
    mail_.PostReserved(SourceFailed{error});
  };
  if (!config_.settings.entries_file.empty()) {
    source_ = std::make_unique<FileSource>(config_.settings.entries_file, timing_.source,
                                           std::move(handlers));
  } else {
    list_client_ = MakeClient();
    report_client_ = MakeClient();
    source_ = std::make_unique<StoreSource>(*list_client_, config_key_, timing_.source,
                                            std::move(handlers));
    presence_ = std::make_unique<Presence>(*report_client_, view_.identity, clock_, log_);
    presence_->Start();
  }
  source_->Start();
}

Status Agent::Start() {
  Identify();
  RETURN_IF_ERROR(OpenState());
  RETURN_IF_ERROR(StartDelivery());
  Publish();
  RETURN_IF_ERROR(StartAdmin());
  patience_until_ = clock_.Now() + timing_.patience;
  release_at_ = clock_.Now() + kStartOver;
  if (!config_.entries.empty()) {
    Use(config_.entries, 0, "settings");
  } else {
    StartSource();
  }
  thread_ = store::Thread("control", [this] { Run(); });
  return Ok();
}

void Agent::Stop() {
  if (stopping_.exchange(true)) return;
  log_.Info("agent stops");
  // Ends a call that waits for a store that is away.
  if (list_client_ != nullptr) list_client_->Stop();
  if (source_ != nullptr) source_->Stop();
  mail_.Close();
  thread_.Join();
  if (shard_ != nullptr) shard_->Stop(timing_.drain_max);
  if (poller_ != nullptr) poller_->Stop();
  if (checkpointer_ != nullptr) {
    if (auto saved = checkpointer_->Stop(); !saved) {
      log_.Error("the last checkpoint failed", {saved.error()});
    }
  }
  if (presence_ != nullptr) presence_->Stop();
  if (report_client_ != nullptr) report_client_->Stop();
  admin_.Stop();
  log_.Info("agent stopped");
  log_.Flush();
}

void Agent::Run() {
  std::vector<Mail> mail;
  bool quiet = false;  // nothing came and no file changed
  while (!stopping_) {
    bool late = quiet && !patience_until_;
    bool got = mail_.Wait(clock_.Now() + (late ? kQuietPublishes : 1) * timing_.publish);
    mail_.Drain(&mail);
    for (Mail& one : mail) {
      std::visit([this](auto& what) { Handle(what); }, one);
    }
    mail.clear();
    if (patience_until_ && clock_.Now() >= *patience_until_) UseLastGood();
    if (release_at_ && clock_.Now() >= *release_at_) {
      release_at_.reset();
      ReleaseStartPages();
      malloc_trim(0);  // what the first look at many files needed
    }
    std::shared_ptr<const ShardSnapshot> before = view_.shard;
    Publish();
    quiet = !got && view_.shard == before;
  }
}

void Agent::Handle(ConfigText& config) {
  patience_until_.reset();
  view_.source_error.clear();
  std::string_view text = config.text ? std::string_view(*config.text) : "[]";
  auto list = ParseEntryList(text);
  if (!list) return Reject(config.revision, text, list.error());
  for (const Warning& warning : list->warnings) {
    log_.Warn("the list has a doubtful place", {{"warning", warning.ToString()}});
  }
  Use(list->entries, config.revision, config_.settings.entries_file.empty() ? "store" : "file");
  SaveLastGood(config);
}

void Agent::Handle(SourceFailed& failed) {
  bool news = view_.source_error.empty();
  view_.source_error = failed.error.ToString();
  if (news) log_.Warn("the list cannot be read now; what runs goes on", {failed.error});
}

void Agent::Handle(EntryDrained& drained) { Send(table_.Drained(drained.id)); }

void Agent::Handle(EntryLooked&) {}

void Agent::UseLastGood() {
  patience_until_.reset();
  auto saved = checkpointer_->LastGoodConfig();
  if (!saved) return;
  auto config = DecodeLastGood(*saved);
  if (!config || config->key != config_key_) return;
  auto list = ParseEntryList(config->text);
  if (!list) return;
  log_.Warn("the store does not answer; the last good list is used",
            {{"revision", config->revision}, {"entries", list->entries.size()}});
  Use(list->entries, config->revision, "last good");
}

void Agent::Reject(int64_t revision, std::string_view text, const store::Error& error) {
  view_.rejected_revision = revision;
  view_.rejected_hash = Sha256(text);
  view_.error = error.message();
  log_.Error("the list is refused; what ran before goes on",
             {{"key", config_key_}, {"revision", revision}, error});
}

void Agent::Use(const std::vector<EntryConfig>& entries, int64_t revision, std::string source) {
  std::vector<EntryCommand> commands = table_.Apply(entries);
  view_.source = std::move(source);
  view_.applied_revision = revision;
  view_.applied_hash = Sha256(FormatEntryList(entries));
  // A store that was set back answers with smaller revisions; the refusal belongs to what it was.
  view_.rejected_revision = 0;
  view_.error.clear();
  ++view_.reloads;
  log_.Info("list applied", {{"revision", revision},
                             {"entries", entries.size()},
                             {"changes", commands.size()},
                             {"source", view_.source}});
  Send(commands);
}

void Agent::Send(const std::vector<EntryCommand>& commands) {
  for (const EntryCommand& command : commands) {
    switch (command.kind) {
      case EntryCommand::Kind::kStart:
        SendStart(command);
        break;
      case EntryCommand::Kind::kStop:
        shard_->StopEntry(command.id, timing_.drain_max,
                          [this, id = command.id] { mail_.PostReserved(EntryDrained{id}); });
        break;
      case EntryCommand::Kind::kChangeTopic:
        shard_->ChangeTopic(command.id, command.config.topic,
                            [this] { mail_.PostReserved(EntryLooked{}); });
        break;
    }
  }
}

void Agent::SendStart(const EntryCommand& command) {
  EntrySpec spec;
  spec.id = command.id;
  spec.path = command.config.path;
  spec.topic = command.config.topic;
  spec.max_line_bytes = config_.settings.line_bytes_max;
  spec.strip_cr = command.config.strip_cr;
  bool first = !checkpointer_->Applied(EntryKey(spec.path, spec.topic));
  shard_->StartEntry(std::move(spec), first, [this] { mail_.PostReserved(EntryLooked{}); });
}

void Agent::SaveLastGood(const ConfigText& config) {
  SavedChanges changes;
  changes.config =
      EncodeLastGood({config.revision, config_key_, config.text ? *config.text : "[]"});
  checkpointer_->SaveNow(std::move(changes), {});
}

void Agent::Publish() {
  beat_ns_ = clock_.Now().time_since_epoch().count();
  view_.rows.clear();
  for (const auto& [id, row] : table_.rows()) view_.rows.push_back(row);
  view_.shard = shard_->Snapshot();
  view_.checkpointer = checkpointer_->Stats();
  if (!state_error_.empty() && view_.checkpointer.saves > 0) {
    log_.Info("the state directory can be used by now");
    state_error_.clear();
  }
  view_.kafka = sink_->Stats();
  view_.state_error = state_error_;
  view_.memory_used = budget_->used();
  view_.memory_limit = budget_->limit();
  auto view = std::make_shared<const AgentView>(view_);
  if (presence_ != nullptr) {
    presence_->Update(MakeStatusDocument(*view, Rfc3339(clock_.WallMicros())));
  }
  store::MutexLock lock(mutex_);
  published_ = std::move(view);
}

}  // namespace logagent
