// SPDX-License-Identifier: Apache-2.0
#include "store/base/metrics.h"

#include "store/base/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

namespace store {
namespace {

std::string Number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  if (value == std::trunc(value) && std::abs(value) < 1e15) return fmt::format("{:.0f}", value);
  return fmt::format("{}", value);
}

void AppendText(std::string* out, std::string_view text, bool quotes) {
  for (char c : text) {
    if (c == '\\') {
      *out += "\\\\";
    } else if (c == '\n') {
      *out += "\\n";
    } else if (c == '"' && quotes) {
      *out += "\\\"";
    } else {
      out->push_back(c);
    }
  }
}

void AppendLabel(std::string* out, std::string_view name, std::string_view value) {
  if (!out->empty()) out->push_back(',');
  *out += name;
  *out += "=\"";
  AppendText(out, value, true);
  out->push_back('"');
}

std::string LabelText(const std::vector<std::string>& names,
                      const std::vector<std::string>& values) {
  std::string out;
  for (size_t i = 0; i < names.size(); ++i) AppendLabel(&out, names[i], values[i]);
  return out;
}

void AppendSample(std::string* out, std::string_view name, std::string_view labels,
                  std::string_view value) {
  *out += name;
  if (!labels.empty()) fmt::format_to(std::back_inserter(*out), "{{{}}}", labels);
  out->push_back(' ');
  *out += value;
  out->push_back('\n');
}

void AppendRow(std::string* out, const std::string& name, const std::string& labels,
               const Counter& counter) {
  AppendSample(out, name, labels, fmt::format("{}", counter.value()));
}

void AppendRow(std::string* out, const std::string& name, const std::string& labels,
               const Gauge& gauge) {
  AppendSample(out, name, labels, fmt::format("{}", gauge.value()));
}

void AppendRow(std::string* out, const std::string& name, const std::string& labels,
               const Histogram& histogram) {
  std::vector<uint64_t> counts = histogram.counts();
  uint64_t below = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    below += counts[i];
    std::string with_bound = labels;
    bool last = i == histogram.bounds().size();
    AppendLabel(&with_bound, "le", last ? "+Inf" : Number(histogram.bounds()[i]));
    AppendSample(out, name + "_bucket", with_bound, fmt::format("{}", below));
  }
  AppendSample(out, name + "_sum", labels, Number(histogram.sum()));
  AppendSample(out, name + "_count", labels, fmt::format("{}", below));
}

template <Metric T>
constexpr std::string_view TypeName() {
  if (std::same_as<T, Counter>) return "counter";
  return std::same_as<T, Gauge> ? "gauge" : "histogram";
}

void AppendHead(std::string* out, const std::string& name, std::string_view help,
                std::string_view type) {
  fmt::format_to(std::back_inserter(*out), "# HELP {} ", name);
  AppendText(out, help, false);
  fmt::format_to(std::back_inserter(*out), "\n# TYPE {} {}\n", name, type);
}

}  // namespace

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {
  CHECK(std::ranges::is_sorted(bounds_));
}

