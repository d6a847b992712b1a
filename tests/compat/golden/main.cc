// SPDX-License-Identifier: Apache-2.0
// sluice-golden: replays golden files against a running store that is fresh for each file, and
// prints what is answered otherwise; with --rewrite it records the store's answers instead. One
// thread. tests/compat/golden/run starts the stores. Exit status: 0 equal, 1 not, 2 usage.
#include "store/base/check.h"
#include "tests/compat/differential/identity.h"
#include "tests/compat/differential/wire.h"
#include "tests/compat/golden/golden_file.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace compat {
namespace {

using google::protobuf::DynamicCastToGenerated;
using google::protobuf::Message;
using google::protobuf::MethodDescriptor;

constexpr store::Duration kPatience = std::chrono::seconds(10);
// While recording nobody knows how many answers of a stream are still to come.
constexpr store::Duration kQuiet = std::chrono::milliseconds(400);
constexpr size_t kShownBytesMax = 400;

class Session {
 public:
  Session(const std::string& endpoint, bool rewrite) : wire_(queue_, endpoint), rewrite_(rewrite) {}

  // Whether the store answers; learns its ids.
  bool Begin();
  // The answers to one request line; `expected` is how many were recorded.
  std::vector<std::string> Run(const GoldenLine& line, size_t expected);
  // What streams still say.
  std::vector<std::string> End();

 private:
  struct OpenStream {
    const MethodDescriptor* method = nullptr;
    std::unique_ptr<Stream> stream;
    bool told_end = false;
  };

  std::string Show(const Reply& reply);
  std::string Show(Message& message);
  std::vector<std::string> RunUnary(const MethodDescriptor* method, const Message& request);
  std::vector<std::string> RunServerStream(const MethodDescriptor* method, const Message& request);
  // All that streams have said since the last time, each line with the stream's name.
  std::vector<std::string> TakeStreams();
  std::vector<std::string> RunStream(const GoldenLine& line);
  bool HasArrived(size_t count);

