# SPDX-License-Identifier: Apache-2.0
"""Row of broker_matrix: one of the real broker's two log directories is on a disk that becomes full. The mount needs root."""
import os
import subprocess

from broker_world import BESIDE, World, say
from programs import Failure, Kafka

DISK_BYTES = 64 << 20
LEFT_BYTES = 2 << 20
TRIES = 8


class SmallDisk:
    """A file system in memory of its own size."""

    def __init__(self, path):
        self.path = path
        os.mkdir(path)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", path], check=False,
                              stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise Failure(f"a small disk cannot be mounted (root may): {done.stderr.decode().strip()}")

    def fill(self):
        facts = os.statvfs(self.path)
        with open(os.path.join(self.path, "ballast"), "wb") as out:
            out.write(bytes(max(0, facts.f_bavail * facts.f_frsize - LEFT_BYTES)))

    def free(self):
        os.unlink(os.path.join(self.path, "ballast"))

    def unmount(self):
        subprocess.run(["umount", "-l", self.path], check=True)


class DiskWorld(World):
    def __init__(self, options, scratch):
        self.disk = SmallDisk(os.path.join(scratch.path, "small"))
        try:
            directories = f"{os.path.join(scratch.path, 'kafka', 'data')},{self.disk.path}"
            # Index files are mapped: one that grows on a full disk would end the broker, not only the directory.
            super().__init__(options, scratch, Kafka(
                scratch, "num.partitions=1", f"log.dirs={directories}", "log.index.interval.bytes=1000000000",
                f"metadata.log.dir={os.path.join(scratch.path, 'kafka', 'data')}"))
        except BaseException:
            self.disk.unmount()
            raise

    def on_small_disk(self, topic):
        return os.path.exists(os.path.join(self.disk.path, f"{topic}-0"))

    def choose(self):
        """A topic on the small disk; the one beside is on the other."""
        self.kafka.create(BESIDE)
        if self.on_small_disk(BESIDE):
            raise Failure("the broker put the topic beside on the small disk")
        for number in range(TRIES):
            topic = f"full{number}"
            self.kafka.create(topic)
            if self.on_small_disk(topic):
                return topic
        raise Failure(f"none of {TRIES} topics is on the small disk")


def row_full(world):
    topic = world.choose()
    world.start_agent([BESIDE, topic])
    world.disk.fill()
    world.write(topic, 1000, size=8000)
    say(f"    {world.wait_state(topic, 'PAUSED', 'does not acknowledge')}")
    world.beside_goes_on()
    world.disk.free()
    # Kafka looks at a directory that failed again when it starts.
    world.kafka.kill()
    world.kafka.start_ready()
    world.wait_state(topic, "RUNNING", "")
    world.wait_all(topic)
    world.beside_goes_on()


ROWS = {"full": row_full}
