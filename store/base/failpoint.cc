// SPDX-License-Identifier: Apache-2.0
#include "store/base/failpoint.h"

#include "store/base/clock.h"
#include "store/base/random.h"
#include "store/base/thread.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <optional>
#include <signal.h>
#include <unistd.h>
#include <utility>

namespace store {
namespace {

enum class FailAction : uint8_t { kNone, kCrash, kSleep, kError, kPrint, kBranch };

struct Term {
  FailAction action = FailAction::kNone;
  double probability = 1;
  uint64_t skip = 0;
  std::optional<uint64_t> times_left;
  uint64_t sleep_ms = 0;
  ErrorCode code = ErrorCode::kIo;
};

// Whole-text number.
std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<ErrorCode> ParseCode(std::string_view name) {
  if (name.empty()) return ErrorCode::kIo;
  for (uint16_t value = 1; value <= static_cast<uint16_t>(ErrorCode::kRangeStreamRevisionFilter);
       ++value) {
    if (Name(static_cast<ErrorCode>(value)) == name) return static_cast<ErrorCode>(value);
  }
  return std::nullopt;
}

// Takes the modifiers "N%", "N*" and "N+" off the front.
bool ParseModifiers(std::string_view* text, Term* term) {
  for (size_t mark = text->find_first_of("%*+"); mark != std::string_view::npos;
       mark = text->find_first_of("%*+")) {
    std::optional<uint64_t> number = ParseNumber(text->substr(0, mark));
    if (!number) return false;
    if ((*text)[mark] == '%') term->probability = static_cast<double>(*number) / 100;
    if ((*text)[mark] == '*') term->times_left = number;
    if ((*text)[mark] == '+') term->skip = *number;
    text->remove_prefix(mark + 1);
  }
  return true;
}

std::optional<Term> ParseTerm(std::string_view text) {
  Term term;
  if (!ParseModifiers(&text, &term)) return std::nullopt;
  std::string_view argument;
  if (size_t open = text.find('('); open != std::string_view::npos) {
    if (!text.ends_with(')')) return std::nullopt;
    argument = text.substr(open + 1, text.size() - open - 2);
    text = text.substr(0, open);
  }
  if (text == "sleep") {
    std::optional<uint64_t> ms = ParseNumber(argument);
    if (!ms) return std::nullopt;
    term.action = FailAction::kSleep;
    term.sleep_ms = *ms;
    return term;
  }
  if (text == "error") {
    std::optional<ErrorCode> code = ParseCode(argument);
    if (!code) return std::nullopt;
    term.action = FailAction::kError;
    term.code = *code;
    return term;
  }
  if (!argument.empty()) return std::nullopt;
  if (text == "crash") term.action = FailAction::kCrash;
  if (text == "print") term.action = FailAction::kPrint;
  if (text == "branch") term.action = FailAction::kBranch;
  if (term.action == FailAction::kNone) return std::nullopt;
  return term;
}

void Print(std::string_view name) {
  std::string line = fmt::format("failpoint {}\n", name);
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

struct PointTable {
  Mutex mutex;
  std::map<std::string, std::unique_ptr<Failpoint>, std::less<>> points ABSL_GUARDED_BY(mutex);
  bool counting ABSL_GUARDED_BY(mutex) = false;
};

// Never destroyed: threads may pass a point while the process ends.
PointTable& Points() {
  static auto* points = new PointTable;
  return *points;
}

Failpoint& AtLocked(PointTable& table, std::string_view name)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(table.mutex) {
  auto row = table.points.find(name);
  if (row == table.points.end()) {
    row = table.points.emplace(name, std::make_unique<Failpoint>(std::string(name))).first;
  }
  return *row->second;
}

}  // namespace

struct Failpoint::State {
  explicit State(std::string point_name) : name(std::move(point_name)), random(EntropySeed()) {}

