// SPDX-License-Identifier: Apache-2.0
// FindFunctions: where the function bodies of a file are, how long and how deeply nested. It
// follows braces and looks at the text before each to tell namespaces, types, functions, lambdas,
// statements and initialisers apart. Known limits: both branches of an #if must balance their
// braces, and a macro that hides a brace is not seen. Pure, any thread.
//
// Length: lines from the opening to the closing brace. Nesting: how many of if, else, for, while,
// do, switch, try and catch stand around a statement, with or without braces before the innermost
// one; a case's or a lock's own braces do not count, and a lambda begins again at zero.
#pragma once

#include "tests/tidy/source_text.h"

#include <string>
#include <vector>

namespace tidy {

struct Function {
  std::string name;  // what stands before the parameters, for messages
  int line;          // of the opening brace
  int length;
  int nesting;
  int nesting_line;  // of the deepest statement
};

std::vector<Function> FindFunctions(const SourceText& source);

}  // namespace tidy
