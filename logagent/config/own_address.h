// SPDX-License-Identifier: Apache-2.0
// Which address fills the key template. The course's method comes first, so that keys match: the
// local address of a UDP socket connected to 8.8.8.8:80 (nothing is sent). A host without that
// route takes the one towards the store, then the first global unicast IPv4 of its interfaces, then
// 127.0.0.1. Blocking for at most a name lookup of the store's host. Any thread.
#pragma once

#include "store/base/error.h"

#include <string>
#include <vector>

namespace logagent {

struct OwnAddress {
  std::string ip;
  std::string found_by;  // for the log
};

// `override_ip` wins if it is not empty. Endpoints are host:port.
OwnAddress FindOwnAddress(const std::string& override_ip,
                          const std::vector<std::string>& store_endpoints);

// All addresses of interfaces that are up, without loopback.
std::vector<std::string> AllAddresses();

}  // namespace logagent
