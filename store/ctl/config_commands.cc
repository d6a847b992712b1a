// SPDX-License-Identifier: Apache-2.0
#include "store/ctl/config_commands.h"

#include "store/ctl/config_text.h"
#include "store/ctl/go_text.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <array>
#include <optional>
#include <ostream>
#include <string>
#include <unistd.h>
#include <utility>

namespace store::ctl {
namespace {

constexpr auto kGetFlags = std::to_array<FlagSpec>({
    {"rev", FlagKind::kInt, "0", "as of this revision"},
    {"raw", FlagKind::kBool, "false", "the stored bytes as they are"},
});
constexpr auto kSetFlags = std::to_array<FlagSpec>({
    {"file", FlagKind::kText, "-", "JSON, or YAML if it is named .yaml; - is stdin", 'f'},
    {"base-rev", FlagKind::kInt, "0", "only if the list was last changed at this revision"},
    {"reason", FlagKind::kText, "", "why, for the history"},
    {"author", FlagKind::kText, "", "who, for the history; default: user@host"},
});
constexpr auto kRmFlags = std::to_array<FlagSpec>({
    {"base-rev", FlagKind::kInt, "0", "only if the list was last changed at this revision"},
    {"reason", FlagKind::kText, "", "why, for the history"},
    {"author", FlagKind::kText, "", "who, for the history; default: user@host"},
});
constexpr auto kCheckFlags = std::to_array<FlagSpec>({
    {"file", FlagKind::kText, "", "JSON, or YAML if it is named .yaml; - is stdin", 'f'},
    {"host", FlagKind::kText, "", "check what is stored for this address, or compare with it"},
});

constexpr std::string_view kUsageHost = "needs the IP address of one host";

// A key as it was read; no value if it is not there, and then the revision is 0.
struct Stored {
  std::optional<std::string> value;
  int64_t mod_revision = 0;
};

Stored StoredOf(const pb::RangeResponse& answer) {
  if (answer.kvs().empty()) return {};
  return {answer.kvs(0).value(), answer.kvs(0).mod_revision()};
}

Result<Stored> Read(Session& session, const std::string& key, int64_t revision = 0) {
  pb::RangeRequest request;
  request.set_key(key);
  request.set_revision(revision);
  auto answer = session.client().Range(request);
  if (!answer) return Fail(std::move(answer).error());
  return StoredOf(*answer);
}

Result<uint64_t> NextHistoryNumber(Session& session, const std::string& ip) {
  std::string prefix = fmt::format("{}{}/", kHistoryRoot, ip);
  pb::RangeRequest request;
  request.set_key(prefix);
  request.set_range_end(client::PrefixEnd(prefix));
  request.set_keys_only(true);
  request.set_limit(1);
  request.set_sort_target(pb::RangeRequest::KEY);
  request.set_sort_order(pb::RangeRequest::DESCEND);
  auto answer = session.client().Range(request);
  if (!answer) return Fail(std::move(answer).error());
  return answer->kvs().empty() ? 1 : HistoryNumber(answer->kvs(0).key()) + 1;
}

std::string Author(Session& session, const ParsedFlags& flags) {
  if (std::string author = flags.Text("author"); !author.empty()) return author;
  if (const std::string& user = session.options().client.username; !user.empty()) return user;
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  std::string user = session.Variable("USER");
  return fmt::format("{}@{}", user.empty() ? "unknown" : user, host.data());
}

// One change on its way: what was read, and what shall be there; nothing means removed.
struct Change {
  std::string ip;
  std::string key;
  Stored base;
  std::optional<std::string> wanted;
};

pb::TxnRequest MakeTxn(Session& session, const ParsedFlags& flags, const Change& change,
                       uint64_t number) {
  std::string history_key = HistoryKey(change.ip, number);
  pb::TxnRequest txn;
  pb::Compare* unchanged = txn.add_compare();
  unchanged->set_key(change.key);
  unchanged->set_target(pb::Compare::MOD);
  unchanged->set_result(pb::Compare::EQUAL);
  unchanged->set_mod_revision(change.base.mod_revision);
  // Two edits of different keys cannot take one number.
  pb::Compare* free_number = txn.add_compare();
  free_number->set_key(history_key);
  free_number->set_target(pb::Compare::CREATE);
  free_number->set_result(pb::Compare::EQUAL);
  free_number->set_create_revision(0);
  if (change.wanted) {
    pb::PutRequest* put = txn.add_success()->mutable_request_put();
    put->set_key(change.key);
    put->set_value(*change.wanted);
  } else {
    txn.add_success()->mutable_request_delete_range()->set_key(change.key);
  }
  pb::PutRequest* record = txn.add_success()->mutable_request_put();
  record->set_key(history_key);
  record->set_value(HistoryJson({.author = Author(session, flags),
                                 .time = UtcText(SystemClock().WallMicros()),
                                 .reason = flags.Text("reason"),
                                 .base_revision = change.base.mod_revision,
                                 .old_value = change.base.value,
                                 .new_value = change.wanted}));
  txn.add_failure()->mutable_request_range()->set_key(change.key);
  return txn;
}

int ShowConflict(Session& session, const Change& change, const Stored& now) {
  std::string base = change.base.value.value_or("[]");
  fmt::print(session.err(), "since revision {} somebody changed:\n{}you would change:\n{}",
             change.base.mod_revision, DifferenceText(base, now.value.value_or("[]")),
             DifferenceText(base, change.wanted.value_or("[]")));
  return session.Failed(
      fmt::format("{} was changed at revision {} since it was read; nothing was written",
                  change.key, now.mod_revision));
}

int Carry(Session& session, const ParsedFlags& flags, const Change& change) {
  auto number = NextHistoryNumber(session, change.ip);
  if (!number) return session.Failed(number.error());
  auto answer = session.client().Txn(MakeTxn(session, flags, change, *number));
  if (!answer) return session.Failed(answer.error());
  if (!answer->succeeded()) {
    Stored now = StoredOf(answer->responses(0).response_range());
    if (now.mod_revision != change.base.mod_revision) return ShowConflict(session, change, now);
    return session.Failed("somebody else took the history number; nothing was written, try again");
  }
  fmt::print(session.out(), "{} {} at revision {}\n", change.key,
             change.wanted ? "written" : "removed", answer->header().revision());
  return kExitOk;
}

// What the change is based on: the list as it is, or as it was at --base-rev.
Result<Stored> BaseOf(Session& session, const ParsedFlags& flags, const std::string& key,
                      const Stored& now) {
  int64_t base = flags.Int("base-rev");
  if (base == 0 || now.mod_revision == base) return now;
  auto then = Read(session, key, base);
  if (!then) return Fail(then.error().WithContext(fmt::format("--base-rev {}", base)));
  // Also if the key was not changed at exactly this revision: somebody wrote later.
  then->mod_revision = base;
  return then;
}

void PrintWarnings(Session& session, const std::string& name, const CheckedList& checked) {
  for (const logagent::Warning& warning : checked.list.warnings) {
    fmt::print(session.err(), "warning: {}:{}\n", name, warning.ToString());
  }
}

std::string NameOf(const std::string& path) { return path == "-" ? "stdin" : path; }

int Get(Session& session, const ParsedFlags& flags) {
  if (flags.positional().size() != 1)
    return session.Usage(fmt::format("config get {}", kUsageHost));
  auto key = ConfigKey(flags.positional()[0]);
  if (!key) return session.Usage(key.error().message());
  auto stored = Read(session, *key, flags.Int("rev"));
  if (!stored) return session.Failed(stored.error());
  if (!stored->value) return session.Failed(fmt::format("there is no list at {}", *key));
  auto checked = CheckList(*key, *stored->value);
  if (session.options().format == OutputFormat::kJson) {
    fmt::print(session.out(), "{{\"key\":{},\"mod_revision\":{},\"value\":{}}}\n", JsonText(*key),
               stored->mod_revision, JsonText(*stored->value));
    return kExitOk;
  }
  if (flags.Bool("raw") || !checked) {
    session.out() << *stored->value;
    return checked ? kExitOk : session.Failed(checked.error());
  }
  session.out() << logagent::FormatEntryList(checked->list.entries);
  PrintWarnings(session, *key, *checked);
  return kExitOk;
}

int Set(Session& session, const ParsedFlags& flags) {
  if (flags.positional().size() != 1)
    return session.Usage(fmt::format("config set {}", kUsageHost));
  auto key = ConfigKey(flags.positional()[0]);
  if (!key) return session.Usage(key.error().message());
  std::string path = flags.Text("file");
  auto text = ReadInput(path, session.in());
  if (!text) return session.Failed(text.error());
  auto checked = CheckList(NameOf(path), std::move(*text));
  if (!checked) return session.Failed(checked.error());
  PrintWarnings(session, NameOf(path), *checked);
  auto now = Read(session, *key);
  if (!now) return session.Failed(now.error());
  if (now->value == checked->text) {
    fmt::print(session.out(), "{} holds this already (revision {}); nothing was written\n", *key,
               now->mod_revision);
    return kExitOk;
  }
  auto base = BaseOf(session, flags, *key, *now);
  if (!base) return session.Failed(base.error());
  return Carry(session, flags, {flags.positional()[0], *key, std::move(*base), checked->text});
}

int Rm(Session& session, const ParsedFlags& flags) {
  if (flags.positional().size() != 1) return session.Usage(fmt::format("config rm {}", kUsageHost));
  auto key = ConfigKey(flags.positional()[0]);
  if (!key) return session.Usage(key.error().message());
  auto now = Read(session, *key);
  if (!now) return session.Failed(now.error());
  if (!now->value) return session.Failed(fmt::format("there is no list at {}", *key));
  auto base = BaseOf(session, flags, *key, *now);
  if (!base) return session.Failed(base.error());
  return Carry(session, flags, {flags.positional()[0], *key, std::move(*base), std::nullopt});
}

// What stands behind --host, if that was given.
Result<std::optional<Stored>> ReadHost(Session& session, const std::string& host) {
  if (host.empty()) return std::optional<Stored>();
  auto key = ConfigKey(host);
  if (!key) return Fail(std::move(key).error());
  auto stored = Read(session, *key);
  if (!stored) return Fail(std::move(stored).error());
  return std::optional(std::move(*stored));
}

int Check(Session& session, const ParsedFlags& flags) {
  if (flags.positional().size() > 1) return session.Usage("config check takes one file");
  std::string given = flags.positional().empty() ? flags.Text("file") : flags.positional()[0];
  std::string host = flags.Text("host");
  if (!host.empty() && !ConfigKey(host)) {
    return session.Usage(ConfigKey(host).error().message());
  }
  auto stored = ReadHost(session, host);
  if (!stored) return session.Failed(stored.error());
  bool from_store = given.empty() && stored->has_value();
  if (from_store && !(*stored)->value) {
    return session.Failed(fmt::format("there is no list at {}", *ConfigKey(host)));
  }
  std::string path = given.empty() ? std::string("-") : given;
  std::string name = from_store ? *ConfigKey(host) : NameOf(path);
  auto text = from_store ? Result<std::string>(*(*stored)->value) : ReadInput(path, session.in());
  if (!text) return session.Failed(text.error());
  auto checked = CheckList(name, std::move(*text));
  // file:line:column first in the line, so that editors find the place.
  if (!checked) {
    fmt::print(session.err(), "{}\n", checked.error().message());
    return kExitFailed;
  }
  PrintWarnings(session, name, *checked);
  fmt::print(session.out(), "{}: {} entries ok\n", name, checked->list.entries.size());
  if (*stored && !from_store) {
    session.out() << DifferenceText((*stored)->value.value_or("[]"), checked->text);
  }
  return kExitOk;
}

constexpr Command kCommands[] = {
    {"config get", "<ip>", "the entry list of a host", kGetFlags, Get},
    {"config set", "<ip>", "write the entry list of a host, with a history record", kSetFlags, Set},
    {"config rm", "<ip>", "remove the entry list of a host, with a history record", kRmFlags, Rm},
    {"config check", "[file]", "validate an entry list without writing it", kCheckFlags, Check},
};

}  // namespace

std::span<const Command> ConfigCommands() { return kCommands; }

}  // namespace store::ctl
