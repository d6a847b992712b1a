// SPDX-License-Identifier: Apache-2.0
#include "tests/tidy/functions.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string_view>

namespace tidy {
namespace {

enum class Kind { kNamespace, kType, kFunction, kLambda, kStatement, kInitialiser };

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::string_view TrimRight(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) {
    text.remove_suffix(1);
  }
  return text;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) {
    text.remove_prefix(1);
  }
  return TrimRight(text);
}

std::string_view FirstWord(std::string_view text) {
  size_t end = 0;
  while (end < text.size() && IsWord(text[end])) {
    ++end;
  }
  return text.substr(0, end);
}

std::string_view LastWord(std::string_view text) {
  size_t begin = text.size();
  while (begin > 0 && IsWord(text[begin - 1])) {
    --begin;
  }
  return text.substr(begin);
}

template <size_t kCount>
bool IsOneOf(std::string_view word, const std::array<std::string_view, kCount>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr std::array<std::string_view, 4> kTypeWords = {"class", "struct", "union", "enum"};
constexpr std::array<std::string_view, 7> kControlWords = {"if",     "for", "while", "do",
                                                           "switch", "try", "catch"};

// Without "template <…>" and "[[…]]" in front.
std::string_view SkipTemplate(std::string_view head) {
  head = Trim(head);
  while (head.starts_with("[[") && head.find("]]") != std::string_view::npos) {
    head = Trim(head.substr(head.find("]]") + 2));
  }
  if (FirstWord(head) != "template") {
    return head;
  }
  int depth = 0;
  for (size_t i = head.find('<'); i < head.size(); ++i) {
    depth += head[i] == '<' ? 1 : head[i] == '>' ? -1 : 0;
    if (depth == 0) {
      return SkipTemplate(head.substr(i + 1));
    }
  }
  return head;
}

// Offset of the bracket that opens the one at the end of `text`, or npos.
size_t OpenOf(std::string_view text, char open, char close) {
  int depth = 0;
  for (size_t i = text.size(); i-- > 0;) {
    depth += text[i] == close ? 1 : text[i] == open ? -1 : 0;
    if (depth == 0) {
      return i;
    }
  }
  return std::string_view::npos;
}

std::string_view WithoutSpecifiers(std::string_view head) {
  head = TrimRight(head);
  while (LastWord(head) == "mutable" || LastWord(head) == "noexcept") {
    head = TrimRight(head.substr(0, head.size() - LastWord(head).size()));
  }
  return head;
}

// "[…]" , "[…](…)", "[…](…) mutable -> T": what stands before the body of a lambda.
bool EndsAsLambda(std::string_view head) {
  head = TrimRight(head);
  size_t arrow = head.rfind("->");
  if (arrow != std::string_view::npos &&
      head.find_first_of("();=", arrow) == std::string_view::npos &&
      WithoutSpecifiers(head.substr(0, arrow)).ends_with(')')) {
    head = head.substr(0, arrow);
  }
  head = WithoutSpecifiers(head);
  if (head.ends_with(')')) {
    size_t open = OpenOf(head, '(', ')');
    head = open == std::string_view::npos ? "" : TrimRight(head.substr(0, open));
  }
  if (!head.ends_with(']') || head.ends_with("]]")) {
    return false;
  }
  size_t open = OpenOf(head, '[', ']');
  if (open == std::string_view::npos) {
    return false;
  }
  // values[i] { is no lambda: a subscript follows a name.
  std::string_view before = TrimRight(head.substr(0, open));
  return before.empty() || !(IsWord(before.back()) || before.ends_with(']')) ||
         LastWord(before) == "return";
}

struct Shape {
  bool has_parameters = false;    // a closed (…) at depth 0
  bool inside_parens = false;     // an open ( at the end
  bool has_assignment = false;    // = at depth 0
  bool has_initialisers = false;  // a constructor's : after its parameters
};

Shape ShapeOf(std::string_view head) {
  Shape shape;
  int depth = 0;
  for (size_t i = 0; i < head.size(); ++i) {
    char c = head[i];
    if (c == '(' || c == '[') {
      ++depth;
    } else if (c == ')' || c == ']') {
      --depth;
      shape.has_parameters |= depth == 0 && c == ')';
    } else if (depth == 0 && c == '=') {
      shape.has_assignment = true;
    } else if (depth == 0 && c == ':' && shape.has_parameters) {
      bool is_scope = head.substr(i, 2) == "::" || (i > 0 && head[i - 1] == ':');
      shape.has_initialisers |= !is_scope;
    }
  }
  shape.inside_parens = depth > 0;
  return shape;
}

// A brace in a file, namespace or type.
Kind KindOfDeclaration(std::string_view head) {
  head = SkipTemplate(head);
  std::string_view first = FirstWord(head);
  if (first == "namespace" || head.starts_with("inline namespace") ||
      (first == "extern" && head.find('(') == std::string_view::npos && head.ends_with('"'))) {
    return Kind::kNamespace;
  }
  if (IsOneOf(first, kTypeWords) || (first == "typedef")) {
    return Kind::kType;
  }
  if (EndsAsLambda(head)) {
    return Kind::kLambda;
  }
  Shape shape = ShapeOf(head);
  bool is_operator = head.find("operator") != std::string_view::npos;
  if (shape.inside_parens || !shape.has_parameters || (shape.has_assignment && !is_operator)) {
    return Kind::kInitialiser;
  }
  // Constructor(…) : member_{…}, other_(…) {: only the last brace is the body.
  char last = TrimRight(head).back();
  if (shape.has_initialisers && (IsWord(last) || last == '>')) {
    return Kind::kInitialiser;
  }
  return Kind::kFunction;
}

// How many control words stand at depth 0; "else if" is one.
int ControlDepth(std::string_view head) {
  int depth = 0;
  int parens = 0;
  for (size_t i = 0; i < head.size(); ++i) {
    parens += head[i] == '(' ? 1 : head[i] == ')' ? -1 : 0;
    if (parens == 0 && IsWord(head[i]) && (i == 0 || !IsWord(head[i - 1]))) {
      depth += IsOneOf(FirstWord(head.substr(i)), kControlWords) ? 1 : 0;
    }
  }
  return depth == 0 && FirstWord(head) == "else" ? 1 : depth;
}

// A brace in a body.
Kind KindOfStatement(std::string_view head) {
  head = Trim(head);
  if (EndsAsLambda(head)) {
    return Kind::kLambda;
  }
  if (ShapeOf(head).inside_parens) {
    return Kind::kInitialiser;
  }
  std::string_view first = FirstWord(head);
  if (IsOneOf(first, kTypeWords)) {
    return Kind::kType;
  }
  bool is_label = head.ends_with(':');
  bool is_control = first == "else" || IsOneOf(first, kControlWords);
  char last = head.empty() ? ';' : head.back();
  if (head.empty() || is_label ||
      (is_control &&
       (last == ')' || !IsWord(last) || first == "do" || first == "else" || first == "try"))) {
    return Kind::kStatement;
  }
  return Kind::kInitialiser;
}

class Finder {
 public:
  explicit Finder(const SourceText& source) : source_(source), text_(source.plain) {}

  std::vector<Function> Run() {
    for (size_t i = 0; i < text_.size(); ++i) {
      switch (text_[i]) {
        case '(':
          ++parens_;
          break;
        case ')':
          --parens_;
          break;
        case ';':
          EndStatement(i);
          break;
        case ':':
          EndLabel(i);
          break;
        case '{':
          Open(i);
          break;
        case '}':
          Close(i);
          break;
        default:
          break;
      }
    }
    std::sort(functions_.begin(), functions_.end(),
              [](const Function& a, const Function& b) { return a.line < b.line; });
    return std::move(functions_);
  }

 private:
  struct Brace {
    Kind kind;
    size_t head;                     // where the text before the brace begins
    int parens;                      // open parentheses outside
    int depth;                       // control statements around its contents, in this body
    std::optional<size_t> function;  // of the body it opens
  };

  bool InBody() const {
    for (size_t i = braces_.size(); i-- > 0;) {
      switch (braces_[i].kind) {
        case Kind::kNamespace:
        case Kind::kType:
          return false;
        case Kind::kFunction:
        case Kind::kLambda:
        case Kind::kStatement:
          return true;
        case Kind::kInitialiser:
          break;
      }
    }
    return false;
  }

  // The semicolons of for (;;) stand in parentheses and end nothing.
  void EndStatement(size_t at) {
    if (parens_ == 0) {
      head_ = at + 1;
    }
  }

  // public: and case x: begin a new head; the ':' of ::, ?: and of constructors does not.
  void EndLabel(size_t at) {
    std::string_view head = Trim(std::string_view(text_).substr(head_, at - head_));
    std::string_view first = FirstWord(head);
    bool is_access = head == "public" || head == "private" || head == "protected";
    bool is_scope = text_.substr(at, 2) == "::" || (at > 0 && text_[at - 1] == ':');
    if (parens_ == 0 && !is_scope && (is_access || first == "case" || head == "default")) {
      head_ = at + 1;
    }
  }

  void Open(size_t at) {
    std::string_view head = std::string_view(text_).substr(head_, at - head_);
    Kind kind = InBody() ? KindOfStatement(head) : KindOfDeclaration(head);
    Brace brace{kind, head_, parens_, Depth(), std::nullopt};
    if (kind == Kind::kStatement) {
      brace.depth += ControlDepth(Trim(head));
      NoteDepth(brace.depth, at);
    } else if (kind == Kind::kFunction || kind == Kind::kLambda) {
      brace.depth = 0;
      brace.function = functions_.size();
      int line = source_.LineOf(at);
      functions_.push_back({Name(head, kind), line, 0, 0, line});
    }
    braces_.push_back(brace);
    parens_ = 0;
    head_ = at + 1;
  }

  void Close(size_t at) {
    if (braces_.empty()) {
      return;
    }
    Brace brace = braces_.back();
    braces_.pop_back();
    if (brace.function) {
      Function& function = functions_[*brace.function];
      function.length = source_.LineOf(at) - function.line + 1;
    }
    parens_ = brace.parens;
    // An initialiser and a lambda stand in the middle of a statement, everything else ends one.
    bool goes_on = brace.kind == Kind::kInitialiser || brace.kind == Kind::kLambda;
    head_ = goes_on ? brace.head : at + 1;
  }

  int Depth() const { return braces_.empty() ? 0 : braces_.back().depth; }

  void NoteDepth(int depth, size_t at) {
    for (size_t i = braces_.size(); i-- > 0;) {
      if (braces_[i].function) {
        Function& function = functions_[*braces_[i].function];
        if (depth > function.nesting) {
          function.nesting = depth;
          function.nesting_line = source_.LineOf(at);
        }
        return;
      }
    }
  }

  static std::string Name(std::string_view head, Kind kind) {
    if (kind == Kind::kLambda) {
      return "lambda";
    }
    head = SkipTemplate(head);
    std::string_view name = TrimRight(head.substr(0, head.find('(')));
    if (name == "TEST" || name == "TEST_F" || name == "TEST_P") {
      return std::string(TrimRight(head));
    }
    if (size_t at = name.rfind("operator"); at != std::string_view::npos) {
      return std::string(name.substr(at));
    }
    size_t begin = name.size();
    while (begin > 0 &&
           (IsWord(name[begin - 1]) || name[begin - 1] == ':' || name[begin - 1] == '~')) {
      --begin;
    }
    return std::string(name.substr(begin));
  }

  const SourceText& source_;
  const std::string& text_;
  std::vector<Brace> braces_;
  std::vector<Function> functions_;
  size_t head_ = 0;
  int parens_ = 0;
};

}  // namespace

std::vector<Function> FindFunctions(const SourceText& source) { return Finder(source).Run(); }

}  // namespace tidy
