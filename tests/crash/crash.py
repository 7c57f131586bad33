#!/usr/bin/env python3
"""Kills a hub with SIGKILL again and again while files grow and rotate; at the end every line must be there once.

    tests/crash/crash.py [--kills 200] [--seed N]

Files are rotated by rename (sometimes compressed afterwards) and by copytruncate. Their lines go through a topic into
compressed files, into one growing file, and into objects of an S3 server (tests/lib/s3/fake_s3.py). Checked: every line
exactly once in the topic and in each target, per file in the order in which it was written. The seed decides what is
written and when the hub is killed; it is printed, and a failed run keeps its directory.
"""
import argparse
import gzip
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from leat import Hub, complete_files, wait_for, ROOT  # noqa: E402

CONFIG = """
hub:
  journal.file.bytes: 1MiB
pipelines:
  - name: logs
    source:
      type: file
      paths: @DIR@/in/*.log*
      gzip: read
    topic: lines
    sinks:
      - name: files
        type: file
        directory: @DIR@/files
        format: raw
        compression.type: gzip
        flush.size: 700
        rotate.schedule.interval.ms: 300ms
      - name: grown
        type: file
        file: @DIR@/grown.txt
        sync.interval.ms: 50ms
      - name: objects
        type: s3
        s3.bucket.name: bucket
        s3.region: us-east-1
        store.url: http://127.0.0.1:@PORT@
        aws.access.key.id: AKFAKE
        aws.secret.access.key: fakesecret
        format.class: io.confluent.connect.s3.format.bytearray.ByteArrayFormat
        flush.size: @FLUSH@
        s3.compression.type: gzip
"""
FLUSH = 900


class Writer(threading.Thread):
    """Grows a few files and rotates them. Every line is '<file> <number> <padding>'."""

    def __init__(self, directory, seed):
        super().__init__(daemon=True)
        self.directory = directory
        self.random = random.Random(seed)
        self.names = ["app%d" % i for i in range(4)]
        self.written = {n: 0 for n in self.names}
        self.turn = {n: 0 for n in self.names}
        self.stopping = threading.Event()
        self.failed = None

    def path(self, name):
        return os.path.join(self.directory, name + ".log")

    def line(self, name):
        n = self.written[name]
        self.written[name] += 1
        return "%s %d %s\n" % (name, n, "x" * self.random.randrange(120))

    def append(self, name):
        with open(self.path(name), "a", encoding="ascii") as f:
            for _ in range(self.random.randrange(1, 60)):
                text = self.line(name)
                cut = self.random.randrange(len(text) * 3)
                if cut < len(text):  # a line that arrives in two pieces
                    f.write(text[:cut])
                    f.flush()
                    f.write(text[cut:])
                else:
                    f.write(text)

    def rotate(self, name):
        """By rename; at times the predecessor is compressed, as logrotate does with delaycompress off."""
        self.turn[name] += 1
        rotated = "%s.%d" % (self.path(name), self.turn[name])
        if not os.path.exists(self.path(name)):
            return
        os.rename(self.path(name), rotated)
        if self.random.random() < 0.3:
            with open(rotated, "rb") as f:
                text = f.read()
            with open("%s/.gz" % self.directory, "wb") as out:
                out.write(gzip.compress(text))
            os.rename("%s/.gz" % self.directory, rotated + ".gz")
            os.unlink(rotated)

    def copytruncate(self, name):
        self.turn[name] += 1
        if os.path.exists(self.path(name)):
            shutil.copyfile(self.path(name), "%s/.copy" % self.directory)
            os.rename("%s/.copy" % self.directory, "%s.%d" % (self.path(name), self.turn[name]))
            os.truncate(self.path(name), 0)

    def run(self):
        try:
            while not self.stopping.is_set():
                name = self.random.choice(self.names)
                self.append(name)
                dice = self.random.random()
                if dice < 0.02:
                    self.rotate(name)
                elif dice < 0.03:
                    self.copytruncate(name)
                time.sleep(0.002)
        except Exception as e:  # a broken writer must not look like a passed test
            self.failed = e


