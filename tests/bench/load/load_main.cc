// SPDX-License-Identifier: Apache-2.0
// bench_load: puts one kind of load on a running store and prints what it saw as one JSON object.
// It uses the rpc library's own channel, which costs a few microseconds a call, so that on two
// shared cores the server is what is measured. `bench_load --help` lists the works.
#include "store/base/clock.h"
#include "tests/bench/load/process_usage.h"
#include "tests/bench/load/work.h"

#include <CLI/CLI.hpp>
#include <absl/functional/function_ref.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <future>
#include <sys/resource.h>
#include <utility>

namespace bench {
namespace {

using std::chrono::duration;
using store::rpc::Channel;
using store::rpc::EventLoop;

constexpr auto kConnectTimeout = std::chrono::seconds(20);
constexpr auto kPrepareTimeout = std::chrono::seconds(120);
constexpr auto kFillTimeout = std::chrono::minutes(30);
constexpr auto kStopTimeout = std::chrono::seconds(120);

// One event loop with its connections and its share of the work.
class Lane {
 public:
  Lane(const LoadOptions& options, const store::Clock& clock, int part)
      : loop_(store::LoopId(static_cast<uint32_t>(part)), clock, "load") {
    loop_.Start();
    Run(
        [&](store::Action done) {
          Connect(options);
          if (options.work.starts_with("watch")) {
            work_ = MakeWatchWork(options, {loop_, channels_, part});
          } else if (options.work == "soak") {
            work_ = MakeSoakWork(options, {loop_, channels_, part});
          } else if (options.work == "lease") {
            work_ = MakeLeaseWork(options, {loop_, channels_, part});
          } else {
            work_ = MakeUnaryWork(options, {loop_, channels_, part});
          }
          all_ready_ = std::move(done);
        },
        kConnectTimeout);
  }
  ~Lane() {
    Run(
        [&](store::Action done) {
          channels_.clear();
          done();
        },
        kStopTimeout);
    loop_.Stop();
  }

  Work& work() { return *work_; }
  EventLoop& loop() { return loop_; }

  // Starts `action` on the loop; the future is ready when the action it was given has run.
  std::future<void> Start(absl::AnyInvocable<void(store::Action)> action) {
    auto promise = std::make_shared<std::promise<void>>();
    loop_.Post([promise, action = std::move(action)]() mutable {
      action([promise] { promise->set_value(); });
    });
    return promise->get_future();
  }

 private:
  void Run(absl::AnyInvocable<void(store::Action)> action, std::chrono::nanoseconds timeout) {
    if (Start(std::move(action)).wait_for(timeout) != std::future_status::ready) {
      throw std::runtime_error("the server does not answer");
    }
  }

  void Connect(const LoadOptions& options) {
    const int wanted = std::max(1, options.connections / options.loops);
    for (int i = 0; i < wanted; ++i) {
      store::rpc::ChannelOptions channel;
      channel.address = options.address;
      channels_.push_back(std::make_unique<Channel>(loop_, channel));
      channels_.back()->OnStateChange([this, wanted](Channel::State state) {
        if (state == Channel::State::kReady && ++ready_ == wanted) {
          std::exchange(all_ready_, nullptr)();
        }
      });
      channels_.back()->Connect();
    }
  }

