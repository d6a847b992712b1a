# SPDX-License-Identifier: Apache-2.0
"""Programs under bad input: what a case may ask for (ports, directories, prepared data), and how a program is run and judged."""
import ctypes
import dataclasses
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from processes import Failure as Wrong
from processes import clean_environment, die_with_parent, free_ports, store_argv, wait_for

RUNS = "keeps running"
WAIT_SECONDS = 15
PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


@dataclasses.dataclass
class Case:
    """One row: @d@ is the case's directory, @a@ @b@ its free ports, @busy@ a taken one, @store@ the shared store."""
    name: str
    argv: str  # words separated by blanks; the first names the program
    exit: object  # code, or RUNS
    message: str  # regular expression; exactly one line matches it
    on: str = "stderr"
    usage: bool = False  # the usage text may follow the message
    stdin: str = ""
    env: dict = dataclasses.field(default_factory=dict)
    files: dict = dataclasses.field(default_factory=dict)
    prepare: object = None  # called with (world, directory)
    ends: tuple = (0, -signal.SIGTERM)  # codes with which a program of RUNS ends at SIGTERM
    also: object = None  # called with (world, directory, values) while a program of RUNS runs


def without_privileges():
    """Run in the child: also root meets file modes then."""
    die_with_parent()
    if os.geteuid() == 0:
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def wait_until(what, condition, seconds=WAIT_SECONDS):
    return wait_for(condition, seconds, what, pause=0.02)


class World:
    def __init__(self, programs):
        self.programs = programs
        self.directory = tempfile.mkdtemp(prefix="sluice-bad-input-")
        self.values = {}
        self._processes = []
        self._busy = socket.socket()
        self._busy.bind(("127.0.0.1", 0))
        self._busy.listen()
        self.values["busy"] = str(self._busy.getsockname()[1])
        self._data_directories = {}

    def program(self, name):
        return os.path.join(self.programs, name)

    def start(self, argv, log_path, env=None):
        with open(log_path + ".out", "wb") as out, open(log_path + ".err", "wb") as err:
            process = subprocess.Popen([self.program(argv[0])] + argv[1:], stdin=subprocess.PIPE, stdout=out,
                                       stderr=err, env=clean_environment(**(env or {})), cwd=os.path.dirname(log_path),
                                       preexec_fn=without_privileges)
        self._processes.append(process)
        return process

    def end(self, process, codes=(0, -signal.SIGTERM)):
        """Ends a program that runs; it must not need more than the signal."""
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            raise Wrong("does not end at SIGTERM") from None
        if code not in codes:
            raise Wrong(f"ended at SIGTERM with {code}")

    def store_words(self, directory, name="one", client=None):
        ports = free_ports(2)
        return store_argv("sluice-store", directory, client or ports[0], ports[1], name)

    def data_directory(self, name, puts=3):
        """A directory that a store named `name` wrote to and left by SIGTERM; made once, to be copied."""
        if name not in self._data_directories:
            directory = os.path.join(self.directory, f"of-{name}")
            log = os.path.join(self.directory, f"store-{name}")
            port = free_ports(1)[0]
            process = self.start(self.store_words(directory, name, port), log)
            wait_until("store is ready", lambda: "ready to serve" in read(log + ".err"))
            for number in range(puts):
                self.control(f"127.0.0.1:{port}", "put", f"key{number}", f"damage-me-{number}")
            self.end(process)
            self._data_directories[name] = directory
        return self._data_directories[name]

    def control(self, endpoint, *words, text=""):
        done = subprocess.run([self.program("sluicectl"), "--endpoints", endpoint, *words], input=text,
                              capture_output=True, text=True, timeout=WAIT_SECONDS, check=False)
        if done.returncode != 0:
            raise Wrong(f"sluicectl {' '.join(words)}: {done.stderr}")
        return done.stdout

    def run(self, case):
        directory = tempfile.mkdtemp(dir=self.directory)
        ports = free_ports(2)
        values = dict(self.values, d=directory, a=str(ports[0]), b=str(ports[1]))
        for name, content in case.files.items():
            with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                file.write(fill(content, values))
        if case.prepare:
            case.prepare(self, directory)
        log = os.path.join(directory, "log-of-case")
        argv = [fill(word, values) for word in case.argv.split()]
        process = self.start(argv, log, {k: fill(v, values) for k, v in case.env.items()})
        process.stdin.write(case.stdin.encode())
        process.stdin.close()
        try:
            self._judge(case, process, log, directory, values)
        except Wrong as wrong:
            raise Wrong(f"{wrong}\n  stdout: {tail(log + '.out')}\n  stderr: {tail(log + '.err')}") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(directory, ignore_errors=True)

    def _judge(self, case, process, log, directory, values):
        stream = log + (".err" if case.on == "stderr" else ".out")
        pattern = re.compile(fill(case.message, values))
        if case.exit == RUNS:
            wait_until("message", lambda: pattern.search(read(stream)) or process.poll() is not None)
            if case.also:
                case.also(self, directory, values)
            if process.poll() is not None:
                raise Wrong(f"ended with {process.returncode}, but should go on")
            self.end(process, case.ends)
        else:
            try:
                code = process.wait(WAIT_SECONDS)
            except subprocess.TimeoutExpired:
                raise Wrong(f"still runs, but should end with {case.exit}") from None
            if code != case.exit:
                raise Wrong(f"ended with {code}, not {case.exit}")
        lines = [line for line in read(stream).splitlines() if pattern.search(line)]
        if len(lines) != 1:
            raise Wrong(f"{len(lines)} lines match {case.message!r}")
        complaints = [line for line in read(log + ".err").splitlines() if is_complaint(line)]
        if case.exit != RUNS and not case.usage and len(complaints) > 1:
            raise Wrong(f"{len(complaints)} lines complain, one should")

    def close(self):
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        self._busy.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def is_complaint(line):
    """Everything on stderr but log lines below error."""
    try:
        return json.loads(line)["level"] not in ("debug", "info", "warn")
    except (ValueError, KeyError, TypeError):
        return bool(line.strip())


def fill(text, values):
    return re.sub(r"@(\w+)@", lambda found: values.get(found[1], found[0]), text)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def tail(path):
    return "\n          ".join(read(path).splitlines()[-12:])
