# SPDX-License-Identifier: Apache-2.0
"""Reads a file of etcdctl commands; README.md draws the format."""
import re
import shlex


class Step:
    """One command: what is typed, what it reads, and how its end is awaited."""

    def __init__(self, place, command):
        self.place = place
        self.command = command
        self.stdin = b""
        self.kind = "run"      # run, watch, start, lines, end, until
        self.name = None       # of a background command
        self.lines = 0         # stdout lines that are awaited
        self.pattern = None    # what the print is to show
        self.captures = []     # variables taken from the print

    def arguments(self, variables):
        """The command as words, with variables filled in and \\xNN turned into that byte."""
        return shlex.split(substitute(self.command, variables))


def substitute(text, variables):
    text = re.sub(r"\$(\w+)", lambda match: variables[match.group(1)], text)
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: bytes([int(match.group(1), 16)]).decode("utf-8", "surrogateescape"),
                  text)


def stdin_line(text):
    """One line of input; '{N}text with %d' stands for N lines, '{N*}text' for text N times without newline."""
    repeated = re.match(r"\{(\d+)(\*?)\}(.*)$", text)
    if not repeated:
        return text + "\n"
    count, joined, body = int(repeated.group(1)), repeated.group(2), repeated.group(3)
    if joined:
        return body * count
    return "".join(body.replace("%d", str(i)) + "\n" for i in range(count))


def directive(place, line):
    """A line that starts with '@'."""
    word, _, rest = line[1:].partition(" ")
    if word in ("watch", "start"):
        name, _, command = rest.partition(" ")
        step = Step(place, command)
        step.kind, step.name = word, name
    elif word == "lines":
        name, count = rest.split()
        step = Step(place, f"{name}: {count} lines")
        step.kind, step.name, step.lines = word, name, int(count)
    elif word == "end":
        step = Step(place, f"{rest}: end")
        step.kind, step.name = word, rest
    elif word == "until":
        pattern, _, command = rest.partition(" :: ")
        step = Step(place, command)
        step.kind, step.pattern = word, re.compile(pattern)
    else:
        raise SystemExit(f"{place}: unknown directive @{word}")
    return step


def read_script(path):
    steps = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line, place = line.rstrip("\n"), f"{path}:{number}"
            if not line or line.startswith("#"):
                continue
            if line.startswith("|"):
                steps[-1].stdin += stdin_line(line[2:]).encode()
            elif line.startswith("@capture "):
                steps[-1].captures.append(line.split()[1])
            elif line.startswith("@"):
                steps.append(directive(place, line))
            else:
                steps.append(Step(place, line))
    return steps
