// SPDX-License-Identifier: Apache-2.0
#include "tests/agent/torture_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>

namespace logagent::testing {
namespace {

struct RecordedFile final : FileHandle {
  RecordedFile(FileHandlePtr opened, uint64_t number,
               std::shared_ptr<std::map<uint64_t, int>> count)
      : file(std::move(opened)), inode(number), open(std::move(count)) {
    ++(*open)[inode];
  }
  ~RecordedFile() override { --(*open)[inode]; }
  FileHandlePtr file;
  uint64_t inode;
  std::shared_ptr<std::map<uint64_t, int>> open;
  mutable std::optional<uint64_t> first_size;  // until it is known what it was asked for
  mutable bool asked = false;
};

const FileHandle& Inner(const FileHandle& file) {
  return *static_cast<const RecordedFile&>(file).file;
}

}  // namespace

std::string TortureModel::LineText(size_t content, size_t number, size_t length) {
  std::string text = fmt::format("c{}-{} ", content, number);
  text.resize(std::max(text.size(), length), static_cast<char>('a' + (content + number) % 26));
  return text;
}

size_t TortureModel::NewContent() {
  contents_.emplace_back();
  return contents_.size() - 1;
}

std::string TortureModel::Write(size_t content, size_t lines, bool half, store::Random& random) {
  Content& at = contents_[content];
  std::string bytes;
  for (size_t i = 0; i < lines; ++i) {
    size_t length = random.Chance(0.02) ? random.Between(2000, 9000) : random.Between(12, 60);
    std::string line = LineText(content, at.ends.size(), std::max(length, at.partial.size()));
    bytes += line.substr(at.partial.size()) + "\n";
    at.lengths.push_back(line.size());
    at.ends.push_back((at.ends.empty() ? 0 : at.ends.back()) + line.size() + 1);
    at.partial.clear();
  }
  if (half && at.partial.empty()) {
    at.partial = LineText(content, at.ends.size(), 14);
    bytes += at.partial;
  }
  at.size += bytes.size();
  return bytes;
}

void TortureModel::OnLine(const std::string& topic, const std::string& line,
                          std::pair<size_t, size_t>* id) {
  size_t content = 0;
  size_t number = 0;
  ++lines_;
  if (std::sscanf(line.c_str(), "c%zu-%zu ", &content, &number) != 2 ||
      content >= contents_.size()) {
    return Fail("no line of ours: " + line);
  }
  *id = {content, number};
  Content& at = contents_[content];
  bool whole = number < at.ends.size();
  if (whole ? line != LineText(content, number, at.lengths[number]) : line != at.partial) {
    return Fail(fmt::format("line c{}-{} is not what was written: {}", content, number, line));
  }
  Arrived& seen = at.by_topic[topic];
  seen.repeat = at.twice ? 0 : seen.repeat;
  if (number > seen.next && !(number >= seen.repeat && number <= seen.most)) {
    Fail(fmt::format("{}: gap: c{}-{} arrived, next was {}", topic, content, number, seen.next));
  }
  if (number < seen.most) {
    ++repeats_;
    if (number < seen.repeat) {
      Fail(fmt::format("{}: c{}-{} came again, allowed from {} of {}", topic, content, number,
                       seen.repeat, seen.most));
    }
  }
  seen.next = number + 1;
  seen.most = std::max(seen.most, seen.next);
  seen.repeat = seen.next;
  seen.kept = seen.next;
  seen.sure = seen.refused_late ? std::min(seen.sure, seen.next) : seen.next;
  ++seen.in_flight[number];
}

void TortureModel::OnAcked(const std::string& topic, std::pair<size_t, size_t> id) {
  Arrived& seen = contents_[id.first].by_topic[topic];
  auto at = seen.in_flight.find(id.second);
  if (at != seen.in_flight.end() && --at->second == 0) {
    seen.in_flight.erase(at);
  }
  size_t acked = seen.in_flight.empty() ? seen.next : seen.in_flight.begin()->first;
  if (acked > seen.acked) {
    seen.acked = acked;
    seen.history.emplace_back(clock_.Now(), acked);
  }
}

void TortureModel::OnRejected() {
  for (Content& content : contents_) {
    for (auto& [topic, seen] : content.by_topic) {
      if (!seen.in_flight.empty()) {
        size_t first = seen.in_flight.begin()->first;
        bool open = content.gone && seen.in_flight.size() < seen.kept - std::min(seen.kept, first);
        content.unsure = content.unsure || open || (content.gone && content.copied > 0);
        seen.sure = std::min(seen.sure, first);
        seen.refused_late = seen.refused_late || content.gone;
        seen.repeat = std::min(seen.repeat, first);
        seen.kept = std::min(seen.kept, first);
        seen.in_flight.clear();
      }
    }
  }
}

void TortureModel::OnKilled(store::Duration window) {
  for (Content& content : contents_) {
    content.shown_now = content.gone ? content.shown_now : 0;
    for (auto& [topic, seen] : content.by_topic) {
      for (const auto& [when, acked] : seen.history) {
        seen.saved = when + window <= clock_.Now() ? acked : seen.saved;
      }
      seen.acked = seen.saved;  // what was acknowledged since was told to nobody
      seen.history.clear();
      seen.repeat = std::min(seen.repeat, seen.saved);
      seen.sure = std::min(seen.sure, seen.saved);
      seen.in_flight.clear();
    }
  }
}

size_t TortureModel::Taken(size_t content) const {
  size_t taken = SIZE_MAX;
  for (const std::string& topic : topics_) {
    auto seen = contents_[content].by_topic.find(topic);
    taken = std::min(taken, seen == contents_[content].by_topic.end() ? 0 : seen->second.most);
  }
  return taken;
}

uint64_t TortureModel::TakenBytes(size_t content, const std::string& topic) const {
  const Content& at = contents_[content];
  auto seen = at.by_topic.find(topic);
  size_t lines = seen == at.by_topic.end() ? 0 : seen->second.kept;
  return lines > at.ends.size() ? at.size : lines == 0 ? 0 : at.ends[lines - 1];
}

TortureModel::Loss TortureModel::ExpectedLoss() const {
  Loss lost;
  for (size_t i = 0; i < contents_.size(); ++i) {
    for (const std::string& topic : topics_) {
      Loss one = LossOf(i, topic);
      lost.least += one.least;
      lost.most += one.most;
    }
  }
  return lost;
}

TortureModel::Loss TortureModel::LossOf(size_t content, const std::string& topic) const {
  const Content& at = contents_[content];
  auto seen = at.by_topic.find(topic);
  if (!at.gone) {
    return {0, at.also_lost};
  }
  auto bytes = [&](size_t lines) {
    return lines > at.ends.size() ? at.size : lines == 0 ? 0 : at.ends[lines - 1];
  };
  auto less = [](uint64_t all, uint64_t some) { return all - std::min(all, some); };
  size_t given = seen == at.by_topic.end() ? 0 : std::min(seen->second.most, at.ends.size());
  uint64_t sure = bytes(seen == at.by_topic.end() ? 0 : seen->second.sure);
  // A look shows the size of what has replaced a content before a read tells that it is another.
  bool unknown = topics_.size() > 1 || (at.cut_before && given == 0);
  uint64_t shown = !unknown ? at.shown_now : bytes(given);
  uint64_t kept = std::max(TakenBytes(content, topic), at.copied);
  Loss loss{at.unsure ? 0 : less(shown, kept), 0};
  // Where it is not sure that the copy was found, nothing may have been kept by it.
  loss.most =
      less(at.shown, at.unsure ? sure : std::max(sure, at.copied)) * (1 + at.again) + at.also_lost;
  loss.least = std::min(loss.least, loss.most);
  return loss;
}

void TortureModel::ExplainLoss() const {
  for (size_t i = 0; i < contents_.size(); ++i) {
    for (const std::string& topic : topics_) {
      Loss lost = LossOf(i, topic);
      if (lost.most > 0) {
        fmt::print("{}: c{} lost {} to {} of {} bytes seen\n", topic, i, lost.least, lost.most,
                   contents_[i].shown);
      }
    }
  }
}

void TortureModel::Check() {
  for (size_t i = 0; i < contents_.size(); ++i) {
    const Content& at = contents_[i];
    for (const std::string& topic : topics_) {
      auto seen = at.by_topic.find(topic);
      size_t arrived = seen == at.by_topic.end() ? 0 : seen->second.most;
      size_t required = std::min(at.required, at.ends.size());
      if (arrived < required) {
        Fail(fmt::format("{}: {} of {} lines of c{} arrived ({} written)", topic, arrived, required,
                         i, at.ends.size()));
      }
    }
  }
}

Result<FileHandlePtr> RecordingFiles::Open(const Path& path) {
  auto file = files_.Open(path);
  RETURN_IF_ERROR(file);
  auto facts = files_.Stat(**file);
  RETURN_IF_ERROR(facts);
  return std::make_unique<RecordedFile>(std::move(*file), facts->inode, open_);
}

Result<FileFacts> RecordingFiles::Stat(const FileHandle& file) const {
  auto facts = files_.Stat(Inner(file));
  if (!facts) {
    return facts;
  }
  const auto& recorded = static_cast<const RecordedFile&>(file);
  if (std::exchange(recorded.asked, true)) {
    shown_(facts->inode, facts->size, true);
  } else {
    // A closed file that is opened again asks whether it is the same inode; what it knew then is of
    // the content it read. Only who goes on to read keeps this size.
    recorded.first_size = facts->size;
    shown_(facts->inode, facts->size, false);
  }
  return facts;
}

Result<size_t> RecordingFiles::ReadAt(const FileHandle& file, uint64_t offset,
                                      std::span<char> into) {
  const auto& recorded = static_cast<const RecordedFile&>(file);
  if (auto size = std::exchange(recorded.first_size, std::nullopt)) {
    shown_(recorded.inode, *size, true);
  }
  return files_.ReadAt(*recorded.file, offset, into);
}

Sink::Offer ModelSink::Produce(Batch& batch) {
  if (paused) {
    return Offer::kPaused;
  }
  if (flying_.size() >= kFlyingMax) {
    return Offer::kFull;
  }
  Flying flying;
  flying.topic = batch.topic;
  flying.delivery.entry = batch.entry;
  flying.delivery.file = batch.file;
  flying.delivery.range = batch.range;
  for (const Line& line : batch.lines) {
    std::string text(batch.chunk->data() + line.begin, line.length);
    model_.OnLine(flying.topic, text, &flying.lines.emplace_back());
  }
  flying_.push_back(std::move(flying));
  Batch taken = std::move(batch);
  return Offer::kTaken;
}

std::vector<Delivery> ModelSink::Answer(bool all) {
  std::vector<Delivery> answers;
  std::vector<Flying> kept;
  for (size_t i = flying_.size(); i > 1; --i) {
    std::swap(flying_[i - 1], flying_[random_.Below(i)]);
  }
  for (Flying& flying : flying_) {
    if (!all && random_.Chance(0.5)) {
      kept.push_back(std::move(flying));
      continue;
    }
    for (const auto& id : flying.lines) {
      model_.OnAcked(flying.topic, id);
    }
    answers.push_back(std::move(flying.delivery));
  }
  flying_ = std::move(kept);
  return answers;
}

std::vector<Delivery> ModelSink::RejectAll() {
  std::vector<Delivery> answers;
  for (Flying& flying : flying_) {
    flying.delivery.outcome = Delivery::Outcome::kRejected;
    answers.push_back(std::move(flying.delivery));
  }
  flying_.clear();
  model_.OnRejected();
  return answers;
}

}  // namespace logagent::testing
