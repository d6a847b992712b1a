// SPDX-License-Identifier: Apache-2.0
#include "store/ctl/watch_command.h"

#include "store/base/thread.h"
#include "store/ctl/go_text.h"
#include "store/ctl/kv_commands.h"
#include "store/ctl/txn_text.h"

#include <fmt/format.h>
#include <fmt/ostream.h>
#include <fmt/ranges.h>
#include <spawn.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <istream>
#include <memory>
#include <ostream>
#include <string>
#include <sys/wait.h>
#include <utility>
#include <vector>

namespace store::ctl {
namespace {

constexpr Duration kPause = std::chrono::milliseconds(200);

constexpr auto kWatchFlags = std::to_array<FlagSpec>({
    {"interactive", FlagKind::kBool, "false", "read watch commands from stdin", 'i'},
    {"prefix", FlagKind::kBool, "false", "keys that begin with the key"},
    {"rev", FlagKind::kInt, "0", "from this revision; 0: from now"},
    {"prev-kv", FlagKind::kBool, "false", "also print what was there before"},
    {"progress-notify", FlagKind::kBool, "false", "print a line now and then without events"},
});

struct WatchPlan {
  pb::WatchCreateRequest request;
  std::vector<std::string> program;
};

Result<WatchPlan> MakePlan(const Session& session, const ParsedFlags& flags) {
  auto dashes = static_cast<std::ptrdiff_t>(flags.before_dashes());
  const auto& all = flags.positional();
  std::vector<std::string> keys(all.begin(), all.begin() + dashes);
  WatchPlan plan;
  plan.program.assign(all.begin() + dashes, all.end());
  std::string key = session.Variable("ETCDCTL_WATCH_KEY");
  if (keys.empty() && !key.empty()) {
    keys.push_back(key);
    std::string end = session.Variable("ETCDCTL_WATCH_RANGE_END");
    if (!end.empty()) keys.push_back(end);
  }
  bool prefix = flags.Bool("prefix");
  if (keys.empty() || keys.size() > 2) {
    return Fail(ErrorCode::kInvalidArgument, "bad number of arguments");
  }
  if (keys.size() == 2 && prefix) {
    return Fail(ErrorCode::kInvalidArgument, "`range_end` and `--prefix` are mutually exclusive");
  }
  KeyRange range = MakeKeyRange(keys[0], keys.size() == 2 ? keys[1] : "", prefix, false);
  plan.request.set_key(range.key);
  plan.request.set_range_end(range.end);
  plan.request.set_start_revision(flags.Int("rev"));
  plan.request.set_prev_kv(flags.Bool("prev-kv"));
  plan.request.set_progress_notify(flags.Bool("progress-notify"));
  return plan;
}

// Runs the program with the variables of one event; what it writes goes where ours goes.
Status RunProgram(const std::vector<std::string>& program, Environment environment,
                  const mvccpb::Event& event, int64_t revision) {
  environment.push_back(fmt::format("ETCD_WATCH_REVISION={}", revision));
  environment.push_back(fmt::format("ETCD_WATCH_EVENT_TYPE=\"{}\"",
                                    event.type() == mvccpb::Event::PUT ? "PUT" : "DELETE"));
  environment.push_back("ETCD_WATCH_KEY=" + Quoted(event.kv().key()));
  environment.push_back("ETCD_WATCH_VALUE=" + Quoted(event.kv().value()));
  std::vector<std::string> words = program;
  std::vector<char*> argv;
  std::vector<char*> envp;
  for (std::string& word : words) argv.push_back(word.data());
  for (std::string& variable : environment) envp.push_back(variable.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  auto refuse = [&](std::string_view why) {
    return Fail(ErrorCode::kInternal,
                fmt::format("command [{}] error ({})", fmt::join(program, " "), why));
  };
  pid_t pid = -1;
  if (int error = ::posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), envp.data());
      error != 0) {
    return refuse(ErrnoError(error, argv[0]).message());
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return Ok();
  return refuse(WIFEXITED(status) ? fmt::format("exit status {}", WEXITSTATUS(status))
                                  : fmt::format("signal: {}", WTERMSIG(status)));
}

// One watch until the server cancels it or the client is stopped.
class WatchRun {
 public:
  WatchRun(Session& session, WatchPlan plan, Mutex& print_mutex, const std::atomic<bool>& stopping)
      : session_(session), plan_(std::move(plan)), print_mutex_(print_mutex), stopping_(stopping) {}

  // Why it ended.
  Error Run() {
    while (true) {
      auto stream = session_.client().OpenWatch();
      Error error(ErrorCode::kUnavailable);
      if (stream) {
        error = Follow(**stream);
        Status finished = (*stream)->Finish();
        // "Canceled" is only what Finish itself did to a stream that was broken already.
        bool says_why = !finished && finished.error().code() != ErrorCode::kCancelled;
        if (error.code() == ErrorCode::kUnavailable && says_why) error = finished.error();
      } else {
        error = stream.error();
      }
      if (stopping_) return Error(ErrorCode::kCancelled);
      if (Final(error)) return error;
      Complain(error);
      WaitFor(kPause);
    }
  }

