// SPDX-License-Identifier: Apache-2.0
#include "logagent/tail/chunk.h"

#include <utility>

namespace logagent {

std::shared_ptr<Chunk> Chunk::TryMake(size_t capacity, const BudgetSharePtr& budget) {
  if (!budget->TryTake(capacity)) {
    return nullptr;
  }
  return std::shared_ptr<Chunk>(new Chunk(capacity, budget));
}

Chunk::Chunk(size_t capacity, BudgetSharePtr budget)
    : data_(std::make_unique_for_overwrite<char[]>(capacity)),
      capacity_(capacity),
      charged_(capacity),
      budget_(std::move(budget)) {}

Chunk::~Chunk() { budget_->Return(charged_); }

void Chunk::ChargeLines(size_t lines) {
  budget_->Take(lines * kLineOverhead);
  charged_ += lines * kLineOverhead;
}

}  // namespace logagent
