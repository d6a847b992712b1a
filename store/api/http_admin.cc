// SPDX-License-Identifier: Apache-2.0
#include "store/api/http_admin.h"

#include "store/cluster/version.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_split.h>
#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/gzip_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <utility>

namespace store::api {
namespace {

constexpr std::string_view kPlainText = "text/plain; charset=utf-8";
constexpr std::string_view kJson = "application/json";
constexpr std::string_view kMetricsText = "text/plain; version=0.0.4; charset=utf-8";

bool Contains(const std::vector<std::string>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

std::string_view NameOfAlarm(cluster::AlarmKind kind) {
  switch (kind) {
    case cluster::AlarmKind::kNoSpace:
      return "NOSPACE";
    case cluster::AlarmKind::kCorrupt:
      return "CORRUPT";
    case cluster::AlarmKind::kNone:
      break;
  }
  return "UNKNOWN";
}

// Every answer of the client port, as etcd's default; OPTIONS ends here.
bool AddCors(rpc::HttpExchange& exchange) {
  exchange.SetHeader("access-control-allow-methods", "POST, GET, OPTIONS, PUT, DELETE");
  exchange.SetHeader("access-control-allow-origin", "*");
  exchange.SetHeader("access-control-allow-headers", "accept, content-type, authorization");
  if (exchange.request().method != "OPTIONS") return false;
  exchange.Reply(200, "", std::string());
  return true;
}

// As Prometheus' handler reads it: a quality counts for nothing.
bool AcceptsGzip(const rpc::HttpRequest& request) {
  const std::string accepted(request.Header("accept-encoding").value_or(""));
  std::vector<std::string> codings = absl::StrSplit(accepted, ',');
  return std::any_of(codings.begin(), codings.end(), [](std::string& one) {
    absl::StripAsciiWhitespace(&one);
    return one == "gzip" || one.starts_with("gzip;");
  });
}

std::string Gzip(std::string_view text) {
  google::protobuf::io::GzipOutputStream::Options options;
  options.compression_level = 1;  // on an io loop: quick, and a twelfth is left
  std::string packed;
  google::protobuf::io::StringOutputStream out(&packed);
  google::protobuf::io::GzipOutputStream stream(&out, options);
  google::protobuf::io::CodedOutputStream(&stream).WriteRaw(text.data(),
                                                            static_cast<int>(text.size()));
  stream.Close();
  return packed;
}

}  // namespace

struct HttpAdmin::Probe {
  std::string_view kind;  // livez, readyz
  rpc::HttpExchangePtr exchange;
  Checks checks;
  size_t next = 0;
  std::string lines;
  bool failed = false;
};

HttpAdmin::HttpAdmin(const ServiceContext& context, Registry& registry)
    : context_(context),
      registry_(registry),
      health_success_(registry.AddCounter("etcd_server_health_success",
                                          "The total number of successful health checks")),
      health_failures_(registry.AddCounter("etcd_server_health_failures",
                                           "The total number of failed health checks")),
      checks_(registry.AddGauges("etcd_server_healthcheck",
                                 "The result of each kind of healthcheck.", {"name", "type"})),
      check_results_(registry.AddCounters("etcd_server_healthchecks_total",
                                          "The total number of each kind of healthcheck.",
                                          {"name", "status", "type"})) {}

void HttpAdmin::RegisterClientPages(rpc::HttpRouter& router) {
  router.SetFilter(AddCors);
  AddVersionPage(router, context_.state);
  RegisterPages(router);
}

void HttpAdmin::RegisterPages(rpc::HttpRouter& router) {
  router.Add("GET", "/health", [this](const rpc::HttpExchangePtr& exchange) { Health(exchange); });
  RegisterProbe(router, "livez", {Check::kSerializableRead});
  RegisterProbe(router, "readyz",
                {Check::kDataCorruption, Check::kSerializableRead, Check::kLinearizableRead,
                 Check::kNonLearner});
  router.Add("*", "/metrics", [this](const rpc::HttpExchangePtr& exchange) {
    std::string text = registry_.Text();
    if (AcceptsGzip(exchange->request())) {
      exchange->SetHeader("content-encoding", "gzip");
      text = Gzip(text);
    }
    exchange->Reply(200, kMetricsText, std::move(text));
  });
}

// Alarms, then the leader, then a read.
void HttpAdmin::Health(const rpc::HttpExchangePtr& exchange) {
  std::vector<std::string> excluded = exchange->request().Query("exclude");
  bool serializable = Contains(exchange->request().Query("serializable"), "true");
  {
    apply::StateRef state = context_.state.Read();
    for (const cluster::Alarm& alarm : state->alarms->alarms()) {
      std::string_view name = NameOfAlarm(alarm.kind);
      if (!Contains(excluded, name)) return AnswerHealth(*exchange, fmt::format("ALARM {}", name));
    }
  }
  if (serializable) return AnswerHealth(*exchange, "");
  if (context_.gauges.leader.load(std::memory_order_relaxed) == 0) {
    return AnswerHealth(*exchange, "RAFT NO LEADER");
  }
  PendingCalls& pending = context_.At(exchange->request().loop);
  CallHandle handle = pending.Read([this, exchange](ErrorCode code) {
    if (code == ErrorCode::kOk) return AnswerHealth(*exchange, "");
    AnswerHealth(*exchange, fmt::format("RANGE ERROR:{}", StatusOf(code).message));
  });
  if (handle) exchange->OnCancel([&pending, handle] { pending.Drop(handle); });
}

void HttpAdmin::AnswerHealth(rpc::HttpExchange& exchange, std::string_view reason) {
  if (reason.empty()) {
    health_success_.Add();
    return exchange.Reply(200, kPlainText, std::string(R"({"health":"true","reason":""})"));
  }
  health_failures_.Add();
  exchange.ReplyError(503, fmt::format(R"({{"health":"false","reason":"{}"}})", reason));
}

std::string_view HttpAdmin::NameOf(Check check) {
  switch (check) {
    case Check::kDataCorruption:
      return "data_corruption";
    case Check::kSerializableRead:
      return "serializable_read";
    case Check::kLinearizableRead:
      return "linearizable_read";
    case Check::kNonLearner:
      return "non_learner";
  }
  return "";
}

void HttpAdmin::RegisterProbe(rpc::HttpRouter& router, std::string_view kind,
                              const Checks& checks) {
  router.Add("GET", fmt::format("/{}", kind),
             [this, kind, checks](const rpc::HttpExchangePtr& exchange) {
               StartProbe(exchange, kind, WithoutExcluded(exchange->request(), checks));
             });
  for (Check check : checks) {
    router.Add("GET", fmt::format("/{}/{}", kind, NameOf(check)),
               [this, kind, check](const rpc::HttpExchangePtr& exchange) {
                 StartProbe(exchange, kind, {check});
               });
  }
}

HttpAdmin::Checks HttpAdmin::WithoutExcluded(const rpc::HttpRequest& request, Checks checks) {
  std::vector<std::string> excluded = request.Query("exclude");
  std::erase_if(checks, [&excluded](Check check) { return Contains(excluded, NameOf(check)); });
  return checks;
}

void HttpAdmin::StartProbe(const rpc::HttpExchangePtr& exchange, std::string_view kind,
                           Checks checks) {
  auto probe = std::make_shared<Probe>();
  probe->kind = kind;
  probe->exchange = exchange;
  probe->checks = std::move(checks);
  RunChecks(probe);
}

void HttpAdmin::RunChecks(const std::shared_ptr<Probe>& probe) {
  while (probe->next < probe->checks.size()) {
    Check check = probe->checks[probe->next++];
    if (check != Check::kLinearizableRead) {
      FinishCheck(*probe, check, RunLocal(check));
      continue;
    }
    PendingCalls& pending = context_.At(probe->exchange->request().loop);
    CallHandle handle = pending.Read([this, probe, check](ErrorCode code) {
      std::optional<std::string> error;
      if (code != ErrorCode::kOk) error = StatusOf(code).message;
      FinishCheck(*probe, check, error);
      RunChecks(probe);
    });
    if (handle) probe->exchange->OnCancel([&pending, handle] { pending.Drop(handle); });
    return;
  }
  Answer(*probe);
}

// The error, or nothing.
std::optional<std::string> HttpAdmin::RunLocal(Check check) const {
  apply::StateRef state = context_.state.Read();
  if (check == Check::kDataCorruption && state->alarms->Any(cluster::AlarmKind::kCorrupt)) {
    return "alarm activated: CORRUPT";
  }
  bool learner = context_.gauges.is_learner.load(std::memory_order_relaxed);
  if (check == Check::kNonLearner && learner) return "not supported for learner";
  return std::nullopt;
}

void HttpAdmin::FinishCheck(Probe& probe, Check check, const std::optional<std::string>& error) {
  const std::string name(NameOf(check));
  const std::string kind(probe.kind);
  checks_.With({name, kind}).Set(error ? 0 : 1);
  check_results_.With({name, error ? "error" : "success", kind}).Add();
  if (!error) {
    probe.lines += fmt::format("[+]{} ok\n", NameOf(check));
    return;
  }
  probe.failed = true;
  probe.lines += fmt::format("[-]{} failed: {}\n", NameOf(check), *error);
}

void HttpAdmin::Answer(Probe& probe) {
  if (probe.failed) return probe.exchange->ReplyError(503, probe.lines);
  probe.exchange->SetHeader("x-content-type-options", "nosniff");
  bool verbose = !probe.exchange->request().Query("verbose").empty();
  probe.exchange->Reply(200, kPlainText, (verbose ? probe.lines : std::string()) + "ok\n");
}

void AddVersionPage(rpc::HttpRouter& router, const apply::StateMachine& machine) {
  router.Add("GET", "/version", [&machine](const rpc::HttpExchangePtr& exchange) {
    std::string agreed = *machine.Read()->cluster_version;
    exchange->Reply(200, kJson,
                    fmt::format(R"({{"etcdserver":"{}","etcdcluster":"{}","storage":"{}"}})",
                                cluster::kServerVersion, agreed.empty() ? "not_decided" : agreed,
                                agreed.empty() ? "unknown" : agreed));
  });
}

}  // namespace store::api
