# SPDX-License-Identifier: Apache-2.0
"""A store under test: a program that takes etcd's flags, on free ports of loopback, behind a relay."""
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request

from relay import Relay

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from processes import Failure, clean_environment, die_with_parent, free_ports, store_argv, wait_for

START_SECONDS_MAX = 30


class Peer:
    def __init__(self, name, program):
        self.name, self.program = name, program
        self.relay = Relay()
        self._directory = tempfile.mkdtemp(prefix="sluice-compat-")
        self._log_path = os.path.join(self._directory, "log")
        self._process = None

    @property
    def endpoint(self):
        return f"127.0.0.1:{self.relay.port}"

    def start(self, flags=()):
        client_port, peer_port = free_ports(2)
        self.relay.target_port = client_port
        self.relay.start()
        # The relay's address is advertised, so that all a client is told is one port.
        argv = store_argv(self.program, os.path.join(self._directory, "data"), client_port, peer_port,
                          advertised_port=self.relay.port) + list(flags)
        with open(self._log_path, "wb") as log:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             env=clean_environment(), preexec_fn=die_with_parent)
        self._wait_until_healthy(client_port)

    def is_running(self):
        return self._process.poll() is None

    def log_tail(self):
        with open(self._log_path, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-15:])

    def stop(self):
        if self._process:
            self._process.kill()
            self._process.wait()
            self.relay.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _wait_until_healthy(self, port):
        def healthy():
            if not self.is_running():
                raise Failure("it ended")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
                    return answer.status == 200
            except OSError:
                return False
        try:
            wait_for(healthy, START_SECONDS_MAX, "healthy", pause=0.05)
        except Failure as failure:
            raise SystemExit(f"{self.program} does not serve ({failure}); the end of its log:\n{self.log_tail()}") from None
