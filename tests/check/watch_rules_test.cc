// SPDX-License-Identifier: Apache-2.0
// Correct watches pass, and each kind of damage is reported.
#include "tests/check/watch_rules.h"

#include "store/base/random.h"
#include "tests/check/made_history.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace store::check {
namespace {

std::string Text(const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& problem : problems) {
    text += "  " + problem.rule + ": " + problem.text + "\n";
  }
  return text;
}

History Made(uint64_t seed) {
  MadeOptions options;
  options.seed = seed;
  return MakeHistory(options).history;
}

TEST(WatchRules, CorrectWatchesPass) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const std::vector<Problem> problems = CheckWatches(Made(seed));
    ASSERT_TRUE(problems.empty()) << "seed " << seed << "\n" << Text(problems);
  }
}

// A history with one response of one watch in hand.
struct Damaged {
  History history;
  Random random;
  Watch* watch = nullptr;
  size_t at = 0;

  WatchResponse& response() { return watch->responses[at]; }
  void Drop() {
    watch->responses.erase(watch->responses.begin() + static_cast<std::ptrdiff_t>(at));
  }
  // A random response for which `is` holds comes to hand.
  template <class Is>
  bool Take(Is is) {
    std::vector<std::pair<Watch*, size_t>> all;
    for (Watch& one : history.watches) {
      for (size_t i = 0; i < one.responses.size(); ++i) {
        if (is(one, i)) {
          all.emplace_back(&one, i);
        }
      }
    }
    if (all.empty()) {
      return false;
    }
    std::tie(watch, at) = all[random.Below(all.size())];
    return true;
  }
};

bool HasEvents(const Watch& watch, size_t i) { return !watch.responses[i].events.empty(); }
bool IsWhole(const Watch& watch, size_t i) {
  return HasEvents(watch, i) && !watch.responses[i].fragment &&
         (i == 0 || !watch.responses[i - 1].fragment);
}
bool IsProgress(const Watch& watch, size_t i) {
  const WatchResponse& response = watch.responses[i];
  return !response.created && !response.canceled && response.events.empty();
}
bool BeforeEvents(const Watch& watch, size_t i) {
  return IsWhole(watch, i) && i + 1 < watch.responses.size() && IsWhole(watch, i + 1);
}
bool IsCreated(const Watch& watch, size_t i) {
  return watch.responses[i].created && watch.responses.size() > 1;
}
bool IsCompacted(const Watch& watch, size_t i) { return watch.responses[i].canceled; }
bool HasPrevious(const Watch& watch, size_t i) {
  return HasEvents(watch, i) && watch.responses[i].events[0].has_prev;
}
bool HasPut(const Watch& watch, size_t i) {
  return HasEvents(watch, i) && !watch.responses[i].events[0].event.is_delete;
}
bool HasDelete(const Watch& watch, size_t i) {
  return HasEvents(watch, i) && watch.responses[i].events[0].event.is_delete;
}
bool HasSeveral(const Watch& watch, size_t i) {
  return IsWhole(watch, i) && watch.responses[i].events.size() > 1;
}
bool IsLast(const Watch& watch, size_t i) {
  return watch.complete && HasEvents(watch, i) &&
         std::all_of(watch.responses.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                     watch.responses.end(), [](const auto& after) { return after.events.empty(); });
}
bool IsFragment(const Watch& watch, size_t i) { return watch.responses[i].fragment; }

// Changes a response for which `is` holds; false if there is none.
struct Damage {
  bool (*is)(const Watch&, size_t);
  void (*change)(Damaged&);
  bool operator()(Damaged& d) const {
    if (!d.Take(is)) {
      return false;
    }
    change(d);
    return true;
  }
};
Damage Change1(bool (*is)(const Watch&, size_t), void (*change)(Damaged&)) { return {is, change}; }

Event& FirstEvent(Damaged& d) { return d.response().events[0].event; }

