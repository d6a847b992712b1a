# SPDX-License-Identifier: Apache-2.0
"""What tests/bench/agent measures: the cells, their files, and the rows a cell becomes."""
import os
import subprocess
from collections import namedtuple

PEERS = ("spinning ceiling", "rsyslog tuned", "rsyslog default")
MIB = 1 << 20

# kind -> lines, bytes of a line; the small ones are for --quick. Lines of A and B hardly compress (lz4 saves 1 % of B), as
# those of the figures the targets come from; T is text, of which lz4 leaves some 30 %, and has no targets.
SIZES = {"A": (5_000_000, 100), "B": (2_000_000, 512), "T": (2_000_000, 512)}
QUICK_SIZES = {"A": (1_000_000, 100), "B": (400_000, 512), "T": (400_000, 512)}

# What the real Kafka must show: row -> (ratio, whether less is better).
TARGETS = {
    ("lines/s", "ceiling"): (0.9, False),
    ("CPU us/line", "ceiling"): (1.3, True),
    ("lines/s", "rsyslog tuned"): (4.5, False),
    ("CPU us/line", "rsyslog tuned"): (0.2, True),
    ("RSS MiB", "limit"): (1.0, True),
    ("copied share", "limit"): (1.0, True),
}
RSS_LIMIT_MIB = 128
COPIED_LIMIT = 0.01


class Cell(namedtuple("Cell", "broker kind files codec")):
    @property
    def name(self):
        return f"{self.broker} {self.kind} {self.files} file{'s' if self.files > 1 else ''} {self.codec}"


def cells_of(options, broker):
    """With --quick only the cells by which a change is judged: both kinds with one file, and eight files once."""
    for kind in options.lines.split(","):
        for files in options.files.split(","):
            for codec in options.codec.split(","):
                if options.quick and (codec != "lz4" or (int(files) > 1 and kind != "A")):
                    continue
                yield Cell(broker, kind, int(files), codec)


class Pool:
    """The files, written once and linked into the directories that are followed: the same inode for every program, so
    the same partition."""

    def __init__(self, scratch, load, options):
        self._directory = os.path.join(scratch.path, "pool")
        os.makedirs(self._directory, exist_ok=True)
        self._load = load
        self._sizes = {kind: (int(lines * options.scale), line_bytes)
                       for kind, (lines, line_bytes) in (QUICK_SIZES if options.quick else SIZES).items()}

    def line_bytes(self, cell):
        return self._sizes[cell.kind][1]

    def lines_of(self, cell):
        return self._sizes[cell.kind][0] // cell.files * cell.files

    def bytes_of(self, cell):
        return self.lines_of(cell) * self.line_bytes(cell)

    def paths(self, cell):
        paths = [os.path.join(self._directory, f"{cell.kind}.{cell.files}.{i}") for i in range(cell.files)]
        for stream, path in enumerate(paths):
            if not os.path.exists(path):
                subprocess.run([self._load, "generate", path, "--stream", str(stream), "--lines",
                                str(self.lines_of(cell) // cell.files), "--line-bytes", str(self.line_bytes(cell)),
                                *(["--text"] if cell.kind == "T" else [])],
                               check=True)
        return paths

    def link(self, cell, directory):
        for path in self.paths(cell):
            os.link(path, os.path.join(directory, os.path.basename(path) + ".log"))


def row(name, ours, peers, ratio, target):
    """`target` is (ratio, less is better) or nothing."""
    met = None
    if target is not None:
        met = ratio <= target[0] if target[1] else ratio >= target[0]
    return {"name": name, "ours": round(ours, 4), "peers": {key: round(value, 4) for key, value in peers.items()},
            "ratio": round(ratio, 4), "target": target[0] if target else None, "met": met}


def rows_of(cell, pool, medians):
    """The rows of one cell from name -> Result."""
    ours = medians["agent"]
    targets = TARGETS if cell.broker == "kafka" and cell.kind != "T" else {}
    figures = {
        "lines/s": lambda one: one.lines_per_second,
        "MB/s": lambda one: one.lines_per_second * pool.line_bytes(cell) / 1e6,
        "CPU us/line": lambda one: one.cpu_us_per_line,
        "CPU s/GB": lambda one: one.cpu_us_per_line * 1e3 / pool.line_bytes(cell),
    }
    rows = []
    for peer, theirs in medians.items():
        if peer == "agent":
            continue
        for figure, of in figures.items():
            rows.append(row(f"{cell.name}: {figure} against {peer}", of(ours), {peer: of(theirs)},
                            of(ours) / of(theirs), targets.get((figure, peer))))
    rss = ours.rss_bytes / MIB
    rows.append(row(f"{cell.name}: RSS MiB against the limit", rss, {"limit": RSS_LIMIT_MIB}, rss / RSS_LIMIT_MIB,
                    targets.get(("RSS MiB", "limit"))))
    copied = ours.copied_bytes / pool.bytes_of(cell)
    rows.append(row(f"{cell.name}: copied share against the limit", copied, {"limit": COPIED_LIMIT},
                    copied / COPIED_LIMIT, targets.get(("copied share", "limit"))))
    return rows


def say_row(one):
    peer = next(iter(one["peers"].values()))
    target = "" if one["target"] is None else f"{one['target']:8.2f}  {'met' if one['met'] else 'MISSED'}"
    return f"{one['name']:58}{one['ours']:>10.4g}{peer:>10.4g}{one['ratio']:8.3f}{target}"
