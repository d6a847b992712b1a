# SPDX-License-Identifier: Apache-2.0
"""A store under test: a program that takes etcd's flags, on free ports of loopback, behind a relay."""
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

from relay import Relay

START_SECONDS_MAX = 30
PR_SET_PDEATHSIG = 1


def die_with_parent():
    """Run in the child: a suite that is killed by its time limit leaves no server behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


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

    def start(self):
        client_port, peer_port = free_ports(2)
        self.relay.target_port = client_port
        self.relay.start()
        peer_url = f"http://127.0.0.1:{peer_port}"
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("ETCD_", "ETCDCTL_"))}
        with open(self._log_path, "wb") as log:
            self._process = subprocess.Popen(
                [self.program, "--name", "one", "--data-dir", os.path.join(self._directory, "data"),
                 "--listen-client-urls", f"http://127.0.0.1:{client_port}",
                 # The relay's address is advertised, so that all a client is told is one port.
                 "--advertise-client-urls", f"http://{self.endpoint}",
                 "--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url,
                 "--initial-cluster", f"one={peer_url}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                preexec_fn=die_with_parent)
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
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                pass
            if not self.is_running() or time.monotonic() > deadline:
                raise SystemExit(f"{self.program} does not serve; the end of its log:\n{self.log_tail()}")
            time.sleep(0.05)
