// SPDX-License-Identifier: Apache-2.0
// HttpAdmin: a small HTTP/1.1 answerer for the machine's own operator and its scraper: GET and HEAD
// of a few fixed paths, one request for each connection. One thread polls all sockets; pages are
// made on it, so they read only what others published. Bounded: kConnectionsMax connections,
// kRequestBytesMax bytes of request, kIdleLimit from accept to the last byte of the answer.
#pragma once

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/file.h"
#include "store/base/thread.h"

#include <absl/functional/any_invocable.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <netdb.h>
#include <string>
#include <string_view>

namespace logagent {

struct HttpPage {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

// On the first of the addresses that this machine has; `name` is for the message.
store::Result<store::UniqueFd> ListenOnFirst(const addrinfo* found, const std::string& name);

class HttpAdmin {
 public:
  static constexpr size_t kConnectionsMax = 32;
  static constexpr size_t kRequestBytesMax = 8192;
  static constexpr store::Duration kIdleLimit = std::chrono::seconds(10);

  using MakePage = absl::AnyInvocable<HttpPage()>;

  explicit HttpAdmin(const store::Clock& clock) : clock_(clock) {}
  ~HttpAdmin() { Stop(); }
  HttpAdmin(const HttpAdmin&) = delete;
  HttpAdmin& operator=(const HttpAdmin&) = delete;

  // Before Start.
  void Add(std::string path, MakePage make) { pages_[std::move(path)] = std::move(make); }
  // Binds host:port (port 0: any) and serves; an address in use is an error.
  store::Status Start(const std::string& address);
  void Stop();
  uint16_t port() const { return port_; }

 private:
  struct Connection {
    store::UniqueFd fd;
    store::TimePoint until;
    std::string in;
    std::string out;
    size_t sent = 0;
    bool answered = false;
  };

  void Run();
  void Accept();
  // False when the connection is done.
  bool Advance(Connection* connection);
  bool Read(Connection* connection);
  bool Write(Connection* connection);
  std::string Answer(std::string_view request);

  const store::Clock& clock_;
  std::map<std::string, MakePage, std::less<>> pages_;
  store::UniqueFd listener_;
  store::UniqueFd wake_;  // eventfd; written by Stop
  uint16_t port_ = 0;
  std::list<Connection> connections_;  // the thread only
  store::TimePoint accept_after_;      // the same
  store::Thread thread_;
};

}  // namespace logagent
