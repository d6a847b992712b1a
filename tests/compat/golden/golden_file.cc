// SPDX-License-Identifier: Apache-2.0
#include "tests/compat/golden/golden_file.h"

#include <cctype>
#include <fstream>

namespace compat {

std::string_view GoldenLine::first_word() const {
  return std::string_view(text).substr(0, text.find(' '));
}

std::string_view GoldenLine::rest() const {
  size_t space = text.find(' ');
  return space == std::string::npos ? std::string_view() : std::string_view(text).substr(space + 1);
}

std::vector<GoldenLine> ReadGolden(const std::string& path) {
  std::vector<GoldenLine> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    GoldenLine golden;
    golden.number = static_cast<int>(lines.size()) + 1;
    golden.text = line;
    auto mark = std::string_view(line).substr(0, 2);
    if (mark == "= ") golden.kind = GoldenLine::Kind::kCase;
    if (mark == "> ") golden.kind = GoldenLine::Kind::kRequest;
    if (mark == "< ") golden.kind = GoldenLine::Kind::kAnswer;
    if (golden.kind != GoldenLine::Kind::kOther) golden.text = line.substr(2);
    lines.push_back(std::move(golden));
  }
  return lines;
}

std::string Print(const GoldenLine& line) {
  switch (line.kind) {
    case GoldenLine::Kind::kCase:
      return "= " + line.text;
    case GoldenLine::Kind::kRequest:
      return "> " + line.text;
    case GoldenLine::Kind::kAnswer:
      return "< " + line.text;
    case GoldenLine::Kind::kOther:
      break;
  }
  return line.text;
}

std::string Expand(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    size_t digits = 1;
    while (digits < text.size() && std::isdigit(static_cast<unsigned char>(text[digits])) != 0) {
      ++digits;
    }
    bool repeats =
        text.front() == '{' && digits > 1 && digits + 2 < text.size() && text[digits] == '*';
    size_t end = repeats ? text.find("*}", digits) : std::string_view::npos;
    if (end == std::string_view::npos) {
      out += text.front();
      text.remove_prefix(1);
      continue;
    }
    std::string_view what = text.substr(digits + 1, end - digits - 1);
    for (int i = std::stoi(std::string(text.substr(1, digits - 1))); i > 0; --i) out += what;
    text.remove_prefix(end + 2);
  }
  return out;
}

}  // namespace compat
