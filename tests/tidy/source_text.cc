// SPDX-License-Identifier: Apache-2.0
#include "tests/tidy/source_text.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace tidy {
namespace {

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Walks over a text once and blanks comments and the contents of literals in a copy of it.
class Masker {
 public:
  explicit Masker(const std::string& text) : text_(text), code_(text) {}

  std::string Run() {
    while (at_ < text_.size()) {
      if (Next("//")) {
        BlankTo(EndOfLine());
      } else if (Next("/*")) {
        BlankTo(After("*/"));
      } else if (text_[at_] == '"' && IsRaw()) {
        RawString();
      } else if (text_[at_] == '"' || (text_[at_] == '\'' && !IsDigitSeparator())) {
        Literal(text_[at_]);
      } else {
        ++at_;
      }
    }
    return std::move(code_);
  }

 private:
  bool Next(std::string_view what) const { return text_.compare(at_, what.size(), what) == 0; }

  // A // comment goes on behind a backslash at the end of its line.
  size_t EndOfLine() const {
    size_t end = text_.find('\n', at_);
    while (end != std::string::npos && end > 0 && text_[end - 1] == '\\') {
      end = text_.find('\n', end + 1);
    }
    return end == std::string::npos ? text_.size() : end;
  }

  size_t After(std::string_view what) const {
    size_t end = text_.find(what, at_ + 2);
    return end == std::string::npos ? text_.size() : end + what.size();
  }

  void BlankTo(size_t end) {
    for (; at_ < end; ++at_) {
      if (text_[at_] != '\n') {
        code_[at_] = ' ';
      }
    }
  }

  // R"…, u8R"…, LR"… but not FOOR"….
  bool IsRaw() const {
    if (at_ == 0 || text_[at_ - 1] != 'R') {
      return false;
    }
    size_t start = at_ - 1;
    while (start > 0 && IsWord(text_[start - 1])) {
      --start;
    }
    std::string_view prefix = std::string_view(text_).substr(start, at_ - start);
    return prefix == "R" || prefix == "u8R" || prefix == "uR" || prefix == "UR" || prefix == "LR";
  }

  void RawString() {
    size_t open = text_.find('(', at_);
    if (open == std::string::npos) {
      ++at_;
      return;
    }
    std::string close = ")" + text_.substr(at_ + 1, open - at_ - 1) + "\"";
    size_t end = text_.find(close, open);
    ++at_;
    BlankTo(end == std::string::npos ? text_.size() : end + close.size() - 1);
    at_ = std::min(at_ + 1, text_.size());
  }

  // 1'000'000: the quote stands in a word that begins with a digit.
  bool IsDigitSeparator() const {
    size_t start = at_;
    while (start > 0 && (IsWord(text_[start - 1]) || text_[start - 1] == '\'')) {
      --start;
    }
    return start < at_ && std::isdigit(static_cast<unsigned char>(text_[start])) != 0;
  }

  void Literal(char quote) {
    size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote && text_[end] != '\n') {
      end += text_[end] == '\\' ? 2 : 1;
    }
    ++at_;
    BlankTo(std::min(end, text_.size()));
    at_ = std::min(at_ + 1, text_.size());
  }

  const std::string& text_;
  std::string code_;
  size_t at_ = 0;
};

// `line` is a directive's first line as it stands in the file.
void ReadInclude(std::string_view line, int number, std::vector<Include>& includes) {
  size_t at = line.find('#') + 1;
  at = std::min(line.find_first_not_of(" \t", at), line.size());
  if (line.substr(at, 7) != "include") {
    return;
  }
  size_t open = line.find_first_of("<\"", at);
  if (open == std::string_view::npos) {
    return;
  }
  size_t close = line.find(line[open] == '<' ? '>' : '"', open + 1);
  if (close != std::string_view::npos) {
    includes.push_back(
        {number, line[open] == '"', std::string(line.substr(open + 1, close - open - 1))});
  }
}

// Blanks directives with their continuations in `plain` and collects the includes among them.
void TakeDirectives(SourceText& source) {
  source.plain = source.code;
  size_t begin = 0;
  int number = 1;
  bool continued = false;
  for (std::string_view line : Lines(source.code)) {
    size_t first = line.find_first_not_of(" \t");
    bool starts = !continued && first != std::string_view::npos && line[first] == '#';
    if (starts) {
      ReadInclude(std::string_view(source.text).substr(begin, line.size()), number,
                  source.includes);
    }
    if (starts || continued) {
      std::fill_n(source.plain.begin() + static_cast<std::ptrdiff_t>(begin), line.size(), ' ');
      continued = line.ends_with('\\');
    }
    begin += line.size() + 1;
    ++number;
  }
}

}  // namespace

int SourceText::LineOf(size_t offset) const {
  auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(offset, text.size()));
  return 1 + static_cast<int>(std::count(text.begin(), end, '\n'));
}

SourceText Scan(std::string text) {
  SourceText source;
  source.code = Masker(text).Run();
  source.text = std::move(text);
  TakeDirectives(source);
  return source;
}

std::vector<std::string_view> Lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace tidy
