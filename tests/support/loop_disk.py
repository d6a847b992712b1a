# SPDX-License-Identifier: Apache-2.0
"""A small disk that can get full: 64 MiB of ext4 behind a loop device. Needs root."""
import os
import subprocess

DISK_BYTES = 64 << 20


class LoopDisk:
    """Entering it gives None where loop devices cannot be mounted."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "disk")
        self._image = os.path.join(folder, "image")
        self._filler = os.path.join(self.path, "filler")

    def __enter__(self):
        os.mkdir(self.path)
        with open(self._image, "wb") as image:
            image.truncate(DISK_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", self._image], check=True, stdout=subprocess.DEVNULL)
        mounted = subprocess.run(["mount", "-o", "loop", self._image, self.path], check=False, stderr=subprocess.PIPE)
        return self if mounted.returncode == 0 else None

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.path], check=False, stderr=subprocess.DEVNULL)

    def free(self):
        facts = os.statvfs(self.path)
        return facts.f_bavail * facts.f_frsize

    def fill(self):
        with open(self._filler, "ab", buffering=0) as filler:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        filler.write(b"f" * size)
                except OSError:
                    pass

    def unfill(self):
        os.unlink(self._filler)
