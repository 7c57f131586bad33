"""Leat as a client of Apache Kafka: each command with --bootstrap-server, and a hub whose pipelines use the broker (client: kafka)."""
import json
import os
import subprocess

import kafka
from leat import LEAT, LIMIT, Case, Hub, complete_files, wait_for
from rdkafka import Consumer

CONFIG = """
hub:
  client: kafka
  bootstrap.servers: %s
  offset.storage.topic: positions
pipelines:
- name: lines
  topic:
    name: lines
    partitions: 1
    config:
      retention.ms: 1d
  source:
    type: file
    paths: %s
    retry.backoff.ms: 100ms
  sinks:
  - name: files
    type: file
    directory: %s
    format: raw
    flush.size: 10
    retry.backoff.ms: 100ms
"""


class Backend(Case):
    def setUp(self):
        super().setUp()
        self.broker = kafka.Broker(self.path("kafka")).start()

    def tearDown(self):
        if self.broker.process:
            self.broker.kill()
        super().tearDown()

    def leat(self, *args, stdin=None, code=0):
        done = subprocess.run([LEAT] + list(args) + ["-b", self.broker.bootstrap], input=stdin, capture_output=True, text=True, timeout=LIMIT)
        self.assertEqual(code, done.returncode, done.stderr)
        return done.stdout if code == 0 else done.stderr

    def json(self, *args):
        return json.loads(self.leat(*args, "-o", "json"))

    def test_commands(self):
        self.leat("topics", "create", "t", "--partitions", "3", "--config", "retention.ms=600000")
        self.assertIn("there is no topic", self.leat("topics", "describe", "none", code=4))
        self.assertIn("t", self.broker.tool("topics", "--list").split())
        self.leat("produce", "t", "-p", "1", "-k", ":", "-H", "a=b", "-z", "zstd", stdin="".join("k:%d\n" % i for i in range(5000)))
        self.assertEqual([str(i) for i in range(5000)], self.broker.values(5000, "--topic", "t"))
        self.assertEqual([str(i) for i in range(5000)], self.leat("consume", "t", "-e").splitlines())
        last = json.loads(self.leat("consume", "t", "-e", "-f", "json", "-p", "1", "--from", "4999"))
        self.assertEqual(("k", "4999", [{"key": "a", "value": "b"}]), (last["key"], last["value"], last["headers"]))
        self.leat("topics", "configure", "t", "--partitions", "4", "--config", "segment.bytes=2097152")
        described = self.json("topics", "describe", "t")
        self.assertEqual((4, {"retention.ms": "600000", "segment.bytes": "2097152"}), (described["partition_count"], described["config"]))
        self.assertEqual([(0, 0), (0, 5000), (0, 0), (0, 0)],
                         [(p["log_start_offset"], p["high_watermark"]) for p in described["partitions"]])
        settings = {s["name"]: s for s in described["settings"]}
        self.assertEqual(("topic", "default"), (settings["retention.ms"]["source"], settings["max.message.bytes"]["source"]))
        self.assertEqual(("hub", "log.retention.ms"), (self.hub_setting("retention.ms")))
        self.assertIn("soon", self.leat("topics", "configure", "t", "--config", "retention.ms=soon", code=1))
        self.assertEqual(7, json.loads(self.leat("topics", "delete-records", "t", "-p", "1", "--offset", "7", "-o", "json"))[0]["log_start_offset"])
        self.leat("groups", "reset", "g", "--topic", "t", "--to", "beginning")
        self.assertEqual({("t", 0): 0, ("t", 1): 7, ("t", 2): 0, ("t", 3): 0}, self.broker.offsets_of("g"))
        self.assertEqual(4993, sum(o["lag"] for o in self.json("groups", "lag", "g")["offsets"]))
        self.assertIn("g", [g["group"] for g in self.json("groups", "list")])
        self.leat("groups", "delete", "g")
        self.assertIn("there is no group", self.leat("groups", "lag", "g", code=4))
        self.leat("topics", "delete", "t")
        self.assertNotIn("t", [t["name"] for t in self.json("topics", "list")])

    def test_members(self):
        self.leat("topics", "create", "t", "--partitions", "2")
        old = Consumer(self.broker.bootstrap, "old", ["t"], client_id="c0")
        wait_for("an assignment", lambda: old.poll(20) or old.assigned)
        group = self.json("groups", "describe", "old")
        self.assertEqual(("Stable", "classic", "range"), (group["state"], group["type"], group["assignor"]))
        self.assertEqual([("c0", old.member(), "/127.0.0.1", [("t", 0), ("t", 1)])],
                         [(m["client_id"], m["member"], m["host"], [(p["topic"], p["partition"]) for p in m["partitions"]]) for m in group["members"]])
        new = subprocess.Popen(kafka.java(kafka.TOOLS["console-consumer"], "--bootstrap-server", self.broker.bootstrap, "--topic", "t", "--group", "new",
                                          "--from-beginning", "--command-property", "group.protocol=consumer"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            self.leat("produce", "t", stdin="to the new one\n")
            self.assertEqual("to the new one\n", new.stdout.readline())
            wait_for("the group to be stable", lambda: self.json("groups", "describe", "new")["state"] == "Stable")
            self.assertIsNone(self.json("groups", "describe", "new")["members"])
            self.assertIn("of the classic protocol only", self.leat("groups", "describe", "new"))
            self.assertRegex(self.leat("groups", "list"), r"new +Stable +- +-")
        finally:
            new.kill()
            new.communicate()
        old.close()

    def hub_setting(self, name):
        """Of a topic that says nothing itself: who does."""
        self.leat("topics", "create", "plain")
        one = [s for s in self.json("topics", "describe", "plain")["settings"] if s["name"] == name][0]
        return one["source"], one["hub_setting"]

    def test_a_pipeline_with_kills(self):
        lines, out = self.write("in/lines.txt", ""), self.path("out")
        os.makedirs(self.path("hub"))
        hub = Hub(self.path("hub"), CONFIG % (self.broker.bootstrap, lines, out))
        self.hubs.append(hub)
        hub.start()
        for i in range(6):
            with open(lines, "a", encoding="utf-8") as f:
                f.write("".join("%d\n" % n for n in range(i * 1000, i * 1000 + 1000)))
            if i < 4:
                wait_for("lines in files", lambda n=i * 500: len(self.in_files(out)) > n)
                self.assertIsNone(hub.process.poll(), "the hub ended with its cluster")
                side = (self.broker, hub)[i % 2]
                side.kill()
                side.start()
        wait_for("all lines", lambda: len(self.in_files(out)) >= 6000)
        self.assertIsNone(hub.process.poll(), "the hub ended with its cluster")
        self.assertEqual(list(range(6000)), sorted(map(int, self.in_files(out))))
        self.assertEqual(list(range(6000)), sorted(map(int, self.broker.values(6000, "--topic", "lines"))))
        self.assertEqual(list(range(6000)), sorted(map(int, self.leat("consume", "lines", "-e").split())))
        self.assertIn("cleanup.policy=compact", self.broker.tool("topics", "--describe", "--topic", "positions"))

    def in_files(self, out):
        found = []
        for name in complete_files(out) if os.path.isdir(out) else []:
            with open(name, encoding="utf-8") as f:
                found += f.read().split()
        return found
