"""A log file through a topic into objects, with the real program and a real S3 server (OpenStack Swift)."""
import gzip
import os
import random
import subprocess
import tempfile
import unittest

from leat import ROOT, Case, leat, remove, wait_for

SWIFT = os.path.join(ROOT, "tests/lib/s3/swift")

PIPELINE = """
pipelines:
  - name: logs
    source:
      type: file
      paths: @DIR@/in/*.log
    topic: lines
    sinks:
      - name: bucket
        type: s3
        store.url: @ENDPOINT@
        s3.region: @REGION@
        s3.bucket.name: @BUCKET@
        aws.access.key.id: @ACCESS_KEY@
        aws.secret.access.key: ${env:S3_TEST_SECRET}
        format.class: raw
        s3.compression.type: gzip
        s3.part.size: 5MiB
        flush.size: @FLUSH@
        flush.on.stop: true
"""


class S3Pipeline(Case):
    @classmethod
    def setUpClass(cls):
        cls.swift_dir = tempfile.mkdtemp(prefix="leat-swift-")
        started = subprocess.run([SWIFT, "start", cls.swift_dir], check=True, capture_output=True, text=True).stdout
        cls.settings = dict(line.split("=", 1) for line in started.splitlines())
        os.environ["no_proxy"] = "*"
        os.environ["S3_TEST_SECRET"] = cls.settings["SECRET_KEY"]

    @classmethod
    def tearDownClass(cls):
        subprocess.run([SWIFT, "stop", cls.swift_dir], check=True)
        remove(cls.swift_dir)

    def setUp(self):
        super().setUp()
        self.bucket = "b-" + os.path.basename(self.directory).lower().replace("_", "-") + "-b"  # begins and ends as names must
        self.swift("bucket", self.bucket)

    def swift(self, command, *args):
        return subprocess.run([SWIFT, command, self.swift_dir] + list(args), check=True, capture_output=True).stdout

    def pipeline(self, flush=100, **other):
        text = PIPELINE.replace("@BUCKET@", self.bucket).replace("@FLUSH@", str(flush))
        for name, value in dict(self.settings, **other).items():
            text = text.replace("@%s@" % name, value)
        return text.replace("@DIR@", self.directory)

    def names(self):
        return [line.split("\t")[0] for line in self.swift("list", self.bucket).decode().splitlines()]

    def lines(self):
        """Every line of every object, in the order of names."""
        return b"".join(gzip.decompress(self.swift("get", self.bucket, name)) for name in self.names()).decode().splitlines()

    def test_lines_reach_objects(self):
        want = ["line %d %s" % (i, "x" * (i % 50)) for i in range(1000)]
        self.write("in/a.log", "".join(line + "\n" for line in want))
        hub = self.hub(self.pipeline())
        wait_for("a thousand lines in ten objects", lambda: len(self.names()) == 10)
        self.assertEqual(self.names()[0], "topics/lines/partition=0/lines+0+0000000000.bin.gz")
        self.assertEqual(self.lines(), want)
        self.write("in/a.log", "tail\n", "a")
        wait_for("the tail in the topic", lambda: hub.values("lines")[-1:] == ["tail"])
        hub.stop()
        self.assertEqual(self.lines()[:1000], want)

    def test_kills_lose_and_repeat_nothing(self):
        """SIGKILL at random moments, in the middle of multipart uploads too; in the end each line is in one object."""
        random.seed(3)
        letters = "".join(chr(random.randrange(33, 127)) for _ in range(1 << 16))
        written, hub = [], self.hub(self.pipeline(flush=3000), start=False)
        for round_number in range(12):
            lines = []
            for _ in range(2000):
                at = random.randrange(len(letters) - 4000)
                lines.append("%d %s" % (len(written) + len(lines), letters[at:at + random.randrange(4000)]))
            self.write("in/a.log", "".join(line + "\n" for line in lines), "a")
            written += lines
            hub.start()
            if round_number % 2 == 0:
                wait_for("another object", lambda: len(self.names()) >= (round_number + 1) * 2000 // 3000)
            hub.kill()
        hub.start()
        wait_for("all lines in the topic", lambda: len(hub.values("lines")) == len(written))
        wait_for("all full objects", lambda: len(self.names()) >= len(written) // 3000)
        hub.stop()
        self.assertEqual(self.lines(), written)
        uploads = self.swift("list", self.bucket + "+segments").decode().splitlines()
        self.assertEqual([u for u in uploads if u.split("\t")[0].rsplit("/", 1)[-1].isdigit() is False], [])

    def test_check_says_what_is_wrong(self):
        for other, expected in (({"ACCESS_KEY": "test:nobody"}, "aws.access.key.id|test:nobody"),
                                ({"REGION": "eu-west-1"}, "s3.region")):
            path = self.write("wrong.yaml", self.pipeline(**other))
            done = leat("validate", path, "--connect", check=False)
            self.assertEqual(done.returncode, 3)
            self.assertRegex(done.stderr, expected)
        path = self.write("right.yaml", self.pipeline())
        self.assertEqual(leat("validate", path, "--connect", check=False).returncode, 0)
        self.assertEqual(self.names(), [])


if __name__ == "__main__":
    unittest.main()