  // Counts the pass; what to do now, if anything.
  Term Take() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    ++passes;
    if (term.action == FailAction::kNone || term.times_left == 0u) return {};
    if (term.skip > 0) {
      --term.skip;
      return {};
    }
    if (!random.Chance(term.probability)) return {};
    if (term.times_left) --*term.times_left;
    ++fired;
    return term;
  }

  const std::string name;
  Mutex mutex;
  CondVar disarmed;
  Random random ABSL_GUARDED_BY(mutex);
  Term term ABSL_GUARDED_BY(mutex);
  uint64_t passes ABSL_GUARDED_BY(mutex) = 0;
  uint64_t fired ABSL_GUARDED_BY(mutex) = 0;

  // A wait that disarming ends early.
  void Sleep(uint64_t ms) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    TimePoint deadline = SystemClock().Now() + std::chrono::milliseconds(ms);
    while (term.action == FailAction::kSleep && disarmed.WaitUntil(mutex, deadline)) {
    }
  }
};

Failpoint::Failpoint(std::string name) : state_(std::make_unique<State>(std::move(name))) {}
Failpoint::~Failpoint() = default;

Status Failpoint::Pass(bool* branch) {
  MutexLock lock(state_->mutex);
  Term term = state_->Take();
  switch (term.action) {
    case FailAction::kNone:
      break;
    case FailAction::kCrash:
      Print(state_->name);
      ::kill(::getpid(), SIGKILL);
      break;
    case FailAction::kSleep:
      state_->Sleep(term.sleep_ms);
      break;
    case FailAction::kError:
      return Fail(term.code, fmt::format("failpoint {}", state_->name));
    case FailAction::kPrint:
      Print(state_->name);
      break;
    case FailAction::kBranch:
      *branch = true;
      break;
  }
  return Ok();
}

Status Failpoints::Parse(std::string_view text) {
  std::vector<std::pair<std::string_view, Term>> parsed;
  while (!text.empty()) {
    std::string_view part = text.substr(0, text.find(';'));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    if (part.empty()) continue;
    size_t equals = part.find('=');
    std::optional<Term> term;
    if (equals != std::string_view::npos && equals > 0) term = ParseTerm(part.substr(equals + 1));
    if (!term) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("failpoint \"{}\": want name=[N%][N*][N+]crash|sleep(ms)|error(code)|"
                              "print|branch",
                              part));
    }
    parsed.emplace_back(part.substr(0, equals), *term);
  }
  for (auto& [name, term] : parsed) {
    Failpoint& point = At(name);
    MutexLock lock(point.state_->mutex);
    point.state_->term = term;
    point.live_.store(true, std::memory_order_relaxed);
  }
  return Ok();
}

void Failpoints::DisarmAll() {
  PointTable& table = Points();
  MutexLock lock(table.mutex);
  for (auto& [name, point] : table.points) {
    MutexLock point_lock(point->state_->mutex);
    point->state_->term = {};
    point->state_->disarmed.NotifyAll();
    point->live_.store(table.counting, std::memory_order_relaxed);
  }
}

void Failpoints::CountPasses() {
  PointTable& table = Points();
  MutexLock lock(table.mutex);
  table.counting = true;
  for (auto& [name, point] : table.points) point->live_.store(true, std::memory_order_relaxed);
}

std::vector<Failpoints::Count> Failpoints::Counts() {
  std::vector<Count> counts;
  PointTable& table = Points();
  MutexLock lock(table.mutex);
  for (auto& [name, point] : table.points) {
    MutexLock point_lock(point->state_->mutex);
    counts.push_back({name, point->state_->passes, point->state_->fired});
  }
  return counts;
}

Failpoint& Failpoints::At(std::string_view name) {
  PointTable& table = Points();
  MutexLock lock(table.mutex);
  Failpoint& point = AtLocked(table, name);
  if (table.counting) point.live_.store(true, std::memory_order_relaxed);
  return point;
}

}  // namespace store
