# SPDX-License-Identifier: Apache-2.0
"""A cluster of real members on loopback: started, killed, brought back by the script that owns it."""
import json
import os
import signal
import subprocess
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from processes import Failure, clean_environment, die_with_parent, free_ports, wait_for  # noqa: E402

# The machine may be busy with other things; nothing here should take long.
PATIENCE_S = 90


class Member:
    def __init__(self, program, name, client_port, peer_port, directory):
        self.program, self.name, self.directory = program, name, directory
        self.client = f"http://127.0.0.1:{client_port}"
        self.peer = f"http://127.0.0.1:{peer_port}"
        self.endpoint = f"127.0.0.1:{client_port}"
        self.log_path = os.path.join(directory, f"{name}.log")
        self.process = None

    def start(self, initial_cluster, *more, state="new", environment=None):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "--name", self.name, "--data-dir", os.path.join(self.directory, self.name),
                 "--listen-client-urls", self.client, "--advertise-client-urls", self.client,
                 "--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer,
                 "--initial-cluster", initial_cluster, "--initial-cluster-state", state,
                 "--initial-cluster-token", "three-members", *more],
                stdout=log, stderr=log, env=clean_environment(**(environment or {})), preexec_fn=die_with_parent)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def end(self, signal_number=signal.SIGKILL):
        """Returns the wait status as Popen tells it."""
        self.process.send_signal(signal_number)
        return self.process.wait(timeout=PATIENCE_S)

    def log(self):
        with open(self.log_path, "rb") as log:
            return log.read().decode(errors="replace")

    def metric(self, name):
        with urllib.request.urlopen(f"{self.client}/metrics", timeout=10) as page:
            for line in page.read().decode().splitlines():
                if line.startswith(name + " "):
                    return float(line.split()[1])
        raise Failure(f"{self.name} has no metric {name}")


class Cluster:
    def __init__(self, program, directory, size=3):
        ports = free_ports(2 * size)
        self.members = [Member(program, f"infra{i}", ports[2 * i], ports[2 * i + 1], directory) for i in range(size)]
        self.initial = ",".join(f"{m.name}={m.peer}" for m in self.members)
        self.endpoints = ",".join(m.endpoint for m in self.members)

    def start(self, *members):
        for member in members or self.members:
            member.start(self.initial)

    def stop(self):
        for member in self.members:
            if member.running():
                member.end()

    def ctl(self, *arguments, endpoints=None, timeout=30, check=True):
        """Runs etcdctl; its output, or Failure. With check=False (status, output and errors)."""
        command = ["etcdctl", "--endpoints", endpoints or self.endpoints, "--command-timeout", f"{timeout - 2}s", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout + 10,
                              env=clean_environment(ETCDCTL_API="3"), check=False)
        if not check:
            return done.returncode, done.stdout + done.stderr
        if done.returncode != 0:
            raise Failure(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def status(self, *members):
        """What each of these members says of itself (all that run); None where one does not answer."""
        rows = {}
        for member in members or [m for m in self.members if m.running()]:
            code, out = self.ctl("endpoint", "status", "-w", "json", endpoints=member.endpoint, timeout=7, check=False)
            try:
                rows[member] = json.loads(out.splitlines()[0])[0]["Status"] if code == 0 else None
            except (ValueError, IndexError):
                rows[member] = None
        return rows

    def leader(self):
        """The member that all running ones call their leader; None if they do not agree."""
        rows = self.status()
        if any(row is None for row in rows.values()):
            return None
        leaders = {row.get("leader", 0) for row in rows.values()}
        if len(leaders) != 1 or leaders == {0}:
            return None
        return next((m for m, row in rows.items() if row["header"]["member_id"] in leaders), None)

    def wait_leader(self):
        return wait_for(self.leader, PATIENCE_S, "all members agree on a leader", pause=0.05)

    def followers(self, leader):
        return [m for m in self.members if m is not leader and m.running()]

    def wait_equal(self, timeout=30):
        """All running members have the same hash of keys at the same revision; `timeout` of one look at it (large states)."""
        def equal():
            code, out = self.ctl("endpoint", "hashkv", "-w", "json", timeout=timeout,
                                 endpoints=",".join(m.endpoint for m in self.members if m.running()), check=False)
            if code != 0:
                return False
            rows = json.loads(out.splitlines()[0])
            return len({(r["HashKV"]["hash"], r["HashKV"]["header"]["revision"]) for r in rows}) == 1
        wait_for(equal, PATIENCE_S, "all members have the same state", pause=0.05)
