# SPDX-License-Identifier: Apache-2.0
"""Runs the steps of a script with etcdctl against one peer."""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from processes import clean_environment, die_with_parent

COMMAND_SECONDS_MAX = 30
WAIT_SECONDS_MAX = 20
MISSED = "what was waited for did not come"
CAPTURED = re.compile(r"\b[0-9a-f]{13,16}\b")


def printed(stdout, stderr, code):
    """Everything a user or a script can see of a command, as one text."""
    parts = ["out| " + line for line in stdout.splitlines()] + ["err| " + line for line in stderr.splitlines()]
    if stdout and not stdout.endswith("\n"):
        parts.append("out ends without a newline")
    return "\n".join(parts + [f"exit {code}"])


class Background:
    """A command that runs while others do. Its print goes to files, so that it can never block on us."""

    def __init__(self, argv, stdin, environment):
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=self._out, stderr=self._err,
                                         env=environment, preexec_fn=die_with_parent)
        # Left open: an interactive watch ends with its input.
        self._process.stdin.write(stdin)
        self._process.stdin.flush()

    def finish(self, lines):
        """Waits for that many lines and interrupts it, or, without a number, waits for its own end."""
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        missed = f"\n{MISSED}" if not self._wait(lines, deadline) else ""
        complaints = self._read(self._err)
        ended = self._process.poll() is not None
        self.stop()
        # What a client complains of when it is interrupted depends on what it was about to do.
        complaints = self._read(self._err) if ended else complaints
        return printed(self._read(self._out), complaints, self._process.returncode) + missed

    def _wait(self, lines, deadline):
        while time.monotonic() < deadline:
            if lines is not None and self._read(self._out).count("\n") >= lines:
                return True
            if self._process.poll() is not None:
                return lines is None
            time.sleep(0.02)
        return False

    def stop(self):
        """By SIGTERM, as a user's shell would on logging out; the exit code is part of the print."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(WAIT_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process.stdin.close()

    @staticmethod
    def _read(file):
        # pread leaves the offset alone, which the child shares.
        return os.pread(file.fileno(), 1 << 24, 0).decode("utf-8", "backslashreplace")


class Session:
    def __init__(self, peer, etcdctl):
        self.peer = peer
        self.variables = {}
        self._etcdctl = etcdctl
        self._background = {}
        self._environment = clean_environment(ETCDCTL_API="3")

    def start(self, step):
        """Background steps; on the main thread, to which the child's life is bound."""
        watches = self.peer.relay.watches_created()
        self._background[step.name] = Background(self._argv(step), step.stdin, self._environment)
        if step.kind == "watch" and not self.peer.relay.wait_for_watches(
                watches + max(1, step.stdin.count(b"watch ")), WAIT_SECONDS_MAX):
            raise SystemExit(f"{step.place}: {self.peer.name} did not create the watch in {WAIT_SECONDS_MAX} s")

    def run(self, step):
        if step.kind in ("lines", "end"):
            return self._background.pop(step.name).finish(step.lines if step.kind == "lines" else None)
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while True:
            text = self._run_once(step)
            if step.kind != "until" or step.pattern.search(text):
                break
            if time.monotonic() > deadline:
                text += "\n" + MISSED
                break
            time.sleep(0.1)
        for variable in step.captures:
            found = CAPTURED.search(text)
            self.variables[variable] = found.group(0) if found else "0"
        return text

    def close(self):
        for one in self._background.values():
            one.stop()

    def _argv(self, step):
        return [self._etcdctl, "--endpoints", self.peer.endpoint] + step.arguments(self.variables)

    def _run_once(self, step):
        argv = [os.fsencode(word) for word in self._argv(step)]
        try:
            done = subprocess.run(argv, input=step.stdin, capture_output=True, timeout=COMMAND_SECONDS_MAX,
                                  env=self._environment, check=False)
        except subprocess.TimeoutExpired:
            return f"no end after {COMMAND_SECONDS_MAX} s"
        return printed(done.stdout.decode("utf-8", "backslashreplace"),
                       done.stderr.decode("utf-8", "backslashreplace"), done.returncode)
