# SPDX-License-Identifier: Apache-2.0
"""A TCP relay that stands between etcdctl and a peer, and understands enough HTTP/2 and gRPC for two things.

It tells when a watch was created, which etcdctl does not print: a watch "from now on" can be compared only
when the next command cannot overtake it. And, when a plant is armed, it changes one real response on its way
to the client. Bytes are relayed as they are unless a plant is armed at the moment a connection is made.

The relay runs an event loop on a thread of its own; arm(), watches_created() and wait_for_watches() may be used from others.
A message that is held back until it is whole is at most HELD_BYTES_MAX long; longer ones pass unchanged.
"""
import asyncio
import threading

import hpack

from protobuf_edit import edit, parse

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, CONTINUATION = 0, 1, 9
END_HEADERS, PADDED, PRIORITY = 0x4, 0x8, 0x20
FRAME_BYTES_MAX = 16384
HELD_BYTES_MAX = 32768  # below the smallest flow-control window, or holding would stop the stream
WATCH = "/etcdserverpb.Watch/Watch"
CREATED_FIELD = 3


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def header_block(flags, payload):
    """The HPACK bytes of a HEADERS frame, without padding and priority."""
    start, end = 0, len(payload)
    if flags & PADDED:
        start, end = 1, end - payload[0]
    if flags & PRIORITY:
        start += 5
    return payload[start:end]


class FrameSplitter:
    """Cuts a byte stream into frames."""

    def __init__(self):
        self._buffer = b""

    def feed(self, data):
        self._buffer += data
        while len(self._buffer) >= 9:
            length = int.from_bytes(self._buffer[:3], "big")
            if len(self._buffer) < 9 + length:
                return
            head, payload = self._buffer[:9], self._buffer[9:9 + length]
            self._buffer = self._buffer[9 + length:]
            yield head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF, payload


class Requests:
    """Client to server: only looked at. Knows the path of each stream."""

    def __init__(self):
        self.paths = {}
        self._splitter = FrameSplitter()
        self._decoder = hpack.Decoder()
        self._preface = b""
        self._block = b""
        self.is_http2 = None

    def feed(self, data):
        if self.is_http2 is None:
            self._preface += data
            if not PREFACE.startswith(self._preface[:len(PREFACE)]):
                self.is_http2 = False
            elif len(self._preface) >= len(PREFACE):
                self.is_http2 = True
                data = self._preface[len(PREFACE):]
        if not self.is_http2:
            return
        for kind, flags, stream, payload in self._splitter.feed(data):
            if kind not in (HEADERS, CONTINUATION):
                continue
            self._block += header_block(flags, payload) if kind == HEADERS else payload
            if flags & END_HEADERS:
                fields = dict(self._decoder.decode(self._block))
                self.paths[stream] = fields.get(":path", "")
                self._block = b""


