// SPDX-License-Identifier: Apache-2.0
// Metrics in Prometheus' text format. A Registry owns its metrics; parts get a reference to a
// counter, gauge or histogram once, at construction, and touch only that: one relaxed atomic (a
// histogram: two). Names with labels are families; With looks a row up under a mutex, so keep the
// reference on hot paths. A family has at most kSeriesMax rows; more label values share one row
// whose labels all read "other". A name asked for again gives the same metric. Values that exist
// anyway are exported by callbacks, which run on the scraping thread under the registry's mutex:
// they read atomics and do nothing else. Any thread.
#pragma once

#include "store/base/thread.h"

#include <absl/functional/any_invocable.h>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace store {

class Counter {
 public:
  void Add(uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_ = 0;
};

class Gauge {
 public:
  void Set(int64_t value) { value_.store(value, std::memory_order_relaxed); }
  void Add(int64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  void Sub(int64_t n = 1) { value_.fetch_sub(n, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_ = 0;
};

class Histogram {
 public:
  // Upper bounds, ascending; +Inf is added.
  explicit Histogram(std::vector<double> bounds);

  void Observe(double value);
  const std::vector<double>& bounds() const { return bounds_; }
  // Not cumulative; one more than bounds.
  std::vector<uint64_t> counts() const;
  double sum() const { return sum_.load(std::memory_order_relaxed); }

  // start, start·factor, … `count` bounds.
  static std::vector<double> Exponential(double start, double factor, size_t count);

 private:
  std::vector<double> bounds_;
  std::vector<std::atomic<uint64_t>> counts_;
  std::atomic<double> sum_ = 0;
};

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

template <class T>
concept Metric = std::same_as<T, Counter> || std::same_as<T, Gauge> || std::same_as<T, Histogram>;

template <Metric T>
class MetricFamily {
 public:
  static constexpr size_t kSeriesMax = 1000;

  MetricFamily(std::vector<std::string> label_names, absl::AnyInvocable<std::unique_ptr<T>()> make)
      : label_names_(std::move(label_names)), make_(std::move(make)) {}

  // One value for each label name, in their order. The reference is valid while the registry lives.
  T& With(const std::vector<std::string>& label_values) ABSL_LOCKS_EXCLUDED(mutex_);
  const std::vector<std::string>& label_names() const { return label_names_; }

 private:
  friend class Registry;
  const std::vector<std::string> label_names_;
  mutable Mutex mutex_;
  absl::AnyInvocable<std::unique_ptr<T>()> make_ ABSL_GUARDED_BY(mutex_);
  std::map<std::vector<std::string>, std::unique_ptr<T>> rows_ ABSL_GUARDED_BY(mutex_);
};

class Registry {
 public:
  // Ends the callback when it goes; after that the callback does not run any more. Goes before the
  // registry.
  class [[nodiscard]] CallbackHandle {
   public:
    CallbackHandle() = default;
    ~CallbackHandle();
    CallbackHandle(CallbackHandle&& other) noexcept
        : registry_(std::exchange(other.registry_, nullptr)), id_(other.id_) {}
    CallbackHandle& operator=(CallbackHandle&& other) noexcept {
      std::swap(registry_, other.registry_);
      std::swap(id_, other.id_);
      return *this;
    }

   private:
    friend class Registry;
    CallbackHandle(Registry* registry, uint64_t id) : registry_(registry), id_(id) {}
    Registry* registry_ = nullptr;
    uint64_t id_ = 0;
  };

  Registry() = default;
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  Counter& AddCounter(std::string_view name, std::string_view help);
  Gauge& AddGauge(std::string_view name, std::string_view help);
  Histogram& AddHistogram(std::string_view name, std::string_view help, std::vector<double> bounds);
  MetricFamily<Counter>& AddCounters(std::string_view name, std::string_view help,
                                     std::vector<std::string> label_names);
  MetricFamily<Gauge>& AddGauges(std::string_view name, std::string_view help,
                                 std::vector<std::string> label_names);
  MetricFamily<Histogram>& AddHistograms(std::string_view name, std::string_view help,
                                         std::vector<std::string> label_names,
                                         std::vector<double> bounds);
  // A value read at each scrape; the same name may be given again with other labels.
  CallbackHandle AddCallbackGauge(std::string_view name, std::string_view help, MetricLabels labels,
                                  absl::AnyInvocable<double() const> read);
  CallbackHandle AddCallbackCounter(std::string_view name, std::string_view help,
                                    MetricLabels labels, absl::AnyInvocable<double() const> read);

  // Everything in the text format (version 0.0.4), sorted by name.
  std::string Text() const;

 private:
  struct Callback {
    uint64_t id;
    MetricLabels labels;
    absl::AnyInvocable<double() const> read;
  };
  struct Callbacks {
    bool counter;
    std::vector<Callback> rows;
  };
  template <Metric T>
  using FamilyPtr = std::unique_ptr<MetricFamily<T>>;
  struct Entry {
    std::string help;
    std::variant<FamilyPtr<Counter>, FamilyPtr<Gauge>, FamilyPtr<Histogram>, Callbacks> metric;
  };

  template <Metric T>
  MetricFamily<T>& AddFamily(std::string_view name, std::string_view help,
                             std::vector<std::string> label_names,
                             absl::AnyInvocable<std::unique_ptr<T>()> make);
  CallbackHandle AddCallback(std::string_view name, std::string_view help, bool counter,
                             MetricLabels labels, absl::AnyInvocable<double() const> read);
  void RemoveCallback(uint64_t id);
  template <Metric T>
  static void AppendFamily(std::string* out, const std::string& name,
                           const MetricFamily<T>& family);

  mutable Mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_callback_ ABSL_GUARDED_BY(mutex_) = 1;
};

}  // namespace store
