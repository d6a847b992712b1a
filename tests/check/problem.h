// SPDX-License-Identifier: Apache-2.0
// What a checker found: the rule and a sentence with the numbers. Found problems are bounded: the
// first ones are what one reads. Values.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace store::check {

struct Problem {
  std::string rule;
  std::string text;
};

class Problems {
 public:
  static constexpr size_t kMax = 20;

  void Add(std::string rule, std::string text) {
    ++found_;
    if (problems_.size() < kMax) {
      problems_.push_back({std::move(rule), std::move(text)});
    }
  }
  size_t found() const { return found_; }
  std::vector<Problem> Take() { return std::move(problems_); }

 private:
  size_t found_ = 0;
  std::vector<Problem> problems_;
};

}  // namespace store::check
