// SPDX-License-Identifier: Apache-2.0
#include "store/ctl/kv_commands.h"

#include "store/ctl/go_text.h"
#include "store/ctl/txn_text.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <array>
#include <istream>
#include <iterator>
#include <utility>

namespace store::ctl {
namespace {

namespace pb = etcdserverpb;

constexpr auto kGetFlags = std::to_array<FlagSpec>({
    {"consistency", FlagKind::kText, "l", "linearizable (l) or serializable (s)"},
    {"order", FlagKind::kText, "", "ASCEND or DESCEND"},
    {"sort-by", FlagKind::kText, "", "CREATE, KEY, MODIFY, VALUE or VERSION"},
    {"limit", FlagKind::kInt, "0", "at most this many; 0: all"},
    {"prefix", FlagKind::kBool, "false", "keys that begin with the key"},
    {"from-key", FlagKind::kBool, "false", "the key and all after it"},
    {"rev", FlagKind::kInt, "0", "as of this revision"},
    {"keys-only", FlagKind::kBool, "false", "no values"},
    {"count-only", FlagKind::kBool, "false", "only how many; for -w fields and -w json"},
    {"print-value-only", FlagKind::kBool, "false", "no keys; for -w simple"},
    {"min-create-rev", FlagKind::kInt, "0", "created at this revision or later"},
    {"max-create-rev", FlagKind::kInt, "0", "created at this revision or before"},
    {"min-mod-rev", FlagKind::kInt, "0", "changed at this revision or later"},
    {"max-mod-rev", FlagKind::kInt, "0", "changed at this revision or before"},
});
constexpr auto kPutFlags = std::to_array<FlagSpec>({
    {"lease", FlagKind::kText, "0", "lease id (hex) to attach"},
    {"prev-kv", FlagKind::kBool, "false", "also print what was there before"},
    {"ignore-value", FlagKind::kBool, "false", "keep the value the key has"},
    {"ignore-lease", FlagKind::kBool, "false", "keep the lease the key has"},
});
constexpr auto kDelFlags = std::to_array<FlagSpec>({
    {"prefix", FlagKind::kBool, "false", "keys that begin with the key"},
    {"from-key", FlagKind::kBool, "false", "the key and all after it"},
    {"prev-kv", FlagKind::kBool, "false", "also print what was deleted"},
    {"range", FlagKind::kBool, "false", "accepted: a range end is enough"},
});
constexpr auto kTxnFlags = std::to_array<FlagSpec>({
    {"interactive", FlagKind::kBool, "false", "say what is to be typed next", 'i'},
});
constexpr auto kCompactionFlags = std::to_array<FlagSpec>({
    {"physical", FlagKind::kBool, "false", "wait until the old revisions are gone"},
});

tl::unexpected<Error> Refuse(std::string text) {
  return Fail(ErrorCode::kInvalidArgument, std::move(text));
}

struct SortTarget {
  std::string_view name;
  pb::RangeRequest::SortTarget target;
};
constexpr SortTarget kSortTargets[] = {
    {"", pb::RangeRequest::KEY},          {"KEY", pb::RangeRequest::KEY},
    {"CREATE", pb::RangeRequest::CREATE}, {"MODIFY", pb::RangeRequest::MOD},
    {"VALUE", pb::RangeRequest::VALUE},   {"VERSION", pb::RangeRequest::VERSION},
};

Status SetSort(const ParsedFlags& flags, pb::RangeRequest* request) {
  std::string order = UpperCase(flags.Text("order"));
  std::string by = UpperCase(flags.Text("sort-by"));
  if (order != "" && order != "ASCEND" && order != "DESCEND") {
    return Refuse("bad sort order " + flags.Text("order"));
  }
  const auto* target = std::ranges::find(kSortTargets, by, &SortTarget::name);
  if (target == std::end(kSortTargets)) {
    return Refuse("bad sort target " + flags.Text("sort-by"));
  }
  request->set_sort_target(target->target);
  if (order == "DESCEND") request->set_sort_order(pb::RangeRequest::DESCEND);
  // Keys come in ascending order anyway; the server need not sort.
  if (order == "ASCEND" && target->target != pb::RangeRequest::KEY) {
    request->set_sort_order(pb::RangeRequest::ASCEND);
  }
  return Ok();
}

Result<KeyRange> RangeOf(const ParsedFlags& flags, std::string_view command) {
  const auto& arguments = flags.positional();
  bool prefix = flags.Bool("prefix");
  bool from_key = flags.Bool("from-key");
  if (prefix && from_key) {
    return Refuse("`--prefix` and `--from-key` cannot be set at the same time, choose one");
  }
  if (arguments.empty() || arguments.size() > 2) {
    return Refuse(fmt::format(
        "{} command needs one argument as key and an optional argument as range_end", command));
  }
  if (arguments.size() == 2 && (prefix || from_key)) {
    return Refuse(
        "too many arguments, only accept one argument when `--prefix` or `--from-key` is set");
  }
  return MakeKeyRange(arguments[0], arguments.size() == 2 ? arguments[1] : "", prefix, from_key);
}

int Get(Session& session, const ParsedFlags& flags) {
  auto request = MakeRange(flags);
  if (!request) return session.Usage(request.error().message());
  OutputFormat format = session.options().format;
  if (flags.Bool("count-only") && format != OutputFormat::kFields &&
      format != OutputFormat::kJson && format != OutputFormat::kProtobuf) {
    return session.Usage("--count-only is only for `--write-out=fields`");
  }
  if (flags.Bool("print-value-only")) {
    if (format != OutputFormat::kSimple) {
      return session.Usage("print-value-only is only for `--write-out=simple`");
    }
    session.PrintValuesOnly();
  }
  auto answer = session.client().Range(*request);
  if (!answer) return session.Failed(answer.error());
  return session.Printed(session.printer().Range(*answer));
}

int Put(Session& session, const ParsedFlags& flags) {
  auto request = MakePut(flags, [&session]() -> std::optional<std::string> {
    std::string value(std::istreambuf_iterator<char>(session.in()), {});
    if (value.empty()) return std::nullopt;
    return value;
  });
  if (!request) return session.Usage(request.error().message());
  auto answer = session.client().Put(*request);
  if (!answer) return session.Failed(answer.error());
  return session.Printed(session.printer().Put(*answer));
}

int Del(Session& session, const ParsedFlags& flags) {
  auto request = MakeDelete(flags);
  if (!request) return session.Usage(request.error().message());
  auto answer = session.client().DeleteRange(*request);
  if (!answer) return session.Failed(answer.error());
  return session.Printed(session.printer().Delete(*answer));
}

// The lines up to an empty one; an end of the input before it is an error.
Result<std::vector<std::string>> ReadBlock(Session& session, bool prompt, std::string_view title) {
  if (prompt) fmt::print(session.out(), "{}\n", title);
  std::vector<std::string> lines;
  std::string line;
  while (std::getline(session.in(), line)) {
    // Without its newline the last line was not finished.
    if (session.in().eof()) break;
    std::string text(Trimmed(line));
    if (text.empty()) return lines;
    lines.push_back(std::move(text));
  }
  return Refuse("EOF");
}

using Requests = google::protobuf::RepeatedPtrField<pb::RequestOp>;

Status ReadRequests(Session& session, bool prompt, std::string_view title, Requests* requests) {
  auto lines = ReadBlock(session, prompt, title);
  if (!lines) return Fail(std::move(lines).error());
  for (const std::string& line : *lines) {
    auto request = ParseRequest(line);
    if (!request) return Fail(std::move(request).error());
    *requests->Add() = std::move(*request);
  }
  return Ok();
}

Result<pb::TxnRequest> ReadTxn(Session& session, bool prompt) {
  pb::TxnRequest txn;
  auto compares = ReadBlock(session, prompt, "compares:");
  if (!compares) return Fail(std::move(compares).error());
  for (const std::string& line : *compares) {
    auto compare = ParseCompare(line);
    if (!compare) return Fail(std::move(compare).error());
    *txn.add_compare() = std::move(*compare);
  }
  RETURN_IF_ERROR(
      ReadRequests(session, prompt, "success requests (get, put, del):", txn.mutable_success()));
  RETURN_IF_ERROR(
      ReadRequests(session, prompt, "failure requests (get, put, del):", txn.mutable_failure()));
  return txn;
}

int Txn(Session& session, const ParsedFlags& flags) {
  if (!flags.positional().empty()) return session.Usage("txn command does not accept argument");
  auto txn = ReadTxn(session, flags.Bool("interactive"));
  if (!txn) return session.Usage(txn.error().message());
  auto answer = session.client().Txn(*txn);
  if (!answer) return session.Failed(answer.error());
  return session.Printed(session.printer().Txn(*answer));
}

int Compaction(Session& session, const ParsedFlags& flags) {
  if (flags.positional().size() != 1) return session.Usage("compaction command needs 1 argument");
  auto revision = ParseInt(flags.positional()[0], 10);
  if (!revision) return session.Usage(revision.error().message());
  pb::CompactionRequest request;
  request.set_revision(*revision);
  request.set_physical(flags.Bool("physical"));
  auto answer = session.client().Compact(request);
  if (!answer) return session.Failed(answer.error());
  fmt::print(session.out(), "compacted revision {}\n", *revision);
  return kExitOk;
}

constexpr Command kCommands[] = {
    {"get", "<key> [range_end]", "a key or a range of keys", kGetFlags, Get},
    {"put", "<key> [value]", "put a key; without a value it is read from stdin", kPutFlags, Put},
    {"del", "<key> [range_end]", "delete a key or a range of keys", kDelFlags, Del},
    {"txn", "", "a transaction from stdin: compares, requests, requests otherwise", kTxnFlags, Txn},
    {"compaction", "<revision>", "forget the history before a revision", kCompactionFlags,
     Compaction},
};

}  // namespace

std::span<const Command> KvCommands() { return kCommands; }

KeyRange MakeKeyRange(std::string key, std::string end, bool prefix, bool from_key) {
  const std::string zero(1, '\0');
  if (prefix) end = key.empty() ? zero : client::PrefixEnd(key);
  if (from_key) end = zero;
  if (key.empty() && (prefix || from_key)) key = zero;
  return {std::move(key), std::move(end)};
}

Result<pb::RangeRequest> MakeRange(const ParsedFlags& flags) {
  auto range = RangeOf(flags, "get");
  if (!range) return Fail(std::move(range).error());
  pb::RangeRequest request;
  request.set_key(range->key);
  request.set_range_end(range->end);
  std::string consistency = flags.Text("consistency");
  if (consistency != "l" && consistency != "s") {
    return Refuse(fmt::format("unknown consistency flag {}", Quoted(consistency)));
  }
  request.set_serializable(consistency == "s");
  RETURN_IF_ERROR(SetSort(flags, &request));
  request.set_limit(flags.Int("limit"));
  request.set_revision(flags.Int("rev"));
  request.set_keys_only(flags.Bool("keys-only"));
  request.set_count_only(flags.Bool("count-only"));
  request.set_min_create_revision(flags.Int("min-create-rev"));
  request.set_max_create_revision(flags.Int("max-create-rev"));
  request.set_min_mod_revision(flags.Int("min-mod-rev"));
  request.set_max_mod_revision(flags.Int("max-mod-rev"));
  return request;
}

Result<pb::DeleteRangeRequest> MakeDelete(const ParsedFlags& flags) {
  auto range = RangeOf(flags, "del");
  if (!range) return Fail(std::move(range).error());
  pb::DeleteRangeRequest request;
  request.set_key(range->key);
  request.set_range_end(range->end);
  request.set_prev_kv(flags.Bool("prev-kv"));
  return request;
}

Result<pb::PutRequest> MakePut(const ParsedFlags& flags,
                               absl::FunctionRef<std::optional<std::string>()> read_value) {
  constexpr std::string_view kArguments =
      "put command needs 1 argument and input from stdin or 2 arguments";
  const auto& arguments = flags.positional();
  if (arguments.empty() || arguments.size() > 2) return Refuse(std::string(kArguments));
  pb::PutRequest request;
  request.set_key(arguments[0]);
  request.set_ignore_value(flags.Bool("ignore-value"));
  if (request.ignore_value()) {
    if (arguments.size() > 1) {
      return Refuse("put command needs only 1 argument when 'ignore-value' is set");
    }
  } else {
    auto value = arguments.size() > 1 ? std::optional(arguments[1]) : read_value();
    if (!value) return Refuse(std::string(kArguments));
    request.set_value(*value);
  }
  auto lease = ParseInt(flags.Text("lease"), 16);
  if (!lease) {
    return Refuse(fmt::format("bad lease ID ({}), expecting ID in Hex", lease.error().message()));
  }
  request.set_lease(*lease);
  request.set_ignore_lease(flags.Bool("ignore-lease"));
  request.set_prev_kv(flags.Bool("prev-kv"));
  return request;
}

Result<pb::RequestOp> ParseRequest(const std::string& line) {
  std::vector<std::string> words = SplitWords(line);
  std::string verb = words.empty() ? "" : words[0];
  const auto* command = std::ranges::find(kCommands, verb, &Command::name);
  if (command == std::end(kCommands) || (verb != "get" && verb != "put" && verb != "del")) {
    return Refuse("invalid txn request: " + line);
  }
  auto flags = ParsedFlags::Parse(command->flags, std::span(words).subspan(1));
  if (!flags) return Fail(std::move(flags).error());
  pb::RequestOp op;
  auto take = [](auto&& made, auto* place) -> Status {
    if (!made) return Fail(std::move(made).error());
    *place = std::move(*made);
    return Ok();
  };
  if (verb == "get") {
    RETURN_IF_ERROR(take(MakeRange(*flags), op.mutable_request_range()));
  } else if (verb == "put") {
    // Stdin is where the transaction comes from.
    RETURN_IF_ERROR(take(MakePut(*flags, [] { return std::nullopt; }), op.mutable_request_put()));
  } else {
    RETURN_IF_ERROR(take(MakeDelete(*flags), op.mutable_request_delete_range()));
  }
  return op;
}

}  // namespace store::ctl
