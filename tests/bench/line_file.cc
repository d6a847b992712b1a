// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/line_file.h"

#include "store/base/check.h"
#include "store/base/file.h"

#include <fmt/format.h>

#include <charconv>
#include <fcntl.h>
#include <iterator>

namespace bench {
namespace {

constexpr std::string_view kLetters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr size_t kWriteBytes = size_t{4} << 20;

// A xorshift generator: the store's seeded one would cost more than the writing.
class Filler {
 public:
  explicit Filler(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15U + 1) {}
  void Append(size_t count, std::string* out) {
    for (size_t i = 0; i < count; ++i) {
      if (i % 10 == 0) {
        Step();
      }
      out->push_back(kLetters[bits_ & 63]);
      bits_ >>= 6;
    }
  }

 private:
  void Step() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    bits_ = state_;
  }
  uint64_t state_;
  uint64_t bits_ = 0;
};

template <class T>
bool ParsePart(std::string_view text, T* value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

store::Status WriteLineFile(const std::string& path, uint32_t stream, uint64_t lines,
                            size_t line_bytes) {
  CHECK(line_bytes > kLineNameBytes && stream < 100, "{} bytes, stream {}", line_bytes, stream);
  auto file = store::OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  RETURN_IF_ERROR(file);
  Filler filler(stream + 1);
  std::string buffer;
  for (uint64_t i = 0; i < lines; ++i) {
    fmt::format_to(std::back_inserter(buffer), "{:02} {:010} ", stream, i);
    filler.Append(line_bytes - kLineNameBytes - 1, &buffer);
    buffer.push_back('\n');
    if (buffer.size() >= kWriteBytes || i + 1 == lines) {
      RETURN_IF_ERROR(store::WriteAll(file->get(), buffer, path));
      buffer.clear();
    }
  }
  return store::Ok();
}

std::optional<LineName> ParseLine(std::string_view line) {
  LineName name;
  if (line.size() < kLineNameBytes || line[2] != ' ' || line[kLineNameBytes - 1] != ' ' ||
      !ParsePart(line.substr(0, 2), &name.stream) ||
      !ParsePart(line.substr(3, 10), &name.sequence)) {
    return std::nullopt;
  }
  return name;
}

}  // namespace bench