 private:
  // Everything else may pass: a server that restarts, an election.
  static bool Final(const Error& error) {
    return error.code() == ErrorCode::kCancelled || error.code() == ErrorCode::kWatchCanceled ||
           error.code() == ErrorCode::kUnsupported || error.code() == ErrorCode::kInternal ||
           error.code() == ErrorCode::kAuthFailed || error.code() == ErrorCode::kUserEmpty ||
           error.code() == ErrorCode::kPermissionDenied;
  }

  Error Follow(client::WatchStream& stream) {
    pb::WatchRequest create;
    *create.mutable_create_request() = plan_.request;
    const Error broken(ErrorCode::kUnavailable, "the stream broke");
    if (!stream.Write(create)) return broken;
    pb::WatchResponse answer;
    while (stream.Read(&answer)) {
      Status handled = Handle(answer);
      if (!handled) return handled.error();
    }
    return broken;
  }

  Status Handle(const pb::WatchResponse& answer) {
    if (answer.created() && !answer.canceled()) {
      complained_ = false;
      // A watch of "from now" that breaks goes on from where it began, not from a later now.
      if (plan_.request.start_revision() == 0) {
        plan_.request.set_start_revision(answer.header().revision() + 1);
      }
      return Ok();
    }
    MutexLock lock(print_mutex_);
    if (answer.canceled()) return Canceled(answer);
    if (answer.events().empty()) return Progress(answer);
    RETURN_IF_ERROR(session_.printer().Watch(answer));
    session_.out().flush();
    if (!answer.fragment()) {
      plan_.request.set_start_revision(answer.events().rbegin()->kv().mod_revision() + 1);
    }
    if (plan_.program.empty()) return Ok();
    for (const auto& event : answer.events()) {
      RETURN_IF_ERROR(
          RunProgram(plan_.program, session_.environment(), event, answer.header().revision()));
    }
    return Ok();
  }

  Status Progress(const pb::WatchResponse& answer) {
    fmt::print(session_.out(), "progress notify: {}\n", answer.header().revision());
    session_.out().flush();
    return Ok();
  }

  Status Canceled(const pb::WatchResponse& answer) {
    std::string reason = answer.compact_revision() > 0
                             ? "etcdserver: mvcc: required revision has been compacted"
                             : answer.cancel_reason();
    fmt::print(session_.err(), "watch was canceled ({})\n", reason);
    RETURN_IF_ERROR(session_.printer().Watch(answer));
    return Fail(ErrorCode::kWatchCanceled, "watch is canceled by the server");
  }

  void Complain(const Error& error) {
    if (std::exchange(complained_, true)) return;
    MutexLock lock(print_mutex_);
    fmt::print(session_.err(), "watch is interrupted and will be tried again: {}\n",
               Session::TextOf(error));
  }

  Session& session_;
  WatchPlan plan_;
  Mutex& print_mutex_;
  const std::atomic<bool>& stopping_;
  bool complained_ = false;
};

int ExitOf(Session& session, const Error& error) {
  if (error.code() == ErrorCode::kUnsupported) return session.Usage(error.message());
  return session.Failed(error);
}

int Interactive(Session& session) {
  Mutex print_mutex;
  std::atomic<bool> stopping = false;
  // Made before the threads are: it is made when it is first asked for.
  client::Client& client = session.client();
  // Bounded by what a person types.
  std::deque<WatchRun> runs;
  std::deque<Thread> threads;
  std::string line;
  while (std::getline(session.in(), line)) {
    std::vector<std::string> words = SplitWords(Trimmed(line));
    if (words.empty()) continue;
    MutexLock lock(print_mutex);
    if (words[0] != "watch") {
      fmt::print(session.err(), "Invalid command {} (only support watch)\n", words[0]);
      continue;
    }
    auto flags = ParsedFlags::Parse(kWatchFlags, std::span(words).subspan(1));
    auto plan = flags ? MakePlan(session, *flags) : Fail(flags.error());
    if (!plan) {
      fmt::print(session.err(), "Invalid command {} ({})\n", line, plan.error().message());
      continue;
    }
    WatchRun& run = runs.emplace_back(session, std::move(*plan), print_mutex, stopping);
    threads.emplace_back("watch", [&session, &run, &print_mutex] {
      Error why = run.Run();
      if (why.code() == ErrorCode::kCancelled) return;
      MutexLock lock_print(print_mutex);
      session.Failed(why);
    });
  }
  stopping = true;
  client.Stop();
  for (Thread& thread : threads) thread.Join();
  return session.Usage("Error reading watch request line: EOF");
}

int Watch(Session& session, const ParsedFlags& flags) {
  if (flags.Bool("interactive")) return Interactive(session);
  auto plan = MakePlan(session, flags);
  if (!plan) return session.Usage(plan.error().message());
  Mutex print_mutex;
  const std::atomic<bool> stopping = false;
  return ExitOf(session, WatchRun(session, std::move(*plan), print_mutex, stopping).Run());
}

constexpr Command kCommands[] = {
    {"watch", "<key> [range_end] [-- command…]", "events of a key or a range as they come",
     kWatchFlags, Watch},
};

}  // namespace

std::span<const Command> WatchCommands() { return kCommands; }

}  // namespace store::ctl
