// SPDX-License-Identifier: Apache-2.0
#include "store/base/metrics.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace store {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(MetricsTest, TextFormatOfEveryKind) {
  Registry registry;
  registry.AddCounter("b_total", "Things\nhappened \\ \"so\".").Add(3);
  registry.AddGauge("a_bytes", "Size.").Set(-5);
  auto& calls = registry.AddCounters("calls_total", "Calls.", {"method", "code"});
  calls.With({"Put", "OK"}).Add();
  calls.With({"say \"hi\"\n", "a\\b"}).Add(2);
  Histogram& seconds = registry.AddHistogram("seconds", "Time.", {0.5, 1});
  for (double value : {0.25, 0.5, 0.75, 7.0}) seconds.Observe(value);
  EXPECT_EQ(registry.Text(),
            "# HELP a_bytes Size.\n"
            "# TYPE a_bytes gauge\n"
            "a_bytes -5\n"
            "# HELP b_total Things\\nhappened \\\\ \"so\".\n"
            "# TYPE b_total counter\n"
            "b_total 3\n"
            "# HELP calls_total Calls.\n"
            "# TYPE calls_total counter\n"
            "calls_total{method=\"Put\",code=\"OK\"} 1\n"
            "calls_total{method=\"say \\\"hi\\\"\\n\",code=\"a\\\\b\"} 2\n"
            "# HELP seconds Time.\n"
            "# TYPE seconds histogram\n"
            "seconds_bucket{le=\"0.5\"} 2\n"
            "seconds_bucket{le=\"1\"} 3\n"
            "seconds_bucket{le=\"+Inf\"} 4\n"
            "seconds_sum 8.5\n"
            "seconds_count 4\n");
}

TEST(MetricsTest, CallbackIsReadAtEachScrapeAndEndsWithItsHandle) {
  Registry registry;
  double value = 1;
  auto eu = registry.AddCallbackGauge("up", "Up.", {{"zone", "eu"}}, [&] { return value; });
  {
    auto us = registry.AddCallbackGauge("up", "Up.", {{"zone", "us"}}, [] { return 0.5; });
    EXPECT_THAT(registry.Text(), HasSubstr("up{zone=\"eu\"} 1\nup{zone=\"us\"} 0.5\n"));
  }
  value = 2;
  EXPECT_THAT(registry.Text(), HasSubstr("up{zone=\"eu\"} 2\n"));
  EXPECT_THAT(registry.Text(), Not(HasSubstr("us")));
  eu = {};
  EXPECT_THAT(registry.Text(), Not(HasSubstr("zone=\"us\"")));
}

TEST(MetricsTest, TheSameNameIsTheSameMetric) {
  Registry registry;
  registry.AddCounter("x_total", "X.").Add();
  registry.AddCounter("x_total", "X.").Add();
  EXPECT_EQ(registry.AddCounter("x_total", "X.").value(), 2u);
  EXPECT_DEATH(registry.AddGauge("x_total", "X."), "another type");
}

TEST(MetricsTest, FamilyIsBounded) {
  Registry registry;
  auto& calls = registry.AddCounters("calls_total", "Calls.", {"user"});
  constexpr size_t kMax = MetricFamily<Counter>::kSeriesMax;
  for (size_t i = 0; i < kMax + 10; ++i) calls.With({fmt::format("u{}", i)}).Add();
  EXPECT_EQ(calls.With({"other"}).value(), 11u);
  EXPECT_EQ(calls.With({"u0"}).value(), 1u);
}

TEST(MetricsTest, ThreadsLoseNoCount) {
  Registry registry;
  Counter& counter = registry.AddCounter("n_total", "N.");
  Histogram& histogram = registry.AddHistogram("h", "H.", Histogram::Exponential(1, 2, 4));
  {
    std::vector<Thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back("count", [&] {
        for (int i = 0; i < 1000; ++i) {
          counter.Add();
          histogram.Observe(i % 10);
        }
      });
    }
    for (int i = 0; i < 20; ++i) EXPECT_THAT(registry.Text(), HasSubstr("h_count"));
  }
  EXPECT_EQ(counter.value(), 4000u);
  EXPECT_EQ(histogram.sum(), 4 * 1000 * 4.5);
}

}  // namespace
}  // namespace store
