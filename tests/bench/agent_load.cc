// SPDX-License-Identifier: Apache-2.0
// The fast half of tests/bench/agent: makes the files, runs the ceiling, asks the broker. Each
// command prints one JSON object.
#include "store/base/clock.h"
#include "tests/bench/ceiling.h"
#include "tests/bench/latency.h"
#include "tests/bench/line_file.h"
#include "tests/bench/topic_admin.h"
#include "tests/bench/topic_reader.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

namespace {

struct Options {
  std::string brokers;
  std::string topic;
  std::vector<std::string> files;
  std::vector<std::string> beside;
  std::string action;
  std::vector<std::string> settings;
  std::string codec = "lz4";
  uint64_t in_flight = 64 << 20;
  uint32_t stream = 0;
  uint64_t lines = 0;
  size_t line_bytes = 100;
  bool text = false;
  uint64_t records = 0;
  uint32_t seconds = 600;
  uint32_t linger_ms = 5;
  bool spin = false;
};

int Refuse(const store::Error& error) {
  fmt::print(stderr, "agent_load: {}\n", error.message());
  return 1;
}

int Generate(const Options& options) {
  auto written =
      bench::WriteLineFile(options.files.front(), options.stream, options.lines, options.line_bytes,
                           options.text ? bench::Content::kText : bench::Content::kEncoded);
  return written ? 0 : Refuse(written.error());
}

int Ceiling(const Options& options) {
  logagent::KafkaConfig config;
  config.brokers = options.brokers;
  config.compression = options.codec;
  config.in_flight_bytes_max = options.in_flight;
  config.broker_threads_spin = options.spin;
  auto run = bench::RunCeiling(config, options.topic, options.files);
  if (!run) {
    return Refuse(run.error());
  }
  fmt::print(
      "{{\"lines\":{},\"bytes\":{},\"failed\":{},\"began\":{:.6f},\"seconds\":{},\"cpu_seconds\":{}"
      ","
      "\"rss_bytes\":{},\"file_bytes\":{}}}\n",
      run->lines, run->bytes, run->failed, run->began, run->seconds, run->cpu_seconds,
      run->rss_bytes, run->file_bytes);
  return 0;
}

// `at` is on the clock that Python calls time.monotonic().
int Wait(const Options& options) {
  auto reader = bench::TopicReader::Open(options.brokers, options.topic);
  if (!reader) {
    return Refuse(reader.error());
  }
  fmt::print("{{\"ready\":true}}\n");
  std::fflush(stdout);
  auto reached = (*reader)->WaitWritten(options.records, std::chrono::seconds(options.seconds));
  auto written = (*reader)->Written();
  if (!reached || !written) {
    return Refuse(reached ? written.error() : reached.error());
  }
  store::TimePoint now = store::SystemClock().Now();
  fmt::print("{{\"reached\":{},\"written\":{},\"at\":{:.6f}}}\n", *reached, *written,
             std::chrono::duration<double>(now.time_since_epoch()).count());
  return 0;
}

int Verify(const Options& options) {
  auto reader = bench::TopicReader::Open(options.brokers, options.topic);
  if (!reader) {
    return Refuse(reader.error());
  }
  auto contents = (*reader)->ReadAll();
  if (!contents) {
    return Refuse(contents.error());
  }
  fmt::print(
      "{{\"records\":{},\"foreign\":{},\"repeated\":{},\"disorder\":{},\"distinct\":{},"
      "\"partitions_used\":{}}}\n",
      contents->records, contents->foreign, contents->repeated, contents->disorder,
      contents->distinct, contents->partitions_used);
  return 0;
}

// create, alter, drop, deny, allow
int Admin(const Options& options) {
  bench::TopicSettings settings;
  for (const std::string& setting : options.settings) {
    size_t equals = setting.find('=');
    settings.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
  }
  store::Status done;
  if (options.action == "create") {
    done = bench::CreateTopic(options.brokers, options.topic, 4, settings);
  } else if (options.action == "alter") {
    done = bench::AlterTopic(options.brokers, options.topic, settings);
  } else if (options.action == "drop") {
    done = bench::DropTopic(options.brokers, options.topic);
  } else {
    done = bench::DenyWrites(options.brokers, options.topic, options.action == "deny");
  }
  return done ? 0 : Refuse(done.error());
}

int Latency(const Options& options) {
  bench::LatencyOptions wanted;
  wanted.config.brokers = options.brokers;
  wanted.config.linger_ms = options.linger_ms;
  wanted.topic = options.topic;
  wanted.file = options.files.front();
  wanted.beside = options.beside;
  wanted.lines = options.lines;
  auto run = bench::RunLatency(wanted);
  if (!run) {
    return Refuse(run.error());
  }
  auto at = [](const std::vector<double>& sorted, double share) {
    return sorted.empty()
               ? 0.0
               : sorted[std::min(sorted.size() - 1,
                                 static_cast<size_t>(share * static_cast<double>(sorted.size())))];
  };
  auto print = [&](std::string_view what, const std::vector<double>& sorted) {
    fmt::print("\"{0}_p50\":{1:.3f},\"{0}_p99\":{2:.3f},", what, at(sorted, 0.5), at(sorted, 0.99));
  };
  fmt::print("{{");
  print("agent", run->agent.to_consumer_ms);
  print("agent_broker", run->agent.to_broker_ms);
  print("direct", run->direct.to_consumer_ms);
  print("direct_broker", run->direct.to_broker_ms);
  fmt::print("\"beside_in_partition\":{},\"lines\":{}}}\n", run->beside_in_partition,
             run->agent.to_consumer_ms.size());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"the fast half of tests/bench/agent"};
  Options options;
  app.require_subcommand(1);
  auto* generate = app.add_subcommand("generate", "write a file of numbered lines");
  generate->add_option("file", options.files)->required()->expected(1);
  generate->add_option("--stream", options.stream);
  generate->add_option("--lines", options.lines)->required();
  generate->add_option("--line-bytes", options.line_bytes);
  generate->add_flag("--text", options.text, "text that compresses");
  auto broker = [&options](CLI::App* command) {
    command->add_option("--brokers", options.brokers)->required();
    command->add_option("--topic", options.topic)->required();
    return command;
  };
  auto* ceiling = broker(app.add_subcommand("ceiling", "hand the lines over from memory"));
  ceiling->add_option("files", options.files)->required();
  ceiling->add_option("--codec", options.codec);
  ceiling->add_option("--in-flight", options.in_flight);
  ceiling->add_flag("--spin", options.spin, "the library's threads wait as the library has it");
  auto* wait = broker(app.add_subcommand("wait", "until the topic was given so many records"));
  wait->add_option("--records", options.records)->required();
  wait->add_option("--seconds", options.seconds);
  auto* verify = broker(app.add_subcommand("verify", "read the topic and judge it"));
  auto* latency =
      broker(app.add_subcommand("latency", "lines to a consumer, by agent and directly"));
  latency->add_option("file", options.files)->required()->expected(1);
  latency->add_option("--lines", options.lines)->required();
  latency->add_option("--linger", options.linger_ms);
  latency->add_option("--beside", options.beside, "a hot file of the same entry");
  auto* admin =
      broker(app.add_subcommand("admin", "create, alter, drop a topic; deny, allow writes"));
  admin->add_option("action", options.action)
      ->required()
      ->check(CLI::IsMember({"create", "alter", "drop", "deny", "allow"}));
  admin->add_option("settings", options.settings, "KEY=VALUE of create and alter");
  CLI11_PARSE(app, argc, argv);
  if (generate->parsed()) return Generate(options);
  if (ceiling->parsed()) return Ceiling(options);
  if (wait->parsed()) return Wait(options);
  if (latency->parsed()) return Latency(options);
  if (verify->parsed()) return Verify(options);
  return admin->parsed() ? Admin(options) : 2;
}