void Histogram::Observe(double value) {
  auto bucket = std::ranges::lower_bound(bounds_, value) - bounds_.begin();
  counts_[static_cast<size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::vector<uint64_t> Histogram::counts() const {
  std::vector<uint64_t> counts;
  counts.reserve(counts_.size());
  for (const auto& count : counts_) counts.push_back(count.load(std::memory_order_relaxed));
  return counts;
}

std::vector<double> Histogram::Exponential(double start, double factor, size_t count) {
  std::vector<double> bounds;
  for (double bound = start; bounds.size() < count; bound *= factor) bounds.push_back(bound);
  return bounds;
}

template <Metric T>
T& MetricFamily<T>::With(const std::vector<std::string>& label_values) {
  CHECK(label_values.size() == label_names_.size(), "{} values for {} labels", label_values.size(),
        label_names_.size());
  MutexLock lock(mutex_);
  auto row = rows_.find(label_values);
  if (row != rows_.end()) return *row->second;
  std::vector<std::string> key = label_values;
  // The last row is the one for everything that came too late.
  if (rows_.size() + 1 >= kSeriesMax) std::ranges::fill(key, "other");
  std::unique_ptr<T>& made = rows_[std::move(key)];
  if (!made) made = make_();
  return *made;
}

template class MetricFamily<Counter>;
template class MetricFamily<Gauge>;
template class MetricFamily<Histogram>;

template <Metric T>
MetricFamily<T>& Registry::AddFamily(std::string_view name, std::string_view help,
                                     std::vector<std::string> label_names,
                                     absl::AnyInvocable<std::unique_ptr<T>()> make) {
  MutexLock lock(mutex_);
  auto entry = entries_.find(name);
  if (entry == entries_.end()) {
    auto family = std::make_unique<MetricFamily<T>>(std::move(label_names), std::move(make));
    entry = entries_.emplace(name, Entry{std::string(help), std::move(family)}).first;
  }
  auto* family = std::get_if<FamilyPtr<T>>(&entry->second.metric);
  CHECK(family != nullptr, "metric {} exists with another type", name);
  return **family;
}

Counter& Registry::AddCounter(std::string_view name, std::string_view help) {
  return AddCounters(name, help, {}).With({});
}
Gauge& Registry::AddGauge(std::string_view name, std::string_view help) {
  return AddGauges(name, help, {}).With({});
}
Histogram& Registry::AddHistogram(std::string_view name, std::string_view help,
                                  std::vector<double> bounds) {
  return AddHistograms(name, help, {}, std::move(bounds)).With({});
}
MetricFamily<Counter>& Registry::AddCounters(std::string_view name, std::string_view help,
                                             std::vector<std::string> label_names) {
  return AddFamily<Counter>(name, help, std::move(label_names),
                            [] { return std::make_unique<Counter>(); });
}
MetricFamily<Gauge>& Registry::AddGauges(std::string_view name, std::string_view help,
                                         std::vector<std::string> label_names) {
  return AddFamily<Gauge>(name, help, std::move(label_names),
                          [] { return std::make_unique<Gauge>(); });
}
MetricFamily<Histogram>& Registry::AddHistograms(std::string_view name, std::string_view help,
                                                 std::vector<std::string> label_names,
                                                 std::vector<double> bounds) {
  return AddFamily<Histogram>(name, help, std::move(label_names), [all = std::move(bounds)] {
    return std::make_unique<Histogram>(all);
  });
}

Registry::CallbackHandle::~CallbackHandle() {
  if (registry_ != nullptr) registry_->RemoveCallback(id_);
}

Registry::CallbackHandle Registry::AddCallbackGauge(std::string_view name, std::string_view help,
                                                    MetricLabels labels,
                                                    absl::AnyInvocable<double() const> read) {
  return AddCallback(name, help, false, std::move(labels), std::move(read));
}
Registry::CallbackHandle Registry::AddCallbackCounter(std::string_view name, std::string_view help,
                                                      MetricLabels labels,
                                                      absl::AnyInvocable<double() const> read) {
  return AddCallback(name, help, true, std::move(labels), std::move(read));
}

Registry::CallbackHandle Registry::AddCallback(std::string_view name, std::string_view help,
                                               bool counter, MetricLabels labels,
                                               absl::AnyInvocable<double() const> read) {
  MutexLock lock(mutex_);
  auto entry = entries_.find(name);
  if (entry == entries_.end()) {
    entry = entries_.emplace(name, Entry{std::string(help), Callbacks{counter, {}}}).first;
  }
  auto* callbacks = std::get_if<Callbacks>(&entry->second.metric);
  CHECK(callbacks != nullptr && callbacks->counter == counter, "metric {} exists with another type",
        name);
  uint64_t id = next_callback_++;
  callbacks->rows.push_back({id, std::move(labels), std::move(read)});
  return CallbackHandle(this, id);
}

void Registry::RemoveCallback(uint64_t id) {
  MutexLock lock(mutex_);
  for (auto& [name, entry] : entries_) {
    auto* callbacks = std::get_if<Callbacks>(&entry.metric);
    if (callbacks != nullptr) {
      std::erase_if(callbacks->rows, [&](const Callback& row) { return row.id == id; });
    }
  }
}

template <Metric T>
void Registry::AppendFamily(std::string* out, const std::string& name,
                            const MetricFamily<T>& family) {
  MutexLock lock(family.mutex_);
  for (const auto& [values, metric] : family.rows_) {
    AppendRow(out, name, LabelText(family.label_names_, values), *metric);
  }
}

std::string Registry::Text() const {
  std::string out;
  MutexLock lock(mutex_);
  for (const auto& [name, entry] : entries_) {
    if (const auto* callbacks = std::get_if<Callbacks>(&entry.metric)) {
      if (callbacks->rows.empty()) continue;
      AppendHead(&out, name, entry.help, callbacks->counter ? "counter" : "gauge");
      for (const Callback& row : callbacks->rows) {
        std::string labels;
        for (const auto& [key, value] : row.labels) AppendLabel(&labels, key, value);
        AppendSample(&out, name, labels, Number(row.read()));
      }
      continue;
    }
    auto append = [&]<class T>(const FamilyPtr<T>& family) {
      AppendHead(&out, name, entry.help, TypeName<T>());
      AppendFamily(&out, name, *family);
    };
    if (const auto* counters = std::get_if<FamilyPtr<Counter>>(&entry.metric)) append(*counters);
    if (const auto* gauges = std::get_if<FamilyPtr<Gauge>>(&entry.metric)) append(*gauges);
    if (const auto* histograms = std::get_if<FamilyPtr<Histogram>>(&entry.metric)) {
      append(*histograms);
    }
  }
  return out;
}

}  // namespace store
