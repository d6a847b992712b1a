#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Unit tests of the comparison itself: a mask that hides nothing, a difference that is not there, an id in
place of another one and every kind of change must be noticed."""
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
from compare import Differences, Masks, unknown_differences, unused
from protobuf_edit import edit, parse, serialize
from script import Step, stdin_line


def rules_file(*rows):
    file = tempfile.NamedTemporaryFile("w", suffix=".txt")
    file.write("".join("\t".join(row) + "\n" for row in rows))
    file.flush()
    return file


class MasksTest(unittest.TestCase):
    def test_hides_only_in_its_commands_and_knows_when_it_hid_nothing(self):
        with rules_file(("^get", r"rev \d+", "rev <N>", "why"), ("^put", "x", "y", "why")) as file:
            masks = Masks(file.name)
            self.assertEqual(masks.apply("first", "get a", "rev 7 x"), "rev <N> x")
            self.assertEqual(masks.apply("first", "del a", "rev 7"), "rev 7")
            self.assertEqual([rule.columns[0] for rule in unused(masks.rules)], ["^put"])

    def test_another_id_gets_another_number(self):
        with rules_file((".", r"id=(\w+)", "id=<#>", "why")) as file:
            masks = Masks(file.name)
            self.assertEqual(masks.apply("first", "a", "id=aa id=bb id=aa"), "id=<1> id=<2> id=<1>")
            self.assertEqual(masks.apply("second", "a", "id=cc id=cc id=dd"), "id=<1> id=<1> id=<2>")

    def test_the_suite_knows_ids_with_leading_zeros(self):
        # Printed without them: of sixteen digits one id in 256 has fourteen or less.
        masks = Masks(os.path.join(os.path.dirname(os.path.abspath(__file__)), "masks.txt"))
        for member in ("227cf3c947491b", "e27cf3c947491b02", "7cf3c947491b2"):
            self.assertIn("out| <HEX", masks.apply("first", "member list", f"out| {member}, started, one"))

    def test_the_suite_knows_small_lease_ids_in_decimal(self):
        # One in a thousand has sixteen digits or less, as many as an id in hexadecimal.
        masks = Masks(os.path.join(os.path.dirname(os.path.abspath(__file__)), "masks.txt"))
        for lease in ("7587869121345678901", "1234567890123456", "9876543210123"):
            for command, text in (("lease grant 1 -w json", f'"ID":{lease},"TTL"'), ("lease grant 1 -w fields", f'"ID" : {lease}'),
                                  ("get a -w json", f'"lease":{lease}}}'), ("get a -w fields", f'"Lease" : {lease}')):
                self.assertIn("<LEASE", masks.apply("first", command, text))

    def test_a_rule_without_a_reason_is_refused(self):
        with rules_file((".", "a", "b", " ")) as file, self.assertRaises(SystemExit):
            Masks(file.name)


class DifferencesTest(unittest.TestCase):
    def test_a_known_difference_is_the_whole_line_of_that_command(self):
        with rules_file(("get a", "out| old", "out| new", "why"), ("get b", "x", "y", "why")) as file:
            known = Differences(file.name)
            self.assertEqual(unknown_differences("get a", "out| old\nexit 0", "out| new\nexit 0", known), [])
            self.assertEqual(len(unknown_differences("get c", "out| old", "out| new", known)), 1)
            self.assertEqual(len(unknown_differences("get a", "out| old", "out| newer", known)), 1)
            self.assertEqual([rule.columns[0] for rule in unused(known.rules)], ["get b"])

    def test_blocks_of_different_length_are_joined(self):
        with rules_file(("c", r"e1\ne2", "o", "why")) as file:
            self.assertEqual(unknown_differences("c", "e1\ne2\nexit 0", "o\nexit 0", Differences(file.name)), [])


class EditTest(unittest.TestCase):
    # header {revision: 5}, kvs {key: "a"}, kvs {key: "b"}, count: 300
    MESSAGE = b"\x0a\x02\x18\x05" b"\x12\x03\x0a\x01a" b"\x12\x03\x0a\x01b" b"\x20\xac\x02"

    def test_unchanged_fields_keep_their_bytes(self):
        self.assertEqual(serialize(parse(self.MESSAGE)), self.MESSAGE)

    def test_every_action_changes_the_message_and_only_when_there_is_something_to_change(self):
        self.assertEqual(edit(self.MESSAGE, "1.3", "increment"), self.MESSAGE.replace(b"\x18\x05", b"\x18\x06"))
        self.assertEqual(edit(self.MESSAGE, "4", "increment"), self.MESSAGE.replace(b"\xac\x02", b"\xad\x02"))
        self.assertEqual(edit(self.MESSAGE, "2.1", "flip"), self.MESSAGE.replace(b"\x01a", b"\x01`"))
        self.assertEqual(edit(self.MESSAGE, "2", "drop"), self.MESSAGE.replace(b"\x12\x03\x0a\x01a", b""))
        self.assertEqual(edit(self.MESSAGE, "2", "swap"), self.MESSAGE[:4] + self.MESSAGE[9:14] +
                         self.MESSAGE[4:9] + self.MESSAGE[14:])
        self.assertEqual(edit(self.MESSAGE, "3", "one"), self.MESSAGE + b"\x18\x01")
        for path, action in (("7", "drop"), ("7.1", "flip"), ("4", "one"), ("1", "swap"), ("2", "increment")):
            self.assertIsNone(edit(self.MESSAGE, path, action), f"{path} {action}")

    def test_two_neighbours_that_no_order_may_confuse_are_swapped(self):
        # key-values of key and version
        def range_of(*rows):
            return serialize([[2, 2, serialize([[1, 2, key], [4, 0, version]])] for key, version in rows])

        self.assertEqual(edit(range_of((b"a", 1), (b"b", 1), (b"c", 2)), "2", "swap-unlike"),
                         range_of((b"a", 1), (b"c", 2), (b"b", 1)))
        self.assertIsNone(edit(range_of((b"a", 1), (b"b", 1)), "2", "swap-unlike"))


class ScriptTest(unittest.TestCase):
    def test_variables_and_bytes_in_arguments(self):
        words = Step("here", r'put "k $l" b\xff').arguments({"l": "7b"})
        self.assertEqual(words, ["put", "k 7b", b"b\xff".decode("utf-8", "surrogateescape")])

    def test_repeated_input(self):
        self.assertEqual(stdin_line("{2}put k%d"), "put k0\nput k1\n")
        self.assertEqual(stdin_line("{3*}xy"), "xyxyxy")


if __name__ == "__main__":
    unittest.main()
