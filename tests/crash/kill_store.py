# SPDX-License-Identifier: Apache-2.0
"""kill_loop store: kills the store under load, at its failpoints and at random moments, and has the clients say what they
find afterwards (tests/peers/killclients)."""
import collections
import os
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers"))
from programs import READY, ROOT, Answering, Failure, Scratch, Store, percentile, seeded, wait_for

# Small segments, so that the log changes and releases them many times in a short life.
FLAGS = ("--wal-segment-bytes=1048576", "--snapshot-count=500", "--experimental-enable-lease-checkpoint",
         "--lease-checkpoint-interval=1s")
# Passed with every group of writes, about a hundred of them in a second; the others now and then.
FREQUENT = ("wal-write", "wal-written", "wal-sync", "wal-synced", "engine-write", "engine-written", "apply-batch",
            "apply-publish", "apply-tell", "replica-persisted")
FIRST_START = ("boot-locked", "boot-state-named", "boot-state-open", "boot-state-written", "boot-log-loaded",
               "file-replace", "file-replaced", "engine-flush", "engine-flushed", "rocks-append", "rocks-sync",
               "wal-preallocate", "wal-sync-directory", "wal-spare-ready", "wal-write", "wal-sync", "wal-synced",
               "wal-recovery-copied", "wal-recovery-done")
# Passed once by each start: armed for the first time.
ONCE_A_START = ("boot-", "wal-recovery-")
# Passed by first starts alone: crash_first_starts kills there.
OF_FIRST_STARTS = ("boot-state-written", "file-replace", "file-replaced")
# Need other members: tests/cluster/snapshots kills there.
OF_CLUSTERS = ("snapshot-", "install-", "boot-log-emptied")
REACH_SECONDS = 80  # the member itself flushes once a minute
REACH_TRIES = 4
KILLED = -9


def say(text):
    print(text, flush=True)


def failpoints():
    """Names of the points in the source at which the store can be made to crash."""
    names = set()
    for folder, _, files in os.walk(os.path.join(ROOT, "store")):
        for name in files:
            if name.endswith(".cc"):
                with open(os.path.join(folder, name), encoding="utf-8") as source:
                    names.update(re.findall(r'FAILPOINT(?:_STATUS)?\("([a-z0-9-]+)"\)', source.read()))
    return sorted(name for name in names if not name.startswith(OF_CLUSTERS))


def fired(store):
    """The failpoint that killed the store, if one did."""
    hit = re.findall(r"^failpoint ([a-z0-9-]+)$", store.output(), re.MULTILINE)
    return hit[-1] if hit else None


def arm(store, point, skip):
    store.environment = {"SLUICE_FAILPOINTS": f"{point}={skip}+crash"} if point else {}


def start(store):
    """Seconds until it serves, or None if it was killed by its failpoint before."""
    began = time.monotonic()
    store.start()
    deadline = began + 60
    while time.monotonic() < deadline:
        if READY in store.output():
            return time.monotonic() - began
        if store.process.poll() is not None:
            if store.process.returncode != KILLED:
                raise Failure(f"the store ended with {store.process.returncode}: {store.output()[-600:]}")
            return None
        time.sleep(0.001)
    raise Failure("the store is not ready within 60 s")


def start_clients(options, scratch, endpoint):
    return Answering(
        [os.path.join(ROOT, "build", "peers", "killclients"), endpoint, f"-writers={options.clients}",
         f"-watchers={options.watchers}", f"-keys={options.keys}", f"-value={options.value}"],
        os.path.join(scratch.path, "clients.log"))


def crash_first_starts(options, scratch, random):
    """A crash at each step of a first start must leave a directory that a second start completes; how often it died where."""
    not_reached = []
    died = collections.Counter()
    points = random.sample(FIRST_START, min(options.first_starts, len(FIRST_START)))
    for point in points:
        store = Store(scratch, options.bin, *FLAGS, data_dir=os.path.join(scratch.path, f"first-{point}"))
        arm(store, point, 0)
        ready = start(store)
        if ready is not None:
            not_reached.append(point)
            store.kill()
        else:
            died[point] += 1
        arm(store, None, 0)
        if start(store) is None:
            raise Failure(f"the start after a crash at {point} was killed")
        store.put("after", point)
        store.kill()
        if start(store) is None:
            raise Failure(f"the second start after a crash at {point} was killed")
        store.kill()
    say(f"{len(points)} first starts, {len(points) - len(not_reached)} of them with a crash; not reached: "
        f"{', '.join(not_reached) or 'none'}")
    return died


