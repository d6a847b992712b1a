// SPDX-License-Identifier: Apache-2.0
// A directory of one test, removed at its end.
#pragma once

#include "store/base/check.h"
#include "store/base/file.h"

#include <gtest/gtest.h>

#include <stdlib.h>
#include <string>

namespace store {

class TempDir {
 public:
  TempDir() {
    std::string pattern = ::testing::TempDir() + "sluice-XXXXXX";
    CHECK(::mkdtemp(pattern.data()) != nullptr, "mkdtemp {}", pattern);
    path_ = pattern;
  }
  ~TempDir() { (void)RemoveAll(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace store
