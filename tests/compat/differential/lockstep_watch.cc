// SPDX-License-Identifier: Apache-2.0
// The half of Lockstep that waits for watch answers and compares them.
#include "tests/compat/differential/lockstep.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace compat {
namespace {

using etcdserverpb::WatchResponse;
using google::protobuf::DynamicCastToGenerated;

constexpr store::Duration kPatience = std::chrono::seconds(20);
// etcd looks after watchers of the past every 100 ms.
constexpr store::Duration kCatchUpRound = std::chrono::milliseconds(300);
constexpr size_t kShownBytesMax = 3000;

std::string Shown(const WatchResponse* response) {
  if (response == nullptr) return "nothing";
  std::string text = response->ShortDebugString();
  if (text.size() > kShownBytesMax) text.replace(kShownBytesMax, std::string::npos, "...");
  return "{" + text + "}";
}

const WatchResponse& AsWatch(const MessagePtr& message) {
  return *DynamicCastToGenerated<WatchResponse>(message.get());
}

WatchBook::Due Arrived(Stream& stream) {
  WatchBook::Due arrived;
  for (const MessagePtr& message : stream.responses()) {
    const WatchResponse& response = AsWatch(message);
    arrived.events += static_cast<size_t>(response.events_size());
    arrived.answers += response.events_size() == 0 ? 1 : 0;
  }
  return arrived;
}

// The same number of events in other pieces. Only of several revisions: one is cut alike.
bool IsCutOtherwise(const std::vector<const WatchResponse*>& left,
                    const std::vector<const WatchResponse*>& right) {
  auto events = [](const std::vector<const WatchResponse*>& responses) {
    std::vector<int64_t> revisions;
    for (const WatchResponse* one : responses) {
      for (const auto& event : one->events()) revisions.push_back(event.kv().mod_revision());
    }
    return revisions;
  };
  const std::vector<int64_t> revisions = events(left);
  if (revisions.empty() || revisions.front() == revisions.back()) return false;
  if (revisions != events(right)) return false;
  return !std::ranges::equal(left, right, [](const auto* one, const auto* other) {
    return one->events_size() == other->events_size() && one->fragment() == other->fragment();
  });
}

bool IsProgress(const WatchResponse& response) {
  return response.events_size() == 0 && !response.created() && !response.canceled();
}

}  // namespace

Lockstep::Answers Lockstep::TakeAnswers(Store& store, Stream& stream) {
  Answers answers;
  for (MessagePtr& message : std::exchange(stream.responses(), {})) {
    store.identity.MapReply(*message);
    answers.emplace_back(DynamicCastToGenerated<WatchResponse>(message.release()));
  }
  return answers;
}

// Adjacent responses of one header, as one.
std::vector<const WatchResponse*> Joined(const std::vector<const WatchResponse*>& responses,
                                         Lockstep::Answers& made) {
  std::vector<const WatchResponse*> joined;
  WatchResponse* open = nullptr;
  for (const WatchResponse* response : responses) {
    bool fits = open != nullptr && response->events_size() > 0 &&
                response->header().revision() == open->header().revision();
    if (fits) {
      open->mutable_events()->MergeFrom(response->events());
      continue;
    }
    made.push_back(std::make_unique<WatchResponse>(*response));
    made.back()->clear_fragment();
    open = response->events_size() > 0 ? made.back().get() : nullptr;
    joined.push_back(made.back().get());
  }
  return joined;
}

