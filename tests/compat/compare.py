# SPDX-License-Identifier: Apache-2.0
"""What of two prints counts as a difference: masks.txt and differences.txt.

Both files hold one rule a line, columns separated by tabs, '#' opens a comment line. A mask is case pattern,
pattern, replacement, reason; a '#' in the replacement becomes the number of the distinct text that was found,
counted for each peer, so that an id printed in place of another one is still a difference. A difference is
the command, what etcd 3.4 prints, what we print (masked; lines joined by \\n), reason.
"""
import difflib
import re


class Rule:
    def __init__(self, file, line_number, columns):
        self.place = f"{file}:{line_number}"
        self.columns = columns
        self.hits = 0


def read_rules(path, columns):
    rules = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            parts = line.split("\t")
            if len(parts) != columns or not all(part.strip() for part in parts[:1] + parts[-1:]):
                raise SystemExit(f"{path}:{number}: wants {columns} columns, separated by tabs, with a reason")
            rules.append(Rule(path, number, parts))
    return rules


class Masks:
    def __init__(self, path):
        self.rules = read_rules(path, 4)
        self._numbers = {}

    def apply(self, peer, command, text):
        for rule in self.rules:
            scope, pattern, replacement, _ = rule.columns
            if re.search(scope, command):
                text, count = re.subn(pattern, lambda match: self._replace(peer, replacement, match), text,
                                      flags=re.MULTILINE)
                rule.hits += count
        return text

    def _replace(self, peer, replacement, match):
        if "#" in replacement:
            known = self._numbers.setdefault((peer, replacement), {})
            number = known.setdefault(match.group(match.lastindex or 0), len(known) + 1)
            replacement = replacement.replace("#", str(number))
        return match.expand(replacement)


class Differences:
    def __init__(self, path):
        self.rules = read_rules(path, 4) if path else []

    def is_known(self, command, old, new):
        for rule in self.rules:
            if rule.columns[:3] == [command, old, new]:
                rule.hits += 1
                return True
        return False


def unknown_differences(command, left, right, differences):
    """The blocks of lines that differ and are not in the list, as (left lines, right lines)."""
    a, b = left.splitlines(), right.splitlines()
    found = []
    for kind, a1, a2, b1, b2 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        if a2 - a1 == b2 - b1:
            blocks = [(a[a1 + i:a1 + i + 1], b[b1 + i:b1 + i + 1]) for i in range(a2 - a1)]
        else:
            blocks = [(a[a1:a2], b[b1:b2])]
        found += [block for block in blocks
                  if not differences.is_known(command, "\\n".join(block[0]), "\\n".join(block[1]))]
    return found


def unused(rules):
    return [rule for rule in rules if rule.hits == 0]
