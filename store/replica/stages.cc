// SPDX-License-Identifier: Apache-2.0
#include "store/replica/stages.h"

#include <string>

namespace store::replica {

StageTimes MakeStageTimes(Registry& registry, const Clock& clock) {
  // 8 µs to 4 s: one put of an idle member up to a disk that hangs.
  MetricFamily<Histogram>& family = registry.AddHistograms(
      "sluice_stage_duration_seconds", "How long writes stay in a stage (bundle, unit or batch).",
      {"stage"}, Histogram::Exponential(8e-6, 2, 20));
  const auto stage = [&](const std::string& name) { return Timing(clock, family.With({name})); };
  return {stage("admit"), stage("propose"), stage("persist"), stage("apply"), stage("respond")};
}

}  // namespace store::replica