// Those of each watcher in their order; etcd does not order one watcher's before another's.
bool Lockstep::CompareAnswers(const std::string& what, const Answers& first,
                              const Answers& second) {
  using ByWatcher = std::map<int64_t, std::vector<const WatchResponse*>>;
  std::array<ByWatcher, 2> sorted;
  for (const auto& answer : first) sorted[0][answer->watch_id()].push_back(answer.get());
  for (const auto& answer : second) sorted[1][answer->watch_id()].push_back(answer.get());
  for (const auto& [id, unused] : ByWatcher(sorted[1])) sorted[0][id];
  for (auto& [id, left] : sorted[0]) {
    auto& right = sorted[1][id];
    Answers made;
    if (rules_.Use("watch-batches", IsCutOtherwise(left, right))) {
      left = Joined(left, made);
      right = Joined(right, made);
    }
    for (size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
      const WatchResponse* one = i < left.size() ? left[i] : nullptr;
      const WatchResponse* other = i < right.size() ? right[i] : nullptr;
      ++counts_["Watch/answers"];
      if (one != nullptr && other != nullptr &&
          one->SerializeAsString() == other->SerializeAsString()) {
        continue;
      }
      return Differ(fmt::format("{}, watcher {}\n  first:  {}\n  second: {}", what, id, Shown(one),
                                Shown(other)));
    }
  }
  return true;
}

bool Lockstep::Follow(int64_t revision) {
  if (revision <= world_.current) return true;
  auto arrived = [revision](Store& store) {
    const auto& responses = store.observer->responses();
    return store.observer->finished() ||
           (!responses.empty() && AsWatch(responses.back()).header().revision() >= revision &&
            AsWatch(responses.back()).events_size() > 0);
  };
  bool came = queue_.WaitUntil([&] { return std::all_of(stores_.begin(), stores_.end(), arrived); },
                               kPatience);
  Answers first = TakeAnswers(stores_[0], *stores_[0].observer);
  Answers second = TakeAnswers(stores_[1], *stores_[1].observer);
  if (!CompareAnswers("watch of everything", first, second)) return false;
  if (!came) return Differ(fmt::format("no event of revision {} came", revision));
  for (const auto& answer : first) {
    for (const auto& event : answer->events()) {
      Change change{event.kv().mod_revision(), event.kv().key(),
                    event.type() == mvccpb::Event::DELETE};
      for (WatchBook& book : books_) book.OnChange(change);
      world_.history.push_back(std::move(change));
    }
  }
  world_.current = revision;
  return true;
}

bool Lockstep::CheckWatches() {
  for (size_t i = 0; i < books_.size(); ++i) {
    if (!CheckWatch(i)) return false;
  }
  return true;
}

bool Lockstep::CheckWatch(size_t stream) {
  if (stores_[0].watches[stream] == nullptr) return true;
  WatchBook::Due due = books_[stream].due();
  size_t more = std::exchange(more_of_first_[stream], 0);
  auto complete = [&](size_t i) {
    Stream& one = *stores_[i].watches[stream];
    WatchBook::Due arrived = Arrived(one);
    size_t answers = due.answers + (i == 0 ? more : 0);
    return one.finished() || (arrived.answers >= answers && arrived.events >= due.events);
  };
  bool came = queue_.WaitUntil([&] { return complete(0) && complete(1); }, kPatience);
  Answers first = TakeAnswers(stores_[0], *stores_[0].watches[stream]);
  Answers second = TakeAnswers(stores_[1], *stores_[1].watches[stream]);
  if (more > 0) {
    auto extra = std::find_if(first.begin(), first.end(),
                              [](const auto& answer) { return IsProgress(*answer); });
    if (extra != first.end()) first.erase(extra);
  }
  std::string what = fmt::format("watch stream {}", stream);
  if (!CompareAnswers(what, first, second)) return false;
  if (!came) {
    return Differ(fmt::format("{}: {} answers and {} events are due, both sent less: {}", what,
                              due.answers, due.events, first.size()));
  }
  for (const Store& store : stores_) {
    if (!store.watches[stream]->finished()) continue;
    return Differ(fmt::format("{} ended: {}", what, store.watches[stream]->status().text));
  }
  books_[stream].Settled();
  return true;
}

void Lockstep::WaitForCatchUp() {
  bool silent = std::any_of(books_.begin(), books_.end(),
                            [](const WatchBook& book) { return book.has_silent_catch_up(); });
  if (!silent) return;
  queue_.WaitUntil([] { return false; }, kCatchUpRound);
  for (WatchBook& book : books_) book.CaughtUp();
}

