// SPDX-License-Identifier: Apache-2.0
// The course's config.ini: what is taken passes the validator, in any spelling.
#include "logagent/model/legacy_ini.h"

#include "store/base/check.h"
#include "tests/fuzz/target.h"

namespace store::fuzz {

void Run(std::string_view input) {
  auto config = logagent::ParseLegacyIni(input);
  if (!config) {
    CHECK(!config.error().message().empty());
    return;
  }
  Status valid = logagent::ValidateSettings(config->config.settings);
  CHECK(valid.has_value(), "{}", valid.error().message());
}

std::vector<std::string> Seeds() {
  return {
      "[kafka]\naddress=127.0.0.1:9092\nchan_max_size=100000\n\n[etcd]\naddress=127.0.0.1:2379\n"
      "timeout=5\ncollect_log_key=/logagent/%s/collect_config\n",
      "; a comment\n[kafka]\naddress = a:1, b ; c:3\nqueue_size=1\n[taillog]\npath=./my.log\n",
      "[etcd]\naddress=\"[::1]:2379\"\ntimeout = 5s\r\n[logs]\nlog_level=debug\n",
      "\xEF\xBB\xBF[kafka]\naddress=h\n",
  };
}

}  // namespace store::fuzz
