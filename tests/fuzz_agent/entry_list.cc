// SPDX-License-Identifier: Apache-2.0
// The list of entries in the store, JSON that people write: what is taken is valid, and its
// canonical form means the same.
#include "logagent/model/entry_list.h"

#include "store/base/check.h"
#include "tests/fuzz/target.h"

namespace store::fuzz {

void Run(std::string_view input) {
  auto list = logagent::ParseEntryList(input);
  if (!list) {
    CHECK(!list.error().message().empty());
    return;
  }
  CHECK(list->entries.size() <= logagent::kEntriesMax);
  const std::string text = logagent::FormatEntryList(list->entries);
  auto again = logagent::ParseEntryList(text);
  CHECK(again.has_value(), "{}: {}", again.error().message(), text);
  CHECK(again->entries == list->entries, "{}", text);
}

std::vector<std::string> Seeds() {
  return {
      R"([{"path":"/var/log/a.log","topic":"web"}])",
      R"([{"Path":"/a/*.log","TOPIC":"b","strip_cr":true,"module":"m","service":"s"},null])",
      R"([{"path":"/\u00e9\ud83d\ude00\ud800","topic":"t.1-2_3","unknown":[1,-2.5e+3,{"x":null}]}])",
      "[]",
      "null",
      "  [ {\"path\" : \"/a\\n\\\"b\" , \"topic\":\"t\" } ]\n",
  };
}

}  // namespace store::fuzz
