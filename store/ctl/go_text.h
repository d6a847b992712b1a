// SPDX-License-Identifier: Apache-2.0
// Texts as etcdctl, a Go program, writes and reads them: quoted strings, durations, sizes, numbers
// with Go's error messages, JSON strings and bordered tables. Scripts compare these byte for byte.
// Pure functions, any thread.
#pragma once

#include "store/base/clock.h"
#include "store/base/error.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace store::ctl {

// Go's %q: in double quotes, with \n, \x01, \u00a0; bytes that are not UTF-8 as \xNN.
std::string Quoted(std::string_view text);
// The literal at the start of `text` ("…" with escapes, or `…` without), decoded; *length is how
// much of the text it takes.
Result<std::string> Unquoted(std::string_view text, size_t* length);
// As encoding/json writes it, with <, > and & escaped and the quotes around.
std::string JsonText(std::string_view text);
std::string Base64(std::string_view bytes);
// \x61\x62, what --hex shows.
std::string HexEscaped(std::string_view bytes);

// 1.5ms, 2m0s.
std::string DurationText(Duration duration);
Result<Duration> ParseDurationText(std::string_view text);
// 20 kB, 1.3 MB.
std::string SizeText(uint64_t bytes);
// strconv.ParseInt; base 0 takes 0x, 0o, 0b and a leading 0.
Result<int64_t> ParseInt(std::string_view text, int base);
Result<bool> ParseBool(std::string_view text);

// Without the blanks at both ends.
std::string_view Trimmed(std::string_view text);
// ASCII letters only.
std::string UpperCase(std::string_view text);
std::vector<std::string> SplitOn(std::string_view text, char separator);

// Columns are as wide as their widest cell, the header is centred, cells stand right.
std::string Table(const std::vector<std::string>& header,
                  const std::vector<std::vector<std::string>>& rows);

}  // namespace store::ctl
