"""A hub whose pipelines use a Kafka cluster (client: kafka): here the cluster is another hub's listener."""
import os
import subprocess
import time

from leat import LEAT, LIMIT, Case, Hub, complete_files, wait_for
from ports import free_port

CONFIG = """
hub:
  client: kafka
  bootstrap.servers: 127.0.0.1:%d
  offset.storage.topic: positions
  kafka.socket.keepalive.enable: "true"
  kafka.message.timeout.ms: 5000
pipelines:
- name: lines
  topic:
    name: lines
    partitions: %d
    config:
      retention.ms: 1d
  source:
    type: file
    paths: %s
    retry.backoff.ms: 100ms
    retry.backoff.max.ms: 500ms
  sinks:
  - name: files
    type: file
    directory: %s
    flush.size: 10
    format: raw
    retry.backoff.ms: 100ms
    retry.backoff.max.ms: 500ms
"""


class Backend(Case):
    def setUp(self):
        super().setUp()
        self.port = free_port()
        self.cluster = self.side("cluster", "hub:\n  listeners: PLAINTEXT://127.0.0.1:%d\n" % self.port)
        self.input = self.write("in/lines.txt", "")
        self.out = self.path("out")

    def side(self, name, config, start=True):
        os.makedirs(self.path(name), exist_ok=True)
        hub = Hub(self.path(name), config)
        self.hubs.append(hub)
        return hub.start() if start else hub

    def pipelines(self, name="hub", partitions=1, start=True):
        return self.side(name, CONFIG % (self.port, partitions, self.input, self.out), start)

    def add(self, first, n):
        with open(self.input, "a", encoding="utf-8") as f:
            f.write("".join("%d\n" % i for i in range(first, first + n)))

    def in_cluster(self):
        done = subprocess.run([LEAT, "consume", "lines", "-e", "-b", "127.0.0.1:%d" % self.port], capture_output=True, text=True,
                              timeout=LIMIT)
        return done.stdout.splitlines()

    def in_files(self):
        lines = []
        for name in complete_files(self.out) if os.path.isdir(self.out) else []:
            with open(name, encoding="utf-8") as f:
                lines += f.read().splitlines()
        return lines

    def wait_for_all(self, n):
        wait_for("%d lines in files" % n, lambda: len(self.in_files()) >= n)

    def expect(self, n):
        """All lines once, in the topic and in the files."""
        self.wait_for_all(n)
        self.assertEqual(list(range(n)), sorted(map(int, self.in_cluster())))
        self.assertEqual(list(range(n)), sorted(map(int, self.in_files())))

    def test_a_pipeline(self):
        self.add(0, 5000)
        hub = self.pipelines()
        self.expect(5000)
        hub.wait_caught_up("lines-files")
        self.assertEqual(self.cluster.values("lines"), hub.values("lines"))
        self.assertEqual({"lines": {"retention.ms": "86400000"}, "positions": {"cleanup.policy": "compact", "segment.bytes": "16777216"}},
                         {t["name"]: t["config"] for t in hub.json("topics", "list")})
        self.assertEqual(["connect-lines-files"], [g["group"] for g in self.cluster.json("groups", "list")])
        wait_for("the last commit", lambda: hub.json("groups", "lag", "connect-lines-files")["offsets"][0]["lag"] == 0)
        self.assertTrue(self.cluster.records("positions")[-1]["key"].startswith('["lines",'))
        self.assertEqual(0, hub.stop())
        self.add(5000, 5000)
        hub.start()
        self.expect(10000)

    def test_pausing_is_kept_in_the_cluster(self):
        hub = self.pipelines()
        hub.leat("pause", "lines-files")
        self.assertEqual(["target-state-lines-files"], [r["key"] for r in self.cluster.records("connect-configs")])
        hub.kill()
        self.add(0, 100)
        hub.start()
        wait_for("the lines to be in the cluster", lambda: len(self.in_cluster()) == 100)
        wait_for("the sink to be paused", lambda: hub.task("lines-files")["state"] == "PAUSED")
        self.assertEqual([], self.in_files())
        hub.leat("resume", "lines-files")
        self.expect(100)

    def test_kills_of_either_side(self):
        hub = self.pipelines()
        for i in range(8):
            self.add(i * 1000, 500)
            if i % 4 < 3:
                wait_for("more lines", lambda n=i * 1000: len(self.in_cluster()) > n)
            self.add(i * 1000 + 500, 500)  # some of it is on its way
            side = (hub, self.cluster)[i % 2]
            side.kill()
            side.start()
        self.expect(8000)

    def test_a_cluster_that_is_away(self):
        hub = self.pipelines()
        self.add(0, 100)
        self.expect(100)
        self.cluster.stop()
        self.add(100, 100)
        wait_for("the sink to tell", lambda: "cannot reach" in hub.task("lines-files").get("error", ""))
        wait_for("the source to tell", lambda: hub.task("lines").get("error"))
        listed = hub.leat("topics", "list", check=False)
        self.assertEqual((1, True), (listed.returncode, "cannot reach" in listed.stderr), listed.stderr)
        self.cluster.start()
        self.expect(200)
        wait_for("the tasks to be well", lambda: all(t["state"] == "RUNNING" for t in hub.tasks()))

    def test_a_cluster_that_is_away_for_long(self):
        """For longer than a request has: that time passes is what is tested."""
        hub = self.pipelines()
        self.add(0, 100)
        self.expect(100)
        self.cluster.stop()
        self.add(100, 100)
        end = time.monotonic() + 45
        while time.monotonic() < end:
            self.assertIsNone(hub.process.poll(), hub.log_text()[-2000:])
            time.sleep(0.1)
        self.cluster.start()
        wait_for("all lines", lambda: hub.answers() and len(self.in_files()) >= 200)
        self.expect(200)

    def test_a_second_hub_fences_the_first(self):
        self.add(0, 100)
        first = self.pipelines("first")
        self.expect(100)
        first.leat("pause", "lines-files")
        second = self.pipelines("second")
        wait_for("the second one's source to run", lambda: second.task("lines")["state"] == "RUNNING")  # it has begun to produce
        self.add(100, 100)
        wait_for("the first one's source to stop", lambda: first.task("lines")["state"] == "FAILED")
        self.assertIn("fenced", first.task("lines")["error"])
        wait_for("the lines to be in the cluster", lambda: len(self.in_cluster()) >= 200)
        self.assertEqual(list(range(200)), sorted(map(int, self.in_cluster())))

    def test_what_is_wrong_is_told(self):
        hub = self.pipelines(start=False)
        for old, new, text in (("  bootstrap.servers: 127.0.0.1:%d\n" % self.port, "", 'needs "bootstrap.servers"'),
                               ("client: kafka", "client: embedded", 'is for "client": kafka'),
                               ("kafka.socket.keepalive.enable", "kafka.no.such.thing", "no.such.thing"),
                               ("kafka.socket.keepalive.enable", "kafka.isolation.level", "isolation.level is Leat's to set")):
            hub.write_config((CONFIG % (self.port, 1, self.input, self.out)).replace(old, new))
            done = subprocess.run([LEAT, "run", hub.config, "-d", hub.data], capture_output=True, text=True, timeout=LIMIT)
            self.assertNotEqual(0, done.returncode)
            self.assertIn(text, done.stderr)
        self.cluster.stop()
        hub.write_config((CONFIG % (self.port, 1, self.input, self.out)).replace("hub:\n", "hub:\n  cluster.connect.timeout: 200ms\n"))
        done = subprocess.run([LEAT, "run", hub.config, "-d", hub.data], capture_output=True, text=True, timeout=LIMIT)
        self.assertEqual(1, done.returncode)
        self.assertIn("cannot reach 127.0.0.1:%d" % self.port, done.stderr)
