// SPDX-License-Identifier: Apache-2.0
// Server: a running member: builds its parts from the bottom up, starts them, and stops them in
// reverse. Start returns when the ports are bound, the directory is recovered and all threads run;
// "ready to serve client requests" is logged when the member has published itself through the log,
// which needs a leader. Start and Stop by main's thread. `fatal` is called from any thread when the
// member cannot go on.
#pragma once

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/server/config.h"

#include <absl/functional/any_invocable.h>

#include <memory>

namespace store::server {

class Server {
 public:
  using Fatal = absl::AnyInvocable<void(const Error&) const>;

  // `clock` outlives the server.
  static Result<std::unique_ptr<Server>> Start(const ServerConfig& config, const Clock& clock,
                                               Logger log, Fatal fatal);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Ends calls, flushes and closes. Idempotent. On a full disk it returns with threads still
  // running that wait for room: then the process must end without destroying this object.
  void Stop();

 private:
  class Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace store::server
