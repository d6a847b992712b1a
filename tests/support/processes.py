# SPDX-License-Identifier: Apache-2.0
"""What every script needs that starts real programs: free ports, a clean environment, a child that ends with the script,
a store's command line, a program that answers line by line, waiting for a condition."""
import ctypes
import os
import random
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """Something the script must show does not hold, or a program does not answer."""


def die_with_parent():
    """Run in the child: a script that is killed by its time limit leaves no server behind. The kernel goes by the thread
    that started the child, so start programs on the main thread."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


# Below those that the kernel gives to connections: one of these may be somebody's the moment before a server listens, or
# while it is down.
SERVER_PORTS = range(10000, 32000)


def free_ports(count):
    """Ports of loopback that nobody listened on a moment ago, all different."""
    sockets = []
    try:
        ports = []
        for port in random.sample(SERVER_PORTS, count + 1000):
            if len(ports) == count:
                return ports
            one = socket.socket()
            sockets.append(one)
            try:
                one.bind(("127.0.0.1", port))
                ports.append(port)
            except OSError:
                pass  # somebody's
        raise Failure(f"{count} ports of loopback are not free")
    finally:
        for one in sockets:
            one.close()


def clean_environment(**more):
    """Ours without etcd's variables, which would change what stores and clients do."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ETCD_", "ETCDCTL_"))}
    return {**kept, **more}


def store_argv(program, data_directory, client_port, peer_port, name="one", advertised_port=None):
    """The command line of a cluster of one, which etcd and sluice-store share."""
    peer = f"http://127.0.0.1:{peer_port}"
    return [program, "--name", name, "--data-dir", data_directory,
            "--listen-client-urls", f"http://127.0.0.1:{client_port}",
            "--advertise-client-urls", f"http://127.0.0.1:{advertised_port or client_port}",
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"{name}={peer}"]


class Answering:
    """A program that answers each line on its input with one line: the recording clients of tests/peers. An answer that
    begins with FAILED, or none, is a Failure. Errors go to the log."""

    def __init__(self, argv, log_path):
        self._log_path = log_path
        with open(log_path, "wb") as log:
            self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                             preexec_fn=die_with_parent)

    def send(self, command):
        self._process.stdin.write(command.encode() + b"\n")
        self._process.stdin.flush()

    def receive(self):
        line = self._process.stdout.readline().decode().strip()
        if not line or line.startswith("FAILED"):
            raise Failure(line or f"the clients ended; see {self._log_path}")
        return line

    def ask(self, command):
        self.send(command)
        return self.receive()

    def count(self):
        """What of `count` stands first: acknowledged or answered calls."""
        return int(self.ask("count").split()[0])

    def end(self):
        """The end of its input is its last command."""
        self._process.stdin.close()
        return self.receive()

    def kill(self):
        self._process.kill()
        self._process.wait()


def wait_for(condition, seconds, what, pause=0.005):
    """The first true value of the condition; Failure at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(pause)
