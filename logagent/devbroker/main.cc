// SPDX-License-Identifier: Apache-2.0
// sluice-devbroker: librdkafka's mock cluster behind one port, for the quick start and for tests.
// Not a Kafka: nothing is written to disk, and each partition keeps about its last 5 MiB.
#include "logagent/devbroker/forwarder.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <signal.h>
#include <string>
#include <string_view>
#include <sys/signalfd.h>
#include <vector>

namespace {

using store::Fail;
using store::Result;

constexpr std::string_view kHelp =
    "sluice-devbroker: a Kafka for trying things out, on this host only.\n"
    "\n"
    "  --port N          port for bootstrap.servers (default 9092; 0 takes a free one)\n"
    "  --brokers N       brokers of the mock cluster (default 1)\n"
    "  --topics a:64,b   topics to create at start, with their partitions (default 4);\n"
    "                    others are created with 4 on first use\n"
    "  --help            this text\n"
    "\n"
    "Each partition keeps about its last 5 MiB, in memory. Ends on SIGINT and SIGTERM.\n";

struct Topic {
  std::string name;
  int partitions = 4;
};

struct Options {
  uint16_t port = 9092;
  int brokers = 1;
  std::vector<Topic> topics;
  bool help = false;
};

template <class T>
bool ParseNumber(std::string_view text, T low, T high, T* value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size() && *value >= low &&
         *value <= high;
}

Result<std::vector<Topic>> ParseTopics(std::string_view text) {
  std::vector<Topic> topics;
  while (!text.empty()) {
    std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    Topic topic;
    size_t colon = part.rfind(':');
    topic.name = part.substr(0, colon);
    bool valid = !topic.name.empty();
    if (colon != std::string_view::npos) {
      valid = valid && ParseNumber(part.substr(colon + 1), 1, 1000, &topic.partitions);
    }
    if (!valid) {
      return Fail(store::ErrorCode::kInvalidArgument,
                  fmt::format("--topics: '{}' is not name or name:partitions (1 to 1000)", part));
    }
    topics.push_back(std::move(topic));
  }
  return topics;
}

store::Status SetOption(std::string_view name, std::string_view value, Options& options) {
  if (name == "port") {
    if (!ParseNumber<uint16_t>(value, 0, 65535, &options.port)) {
      return Fail(store::ErrorCode::kInvalidArgument,
                  fmt::format("--port: '{}' is not a port (0 to 65535)", value));
    }
  } else if (name == "brokers") {
    if (!ParseNumber(value, 1, 16, &options.brokers)) {
      return Fail(store::ErrorCode::kInvalidArgument,
                  fmt::format("--brokers: '{}' is not a number from 1 to 16", value));
    }
  } else if (name == "topics") {
    auto topics = ParseTopics(value);
    RETURN_IF_ERROR(topics);
    options.topics = std::move(*topics);
  } else {
    return Fail(store::ErrorCode::kInvalidArgument, fmt::format("unknown flag --{}", name));
  }
  return store::Ok();
}

Result<Options> ParseOptions(const std::vector<std::string_view>& arguments) {
  Options options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string_view argument = arguments[i];
    if (argument == "--help" || argument == "-h") {
      options.help = true;
      return options;
    }
    if (!argument.starts_with("--")) {
      return Fail(store::ErrorCode::kInvalidArgument,
                  fmt::format("'{}' is not a flag; see --help", argument));
    }
    argument.remove_prefix(2);
    size_t equals = argument.find('=');
    std::string_view name = argument.substr(0, equals);
    if (equals == std::string_view::npos && i + 1 == arguments.size()) {
      return Fail(store::ErrorCode::kInvalidArgument, fmt::format("--{} needs a value", name));
    }
    std::string_view value =
        equals == std::string_view::npos ? arguments[++i] : argument.substr(equals + 1);
    RETURN_IF_ERROR(SetOption(name, value, options));
  }
  return options;
}

// The mock cluster lives inside a producer that produces nothing.
rd_kafka_t* MakeHost(std::string* error) {
  std::array<char, 512> text{};
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "log_level", "3", nullptr, 0);
  rd_kafka_t* host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text.data(), text.size());
  if (host == nullptr) {
    rd_kafka_conf_destroy(conf);
    *error = text.data();
  }
  return host;
}

uint16_t PortOf(std::string_view bootstraps) {
  std::string_view first = bootstraps.substr(0, bootstraps.find(','));
  uint16_t port = 0;
  ParseNumber<uint16_t>(first.substr(first.rfind(':') + 1), 1, 65535, &port);
  return port;
}

store::Status Serve(const Options& options, int stop_fd) {
  std::string error;
  rd_kafka_t* host = MakeHost(&error);
  if (host == nullptr) {
    return Fail(store::ErrorCode::kInternal, error);
  }
  rd_kafka_mock_cluster_t* cluster = rd_kafka_mock_cluster_new(host, options.brokers);
  store::Status served;
  for (const Topic& topic : options.topics) {
    auto code =
        rd_kafka_mock_topic_create(cluster, topic.name.c_str(), topic.partitions, options.brokers);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && served) {
      served = Fail(store::ErrorCode::kInvalidArgument,
                    fmt::format("topic {}: {}", topic.name, rd_kafka_err2str(code)));
    }
  }
  auto forwarder =
      logagent::Forwarder::Listen(options.port, PortOf(rd_kafka_mock_cluster_bootstraps(cluster)));
  if (served && !forwarder) {
    served = Fail(forwarder.error());
  }
  if (served) {
    fmt::print("sluice-devbroker is ready on 127.0.0.1:{}\n", forwarder->port());
    std::fflush(stdout);
    served = forwarder->Run(stop_fd);
  }
  rd_kafka_mock_cluster_destroy(cluster);
  rd_kafka_destroy(host);
  return served;
}

}  // namespace

int main(int argc, char** argv) {
  auto options = ParseOptions(std::vector<std::string_view>(argv + 1, argv + argc));
  if (!options) {
    fmt::print(stderr, "sluice-devbroker: {}\n", options.error().message());
    return 2;
  }
  if (options->help) {
    fmt::print("{}", kHelp);
    return 0;
  }
  // Blocked before the library starts its threads, so that all of them inherit it.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  store::UniqueFd stop_fd(signalfd(-1, &signals, SFD_CLOEXEC));
  store::Status served = Serve(*options, stop_fd.get());
  if (!served) {
    fmt::print(stderr, "sluice-devbroker: {}\n", served.error().message());
    return 1;
  }
  return 0;
}
