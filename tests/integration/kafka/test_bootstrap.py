"""The commands with --bootstrap-server, against a hub's listener: what they print is what they print of the hub itself."""
import json
import os
import socket
import subprocess

from leat import LEAT, LIMIT, wait_for
from rdkafka import Consumer

from .clients import KafkaCase

# What Kafka's protocol, or librdkafka, keeps to itself, and what a hub knows nothing of where a group only ever had offsets.
UNTOLD = {"id", "size", "segments", "data_dir", "commit_ms", "generation"}
NO_MEMBERS = {"state": "Empty", "type": "classic", "protocol_type": "consumer", "assignor": "", "generation": None, "members": []}
SYNONYMS = {"hub_setting", "hub_value", "default"}  # told by synonyms, of which Kafka leaves some out


def told(value):
    """Without what only the hub knows."""
    if isinstance(value, dict):
        return {k: told(v) for k, v in value.items() if k not in UNTOLD | SYNONYMS}
    return [told(v) for v in value] if isinstance(value, list) else value


class Bootstrap(KafkaCase):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.hub_ = self.serve()

    def run_leat(self, *args, stdin=None, address=None):
        return subprocess.run([LEAT] + list(args) + ["-b", address or self.address], input=stdin, capture_output=True, text=True,
                              timeout=LIMIT, env=dict(os.environ, LEAT_DATA_DIR="/nonexistent"))

    def remote(self, *args, stdin=None):
        done = self.run_leat(*args, stdin=stdin)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        return done.stdout

    def refused(self, code, text, *args, address=None):
        done = self.run_leat(*args, address=address)
        self.assertEqual(code, done.returncode, done.stderr)
        self.assertIn(text, done.stderr)
        self.assertEqual(1, len(done.stderr.splitlines()), done.stderr)

    def same(self, *args):
        """The JSON is that of the hub's own interface."""
        here, there = (json.loads(out) for out in (self.hub_.leat(*args, "-o", "json").stdout, self.remote(*args, "-o", "json")))
        self.assertEqual(told(here), told(there))
        return there

    def test_topics(self):
        self.remote("topics", "create", "t", "--partitions", "3")
        self.remote("topics", "create", "t", "--if-not-exists")
        self.refused(1, 'already exists', "topics", "create", "t")
        self.hub_.leat("topics", "create", "a")
        self.remote("produce", "t", "-p", "1", stdin="one\ntwo\nthree\n")
        self.assertEqual(["a", "t"], [t["name"] for t in self.same("topics", "list")])
        described = self.same("topics", "describe", "t")
        self.assertEqual([(0, 0), (0, 3), (0, 0)], [(p["log_start_offset"], p["high_watermark"]) for p in described["partitions"]])
        text = self.remote("topics", "describe", "t").splitlines()
        self.assertEqual("t  3 partitions", text[0])
        self.assertEqual(["1", "0", "3", "3", "-", "-", "ok", "-"], text[-2].split())
        self.remote("topics", "configure", "t", "--partitions", "4")
        self.assertEqual(4, self.same("topics", "describe", "t")["partition_count"])
        self.assertEqual([{"topic": "t", "partition": 1, "offset": 2, "log_start_offset": 2}],
                         json.loads(self.remote("topics", "delete-records", "t", "-p", "1", "--offset", "2", "-o", "json")))
        self.assertEqual("three\n", self.remote("consume", "t", "-e"))
        self.refused(4, 'no partition 9', "topics", "delete-records", "t", "-p", "9", "--offset", "2")
        self.remote("topics", "delete", "t")
        self.refused(4, 'there is no topic "t"', "topics", "delete", "t")
        self.remote("topics", "delete", "t", "--if-exists")
        self.assertEqual(["a"], [t["name"] for t in self.same("topics", "list")])

    def test_settings(self):
        self.remote("topics", "create", "t", "--config", "retention.ms=600000")
        self.remote("topics", "configure", "t", "--config", "retention.ms=700000", "--config", "segment.bytes=1048576")
        self.remote("topics", "configure", "t", "--reset", "retention.ms")
        self.assertEqual({"segment.bytes": "1048576"}, self.same("topics", "describe", "t")["config"])
        self.refused(1, "retention.ms", "topics", "configure", "t", "--config", "retention.ms=soon")
        self.refused(1, "no.such.setting", "topics", "configure", "t", "--config", "no.such.setting=1")

    def test_records(self):
        self.hub_.leat("topics", "create", "t", "--partitions", "2")
        lines = [{"partition": 1, "key": {"base64": "/w=="}, "value": None, "headers": [{"key": "h", "value": {"base64": "/w=="}},
                                                                                      {"key": "n", "value": None}], "timestamp": 5},
                 {"partition": 1, "key": None, "value": "", "headers": [], "timestamp": 6},
                 {"partition": 1, "key": "", "value": "ü", "headers": [], "timestamp": 7}]
        sent = "".join(json.dumps(line) + "\n" for line in lines)
        self.assertEqual({"records": 3}, json.loads(self.remote("produce", "t", "-f", "json", "-o", "json", stdin=sent)))
        self.remote("produce", "t", "-p", "0", "-k", ":", "-H", "a=b", "-z", "zstd", stdin="k:v\n" * 20000)
        for args in (["-p", "1", "-f", "json"], ["-p", "0", "-f", "key-value"], ["-n", "7", "-p", "0"], ["-s", "19998", "-p", "0"],
                     ["-s", "@6", "-p", "1"], ["-s", "end"], ["-p", "0", "-f", "json"]):
            self.assertEqual(self.hub_.leat("consume", "t", "-e", *args).stdout, self.remote("consume", "t", "-e", *args))
        self.assertEqual(20003, len(self.remote("consume", "t", "-e").splitlines()))
        self.assertIn('there is no topic "none"', self.run_leat("produce", "none", stdin="x\n").stderr)
        self.refused(4, 'there is no topic "none"', "consume", "none", "-e")
        done = self.run_leat("produce", "t", "-f", "json", stdin='{"value": "good"}\n{"valeu": "bad"}\n')
        self.assertEqual(1, done.returncode)
        self.assertEqual(20003, len(self.remote("consume", "t", "-e").splitlines()), "a part was written of what was refused")

    def test_a_reader_that_waits(self):
        self.hub_.leat("topics", "create", "t")
        reader = subprocess.Popen([LEAT, "consume", "t", "-b", self.address, "-s", "beginning", "-n", "2"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (reader.kill(), reader.wait(), reader.stdout.close()))
        self.hub_.leat("produce", "t", stdin="first\n")
        self.assertEqual("first\n", reader.stdout.readline())
        self.hub_.leat("produce", "t", stdin="second\n")
        self.assertEqual("second\n", reader.stdout.readline())
        wait_for("leat consume to end", lambda: reader.poll() is not None)

    def test_groups(self):
        self.hub_.leat("topics", "create", "t", "--partitions", "2")
        self.remote("produce", "t", "-p", "1", stdin="1\n2\n3\n")
        self.assertEqual("g t-0 -> 0\ng t-1 -> 2\n",
                         self.remote("groups", "reset", "g", "--topic", "t", "--to", "2"))
        group = {"group": "g", "offsets": [{"topic": "t", "partition": 0, "offset": 0, "end_offset": 0, "lag": 0},
                                           {"topic": "t", "partition": 1, "offset": 2, "end_offset": 3, "lag": 1}]}
        self.assertEqual([group], told(json.loads(self.hub_.leat("groups", "list", "-o", "json").stdout)))
        for there in (json.loads(self.remote("groups", "list", "-o", "json"))[0], json.loads(self.remote("groups", "lag", "g", "-o", "json"))):
            self.assertEqual(told(dict(group, **NO_MEMBERS)), told(there))
        self.assertEqual(["t", "1", "2", "3", "1", "-"], self.remote("groups", "lag", "g").splitlines()[-1].split())
        self.remote("groups", "delete", "g")
        self.refused(4, 'there is no group "g"', "groups", "lag", "g")
        self.refused(4, 'there is no group "g"', "groups", "delete", "g")

    def test_members(self):
        self.hub_.leat("topics", "create", "t", "--partitions", "3")
        consumers = [Consumer(self.address, "g", ["t"], client_id="c%d" % i) for i in range(2)]
        wait_for("both to have partitions", lambda: [c.poll(20) for c in consumers] and all(c.assigned for c in consumers))
        there = self.same("groups", "describe", "g")
        self.assertEqual(("Stable", "classic", "range"), (there["state"], there["type"], there["assignor"]))
        self.assertEqual({"c0", "c1"}, {m["client_id"] for m in there["members"]})
        self.assertEqual([1, 2], sorted(len(m["partitions"]) for m in there["members"]))
        text = self.remote("groups", "describe", "g")
        self.assertIn("state Stable  type classic  assignor range  members 2", text)
        self.assertEqual(3, sum(c.member() in line for c in consumers for line in text.splitlines()))
        self.same("groups", "list")
        self.refused(5, "group is not empty", "groups", "delete", "g")
        for consumer in consumers:
            consumer.close()
        # librdkafka waits for the answer that they have left, but not for long.
        wait_for("the group to be empty", lambda: json.loads(self.remote("groups", "describe", "g", "-o", "json"))["state"] == "Empty")
        self.refused(4, 'there is no group "h"', "groups", "describe", "h")

    def test_what_cannot_be_reached(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))  # nobody listens
            self.refused(1, "Connection refused", "topics", "list", address="127.0.0.1:%d" % s.getsockname()[1])
        self.refused(1, "nowhere.invalid", "topics", "list", address="nowhere.invalid:9092")

    def test_properties(self):
        self.hub_.leat("topics", "create", "t")
        config = os.path.join(self.hub_.directory, "client.properties")
        with open(config, "w", encoding="utf-8") as f:
            f.write("# of librdkafka\n\nclient.id = me\n  socket.keepalive.enable=true")
        self.assertEqual("t", self.remote("topics", "list", "--command-config", config, "-X", "client.id=you").split()[-2])
        self.refused(3, "no.such.thing", "topics", "list", "-X", "no.such.thing=1")
        self.refused(3, "group.id is Leat's to set", "topics", "list", "-X", "group.id=g")
        self.refused(2, "'nothing' is not NAME=VALUE", "topics", "list", "-X", "nothing")
        with open(config, "w", encoding="utf-8") as f:
            f.write("a=b\nnothing\n")
        self.refused(2, "client.properties:2: is not NAME=VALUE", "topics", "list", "--command-config", config)
        done = subprocess.run([LEAT, "topics", "list", "-X", "client.id=me"], capture_output=True, text=True, timeout=LIMIT)
        self.assertEqual((2, True), (done.returncode, "--bootstrap-server is missing" in done.stderr))