class FakeS3:
    def __init__(self):
        self.process = subprocess.Popen([sys.executable, os.path.join(ROOT, "tests/lib/s3/fake_s3.py")],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def get(self, path):
        with urllib.request.urlopen("http://127.0.0.1:%d%s" % (self.port, path)) as answer:
            return answer.read()

    def objects(self):
        lines = self.get("/-/objects").decode().splitlines()
        return [line.split("\t")[0] if "\t" in line else line.split()[0] for line in lines]

    def object(self, key):
        return self.get("/-/object?key=" + urllib.parse.quote(key, safe=""))

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def check(what, lines, written):
    """Every line once, per file in order."""
    following = {name: 0 for name in written}
    for number, line in enumerate(lines):
        name, n = line.split(" ")[:2]
        if int(n) != following[name]:
            raise AssertionError("%s, line %d: %s %s came where %d was due" % (what, number, name, n, following[name]))
        following[name] += 1
    if following != written:
        raise AssertionError("%s: has %s of %s" % (what, following, written))
    print("  crash   %-8s %d lines, each once, in order" % (what, len(lines)))


def check_targets(hub, s3, written):
    check("topic", hub.values("lines"), written)
    text = b"".join(gzip.open(p).read() for p in complete_files(os.path.join(hub.directory, "files")))
    check("files", text.decode().splitlines(), written)
    with open(os.path.join(hub.directory, "grown.txt"), encoding="ascii") as f:
        check("one file", f.read().splitlines(), written)
    text = b"".join(gzip.decompress(s3.object(k)) for k in sorted(s3.objects()))
    lines = text.decode().splitlines()
    # Objects hold whole rounds of flush.size; what waits for the next round is committed to nobody.
    whole = sum(written.values()) // FLUSH * FLUSH
    if len(lines) != whole:
        raise AssertionError("objects: %d lines instead of %d" % (len(lines), whole))
    check("objects", lines, {n: sum(1 for x in lines if x.startswith(n + " ")) for n in written})


def run(kills, seed, directory):
    rand = random.Random(seed)
    os.mkdir(os.path.join(directory, "in"))
    s3 = FakeS3()
    hub = Hub(directory, CONFIG.replace("@DIR@", directory).replace("@PORT@", str(s3.port)).replace("@FLUSH@", str(FLUSH)), ["--log-level", "warn"])
    writer = Writer(os.path.join(directory, "in"), seed)
    writer.start()
    try:
        for _ in range(kills):
            hub.start(wait=rand.random() < 0.3)
            time.sleep(rand.random() ** 2 * 0.4)
            if hub.process.poll() is not None:
                raise AssertionError("the hub ended by itself:\n" + hub.log_text()[-2000:])
            hub.kill()
        writer.stopping.set()
        writer.join()
        if writer.failed:
            raise writer.failed
        hub.start()
        total = sum(writer.written.values())
        wait_for("all lines to be in the topic",
                 lambda: sum(p["end_offset"] for p in hub.json("topics", "describe", "lines")["partitions"]) >= total
                 and len(hub.values("lines")) >= total)
        hub.wait_caught_up("logs-files")
        hub.wait_caught_up("logs-grown")
        hub.wait_caught_up("logs-objects")
        wait_for("all whole objects", lambda: len(s3.objects()) >= total // FLUSH)
        if hub.stop() != 0:
            raise AssertionError("the hub did not stop cleanly:\n" + hub.log_text()[-2000:])
        check_targets(hub, s3, writer.written)
    finally:
        writer.stopping.set()
        if hub.process:
            hub.kill()
        s3.stop()


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    given = options.parse_args()
    print("  crash   %d kills, seed %d" % (given.kills, given.seed))
    directory = tempfile.mkdtemp(prefix="leat-crash-")
    try:
        run(given.kills, given.seed, directory)
    except AssertionError as e:
        print("FAIL crash (kept in %s; again with --seed %d): %s" % (directory, given.seed, e))
        return 1
    shutil.rmtree(directory)
    print("crash: 1 passed, 0 failed")
    return 0


sys.exit(main())