  CallQueue queue_;
  Wire wire_;
  const bool rewrite_;
  Identity identity_;
  int64_t chosen_ = 0;
  std::map<std::string, OpenStream> streams_;
  std::vector<std::string> without_;  // fields that are a store's own affair
};

bool Session::Begin() {
  etcdserverpb::RangeRequest request;
  request.set_key("k");
  auto call = wire_.Start(FindMethod("KV/Range"), request);
  if (!queue_.WaitUntil([&call] { return call->done; }, kPatience) || call->reply.code != 0) {
    return false;
  }
  identity_.Learn(
      DynamicCastToGenerated<etcdserverpb::RangeResponse>(call->reply.message.get())->header());
  return true;
}

std::string Session::Show(Message& message) {
  identity_.MapReply(message);
  for (const std::string& name : without_) {
    const auto* field = message.GetDescriptor()->FindFieldByName(name);
    if (field != nullptr) message.GetReflection()->ClearField(&message, field);
  }
  if (auto* status = DynamicCastToGenerated<etcdserverpb::StatusResponse>(&message)) {
    // Alarms in protobuf's text form, which has blanks at places that change from build to build.
    for (std::string& error : *status->mutable_errors()) {
      error.erase(std::unique(error.begin(), error.end(),
                              [](char a, char b) { return a == ' ' && b == ' '; }),
                  error.end());
    }
  }
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  printer.SetTruncateStringFieldLongerThan(kShownBytesMax);
  std::string text;
  CHECK(printer.PrintToString(message, &text));
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return "{" + text + "}";
}

std::string Session::Show(const Reply& reply) {
  return reply.message != nullptr ? Show(*reply.message)
                                  : fmt::format("code {}: {}", reply.code, reply.text);
}

std::vector<std::string> Session::RunUnary(const MethodDescriptor* method, const Message& request) {
  auto call = wire_.Start(method, request);
  if (!queue_.WaitUntil([&call] { return call->done; }, kPatience * 4)) return {"no answer"};
  const auto* grant = DynamicCastToGenerated<etcdserverpb::LeaseGrantRequest>(&request);
  if (grant != nullptr && grant->id() == 0 && call->reply.message != nullptr) {
    identity_.Bind(
        --chosen_ - 1'000'000,
        DynamicCastToGenerated<etcdserverpb::LeaseGrantResponse>(call->reply.message.get())->id());
  }
  return {Show(call->reply)};
}

// One line for all pieces, put together: where they are cut depends on sizes.
std::vector<std::string> Session::RunServerStream(const MethodDescriptor* method,
                                                  const Message& request) {
  auto stream = wire_.Open(method);
  stream->Send(request);
  stream->CloseSend();
  if (!queue_.WaitUntil([&stream] { return stream->finished(); }, kPatience)) return {"no end"};
  Reply status = stream->status();
  if (status.code != 0 || stream->responses().empty()) return {Show(status)};
  MessagePtr whole = std::move(stream->responses().front());
  stream->responses().pop_front();
  for (const MessagePtr& piece : stream->responses()) whole->MergeFrom(*piece);
  if (auto* ranged = DynamicCastToGenerated<etcdserverpb::RangeStreamResponse>(whole.get())) {
    return {Show(*ranged->mutable_range_response())};
  }
  return {Show(*whole)};
}

std::vector<std::string> Session::TakeStreams() {
  std::vector<std::string> answers;
  for (auto& [name, open] : streams_) {
    for (MessagePtr& message : std::exchange(open.stream->responses(), {})) {
      answers.push_back(fmt::format("{} {}", name, Show(*message)));
    }
    if (open.stream->finished() && !open.told_end) {
      open.told_end = true;
      Reply status = open.stream->status();
      answers.push_back(fmt::format("{} end, code {}: {}", name, status.code, status.text));
    }
  }
  return answers;
}

bool Session::HasArrived(size_t count) {
  size_t arrived = 0;
  for (const auto& [name, open] : streams_) {
    arrived += open.stream->responses().size();
    arrived += open.stream->finished() && !open.told_end ? 1 : 0;
  }
  return arrived >= count;
}

// "open w1 Watch/Watch", "close w1", "without version dbSize", "wait", "flags …" (which `run` has
// given the store) or "w1 create_request {…}".
std::vector<std::string> Session::RunStream(const GoldenLine& line) {
  std::string word(line.first_word());
  std::string rest(line.rest());
  if (word == "open") {
    size_t space = rest.find(' ');
    OpenStream open;
    open.method = FindMethod(space == std::string::npos ? "" : rest.substr(space + 1));
    if (open.method == nullptr) return {"no such method"};
    open.stream = wire_.Open(open.method);
    streams_[rest.substr(0, space)] = std::move(open);
    return {};
  }
  if (word == "close") {
    auto found = streams_.find(rest);
    if (found == streams_.end()) return {"no such stream"};
    found->second.stream->CloseSend();
    return {};
  }
  if (word == "without") {
    without_.clear();
    std::istringstream names(rest);
    for (std::string name; names >> name;) without_.push_back(name);
    return {};
  }
  if (word == "wait" || word == "flags") return {};
  auto found = streams_.find(word);
  if (found == streams_.end()) return {"no such stream"};
  MessagePtr request = NewMessage(found->second.method->input_type());
  if (!google::protobuf::TextFormat::ParseFromString(Expand(rest), request.get())) {
    return {"the request is not valid"};
  }
  identity_.MapRequest(*request);
  found->second.stream->Send(*request);
  return {};
}

std::vector<std::string> Session::Run(const GoldenLine& line, size_t expected) {
  const MethodDescriptor* method = FindMethod(line.first_word());
  std::vector<std::string> answers;
  if (method == nullptr) {
    answers = RunStream(line);
  } else {
    MessagePtr request = NewMessage(method->input_type());
    if (!google::protobuf::TextFormat::ParseFromString(Expand(line.rest()), request.get())) {
      return {"the request is not valid"};
    }
    identity_.MapRequest(*request);
    answers =
        method->server_streaming() ? RunServerStream(method, *request) : RunUnary(method, *request);
  }
  if (!streams_.empty()) {
    size_t owed = rewrite_ ? SIZE_MAX : expected - std::min(expected, answers.size());
    queue_.WaitUntil([&] { return HasArrived(owed); }, rewrite_ ? kQuiet : kPatience);
    for (std::string& answer : TakeStreams()) answers.push_back(std::move(answer));
  }
  return answers;
}

std::vector<std::string> Session::End() {
  if (streams_.empty()) return {};
  queue_.WaitUntil([this] { return HasArrived(1); }, kQuiet);
  return TakeStreams();
}

struct Totals {
  size_t cases = 0;
  size_t requests = 0;
  size_t differing = 0;
};

// Takes the recorded answers that follow line `at` out of `lines`.
std::vector<std::string> TakeRecorded(const std::vector<GoldenLine>& lines, size_t& at) {
  std::vector<std::string> recorded;
  while (at + 1 < lines.size() && lines[at + 1].kind == GoldenLine::Kind::kAnswer) {
    recorded.push_back(lines[++at].text);
  }
  return recorded;
}

void ShowDifference(const std::string& path, const GoldenLine& line,
                    const std::vector<std::string>& recorded,
                    const std::vector<std::string>& answers) {
  std::cout << fmt::format("{}:{}: {}\n", path, line.number, line.text.substr(0, kShownBytesMax));
  for (const std::string& text : recorded) std::cout << "  recorded: " << text << "\n";
  for (const std::string& text : answers) std::cout << "  answered: " << text << "\n";
}

bool Replay(const std::string& path, const std::string& endpoint, bool rewrite, Totals& totals) {
  std::vector<GoldenLine> lines = ReadGolden(path);
  Session session(endpoint, rewrite);
  if (lines.empty() || !session.Begin()) {
    std::cout << fmt::format("{}: no cases, or {} does not answer\n", path, endpoint);
    return false;
  }
  std::vector<std::string> written;
  for (size_t at = 0; at < lines.size(); ++at) {
    const GoldenLine& line = lines[at];
    written.push_back(Print(line));
    totals.cases += line.kind == GoldenLine::Kind::kCase ? 1 : 0;
    if (line.kind != GoldenLine::Kind::kRequest) continue;
    ++totals.requests;
    std::vector<std::string> recorded = TakeRecorded(lines, at);
    std::vector<std::string> answers = session.Run(line, recorded.size());
    for (const std::string& answer : answers) written.push_back("< " + answer);
    if (!rewrite && answers != recorded) {
      ++totals.differing;
      ShowDifference(path, line, recorded, answers);
    }
  }
  std::vector<std::string> late = session.End();
  for (const std::string& text : late) std::cout << fmt::format("{}: late: {}\n", path, text);
  totals.differing += late.size();
  if (rewrite) {
    std::ofstream file(path);
    for (const std::string& text : written) file << text << "\n";
  }
  return true;
}

}  // namespace
}  // namespace compat

int main(int argc, char** argv) {
  std::string endpoint;
  std::string file;
  bool rewrite = false;
  CLI::App app("Replays recorded requests and compares the answers.");
  app.add_option("--endpoint", endpoint, "a fresh store, host:port")->required();
  app.add_flag("--rewrite", rewrite, "records what this store answers");
  app.add_option("file", file, "the cases")->required();
  CLI11_PARSE(app, argc, argv);
  compat::Totals totals;
  if (!compat::Replay(file, endpoint, rewrite, totals)) return 2;
  std::cout << fmt::format("{} cases, {} requests, {} differ\n", totals.cases, totals.requests,
                           totals.differing);
  return totals.differing == 0 ? 0 : 1;
}