bool Lockstep::CreateWatch(size_t stream, const etcdserverpb::WatchCreateRequest& request) {
  bool two_answers = request.start_revision() < 0 && rules_.Use("watch-before-history", true);
  WatchBook::Outcome outcome = books_[stream].OnCreate(request, world_);
  if (outcome == WatchBook::Outcome::kRefused && !two_answers) return CheckWatch(stream);
  auto first_answer = [&](Store& store) { return !store.watches[stream]->responses().empty(); };
  if (!queue_.WaitUntil([&] { return first_answer(stores_[0]) && first_answer(stores_[1]); },
                        kPatience)) {
    return Differ("no answer to the creation of a watch");
  }
  auto& answers = stores_[0].watches[stream]->responses();
  if (!two_answers || outcome != WatchBook::Outcome::kRefused) {
    books_[stream].Register(AsWatch(answers.front()).watch_id(), request, outcome, world_);
    return CheckWatch(stream);
  }
  queue_.WaitUntil([&] { return answers.size() >= 2; }, kPatience);
  if (answers.size() != 2 || !AsWatch(answers[1]).canceled()) return CheckWatch(stream);
  auto expected = std::make_unique<WatchResponse>();
  *expected->mutable_header() = AsWatch(answers[0]).header();
  expected->set_watch_id(-1);
  expected->set_created(true);
  expected->set_canceled(true);
  expected->set_cancel_reason("etcdserver: mvcc: required revision has been compacted");
  answers.clear();
  answers.push_back(std::move(expected));
  return CheckWatch(stream);
}

bool Lockstep::RunWatch(const Step& step) {
  ++counts_["Watch/Watch"];
  const auto& request = *DynamicCastToGenerated<etcdserverpb::WatchRequest>(step.request.get());
  if (request.has_progress_request()) WaitForCatchUp();
  for (Store& store : stores_) {
    auto& watch = store.watches[step.stream];
    if (watch == nullptr) watch = store.wire->Open(FindMethod(step.method));
    watch->Send(request);
  }
  WatchBook& book = books_[step.stream];
  if (request.has_create_request()) return CreateWatch(step.stream, request.create_request());
  if (request.has_cancel_request()) book.OnCancel(request.cancel_request().watch_id());
  if (request.has_progress_request() && !book.OnProgress(world_)) {
    if (options_.dialect == Dialect::kOldWithItself) book.Owe();
    more_of_first_[step.stream] = rules_.Use("progress-always", true) ? 1 : 0;
  }
  return true;
}

// A stream whose client has ended its half goes on to deliver events; then it is given up.
bool Lockstep::RunWatchClose(const Step& step) {
  if (stores_[0].watches[step.stream] == nullptr) return true;
  for (Store& store : stores_) store.watches[step.stream]->CloseSend();
  etcdserverpb::PutRequest put;
  put.set_key("a/1");
  std::array<Reply, 2> replies;
  if (!Ask("KV/Put", put, replies)) return false;
  if (!Equal("KV/Put after the end of a client's half", replies[0], replies[1])) return false;
  if (replies[0].message != nullptr && !Follow(HeaderOf(*replies[0].message).revision())) {
    return false;
  }
  if (!CheckWatches()) return false;
  for (Store& store : stores_) store.watches[step.stream].reset();
  books_[step.stream] = WatchBook();
  return true;
}

bool Lockstep::End() {
  queue_.WaitUntil([] { return false; }, kCatchUpRound);
  for (size_t i = 0; i < books_.size(); ++i) {
    if (!CheckWatch(i)) return false;
  }
  Answers first = TakeAnswers(stores_[0], *stores_[0].observer);
  Answers second = TakeAnswers(stores_[1], *stores_[1].observer);
  return CompareAnswers("watch of everything", first, second);
}

}  // namespace compat
