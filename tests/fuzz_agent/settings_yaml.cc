// SPDX-License-Identifier: Apache-2.0
// The agent's settings: nothing of yaml-cpp leaves the parser, and what is taken is valid.
#include "logagent/model/settings_yaml.h"

#include "store/base/check.h"
#include "tests/fuzz/target.h"

namespace store::fuzz {

void Run(std::string_view input) {
  auto config = logagent::ParseSettingsYaml(input);
  if (!config) {
    CHECK(!config.error().message().empty());
    return;
  }
  Status valid = logagent::ValidateSettings(config->settings);
  CHECK(valid.has_value(), "{}", valid.error().message());
}

std::vector<std::string> Seeds() {
  return {
      "agent: {id: a, ip: 10.0.0.1, state_dir: /s, admin: '', memory: 64MiB, max_line_bytes: "
      "1KiB}\n",
      "kafka:\n  brokers: [a:1, b]\n  properties:\n    acks: all\n  secrets:\n    sasl.password: "
      "file:/p\n  latency: low\n",
      "store:\n  endpoints: 127.0.0.1:2379\n  timeout: 500ms\n  config_key: /a/%s\n",
      "entries:\n  - path: /a/*.log\n    topic: t\n    strip_cr: true\n  - {path: /b, topic: u}\n",
      "log: {level: debug, format: console, output: stderr}\nentries_file: /e.json\n",
      "a: &x [1, 2]\nb: *x\n? !!map {}\n: |\n  text\n",
  };
}

}  // namespace store::fuzz
