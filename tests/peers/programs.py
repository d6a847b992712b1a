# SPDX-License-Identifier: Apache-2.0
"""Real programs on free ports of loopback for the scripts that are run by hand: store, Kafka, agent, kcat.

Everything runs in one scratch directory, which is kept (and named) when something failed.
"""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from processes import Answering, Failure, clean_environment, die_with_parent, free_ports, store_argv, wait_for

READY = "ready to serve client requests"
HOST_IP = "10.1.2.3"
CONFIG_KEY = f"/logagent/{HOST_IP}/collect_config"


def port_pair():
    """Two neighbouring free ports: Kafka's script takes the next one for the controller."""
    while True:
        first = free_ports(1)[0]
        try:
            with socket.socket() as one, socket.socket() as two:
                one.bind(("127.0.0.1", first))
                two.bind(("127.0.0.1", first + 1))
                return first
        except OSError:
            continue


class Program:
    """One program that is started again and again; its output is appended to one log."""

    def __init__(self, scratch, name, argv):
        self.name, self.argv = name, argv
        self.log_path = os.path.join(scratch.path, name + ".log")
        self.process = None
        self.environment = {}  # of the next start, beside our own
        self._log_from = 0
        scratch.programs.append(self)

    def start(self):
        with open(self.log_path, "ab") as log:
            self._log_from = log.tell()
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**clean_environment(), **self.environment},
                                            preexec_fn=die_with_parent)

    def output(self):
        """What this run of it has printed so far."""
        with open(self.log_path, "rb") as log:
            log.seek(self._log_from)
            return log.read().decode(errors="replace")

    def said(self, text):
        """Whether this run of it has printed the text; it must be running."""
        if self.process.poll() is not None:
            raise Failure(f"{self.name} ended with {self.process.returncode}; see {self.log_path}")
        return text in self.output()

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, seconds=30):
        """A clean stop."""
        self.process.terminate()
        if self.process.wait(timeout=seconds) != 0:
            raise Failure(f"{self.name} ended with {self.process.returncode}; see {self.log_path}")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Scratch:
    def __init__(self, name):
        self.path = tempfile.mkdtemp(prefix=f"sluice-{name}-")
        self.programs = []

    def __enter__(self):
        return self

    def __exit__(self, kind, _value, _trace):
        for one in self.programs:
            if one.process and one.process.poll() is None:
                one.signal(signal.SIGCONT)
            one.kill()
        if kind is None:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            print(f"what is left is in {self.path}", flush=True)


class Store(Program):
    def __init__(self, scratch, bin_dir, *flags, data_dir=None):
        client, peer = free_ports(2)
        self.endpoint = f"127.0.0.1:{client}"
        super().__init__(scratch, "store", [
            *store_argv(os.path.join(bin_dir, "sluice-store"), data_dir or os.path.join(scratch.path, "store"), client,
                        peer), *flags])

    def start_ready(self):
        """Seconds from the start to the line that says it serves."""
        began = time.monotonic()
        self.start()
        wait_for(lambda: self.said(READY), 60, "the store is ready", pause=0.001)
        return time.monotonic() - began

    def put(self, key, value):
        subprocess.run(["etcdctl", "--endpoints", self.endpoint, "put", key, value], check=True,
                       stdout=subprocess.DEVNULL, env={**os.environ, "ETCDCTL_API": "3"}, timeout=20)


