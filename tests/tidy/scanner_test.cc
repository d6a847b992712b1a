// SPDX-License-Identifier: Apache-2.0
// The scanner and the function finder on snippets.
#include "tests/tidy/functions.h"
#include "tests/tidy/source_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidy {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> NamesIn(std::string text) {
  std::vector<std::string> names;
  for (const Function& function : FindFunctions(Scan(std::move(text)))) {
    names.push_back(function.name);
  }
  return names;
}

int NestingOf(const std::string& body) {
  std::vector<Function> functions = FindFunctions(Scan("void F() {\n" + body + "\n}\n"));
  return functions.empty() ? -1 : functions.front().nesting;
}

TEST(SourceText, BlanksCommentsAndLiteralsAndKeepsOffsets) {
  SourceText source = Scan("int a; // b {\n/* c {\n*/ char d = '{'; f(\"x\\\"{\");\n");
  EXPECT_EQ(source.code, "int a;       \n      \n   char d = ' '; f(\"    \");\n");
  EXPECT_EQ(source.LineOf(source.code.find("char")), 3);
}

TEST(SourceText, KnowsRawStrings) {
  EXPECT_EQ(Scan("auto a = R\"(\"{\\)\"; b").code, "auto a = R\"     \"; b");
  EXPECT_EQ(Scan("u8R\"x()\" ()x\";c").code, "u8R\"        \";c");
  EXPECT_EQ(Scan("FOOR\"(\" b").code, "FOOR\" \" b");
}

TEST(SourceText, TellsDigitSeparatorsFromCharacters) {
  EXPECT_EQ(Scan("f(1'000'000, '{', 0xff'ff, u8'}')").code, "f(1'000'000, ' ', 0xff'ff, u8' ')");
}

TEST(SourceText, ACommentGoesOnBehindABackslash) {
  EXPECT_EQ(Scan("// a \\\n b {\nc").code, "      \n    \nc");
}

TEST(SourceText, ReadsIncludesButNotThoseInComments) {
  SourceText source = Scan("#include \"a/b.h\"\n#  include <c>\n// #include \"d.h\"\nint x;\n");
  ASSERT_EQ(source.includes.size(), 2U);
  EXPECT_EQ(source.includes[0].name, "a/b.h");
  EXPECT_TRUE(source.includes[0].quoted);
  EXPECT_EQ(source.includes[1].name, "c");
  EXPECT_EQ(source.includes[1].line, 2);
}

TEST(SourceText, PlainHasNoDirectives) {
  SourceText source = Scan("#define A(x) { \\\n  if (x) {\nint b;\n");
  EXPECT_EQ(source.plain.find('{'), std::string::npos);
  EXPECT_NE(source.plain.find("int b;"), std::string::npos);
}

TEST(Functions, AreFoundInNamespacesAndTypes) {
  EXPECT_THAT(NamesIn(R"(
    namespace a::b {
    template <class T> class C final : public D<T> {
     public:
      C() : x_{1}, y_(2) { F(); }
      explicit C(int x) : D<T>{x} {}
      ~C() override = default;
      int Get() const noexcept { return x_; }
      friend bool operator==(const C& a, const C& b) { return true; }
     private:
      int x_ = 0; std::vector<int> y_{1, 2};
    };
    enum class E : int { kA, kB };
    struct [[nodiscard]] S { int a; };
    }
    auto a::b::C::Outside(int a) -> std::map<int, int> { return {}; }
    extern "C" { void Callback(void* p) { } }
  )"),
              ElementsAre("C", "C", "Get", "operator==", "a::b::C::Outside", "Callback"));
}

TEST(Functions, InitialisersAreNone) {
  EXPECT_THAT(NamesIn("constexpr Row kRows[] = {{1, 2}, {3, 4}};\nint a{3};\n"
                      "const auto kB = Make({1, 2});\n"),
              IsEmpty());
}

TEST(Functions, TestsAreNamedWhole) {
  EXPECT_THAT(NamesIn("TEST(A, B) {\n}\n"), ElementsAre("TEST(A, B)"));
}

TEST(Functions, LambdasAreFunctionsOfTheirOwn) {
  EXPECT_THAT(NamesIn("void F() {\n  G([&x](int a) mutable -> int { return a; });\n"
                      "  auto h = [] { return 1; };\n}\n"),
              ElementsAre("F", "lambda", "lambda"));
  EXPECT_EQ(NestingOf("if (a) { for (;;) { G([&] { if (b) { while (c) {} } }); } }"), 2);
}

TEST(Functions, LengthCountsTheBraces) {
  std::vector<Function> functions = FindFunctions(Scan("int F(int a,\n      int b) {\n  a;\n}\n"));
  ASSERT_EQ(functions.size(), 1U);
  EXPECT_EQ(functions[0].line, 2);
  EXPECT_EQ(functions[0].length, 3);
}

TEST(Functions, NestingCountsControlStatements) {
  EXPECT_EQ(NestingOf("a();"), 0);
  EXPECT_EQ(NestingOf("if (a) { b(); } else if (c) { d(); } else { e(); }"), 1);
  EXPECT_EQ(NestingOf("for (int i = 0; i < 3; ++i) { while (a) { do { b(); } while (c); } }"), 3);
  EXPECT_EQ(NestingOf("if (a) { try { b(); } catch (const E& e) { switch (c) {} } }"), 3);
}

TEST(Functions, ACaseAndABareBlockDoNotNest) {
  EXPECT_EQ(NestingOf("switch (a) { case K::kB: { b(); break; } default: { c(); } }"), 1);
  EXPECT_EQ(NestingOf("{ Lock lock(m); a(); }"), 0);
}

TEST(Functions, ControlBeforeAControlCountsWithoutBraces) {
  EXPECT_EQ(NestingOf("for (auto& a : b) if (a) { c(); }"), 2);
}

TEST(Functions, InitialisersInsideBodiesDoNotNest) {
  EXPECT_EQ(NestingOf("if (a) { return F{1, {2}}; } std::vector<int> v = {1}; G({1, 2});"), 1);
}

TEST(Functions, TheConditionMayContainBraces) {
  EXPECT_EQ(NestingOf("if (a == B{1}) { c(); }"), 1);
  EXPECT_EQ(NestingOf("if (auto r = F({1, 2}); r) { if (G([] { return 1; })) { c(); } }"), 2);
}

}  // namespace
}  // namespace tidy