class Responses:
    """Server to client: sees watch creations, and changes one message or trailer when a plant is armed."""

    def __init__(self, relay, requests, plant):
        self._relay, self._requests, self._plant = relay, requests, plant
        self._splitter = FrameSplitter()
        self._decoder = hpack.Decoder()
        # Once one header block is written anew all must be: the client's table follows our encoder.
        self._encoder = hpack.Encoder() if plant and plant.path == "trailer" else None
        self._block, self._block_flags = b"", 0
        self._held = {}
        self._passing = {}  # stream -> bytes left of a message that is too long to be held

    def feed(self, data):
        if self._requests.is_http2 is False:
            return data
        out = b""
        for kind, flags, stream, payload in self._splitter.feed(data):
            if kind == DATA and not flags & PADDED:
                out += self._data(flags, stream, payload)
            elif kind in (HEADERS, CONTINUATION) and self._encoder:
                out += self._headers(kind, flags, stream, payload)
            else:
                out += frame(kind, flags, stream, payload)
        return out

    def _data(self, flags, stream, payload):
        """Whole messages go on, the rest of one is held until it is whole."""
        passing = self._passing.pop(stream, 0)
        out, held = payload[:passing], self._held.pop(stream, b"") + payload[passing:]
        if passing > len(out):
            self._passing[stream] = passing - len(out)
        while len(held) >= 5 and len(held) >= 5 + int.from_bytes(held[1:5], "big"):
            end = 5 + int.from_bytes(held[1:5], "big")
            out += held[:1] + self._message(self._requests.paths.get(stream, ""), held[5:end])
            held = held[end:]
        if len(held) > HELD_BYTES_MAX:
            self._passing[stream] = 5 + int.from_bytes(held[1:5], "big") - len(held)
            out, held = out + held, b""
        if flags & 1:
            out, held = out + held, b""
            self._passing.pop(stream, None)
        if held:
            self._held[stream] = held
        pieces = [out[i:i + FRAME_BYTES_MAX] for i in range(0, len(out), FRAME_BYTES_MAX)]
        if flags & 1 and not pieces:
            pieces = [b""]
        return b"".join(frame(DATA, flags if i == len(pieces) - 1 else 0, stream, piece)
                        for i, piece in enumerate(pieces))

    def _message(self, path, message):
        """The message, perhaps changed, with its length before it."""
        plant = self._plant
        if path == WATCH and any(number == CREATED_FIELD for number, _, _ in parse(message)):
            self._relay.count_watch()
            plant = None  # etcdctl shows nothing of this answer
        if plant and plant.path != "trailer" and plant.method == path and not plant.fired:
            changed = edit(message, plant.path, plant.action)
            if changed is not None:
                plant.fired = True
                message = changed
        return len(message).to_bytes(4, "big") + message

    def _headers(self, kind, flags, stream, payload):
        if kind == HEADERS:
            self._block, self._block_flags = header_block(flags, payload), flags & 1
        else:
            self._block += payload
        if not flags & END_HEADERS:
            return b""
        fields = self._decoder.decode(self._block)
        if self._plant.method == self._requests.paths.get(stream, ""):
            fields = [self._trailer(name, value) for name, value in fields]
        return frame(HEADERS, self._block_flags | END_HEADERS, stream, self._encoder.encode(fields))

    def _trailer(self, name, value):
        if self._plant.fired or name != self._plant.action:
            return name, value
        if value in ("", "0"):
            return name, value
        self._plant.fired = True
        # Another code, or another last letter of the text.
        return name, "2" if name == "grpc-status" else value[:-1] + chr(ord(value[-1]) ^ 1)


class Relay:
    def __init__(self):
        self.port = None
        self.target_port = None
        self._plant = None
        self._watches = 0
        self._watch_created = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._listening = threading.Event()

    def start(self):
        self._thread.start()
        self._listening.wait()

    def stop(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def arm(self, plant):
        """The plant, or none, of connections made from now on; it is planted once, which plant.fired tells."""
        self._plant = plant

    def watches_created(self):
        with self._watch_created:
            return self._watches

    def wait_for_watches(self, count, seconds):
        with self._watch_created:
            return self._watch_created.wait_for(lambda: self._watches >= count, seconds)

    def count_watch(self):
        with self._watch_created:
            self._watches += 1
            self._watch_created.notify_all()

    def _run(self):
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        self._loop.run_forever()
        server.close()
        pending = asyncio.all_tasks(self._loop)
        for task in pending:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        self._loop.close()

    async def _accept(self, client_reader, client_writer):
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            client_writer.close()
            return
        requests = Requests()
        responses = Responses(self, requests, self._plant)

        def look_at(data):
            requests.feed(data)
            return data

        await asyncio.gather(self._pump(client_reader, server_writer, look_at),
                             self._pump(server_reader, client_writer, responses.feed))

    async def _pump(self, reader, writer, transform):
        try:
            while data := await reader.read(65536):
                writer.write(transform(data))
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