const std::vector<std::pair<std::string, Damage>> kDamages = {
    {"not created", Change1(IsCreated, [](Damaged& d) { d.Drop(); })},
    {"created twice",
     Change1(IsCreated, [](Damaged& d) { d.watch->responses.push_back(d.response()); })},
    {"events lost", Change1(HasEvents, [](Damaged& d) { d.Drop(); })},
    {"the last events lost", Change1(IsLast, [](Damaged& d) { d.watch->responses.resize(d.at); })},
    {"events twice", Change1(IsWhole,
                             [](Damaged& d) {
                               d.watch->responses.insert(
                                   d.watch->responses.begin() + static_cast<std::ptrdiff_t>(d.at),
                                   WatchResponse(d.response()));
                             })},
    {"an event twice in a response",
     Change1(HasEvents, [](Damaged& d) { d.response().events.push_back(d.response().events[0]); })},
    {"responses swapped", Change1(BeforeEvents,
                                  [](Damaged& d) {
                                    std::swap(d.response().events,
                                              d.watch->responses[d.at + 1].events);
                                  })},
    {"a revision torn", Change1(HasSeveral,
                                [](Damaged& d) {
                                  WatchResponse first = d.response();
                                  first.events.resize(1);
                                  d.response().events.erase(d.response().events.begin());
                                  d.watch->responses.insert(d.watch->responses.begin() +
                                                                static_cast<std::ptrdiff_t>(d.at),
                                                            std::move(first));
                                })},
    {"the rest of a fragment lost", Change1(IsFragment,
                                            [](Damaged& d) {
                                              ++d.at;
                                              d.Drop();
                                            })},
    {"an event of a response lost",
     Change1(HasSeveral, [](Damaged& d) { d.response().events.pop_back(); })},
    {"another value", Change1(HasPut, [](Damaged& d) { FirstEvent(d).kv.value += "?"; })},
    {"another key", Change1(HasEvents, [](Damaged& d) { FirstEvent(d).kv.key = "z"; })},
    {"another version", Change1(HasPut, [](Damaged& d) { ++FirstEvent(d).kv.version; })},
    {"a create that is none", Change1(HasPut,
                                      [](Damaged& d) {
                                        Event& event = FirstEvent(d);
                                        event.kv.create = event.kv.create == event.kv.mod
                                                              ? event.kv.mod - 1
                                                              : event.kv.mod;
                                      })},
    {"another lease", Change1(HasPut, [](Damaged& d) { FirstEvent(d).kv.lease += 7; })},
    {"another mod", Change1(HasEvents, [](Damaged& d) { ++FirstEvent(d).kv.mod; })},
    {"a delete told as a put",
     Change1(HasDelete, [](Damaged& d) { FirstEvent(d).is_delete = false; })},
    {"a put told as a delete", Change1(HasPut, [](Damaged& d) { FirstEvent(d).is_delete = true; })},
    {"a previous value changed",
     Change1(HasPrevious, [](Damaged& d) { d.response().events[0].prev.value += "?"; })},
    {"a previous value missing",
     Change1(HasPrevious, [](Damaged& d) { d.response().events[0].has_prev = false; })},
    {"a previous value nobody asked for",
     Change1(HasPrevious, [](Damaged& d) { d.watch->prev_kv = false; })},
    {"a filter ignored", Change1(HasPut, [](Damaged& d) { d.watch->no_put = true; })},
    {"another filter ignored", Change1(HasDelete, [](Damaged& d) { d.watch->no_delete = true; })},
    {"events below the start",
     Change1(IsWhole,
             [](Damaged& d) { d.watch->start = d.response().events[0].event.kv.mod + 1; })},
    {"a start that was not honoured", Change1(HasEvents,
                                              [](Damaged& d) {
                                                d.watch->key = "nothing";
                                                d.watch->end.clear();
                                              })},
    {"progress before its events", Change1(BeforeEvents,
                                           [](Damaged& d) {
                                             WatchResponse progress = d.watch->responses[d.at + 1];
                                             progress.events.clear();
                                             d.watch->responses.insert(
                                                 d.watch->responses.begin() +
                                                     static_cast<std::ptrdiff_t>(d.at),
                                                 std::move(progress));
                                           })},
    {"progress above all", Change1(IsProgress, [](Damaged& d) { d.response().revision += 10000; })},
    {"a header below its event",
     Change1(HasEvents,
             [](Damaged& d) { d.response().revision = d.response().events[0].event.kv.mod - 1; })},
    {"a header that goes back",
     Change1(BeforeEvents, [](Damaged& d) { d.response().revision += 10000; })},
    {"told before it was asked for", Change1(HasPut, [](Damaged& d) { d.response().at = -1; })},
    {"canceled for a compaction of nobody",
     Change1(IsCompacted, [](Damaged& d) { d.response().compact += 10000; })},
    {"canceled although nothing is missing",
     Change1(IsCompacted, [](Damaged& d) { d.watch->start = d.response().compact; })},
    {"events after it was canceled", Change1(IsWhole,
                                             [](Damaged& d) {
                                               WatchResponse canceled;
                                               canceled.canceled = true;
                                               canceled.revision = d.response().revision;
                                               d.watch->responses.insert(
                                                   d.watch->responses.begin() +
                                                       static_cast<std::ptrdiff_t>(d.at),
                                                   std::move(canceled));
                                             })},
};

TEST(WatchRules, EveryDamageIsReported) {
  for (const auto& [name, damage] : kDamages) {
    int done = 0;
    for (uint64_t seed = 1; seed <= 40; ++seed) {
      Damaged damaged{Made(seed), Random(seed)};
      if (!damage(damaged)) {
        continue;
      }
      ++done;
      EXPECT_FALSE(CheckWatches(damaged.history).empty()) << name << ", seed " << seed;
    }
    EXPECT_GE(done, 5) << name << " was hardly ever planted";
  }
  EXPECT_GE(kDamages.size(), 20U);
}

}  // namespace
}  // namespace store::check