  EventLoop loop_;
  Channels channels_;
  int ready_ = 0;
  store::Action all_ready_;
  std::unique_ptr<Work> work_;
};

using Lanes = std::vector<std::unique_ptr<Lane>>;
using Step = absl::FunctionRef<void(Work&, store::Action)>;

void OnAll(Lanes& lanes, Step step, std::chrono::nanoseconds timeout) {
  std::vector<std::future<void>> waits;
  for (auto& lane : lanes) {
    waits.push_back(lane->Start(
        [step, work = &lane->work()](store::Action done) { step(*work, std::move(done)); }));
  }
  for (auto& wait : waits) {
    if (wait.wait_for(timeout) != std::future_status::ready) {
      throw std::runtime_error("the load did not come to an end in time");
    }
  }
}

void Pause(Lanes& lanes, double seconds) {
  auto delay = std::chrono::duration_cast<store::Duration>(duration<double>(seconds));
  lanes[0]
      ->Start([&, delay](store::Action done) { lanes[0]->loop().After(delay, std::move(done)); })
      .wait();
}

double OwnCpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

struct Spent {
  store::TimePoint at;
  double server_cpu;
  double own_cpu;
};
Spent Now(const LoadOptions& options, const store::Clock& clock) {
  double server_cpu = 0;
  for (int pid : options.server_pids) server_cpu += CpuSeconds(pid);
  return {clock.Now(), server_cpu, OwnCpuSeconds()};
}

void Print(const LoadOptions& options, const Tally& tally, const Spent& from, const Spent& to) {
  const double seconds = duration<double>(to.at - from.at).count();
  const auto per = [&](double cpu) {
    const bool per_event = tally.events > 0 && options.work != "soak";
    const uint64_t units = per_event ? tally.events : tally.operations;
    return units == 0 ? 0.0 : cpu * 1e6 / static_cast<double>(units);
  };
  std::string escaped;
  for (char c : tally.first_error) {
    if (c == '"' || c == '\\') escaped += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) escaped += c;
  }
  fmt::print(
      "{{\"work\":\"{}\",\"seconds\":{:.4f},\"operations\":{},\"events\":{},\"errors\":{},"
      "\"first_error\":\"{}\",\"rate\":{:.1f},\"event_rate\":{:.1f},"
      "\"p50_us\":{:.1f},\"p90_us\":{:.1f},\"p99_us\":{:.1f},\"p9999_us\":{:.1f},"
      "\"max_us\":{:.1f},\"mean_us\":{:.1f},\"server_cpu_us\":{:.2f},\"client_cpu_us\":{:.2f},"
      "\"replayed\":{},\"hash\":{}}}\n",
      options.work, seconds, tally.operations, tally.events, tally.errors, escaped,
      static_cast<double>(tally.operations) / seconds, static_cast<double>(tally.events) / seconds,
      tally.latency.Microseconds(0.5), tally.latency.Microseconds(0.9),
      tally.latency.Microseconds(0.99), tally.latency.Microseconds(0.9999),
      tally.latency.MaxMicroseconds(), tally.latency.MeanMicroseconds(),
      per(to.server_cpu - from.server_cpu), per(to.own_cpu - from.own_cpu), tally.replayed,
      tally.hash);
}

// All lanes end before their tallies are read.
void RunLoad(const LoadOptions& options) {
  store::SystemClock clock;
  Lanes lanes;
  for (int i = 0; i < options.loops; ++i) {
    lanes.push_back(std::make_unique<Lane>(options, clock, i));
  }
  const auto measure = [&](bool on) {
    OnAll(
        lanes,
        [on](Work& work, store::Action done) {
          work.Measure(on);
          done();
        },
        kStopTimeout);
  };
  OnAll(
      lanes, [](Work& work, store::Action done) { work.Prepare(std::move(done)); },
      kPrepareTimeout);
  const bool fill = options.work == "fill";
  if (fill) measure(true);
  Spent from = Now(options, clock);
  OnAll(
      lanes,
      [](Work& work, store::Action done) {
        work.Begin();
        done();
      },
      kStopTimeout);
  if (fill) {
    OnAll(
        lanes, [](Work& work, store::Action done) { work.Finish(std::move(done)); }, kFillTimeout);
  } else {
    Pause(lanes, options.warmup);
    measure(true);
    from = Now(options, clock);
    Pause(lanes, options.seconds);
    measure(false);
  }
  const Spent to = Now(options, clock);
  OnAll(lanes, [](Work& work, store::Action done) { work.Stop(std::move(done)); }, kStopTimeout);
  Tally sum;
  for (auto& lane : lanes) sum.Merge(lane->work().tally());
  Print(options, sum, from, to);
}

int Main(int argc, char** argv) {
  CLI::App app{"Puts load on a store that speaks etcd's API and prints one JSON object."};
  LoadOptions options;
  app.add_option("--address", options.address, "HOST:PORT of the store")->required();
  app.add_option("--work", options.work,
                 "fill, put, range, range100, txn, mixed, watch-one, watch-many, lease or soak")
      ->check(CLI::IsMember({"fill", "put", "range", "range100", "txn", "mixed", "watch-one",
                             "watch-many", "lease", "soak"}));
  app.add_option("--clients", options.clients, "calls in flight");
  app.add_option("--connections", options.connections, "TCP connections");
  app.add_option("--loops", options.loops, "threads of the generator; unary works only");
  app.add_option("--seconds", options.seconds, "how long is measured");
  app.add_option("--warmup", options.warmup, "seconds before that");
  app.add_option("--count", options.count, "fill: how many keys");
  app.add_option("--keys", options.keys, "size of the key space");
  app.add_option("--key-offset", options.key_offset, "fill, watch-many: number of the first key");
  app.add_option("--value-bytes", options.value_bytes, "size of a value");
  app.add_flag("--serializable", options.serializable, "ranges from the member's own state");
  app.add_option("--watchers", options.watchers, "watchers in all");
  app.add_option("--streams", options.streams, "watch or keep-alive streams");
  app.add_option("--leases", options.leases, "leases to keep alive");
  app.add_option("--window", options.window, "watch: puts under way; lease: per stream");
  app.add_option("--batch", options.batch, "watch-many: puts of one transaction")
      ->check(CLI::Range(1, 128));
  app.add_option("--seed", options.seed, "of keys and values");
  app.add_option("--rate", options.rate, "soak: operations a second, 0: all that are answered");
  app.add_option("--server-pid", options.server_pids, "whose CPU time is read, with commas")
      ->delimiter(',');
  CLI11_PARSE(app, argc, argv);
  if (options.batch > 1 && (options.work != "watch-many" || options.batch > options.watchers)) {
    fmt::print(stderr, "bench_load: --batch {} is for watch-many with as many --watchers\n",
               options.batch);
    return 1;
  }
  if (options.window > 0 && options.batch > options.window) {
    fmt::print(stderr, "bench_load: --batch {} does not fit into --window {}\n", options.batch,
               options.window);
    return 1;
  }
  try {
    RunLoad(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_load: {}\n", error.what());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) { return bench::Main(argc, argv); }
