// SPDX-License-Identifier: Apache-2.0
// The floors of the project as data: which folder may include what of ours, and in which folders a
// library may be included. A row here and the DEPS line of the folder's CMakeLists.txt say the same
// thing twice on purpose: the linker does not see headers, and this does not see symbols. Tests may
// include everything. Constant data, any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tidy {

struct Floor {
  std::string_view folder;
  // Folders, or headers of a folder without the .h, that this folder may include besides itself.
  std::vector<std::string_view> may_include;
};

struct Library {
  std::string_view header;  // a prefix of what stands in <…> or "…"
  std::string_view reason;
  std::vector<std::string_view> folders;
};

// Lowest first.
const std::vector<Floor>& Floors();
const std::vector<Library>& Libraries();

// The folder of `path` that has a row, or "" ("store/base/file.cc" -> "store/base").
std::string_view FloorFolderOf(std::string_view path);

// What is wrong with `path` including `header`; "" if nothing is.
std::string IncludeProblem(std::string_view path, std::string_view header);

}  // namespace tidy