class Kafka(Program):
    def __init__(self, scratch, *properties):
        self.port = port_pair()
        self.address = f"127.0.0.1:{self.port}"
        self._script = os.path.join(ROOT, "deploy", "kafka", "kafka")
        super().__init__(scratch, "kafka", [self._script, "run", os.path.join(scratch.path, "kafka"), str(self.port),
                                            *properties])

    def start_ready(self):
        subprocess.run([self._script, "jars"], check=True)
        self.start()
        subprocess.run([self._script, "wait", str(self.port), "90"], check=True)

    def kcat(self, *arguments):
        return ["kcat", "-b", self.address, *arguments]

    def create(self, topic):
        def is_there():
            seen = subprocess.run(self.kcat("-L", "-t", topic, "-X", "allow.auto.create.topics=true"), timeout=20,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
            return b"partition 0, leader 1" in seen
        wait_for(is_there, 30, f"topic {topic} exists", pause=0.02)

    def consume(self, topic, form):
        """The whole topic, a record a line, each as the kcat format says."""
        argv = self.kcat("-C", "-t", topic, "-e", "-q", "-o", "beginning", "-f", form)
        with subprocess.Popen(argv, stdout=subprocess.PIPE, preexec_fn=die_with_parent) as reader:
            yield from reader.stdout
        if reader.returncode != 0:
            raise Failure(f"kcat ended with {reader.returncode}")


class DevBroker(Program):
    """sluice-devbroker: keeps the last 5 MiB of a partition."""

    def __init__(self, scratch, bin_dir, topics=""):
        self.port = free_ports(1)[0]
        self.address = f"127.0.0.1:{self.port}"
        super().__init__(scratch, "devbroker", [os.path.join(bin_dir, "sluice-devbroker"), "--port", str(self.port),
                                                *(["--topics", topics] if topics else [])])

    def start_ready(self):
        self.start()
        wait_for(lambda: self.said("is ready"), 20, "the dev broker is ready")

    kcat = Kafka.kcat
    create = Kafka.create
    consume = Kafka.consume


class Agent(Program):
    """An agent whose list is in a store."""

    def __init__(self, scratch, bin_dir, store, kafka):
        self.configure(scratch, bin_dir, "agent", kafka, {"store": {"endpoints": [store.endpoint]}}, {})

    def configure(self, scratch, bin_dir, name, kafka, more, properties, kafka_more=None):
        """`more` goes into the settings, `properties` to librdkafka, `kafka_more` beside them. JSON is YAML."""
        self.admin = f"127.0.0.1:{free_ports(1)[0]}"
        self.state = os.path.join(scratch.path, name)
        settings = {"agent": {"ip": HOST_IP, "id": "test", "state_dir": self.state, "admin": self.admin},
                    "kafka": {"brokers": [kafka.address], "properties": properties} | (kafka_more or {})}
        path = os.path.join(scratch.path, name + ".yaml")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(settings | more, out)
        Program.__init__(self, scratch, name, [os.path.join(bin_dir, "sluice-agent"), "-c", path])

    def page(self, path):
        try:
            with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def metric(self, name, *labels):
        for line in self.page("/metrics").splitlines():
            if line.startswith(name) and all(label in line for label in labels):
                return float(line.rsplit(" ", 1)[1])
        return None

    def entries(self):
        """topic -> entry, as /status has them; empty while it does not answer."""
        text = self.page("/status")
        return {entry["topic"]: entry for entry in json.loads(text)["entries"]} if text else {}

    def wait_running(self, topic, seconds=30):
        states = ("RUNNING", "NO_MATCH")
        wait_for(lambda: self.entries().get(topic, {}).get("state") in states, seconds, f"the entry of {topic} runs")

    def wait_delivered(self, topic, bytes_written, seconds):
        """Until every byte is read and acknowledged: no lag in two pictures 0.6 s apart (one is made each 0.25 s)."""
        def quiet():
            entry = self.entries().get(topic, {})
            return entry.get("state") == "RUNNING" and entry.get("lag_bytes") == 0
        def twice():
            if not quiet():
                return False
            time.sleep(0.6)
            return quiet()
        try:
            wait_for(twice, seconds, "no lag", pause=0.1)
        except Failure as failure:
            raise Failure(f"{failure}; {bytes_written} bytes were written; {self.page('/status')}") from None


class StandaloneAgent(Agent):
    """An agent that asks no store: its entries, (path, topic) pairs, are in its settings."""

    def __init__(self, scratch, bin_dir, kafka, name, entries, properties):
        more = {"entries": [{"path": path, "topic": topic} for path, topic in entries]}
        self.configure(scratch, bin_dir, name, kafka, more, properties)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def seeded(seed):
    """A generator and the seed that repeats it."""
    seed = seed if seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    return random.Random(seed)
