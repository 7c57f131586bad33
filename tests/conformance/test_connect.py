"""Kafka Connect's worker, distributed, with its configurations, offsets and states in topics of a hub."""
import json
import os
import subprocess
import unittest
import urllib.error
import urllib.request

from leat import LIMIT, wait_for
from ports import free_port
from tests.integration.kafka.clients import KafkaCase

CONNECT = os.environ.get("LEAT_CONNECT_JARS", "")
PLUGINS = os.environ.get("LEAT_CONNECT_FILE_JARS", "")
if not all(os.path.exists(os.path.join(d, ".done")) for d in (CONNECT, PLUGINS)):
    raise unittest.SkipTest("there are no jars of Kafka Connect's")

PROPERTIES = """bootstrap.servers=%s
group.id=connect
config.storage.topic=connect-configs
offset.storage.topic=connect-offsets
status.storage.topic=connect-status
config.storage.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
exactly.once.source.support=enabled
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
offset.flush.interval.ms=500
session.timeout.ms=30000
heartbeat.interval.ms=3000
scheduled.rebalance.max.delay.ms=0
consumer.session.timeout.ms=30000
consumer.heartbeat.interval.ms=3000
listeners=http://127.0.0.1:%d
plugin.path=%s
"""
LINES = ["line %d" % i for i in range(1000)]


class Worker:
    def __init__(self, case, name, address):
        self.log, self.port = case.path(name + ".log"), free_port()
        properties = case.write(name + ".properties", PROPERTIES % (address, self.port, PLUGINS))
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                 "-Dlog4j2.configurationFile=" + os.path.join(os.path.dirname(__file__), "log4j2.xml"), "-cp", os.path.join(CONNECT, "*"),
                 "org.apache.kafka.connect.cli.ConnectDistributed", properties], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        case.addCleanup(self.kill)
        wait_for("the worker to answer", lambda: self.request("/connectors") is not None)

    def request(self, path, body=None, method=None):
        """What the worker answers; None as long as it cannot."""
        if self.process.poll() is not None:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                raise AssertionError("the worker ended:\n" + f.read()[-3000:])
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request("http://127.0.0.1:%d%s" % (self.port, path), data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=LIMIT) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as e:
            if e.code in (404, 409, 500, 503):  # not known yet; a rebalance is going on; it starts
                e.close()
                return None
            raise
        except OSError:
            return None

    def create(self, name, **config):
        wait_for("%s to be taken" % name, lambda: self.request("/connectors/%s/config" % name, config, "PUT"))

    def running(self, name):
        found = self.request("/connectors/%s/status" % name)
        failed = [t["trace"] for t in (found or {}).get("tasks", []) if t["state"] == "FAILED"]
        if failed:
            raise AssertionError("%s failed:\n%s" % (name, failed[0]))
        return found and found["connector"]["state"] == "RUNNING" and [t["state"] for t in found["tasks"]] == ["RUNNING"]

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Connect(KafkaCase):
    def out(self):
        try:
            with open(self.path("out"), encoding="utf-8") as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    def more(self, lines):
        with open(self.path("in"), "a", encoding="utf-8") as f:
            f.write("".join(line + "\n" for line in lines))

    @staticmethod
    def lag(hub, group):
        """How far the group is behind, None as long as there is none."""
        done = hub.leat("groups", "lag", group, "--output", "json", check=False)
        return sum(o["lag"] for o in json.loads(done.stdout)["offsets"]) if done.returncode == 0 else None

    def test_a_file_through_a_topic_into_a_file(self):
        hub = self.serve(**{"group.initial.rebalance.delay.ms": "0s"})
        worker = Worker(self, "first", self.address)
        for name in ("connect-configs", "connect-offsets", "connect-status"):
            config = {c["name"]: c["value"] for c in hub.json("topics", "describe", name)["settings"]}
            self.assertEqual("compact", config["cleanup.policy"], name)
        self.more(LINES[:500])
        worker.create("source", **{"connector.class": "FileStreamSource", "file": self.path("in"), "topic": "lines"})
        worker.create("sink", **{"connector.class": "FileStreamSink", "file": self.path("out"), "topics": "lines"})
        wait_for("both to run", lambda: worker.running("source") and worker.running("sink"))
        wait_for("half of the lines", lambda: len(self.out()) >= 500)
        worker.kill()
        # Another worker finds configurations, offsets and states where the first left them.
        worker = Worker(self, "second", self.address)
        wait_for("both to be back", lambda: sorted(worker.request("/connectors") or []) == ["sink", "source"])
        self.more(LINES[500:])
        wait_for("all lines", lambda: set(self.out()) == set(LINES))
        # Exactly once, as the source writes lines and offsets in transactions; the sink reads ahead of their end.
        wait_for("the last transaction", lambda: len(hub.values("lines")) >= len(LINES))
        self.assertEqual(LINES, hub.values("lines"))
        wait_for("the sink's offsets", lambda: self.lag(hub, "connect-sink") in (0, 1))  # the last marker is no record
        # Again and again, as a rebalance may be going on.
        wait_for("it to be gone", lambda: (worker.request("/connectors/source", method="DELETE"), worker.request("/connectors"))[1] == ["sink"])
