# SPDX-License-Identifier: Apache-2.0
"""A cluster of real members under recording clients (tests/peers/historyclients): what `faults`, `disks` and `rolling_restart`
share. They do something to members; here stands what must hold after each of it and at the end: members are healthy, clients of
all members are answered, the history holds (lincheck), hashes are equal, leases are gone."""
import argparse
import collections
import json
import os
import random
import subprocess
import sys
import time
import urllib.request

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "peers"), HERE]
from programs import ROOT, Answering, Failure, Program, Scratch, free_ports, wait_for

PEERS = os.path.join(ROOT, "build", "peers")


def say(text):
    print(text, flush=True)


class Member(Program):
    """Others reach it at `advertised`, which may be a proxy's port."""

    def __init__(self, cluster, number, ports, advertised):
        scratch, options = cluster.scratch, cluster.options
        client, peer = ports
        self.number, self.endpoint = number, f"127.0.0.1:{client}"
        self.data_dir = cluster.directory_of(number)
        peers = ",".join(f"m{i}=http://127.0.0.1:{port}" for i, port in enumerate(advertised))
        super().__init__(scratch, f"m{number}", [
            options.server, "--name", f"m{number}", "--data-dir", self.data_dir,
            "--listen-client-urls", f"http://{self.endpoint}", "--advertise-client-urls", f"http://{self.endpoint}",
            "--listen-peer-urls", f"http://127.0.0.1:{peer}",
            "--initial-advertise-peer-urls", f"http://127.0.0.1:{advertised[number]}",
            "--initial-cluster", peers, "--initial-cluster-state", "new", *cluster.flags, *options.flag])

    def page(self, path):
        """None while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{self.endpoint}{path}", timeout=1) as page:
                return page.read().decode()
        except OSError:
            return None

    def metric(self, name):
        for line in (self.page("/metrics") or "").splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        return None

    def leads(self):
        return self.metric("etcd_server_is_leader") == 1

    def etcdctl(self, *arguments, timeout=10, check=True):
        """What it printed, None if it failed; with check=False (exit code, print)."""
        done = subprocess.run(["etcdctl", "--endpoints", self.endpoint, *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env={**os.environ, "ETCDCTL_API": "3"}, timeout=timeout, check=False)
        if not check:
            return done.returncode, done.stdout.decode()
        return done.stdout.decode() if done.returncode == 0 else None


class RecordedCluster:
    flags = ()  # of every member, beside --flag
    client_flags = ()

    def __init__(self, options, scratch):
        self.options, self.scratch = options, scratch
        self.history = os.path.join(scratch.path, "history")
        self.random = random.Random(options.seed)
        ports = free_ports(3 * options.members)
        self.client_ports, self.peer_ports, spare = (ports[i::3] for i in range(3))
        advertised = self.advertise(spare)
        self.members = [Member(self, i, (self.client_ports[i], self.peer_ports[i]), advertised)
                        for i in range(options.members)]
        self.clients = None
        self.done = collections.Counter()
        self.slowest = 0.0

    def advertise(self, _spare_ports):
        """Where the members reach each other: at themselves."""
        return self.peer_ports

    def directory_of(self, number):
        return os.path.join(self.scratch.path, f"m{number}.data")

    def start(self):
        for member in self.members:
            member.start()
        self.wait_healthy(60, "all members are healthy")
        options = self.options
        self.clients = Answering(
            [os.path.join(PEERS, "historyclients"), "-endpoints", ",".join(m.endpoint for m in self.members), "-out", self.history,
             "-clients", str(options.clients), "-watchers", str(options.watchers), "-leases", str(options.leases),
             "-pause", f"{options.pause}ms", *self.client_flags], os.path.join(self.scratch.path, "clients.log"))
        wait_for(lambda: self.clients.count() > 100, 30, "clients are answered", pause=0.05)

    def leader(self):
        leading = [i for i, member in enumerate(self.members) if member.leads()]
        return self.random.choice(leading) if leading else self.random.randrange(len(self.members))

    def others(self, victim):
        return [member for member in self.members if member is not victim]

    def check_running(self):
        for member in self.members:
            if member.process.poll() is not None:
                raise Failure(f"{member.name} ended with {member.process.returncode}; see {member.log_path}")

    def wait_healthy(self, seconds, what):
        wait_for(lambda: all(m.etcdctl("endpoint", "health") for m in self.members), seconds, what, pause=0.05)

    def goes_on(self, fault):
        """Everything is healed: clients of all members are answered, soon."""
        began, before = time.monotonic(), self.clients.count()
        self.check_running()
        self.wait_healthy(self.options.within, f"after {fault}: all members are healthy")
        wait_for(lambda: self.clients.count() > before + 20, self.options.within, f"after {fault}: clients are answered", pause=0.02)
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.done[fault] += 1

    def hold(self, low, high):
        time.sleep(self.random.uniform(low, high))

    def answers_a_second(self, seconds):
        began, before = time.monotonic(), self.clients.count()
        time.sleep(seconds)
        return (self.clients.count() - before) / (time.monotonic() - began)

    def hashes(self):
        seen = {}
        for member in self.members:
            text = member.etcdctl("endpoint", "hashkv", "-w", "json")
            seen[member.name] = None if text is None else [(one["HashKV"]["hash"], one["HashKV"]["header"]["revision"])
                                                           for one in json.loads(text)]
        return seen

    def judge(self, answers_min):
        say(f"history: {self.clients.ask('finish ' + self.members[self.leader()].endpoint)}")
        wait_for(lambda: self.members[0].etcdctl("lease", "list", "-w", "json") and
                 not json.loads(self.members[0].etcdctl("lease", "list", "-w", "json")).get("leases"), 30,
                 "nobody keeps a lease alive: all are gone", pause=0.2)
        wait_for(lambda: None not in (seen := self.hashes()).values() and len({str(x) for x in seen.values()}) == 1, 20,
                 "hashes are equal", pause=0.2)
        say(f"hashes are equal: {self.hashes()[self.members[0].name]}")
        judged = subprocess.run([os.path.join(self.options.bin, "lincheck"), self.history, "--answers-min", str(answers_min)],
                                check=False)
        if judged.returncode != 0:
            raise Failure("the history does not hold")
        for fault, count in sorted(self.done.items()):
            say(f"  {count:4d} x {fault}")
        say(f"back within {self.slowest:.1f} s at most")


def parser_of(text):
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "release", "bin"))
    parser.add_argument("--server", help="program of the members (sluice-store of --bin)")
    parser.add_argument("--flag", action="append", default=[], help="one more flag of the members")
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--clients", type=int, default=9)
    parser.add_argument("--watchers", type=int, default=6)
    parser.add_argument("--leases", type=int, default=3)
    parser.add_argument("--pause", type=int, default=5, help="ms between two operations of a client")
    parser.add_argument("--within", type=int, default=20, help="s within which all goes on after a fault")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    return parser


def run(name, options, kind, steps):
    """Builds the clients, starts a cluster of this kind and goes through the steps: functions of the cluster. The exit code."""
    options.server = options.server or os.path.join(options.bin, "sluice-store")
    say(f"{name} --seed {options.seed}: {options.members} members")
    built = subprocess.run([os.path.join(HERE, "..", "peers", "build"), "historyclients"], stdout=subprocess.DEVNULL, check=False)
    if built.returncode != 0:
        return built.returncode
    with Scratch(name) as scratch:
        cluster = kind(options, scratch)
        try:
            cluster.start()
            for step in steps:
                step(cluster)
        except Failure as failure:
            say(f"FAILED: {failure}")
            raise SystemExit(1) from failure
        finally:
            if cluster.clients is not None:
                cluster.clients.kill()
    say("ok")
    return 0
