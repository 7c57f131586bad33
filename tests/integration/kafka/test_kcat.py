"""kcat (librdkafka) and the hub: records in every codec, topics that come by being asked for, a hub that is killed."""
import json
import subprocess
import tempfile

from leat import LIMIT, Hub, wait_for
from .clients import KafkaCase

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


class Kcat(KafkaCase):
    def test_records_in_every_codec(self):
        hub = self.serve()
        for codec in CODECS:
            lines = "".join("k%d:%s value %d\n" % (i, codec * 10, i) for i in range(200))
            self.kcat("-P", "-t", "t", "-p", "0", "-K:", "-z", codec, stdin=lines)
        expected = ["0 %d k%d %s value %d" % (200 * c + i, i, codec * 10, i) for c, codec in enumerate(CODECS) for i in range(200)]
        self.assertEqual(expected, self.read("t", "-p", "0"))
        ours = hub.records("t")
        self.assertEqual([e.split(" ", 2)[2] for e in expected], ["%s %s" % (r["key"], r["value"]) for r in ours])
        self.assertEqual(expected[950:], self.read("t", "-p", "0", "-o", "950"))

    def test_what_the_hub_writes_kcat_reads(self):
        hub = self.serve()
        hub.leat("topics", "create", "ours", "--partitions", "2")
        hub.leat("produce", "ours", "--partition", "1", stdin="one\ntwo\n")
        self.assertEqual(["1 0  one", "1 1  two"], self.read("ours"))
        described = json.loads(self.kcat("-L", "-J"))
        self.assertEqual([("ours", 2)], [(t["topic"], len(t["partitions"])) for t in described["topics"]])
        self.assertEqual([self.address], [b["name"] for b in described["brokers"]])

    def test_topics_are_not_made_where_that_is_off(self):
        self.serve(**{"auto.create.topics.enable": False})
        done = subprocess.run(["kcat", "-b", self.address, "-P", "-t", "t", "-X", "message.timeout.ms=2000"], input="x\n",
                              capture_output=True, text=True, timeout=LIMIT)
        self.assertNotEqual(0, done.returncode)
        self.assertEqual([], json.loads(self.kcat("-L", "-J"))["topics"])

    def test_what_was_acknowledged_outlives_a_kill(self):
        hub = self.serve()
        self.kcat("-P", "-t", "t", "-p", "0", "-X", "enable.idempotence=true", stdin="".join("%d\n" % i for i in range(5000)))
        hub.kill()
        hub.start()
        self.find(hub)
        self.assertEqual([str(i) for i in range(5000)], [line.split()[-1] for line in self.read("t", "-p", "0")])

    def test_a_reader_that_waits(self):
        self.serve()
        self.kcat("-P", "-t", "t", "-p", "0", stdin="first\n")
        reader = subprocess.Popen(["kcat", "-m", "300", "-b", self.address, "-C", "-q", "-u", "-c", "2", "-t", "t", "-p", "0"], stdout=subprocess.PIPE,
                                  text=True)
        self.addCleanup(lambda: (reader.kill(), reader.wait(), reader.stdout.close()))
        self.assertEqual("first\n", reader.stdout.readline())
        self.kcat("-P", "-t", "t", "-p", "0", stdin="second\n")
        self.assertEqual("second\n", reader.stdout.readline())
        wait_for("kcat to end", lambda: reader.poll() is not None)

    def test_a_group_goes_on_where_it_was(self):
        hub = self.serve(**{"group.initial.rebalance.delay.ms": "0s"})
        hub.leat("topics", "create", "t", "--partitions", "3")
        for p in range(3):
            self.kcat("-P", "-t", "t", "-p", str(p), stdin="".join("%d-%d\n" % (p, i) for i in range(100)))
        settings = ["-X", "auto.offset.reset=earliest", "-q", "-f", "%p-%s\n"]
        first = self.kcat("-G", "g", "-c", "120", *settings, "t").splitlines()
        self.assertEqual(120, len(set(first)))
        hub.kill()
        hub.start()
        self.find(hub)
        rest = self.kcat("-G", "g", "-e", *settings, "t").splitlines()
        self.assertEqual({"%d-%d-%d" % (p, p, i) for p in range(3) for i in range(100)}, set(first) | set(rest))
        self.assertEqual(300, len(first) + len(rest)) # none twice: what was committed was so before the kill
        self.assertIn("g", [g["group"] for g in hub.json("groups", "list")])

    def test_an_address_that_is_taken(self):
        hub = self.serve()
        other = Hub(tempfile.mkdtemp(dir=self.directory), "hub:\n  listeners: PLAINTEXT://%s\n" % self.address)
        self.hubs.append(other)
        other.start(wait=False)
        wait_for("the other hub to end", lambda: other.process.poll() is not None)
        self.assertNotEqual(0, other.process.returncode)
        self.assertIn("listeners: cannot listen on %s" % self.address, other.log_text())
        other.process = None
        self.assertEqual(0, hub.stop())
