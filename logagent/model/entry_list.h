// SPDX-License-Identifier: Apache-2.0
// The entry list as it stands in the store: a JSON array of objects, read as leniently as the Go
// programs of the course read it and no more. Names match in any case, of repeated names the last
// wins, unknown members are warnings, null and [] mean no entries. Refused, with line:column and
// the reason: text after the array, a byte order mark, comments, an object in place of the array, a
// wrong type, and what ValidateEntries refuses. Members: path (log_path, logpath), topic, and of
// our own format, strip_cr, send_rate, module, service. Pure functions, any thread; the text is at
// most kEntryListBytesMax bytes.
#pragma once

#include "logagent/model/model.h"

#include <string>
#include <string_view>
#include <vector>

namespace logagent {

struct EntryList {
  std::vector<EntryConfig> entries;
  std::vector<Warning> warnings;
};

Result<EntryList> ParseEntryList(std::string_view json);

// The list as canonical JSON, one entry a line: what `config get` shows and what is hashed.
std::string FormatEntryList(const std::vector<EntryConfig>& entries);

}  // namespace logagent
