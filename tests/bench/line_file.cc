// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/line_file.h"

#include "store/base/check.h"
#include "store/base/file.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <fcntl.h>
#include <iterator>

namespace bench {
namespace {

constexpr std::string_view kLetters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::array<std::string_view, 16> kNames = {"level=info component=http.server method",
                                                     "level=info component=db.pool connections",
                                                     "level=warn component=cache evicted",
                                                     "msg=\"request served from upstream\" took_us",
                                                     "msg=\"retry after timeout\" attempt",
                                                     "user_agent=\"Mozilla/5.0 (X11; Linux)\" user",
                                                     "path=/api/v1/items/list item",
                                                     "path=/api/v1/orders/create order",
                                                     "status=200 bytes",
                                                     "status=404 bytes",
                                                     "remote=10.0.0.0 port",
                                                     "trace",
                                                     "span",
                                                     "tenant",
                                                     "session",
                                                     "latency_us"};
constexpr uint64_t kValues = 1'000'000;
constexpr size_t kWriteBytes = size_t{4} << 20;

// A xorshift generator: the store's seeded one would cost more than the writing.
class Filler {
 public:
  Filler(uint64_t seed, Content content)
      : content_(content), state_(seed * 0x9E3779B97F4A7C15U + 1) {}
  void Append(size_t count, std::string* out) {
    if (content_ == Content::kEncoded) {
      AppendEncoded(count, out);
    } else {
      AppendText(count, out);
    }
  }

 private:
  void AppendEncoded(size_t count, std::string* out) {
    for (size_t i = 0; i < count; ++i) {
      if (i % 10 == 0) {
        Step();
      }
      out->push_back(kLetters[bits_ & 63]);
      bits_ >>= 6;
    }
  }
  void AppendText(size_t count, std::string* out) {
    const size_t end = out->size() + count;
    while (out->size() < end) {
      Step();
      fmt::format_to(std::back_inserter(*out), "{}={} ", kNames[state_ % kNames.size()],
                     (state_ >> 32) % kValues);
    }
    out->resize(end);
  }
  void Step() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    bits_ = state_;
  }
  const Content content_;
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
                            size_t line_bytes, Content content) {
  CHECK(line_bytes > kLineNameBytes && stream < 100, "{} bytes, stream {}", line_bytes, stream);
  auto file = store::OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  RETURN_IF_ERROR(file);
  Filler filler(stream + 1, content);
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
