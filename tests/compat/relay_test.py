#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Unit tests of the relay: what it holds back, what it lets pass, and that it changes one message and no other."""
import sys
import unittest

sys.dont_write_bytecode = True
try:
    from relay import DATA, FRAME_BYTES_MAX, HELD_BYTES_MAX, WATCH, FrameSplitter, Responses, frame
except ModuleNotFoundError as missing:
    print(f"{missing.name} is not installed for /usr/bin/python3: skipped (deploy/install-deps --tests)")
    sys.exit(77)
from protobuf_edit import serialize

STREAM = 1
END_STREAM = 1


class Requests:
    is_http2 = True
    paths = {STREAM: WATCH}


class Plant:
    method, path, action, fired = WATCH, "2", "increment", False


def message(fields):
    body = serialize(fields)
    return b"\0" + len(body).to_bytes(4, "big") + body


def frames(data):
    return [frame(DATA, 0, STREAM, data[i:i + FRAME_BYTES_MAX]) for i in range(0, len(data), FRAME_BYTES_MAX)]


def payload(data):
    return b"".join(one[3] for one in FrameSplitter().feed(data))


class ResponsesTest(unittest.TestCase):
    def relayed(self, sent, plant=None):
        responses = Responses(None, Requests, plant)
        return b"".join(payload(responses.feed(one)) for one in frames(sent))

    def test_a_message_longer_than_is_held_passes_with_all_of_its_bytes(self):
        for length in (HELD_BYTES_MAX, HELD_BYTES_MAX + 1, 10 * HELD_BYTES_MAX + 77):
            sent = message([[11, 2, b"b" * length]]) + message([[2, 0, 5]])
            self.assertEqual(self.relayed(sent), sent, f"{length} bytes")

    def test_what_follows_a_long_message_can_be_changed(self):
        plant = Plant()
        long = message([[11, 2, b"b" * 3 * HELD_BYTES_MAX]])
        self.assertEqual(self.relayed(long + message([[2, 0, 5]]), plant), long + message([[2, 0, 6]]))
        self.assertTrue(plant.fired)

    def test_only_the_first_message_that_has_the_field_is_changed(self):
        sent = message([[1, 2, b"x"]]) + message([[2, 0, 5]]) * 2
        self.assertEqual(self.relayed(sent, Plant()),
                         message([[1, 2, b"x"]]) + message([[2, 0, 6]]) + message([[2, 0, 5]]))

    def test_the_end_of_a_stream_sends_what_was_held(self):
        responses = Responses(None, Requests, None)
        half = message([[2, 0, 5]])[:-1]
        self.assertEqual(payload(responses.feed(frame(DATA, 0, STREAM, half))), b"")
        self.assertEqual(payload(responses.feed(frame(DATA, END_STREAM, STREAM, b""))), half)


if __name__ == "__main__":
    unittest.main()
