# SPDX-License-Identifier: Apache-2.0
"""A log that is written at a rate and rotated, and the judgement of what arrived of it on a topic."""
import bisect
import os
import subprocess
import threading
import time

from programs import Failure, die_with_parent, wait_for

PADDING = b"x" * 500
LINE_MIN, LINE_SPREAD = 100, 400
# What may come twice after one kill: the lines in flight (agent.memory) and those of two checkpoint intervals.
WINDOW_IN_FLIGHT = 64 << 20
WINDOW_SECONDS = 0.1
SAID_MAX = 10


def say(text):
    print(text, flush=True)


def padding_length(sequence):
    return LINE_MIN - 22 + sequence * 7919 % LINE_SPREAD


def make_line(stream, sequence):
    return b"%d %d %s\n" % (stream, sequence, PADDING[:padding_length(sequence)])


class RotatingWriter:
    """Appends numbered lines to app.log at a rate; every `period` seconds the file is renamed and created anew, and
    the oldest of more than `keep` renamed ones is deleted. The stream of a line is the number of its file."""

    def __init__(self, directory, rate, period, keep):
        self.directory, self.rate, self.period, self.keep = directory, rate, period, keep
        self.path = os.path.join(directory, "app.log")
        self.stream = self.sequence = self.bytes = 0
        self.seconds = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self):
        self._thread.start()

    def stop(self):
        self._ended.set()
        self._thread.join()

    def append(self, out, count):
        """Lines of at least `count` bytes, in one write."""
        lines, size = [], 0
        while size < count:
            lines.append(make_line(self.stream, self.sequence))
            size += len(lines[-1])
            self.sequence += 1
        out.write(b"".join(lines))
        self.bytes += size

    def _open(self):
        return open(self.path, "ab", buffering=0)

    def _rotate(self, out):
        out.close()
        os.rename(self.path, f"{self.path}.{self.stream}")
        old = f"{self.path}.{self.stream - self.keep}"
        if os.path.exists(old):
            os.unlink(old)
        self.stream += 1
        return self._open()

    def _run(self):
        began, out = time.monotonic(), self._open()
        rotate_at = began + self.period
        while not self._ended.is_set():
            now = time.monotonic()
            if now >= rotate_at:
                out = self._rotate(out)
                rotate_at += self.period
            behind = int((now - began) * self.rate) - self.bytes
            if behind > 0:
                # After a stall it catches up in steps, so that a rotation is never far off.
                self.append(out, min(behind, 1 << 20))
            self._ended.wait(0.005)
        self.seconds = time.monotonic() - began
        out.close()


class Arrivals:
    """What the topic holds: which sequence numbers, how often, and after which kill the repeated ones came."""

    def __init__(self, wanted, kills):
        self.counts = bytearray(wanted)
        self.kills = kills  # wall-clock milliseconds
        self.repeated = [0] * (len(kills) + 1)
        self.repeated_bytes = [0] * (len(kills) + 1)
        self.last = {}  # (partition, stream) -> highest sequence so far
        self.records = self.disorder = 0
        self.problems = []

    def wrong(self, text):
        self.problems.append(text)

    def add(self, record):
        try:
            partition, timestamp, stream, sequence, padding = record.rstrip(b"\n").split(b" ")
            number = int(sequence)
            if len(padding) != padding_length(number) or number >= len(self.counts):
                raise ValueError
        except ValueError:
            self.wrong(f"a record that is no written line: {record[:80]!r}, {len(record)} bytes")
            return
        self.records += 1
        if self.counts[number]:
            after = bisect.bisect_right(self.kills, int(timestamp))
            self.repeated[after] += 1
            self.repeated_bytes[after] += len(padding) + len(stream) + len(sequence) + 3
        else:
            place = (partition, stream)
            if self.last.get(place, -1) > number:
                self.disorder += 1
            self.last[place] = number
        self.counts[number] = min(self.counts[number] + 1, 255)

    def gaps(self):
        """[first, last] of each run of missing numbers."""
        runs, at = [], self.counts.find(0)
        while at != -1:
            end = at
            while end + 1 < len(self.counts) and not self.counts[end + 1]:
                end += 1
            runs.append((at, end))
            at = self.counts.find(0, end + 1)
        return runs


def judge(arrivals, rate):
    """Prints the figures; the list of what is wrong."""
    window = WINDOW_IN_FLIGHT + int(WINDOW_SECONDS * rate)
    wrong = list(arrivals.problems[:SAID_MAX])
    gaps = arrivals.gaps()
    missing = sum(last - first + 1 for first, last in gaps)
    say(f"{arrivals.records} records on the topic, {len(arrivals.counts)} lines written, {missing} missing, "
        f"{sum(arrivals.repeated)} came again")
    for kill in range(1, len(arrivals.repeated)):
        say(f"  after kill {kill}: {arrivals.repeated[kill]} lines again, {arrivals.repeated_bytes[kill] / 1e6:.2f} MB")
        if arrivals.repeated_bytes[kill] > window:
            wrong.append(f"kill {kill}: more than the window of {window / 1e6:.1f} MB came again")
    if arrivals.repeated[0]:
        wrong.append(f"{arrivals.repeated[0]} lines came again before any kill")
    for first, last in gaps[:SAID_MAX]:
        wrong.append(f"lines {first} to {last} are missing")
    if arrivals.disorder:
        wrong.append(f"{arrivals.disorder} first arrivals are out of the order of their file")
    say(f"window per kill {window / 1e6:.1f} MB, largest {max(arrivals.repeated_bytes) / 1e6:.2f} MB")
    return wrong


def read_topic(kafka, topic, wanted, kills, rate):
    """Of a broker that keeps everything."""
    arrivals = Arrivals(wanted, kills)
    for record in kafka.consume(topic, "%p %T %s\n"):
        arrivals.add(record)
    refuse_wrong(judge(arrivals, rate))


def refuse_wrong(wrong):
    if wrong:
        raise Failure("\n  ".join(["what arrived is not what was written:", *wrong]))


class LiveReader:
    """Reads a topic of the dev broker while it is written: that keeps 5 MiB of a partition only. Offsets that are
    skipped were thrown away before they were read, and nothing can be said then."""

    def __init__(self, broker, topic, path):
        self._path = path
        with open(path, "wb") as out:
            self._process = subprocess.Popen(
                broker.kcat("-C", "-t", topic, "-u", "-q", "-o", "beginning", "-X", "fetch.wait.max.ms=5",
                            "-X", "fetch.message.max.bytes=8000000", "-f", "%p %o %T %s\n"),
                stdout=out, preexec_fn=die_with_parent)

    def judge(self, wanted, kills, rate):
        self._wait_quiet()
        arrivals, next_offset, skipped = Arrivals(wanted, kills), {}, 0
        with open(self._path, "rb") as records:
            for record in records:
                partition, offset, rest = record.split(b" ", 2)
                skipped += int(offset) - next_offset.get(partition, 0)
                next_offset[partition] = int(offset) + 1
                arrivals.add(partition + b" " + rest)
        wrong = judge(arrivals, rate)
        if skipped:
            wrong.append(f"(the dev broker threw {skipped} records away before they were read)")
        refuse_wrong(wrong)

    def _wait_quiet(self):
        """Nothing more for a second and a half."""
        sizes = [-1]
        def unchanged():
            sizes.append(os.path.getsize(self._path))
            return sizes[-1] == sizes[-2]
        wait_for(unchanged, 120, "the reader has everything", pause=1.5)
        self._process.kill()
        self._process.wait()
