# SPDX-License-Identifier: Apache-2.0
"""A proxy between the members of a cluster, without root: members advertise its ports as their peer URLs. It knows who calls
(the pid behind a connection of this machine), so it can cut, delay and hold back each direction between two members."""
import asyncio
import os
import socket
import struct
import threading

CHUNK = 256 << 10
# linux/sock_diag.h, linux/inet_diag.h
NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST = 1
INODE_AT = 16 + 68


def inode_of(port, far_port):
    """The socket on this machine that is connected from this port of loopback to that one. One question to the kernel for one
    socket: its table of all, /proc/net/tcp, has thousands of lines after some connections, and while each new one waited for a
    look at them members gave up and tried again."""
    loopback = socket.inet_aton("127.0.0.1")
    which = struct.pack("!HH4s12x4s12x", port, far_port, loopback, loopback) + struct.pack("=III", 0, 0xffffffff, 0xffffffff)
    question = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 0xffffffff) + which
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
        kernel.send(struct.pack("=IHHII", 16 + len(question), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0) + question)
        answer = kernel.recv(4096)
    if struct.unpack_from("=IH", answer)[1] != SOCK_DIAG_BY_FAMILY:
        return None
    return struct.unpack_from("=I", answer, INODE_AT)[0]


def owns(pid, inode):
    folder = f"/proc/{pid}/fd"
    try:
        for name in os.listdir(folder):
            try:
                if os.readlink(os.path.join(folder, name)) == f"socket:[{inode}]":
                    return True
            except OSError:
                continue
    except OSError:
        pass
    return False


class Link:
    """One connection between two members."""

    def __init__(self, caller, target):
        self.caller, self.target = caller, target
        self.writers = []

    def reset(self):
        for writer in self.writers:
            writer.transport.abort()


class LinkProxy:
    """`listen` and `forward` are ports by member; `pids` is asked at each connection. Runs in a thread of its own."""

    def __init__(self, listen, forward, pids):
        self._listen, self._forward, self._pids = listen, forward, pids
        self._blocked = set()  # (from, to): nothing passes
        self._delay = {}  # (from, to): seconds
        self._links = set()
        self._changed = None
        self._loop = asyncio.new_event_loop()
        # Connections, those of nobody we know, those broken, times that something was held back.
        self.connections, self.strangers, self.resets, self.held = 0, 0, 0, 0
        self._ready = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()
        self._ready.wait()

    def block(self, pairs):
        self._call(self._block, set(pairs))

    def delay(self, pairs, seconds):
        self._call(self._delay.update, {pair: seconds for pair in pairs})

    def heal(self, reset):
        """Everything passes again. `reset`: connections that were blocked break; else what was held back comes late."""
        self._call(self._heal, reset)

    def _call(self, function, *arguments):
        done = threading.Event()

        def run():
            function(*arguments)
            done.set()
        self._loop.call_soon_threadsafe(run)
        done.wait()

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._changed = asyncio.Condition()

        async def listen():
            for member, port in enumerate(self._listen):
                await asyncio.start_server(lambda reader, writer, to=member: self._serve(to, reader, writer), "127.0.0.1", port,
                                           limit=CHUNK)
        self._loop.run_until_complete(listen())
        self._ready.set()
        self._loop.run_forever()

    def _notify(self):
        async def notify():
            async with self._changed:
                self._changed.notify_all()
        self._loop.create_task(notify())

    def _block(self, pairs):
        self._blocked |= pairs

    def _heal(self, reset):
        if reset:
            for link in list(self._links):
                if {(link.caller, link.target), (link.target, link.caller)} & self._blocked:
                    self.resets += 1
                    link.reset()
        self._blocked.clear()
        self._delay.clear()
        self._notify()

    def _caller(self, port, target):
        inode = inode_of(port, self._listen[target])
        for member, pid in enumerate(self._pids()):
            if inode and pid and owns(pid, inode):
                return member
        self.strangers += 1
        return None

    async def _passes(self, pair):
        self.held += pair in self._blocked
        async with self._changed:
            await self._changed.wait_for(lambda: pair not in self._blocked)

    async def _serve(self, target, reader, writer):
        link = Link(self._caller(writer.get_extra_info("peername")[1], target), target)
        self.connections += 1
        link.writers.append(writer)
        self._links.add(link)
        try:
            await self._passes((link.caller, target))
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._forward[target], limit=CHUNK)
            link.writers.append(far_writer)
            await asyncio.gather(self._pump((link.caller, target), reader, far_writer),
                                 self._pump((target, link.caller), far_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            link.reset()
            self._links.discard(link)

    async def _pump(self, pair, reader, writer):
        while data := await reader.read(CHUNK):
            if pair in self._delay:
                await asyncio.sleep(self._delay[pair])
            if pair in self._blocked:
                await self._passes(pair)
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
