// SPDX-License-Identifier: Apache-2.0
// rpc_echo [address] [loops] [streams]: the echo service on a port, for h2spec, curl, h2load and
// clients in other languages. Prints "listening <address>" and serves until SIGTERM or SIGINT; then
// prints the processor time it used.
#include "store/rpc/server.h"
#include "tests/interop/echo_service.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

int main(int argc, char** argv) {
  using namespace store;
  using namespace store::rpc;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  SystemClock clock;
  std::vector<std::unique_ptr<EventLoop>> loops;
  std::vector<EventLoop*> loop_pointers;
  int loop_count = argc > 2 ? std::atoi(argv[2]) : 1;
  for (int i = 0; i < loop_count; ++i) {
    loops.push_back(std::make_unique<EventLoop>(LoopId(static_cast<uint32_t>(i)), clock));
    loop_pointers.push_back(loops.back().get());
    loops.back()->Start();
  }
  MethodTable methods;
  HttpRouter router;
  test::EchoCounters counters;
  test::RegisterEcho(&methods, &counters);
  test::RegisterEchoHttp(&router);
  ServerOptions options;
  if (argc > 3) options.limits.streams_max = static_cast<uint32_t>(std::atoi(argv[3]));
  Server server(methods, router, loop_pointers, options);
  Status listening = server.Listen(argc > 1 ? argv[1] : "127.0.0.1:0");
  if (!listening) {
    std::fprintf(stderr, "%s\n", listening.error().ToString().c_str());
    return 1;
  }
  server.Start();
  std::printf("listening %s\n", server.addresses().front().ToString().c_str());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
  server.Stop();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("cpu %ld.%06ld user %ld.%06ld system, %llu streams\n", usage.ru_utime.tv_sec,
              usage.ru_utime.tv_usec, usage.ru_stime.tv_sec, usage.ru_stime.tv_usec,
              static_cast<unsigned long long>(server.stats().streams_opened));
  return 0;
}