class Loop:
    def __init__(self, options, store, clients, random, died):
        self.options, self.store, self.clients, self.random = options, store, clients, random
        self.points = [point for point in failpoints() if re.search(options.points, point)]
        self.fired = collections.Counter(died)
        self.restarts = []
        self.waiting = 0  # commands without an answer yet
        self._order = []
        self.missed = set()  # armed and not reached

    def _next_point(self):
        if self.random.random() < 0.2:
            return None
        if not self._order:
            self._order = [point for point in self.points if point not in OF_FIRST_STARTS]
            self.random.shuffle(self._order)
        return self._order.pop() if self._order else None

    def _skip(self, point):
        """How often it is passed before it kills. What was not reached once gets no such head start again."""
        if not point or point in self.missed or point.startswith(ONCE_A_START):
            return 0
        return self.random.randrange(100 if point in FREQUENT else 3)

    def _start(self):
        ready = start(self.store)
        if ready is None:
            self._count()
            arm(self.store, None, 0)
            ready = start(self.store)
        self.restarts.append(ready)

    def _count(self):
        self.fired[fired(self.store) or "(random moment)"] += 1

    def _provoke(self, point):
        """What makes the store pass a point that a load of puts does not reach by itself."""
        if point and point.startswith("mvcc-"):
            self.clients.send("audit")
            self.waiting += 1
        elif point and point.startswith(("rocks-", "engine-flush", "engine-compacted", "replica-flushed", "file-")):
            self.clients.send("flush")
            self.waiting += 1

    def _wait_for_death(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.store.process.poll() is None:
            time.sleep(0.002)
        if self.store.process.poll() not in (None, KILLED):
            raise Failure(f"the store ended with {self.store.process.returncode}: {self.store.output()[-600:]}")
        self.store.kill()

    def _audit(self):
        arm(self.store, None, 0)
        self._start()
        while self.waiting:
            self.clients.receive()
            self.waiting -= 1
        say(f"  {self.clients.ask('audit')}")

    def _kill(self, point, seconds):
        before = self.fired[point]
        arm(self.store, point, self._skip(point))
        self._start()
        self._provoke(point)
        self._wait_for_death(seconds)
        self._count()
        if point and self.fired[point] == before:
            self.missed.add(point)

    def _reach_all(self):
        """Each point that none of the cycles has died at, with time to get there."""
        for point in self.points:
            for _ in range(REACH_TRIES):
                if self.fired[point]:
                    break
                self.missed.add(point)
                self._kill(point, REACH_SECONDS)
                self._audit()
                self.store.kill()

    def run(self):
        for cycle in range(1, self.options.cycles + 1):
            point = self._next_point()
            self._kill(point, self.random.uniform(0.05, self.options.seconds))
            say(f"cycle {cycle}: armed {point or 'nothing'}, ready after {self.restarts[-1] * 1000:.0f} ms")
            if cycle % self.options.audit == 0 or cycle == self.options.cycles:
                self._audit()
                self.store.kill()
        if self.options.cycles >= len(self.points):
            self._reach_all()
        arm(self.store, None, 0)
        self._start()


def report(loop, options):
    for name, count in sorted(loop.fired.items()):
        say(f"  {count:4d} x {name}")
    missed = [point for point in loop.points if not loop.fired[point]]
    say(f"{sum(loop.fired.values())} kills, at {len(loop.points) - len(missed)} of {len(loop.points)} failpoints; never there: "
        f"{', '.join(missed) or 'none'}")
    say(f"restart to ready with {options.keys} keys: median {percentile(loop.restarts, 0.5) * 1000:.0f} ms, "
        f"max {max(loop.restarts) * 1000:.0f} ms, {len(loop.restarts)} of them")
    if max(loop.restarts) > options.restart_max:
        raise Failure(f"a restart took more than {options.restart_max} s")
    if missed and options.cycles >= len(loop.points):
        raise Failure(f"it never died at {', '.join(missed)}")


def run_store(options):
    if subprocess.run([os.path.join(ROOT, "tests", "peers", "build"), "killclients"], check=False).returncode != 0:
        return 77
    if not shutil.which("etcdctl"):
        say("etcdctl is not installed (deploy/install-deps --tests)")
        return 77
    random = seeded(options.seed)
    with Scratch("kill-store") as scratch:
        died = crash_first_starts(options, scratch, random)
        store = Store(scratch, options.bin, *FLAGS)
        start(store)
        clients = start_clients(options, scratch, store.endpoint)
        try:
            wait_for(lambda: clients.count() >= options.keys, 300, "every key is written once", pause=0.1)
            store.kill()
            loop = Loop(options, store, clients, random, died)
            loop.run()
            say(clients.end())
        finally:
            clients.kill()
        report(loop, options)
    return 0
