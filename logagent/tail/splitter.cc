// SPDX-License-Identifier: Apache-2.0
#include "logagent/tail/splitter.h"

#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace logagent {
namespace {

constexpr size_t kBlock = 64;

// Bit i is set if block[i] is a newline.
uint64_t NewlineBits(const char* block) {
#if defined(__SSE2__)
  const __m128i newline = _mm_set1_epi8('\n');
  uint64_t bits = 0;
  for (size_t part = 0; part < kBlock; part += 16) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + part));
    auto mask = static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, newline)));
    bits |= uint64_t{mask} << part;
  }
  return bits;
#else
  uint64_t bits = 0;
  for (size_t i = 0; i < kBlock; ++i) {
    bits |= uint64_t{block[i] == '\n'} << i;
  }
  return bits;
#endif
}

class LineSink {
 public:
  LineSink(std::string_view bytes, size_t from, bool strip_cr, std::vector<Line>& lines)
      : bytes_(bytes), begin_(from), strip_cr_(strip_cr), lines_(lines) {}

  void Newline(size_t at) {
    size_t length = at - begin_;
    if (strip_cr_ && length > 0 && bytes_[at - 1] == '\r') {
      --length;
    }
    lines_.push_back({static_cast<uint32_t>(begin_), static_cast<uint32_t>(length)});
    begin_ = at + 1;
  }
  size_t begin() const { return begin_; }

 private:
  std::string_view bytes_;
  size_t begin_;
  const bool strip_cr_;
  std::vector<Line>& lines_;
};

}  // namespace

size_t SplitLines(std::string_view bytes, size_t from, bool strip_cr, std::vector<Line>& lines) {
  LineSink sink(bytes, from, strip_cr, lines);
  size_t at = from;
  for (; at + kBlock <= bytes.size(); at += kBlock) {
    for (uint64_t bits = NewlineBits(bytes.data() + at); bits != 0; bits &= bits - 1) {
      sink.Newline(at + static_cast<size_t>(std::countr_zero(bits)));
    }
  }
  for (; at < bytes.size(); ++at) {
    if (bytes[at] == '\n') {
      sink.Newline(at);
    }
  }
  return sink.begin();
}

size_t LastLineEnd(std::string_view bytes, size_t from) {
  if (bytes.size() <= from) {
    return from;
  }
  const void* newline = memrchr(bytes.data() + from, '\n', bytes.size() - from);
  return newline == nullptr
             ? from
             : static_cast<size_t>(static_cast<const char*>(newline) - bytes.data()) + 1;
}

}  // namespace logagent
