"""A file system of a test's own that is full when the test wants it: a tmpfs whose limit is set to what is on it and little more.

It wants the right to mount (root). Where that is missing nothing is mounted, `fill` does nothing, and a line says so.
"""
import os
import subprocess

SIZE = 2 << 30  # a limit only: it takes the memory of what is written


def _mount(*args):
    return subprocess.run(["mount", "-t", "tmpfs"] + list(args), capture_output=True, text=True)


class SmallDisk:
    def __init__(self, directory):
        self.directory, self.full = directory, False
        os.makedirs(directory, exist_ok=True)
        done = _mount("-o", "size=%d" % SIZE, "tmpfs", directory) if os.geteuid() == 0 else None
        self.there = done is not None and done.returncode == 0
        if not self.there:
            print("SKIPPED: a full file system: %s" % (done.stderr.strip() if done else "only root may mount one"), flush=True)

    def _limit(self, size):
        done = _mount("-o", "remount,size=%d" % size, "tmpfs", self.directory)
        if done.returncode != 0:
            raise AssertionError("%s cannot be limited to %d bytes: %s" % (self.directory, size, done.stderr))

    def _used(self):
        s = os.statvfs(self.directory)
        return (s.f_blocks - s.f_bfree) * s.f_frsize

    def fill(self, left):
        """From now on only so many bytes are free, and what is written meanwhile counts. False: there is no such file system."""
        if not self.there:
            return False
        while not self.full:
            try:
                self._limit(self._used() + left)
                self.full = True
            except AssertionError:  # more was written in between
                left += 1 << 20
        return True

    def empty(self):
        if self.full:
            self._limit(SIZE)
        self.full = False

    def remove(self):
        if self.there:
            subprocess.run(["umount", "-l", self.directory], check=True)
