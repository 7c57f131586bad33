#!/usr/bin/env python3
"""Data directories of a running hub: a small file system that fills up and gets room again, a disk that fails while the
other goes on, one that is not mounted. File systems are mounted where the privileges allow it; else those tests are left
out (tests/unit/broker has the same by injected faults)."""
import http.client
import json
import os
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

from tests.lib.leat import Case, LIMIT, complete_files, wait_for  # noqa: E402

CONFIG = "hub: {data.dirs: [@DIR@/disk2], journal.file.bytes: 1MiB}\npipelines: []\n"

COPY = """
pipelines:
  - name: copy
    topics: [t]
    sinks:
      - {name: out, type: file, directory: @DIR@/out, format: raw, flush.size: 1}
"""


def mount(*args):
    return subprocess.run(["mount"] + list(args), capture_output=True, check=False).returncode == 0


class Disks(Case):
    def setUp(self):
        super().setUp()
        self.mounts = []

    def tearDown(self):
        for hub in self.hubs:
            if hub.process:
                hub.kill()
        for path in reversed(self.mounts):
            subprocess.run(["umount", "-l", path], check=False)
        super().tearDown()

    def mounted(self, path, *args):
        os.makedirs(path, exist_ok=True)
        if not mount(*args, path):
            self.skipTest("no privilege to mount")
        self.mounts.append(path)
        return path

    def unmount(self, path):
        subprocess.run(["umount", path], check=True)
        self.mounts.remove(path)

    def get(self, hub, target):
        connection = http.client.HTTPConnection("hub", timeout=LIMIT)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(os.path.join(hub.data, "leat.sock"))
        connection.request("GET", target)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body

    def health(self, hub):
        status, body = self.get(hub, "/health")
        return status, json.loads(body)

    def metric(self, hub, name, directory):
        start = '%s{dir="%s"} ' % (name, directory)
        return [float(line[len(start):]) for line in self.get(hub, "/metrics")[1].splitlines() if line.startswith(start)]

    def produce(self, hub, topic, value, partition=None):
        args = ["--partition", str(partition)] if partition is not None else []
        return hub.leat("produce", topic, *args, stdin=value + "\n", check=False)

    def fill(self, hub, topic):
        """Appends until one is refused; the values that were acknowledged, and the refusal."""
        values = []
        while True:
            value = "%05d" % len(values) + "x" * 200000
            done = self.produce(hub, topic, value)
            if done.returncode:
                return values, done.stderr
            values.append(value)
            self.assertLess(len(values), 1000)

    @staticmethod
    def fill_rest(hub, name):
        """Not a byte is left."""
        try:
            with open(os.path.join(hub.data, name), "wb", buffering=0) as rest:
                while rest.write(b"x" * 4096):
                    pass
        except OSError:
            pass

    def test_a_full_disk(self):
        self.mounted(self.path("data"), "-t", "tmpfs", "-o", "size=24m", "tmpfs")
        hub = self.hub("hub: {journal.file.bytes: 1MiB, space.warn.bytes: 8MiB, space.warn.percent: 40}\npipelines: []\n")
        hub.leat("topics", "create", "kept")
        hub.leat("topics", "create", "ballast")
        self.assertEqual(self.health(hub)[1]["status"], "healthy")
        self.assertEqual(self.metric(hub, "leat_data_dir_low", hub.data), [0])
        self.assertEqual(self.produce(hub, "kept", "before").returncode, 0)
        reserve = os.path.join(hub.data, "reserve")
        wait_for("the reserve", lambda: os.path.exists(reserve))
        ballast, refusal = self.fill(hub, "ballast")
        self.assertIn(hub.data, refusal)
        self.assertIn("No space left", refusal)
        self.fill_rest(hub, "rest")
        self.assertEqual(hub.values("ballast"), ballast)  # reads go on
        status, health = self.health(hub)
        self.assertEqual((status, health["status"]), (200, "degraded"))
        self.assertIn(hub.data + " is full", health["message"])
        self.assertIn("full, appends are refused", hub.leat("status").stdout)
        self.assertEqual(self.metric(hub, "leat_data_dir_full", hub.data), [1])
        self.assertEqual(self.metric(hub, "leat_data_dir_low", hub.data), [1])
        hub.kill()
        hub.start()  # also on a full disk
        self.assertEqual(hub.values("ballast"), ballast)
        self.assertEqual(hub.values("kept"), ["before"])
        self.fill_rest(hub, "rest2")  # recovery has given some bytes back
        hub.leat("topics", "delete", "ballast")  # with the reserve or without: what it needs may have its place already
        wait_for("an append", lambda: self.produce(hub, "kept", "after").returncode == 0)
        wait_for("the end of the alarm", lambda: self.produce(hub, "kept", "more").returncode == 0 and
                 self.health(hub)[1]["status"] == "healthy")
        wait_for("the reserve again", lambda: os.path.exists(reserve))
        hub.kill()
        hub.start()
        self.assertEqual(hub.values("kept")[:2], ["before", "after"])
        self.assertEqual(hub.log_text().count("space is low"), 2)  # once a life
        self.assertEqual(hub.stop(), 0)

    def two(self, env=None):
        """A hub on two directories, a topic with a partition in each: which one is in the second?"""
        hub = self.hub(CONFIG, start=False)
        hub.start(env=env)
        hub.leat("topics", "create", "t", "--partitions", "2")
        second = [p["partition"] for p in hub.json("topics", "describe", "t")["partitions"]
                  if p["data_dir"] == self.path("disk2")]
        self.assertEqual(len(second), 1)
        return hub, second[0]

    def test_a_disk_fails_and_the_other_goes_on(self):
        hub, bad = self.two({"LEAT_FAULT": "write:8:EIO:sticky:@/disk2/journal/"})
        good, sent = 1 - bad, []
        while True:
            done = self.produce(hub, "t", "b%d" % len(sent), bad)
            if done.returncode:
                break
            sent.append("b%d" % len(sent))
            self.assertLess(len(sent), 100)
        self.assertEqual(self.produce(hub, "t", "g0", good).returncode, 0)
        refused = self.produce(hub, "t", "never", bad)
        self.assertIn(self.path("disk2") + " is out of service", refused.stderr)
        status, health = self.health(hub)
        self.assertEqual((status, health["status"]), (200, "degraded"))
        self.assertIn(self.path("disk2"), health["message"])
        self.assertIn("out of service", hub.leat("status").stdout)
        self.assertEqual(self.metric(hub, "leat_data_dir_failed", self.path("disk2")), [1])
        self.assertEqual(self.metric(hub, "leat_data_dir_failed", hub.data), [0])
        failed = {p["partition"]: p["failed"] for p in hub.json("topics", "describe", "t")["partitions"]}
        self.assertEqual(failed, {bad: True, good: False})
        self.assertEqual(sorted(hub.values("t")), sorted(sent + ["g0"]))
        hub.kill()
        hub.start()
        self.assertEqual(self.health(hub)[1]["status"], "healthy")
        self.assertEqual(sorted(hub.values("t")), sorted(sent + ["g0"]))
        self.assertEqual(self.produce(hub, "t", "again", bad).returncode, 0)
        self.assertEqual(hub.stop(), 0)
        self.assertEqual(len(hub.values("t")), len(sent) + 2)  # a command finds the second directory by the first

    def test_a_disk_is_not_mounted(self):
        os.makedirs(self.path("disk2.real"))
        self.mounted(self.path("disk2"), "--bind", self.path("disk2.real"))
        hub, lost = self.two()
        self.produce(hub, "t", "there", lost)
        self.produce(hub, "t", "here", 1 - lost)
        self.assertEqual(hub.stop(), 0)
        self.unmount(self.path("disk2"))
        hub.start(wait=False)
        self.assertNotEqual(hub.process.wait(LIMIT), 0)
        hub.process = None
        self.assertIn(self.path("disk2"), hub.log_text())
        self.assertIn("mounted?", hub.log_text())
        self.assertEqual(os.listdir(self.path("disk2")), [])  # nothing is made in the mount point
        config = CONFIG.replace("hub: {", "hub: {data.dirs.missing: start, ").replace("@DIR@", self.directory)
        hub.write_config(config)
        hub.start()
        self.assertEqual(self.produce(hub, "t", "more", 1 - lost).returncode, 0)
        self.assertIn("out of service", self.produce(hub, "t", "never", lost).stderr)
        self.assertEqual(self.health(hub)[1]["status"], "degraded")
        self.assertEqual(hub.stop(), 0)
        self.mounted(self.path("disk2"), "--bind", self.path("disk2.real"))
        hub.start()
        self.assertEqual(sorted(hub.values("t")), ["here", "more", "there"])
        self.assertEqual(self.health(hub)[1]["status"], "healthy")
        self.assertEqual(hub.stop(), 0)

    def test_a_sink_goes_on_with_the_disks_that_are_there(self):
        hub, lost = self.two()
        self.produce(hub, "t", "there", lost)
        self.produce(hub, "t", "here", 1 - lost)
        hub.leat("groups", "reset", "g", "--topic", "t", "--to", "beginning")
        self.assertEqual(hub.stop(), 0)
        os.rename(self.path("disk2"), self.path("disk2.away"))
        hub.write_config((CONFIG.replace("hub: {", "hub: {data.dirs.missing: start, ").replace("pipelines: []\n", "") + COPY)
                         .replace("@DIR@", self.directory))
        hub.start()
        self.assertEqual(self.produce(hub, "t", "more", 1 - lost).returncode, 0)
        wait_for("what is there", lambda: self.delivered() == ["here", "more"])
        hub.wait_caught_up("copy-out")
        task = hub.task("copy-out")
        self.assertEqual(task["state"], "RUNNING")
        self.assertIn("t-%d is left out: data directory %s is out of service" % (lost, self.path("disk2")), task["error"])
        self.assertIn("g", [group["group"] for group in hub.json("groups", "list")])
        self.assertRegex(hub.leat("groups", "lag", "g").stdout, r"t +%d +0 +out of service +-" % lost)
        self.assertEqual(hub.stop(), 0)
        os.rename(self.path("disk2.away"), self.path("disk2"))
        hub.start()
        wait_for("the rest", lambda: self.delivered() == ["here", "more", "there"])
        self.assertNotIn("error", hub.task("copy-out"))

    def delivered(self):
        lines = []
        for name in complete_files(self.path("out")):
            with open(name, encoding="utf-8") as f:
                lines += f.read().splitlines()
        return sorted(lines)


if __name__ == "__main__":
    unittest.main()
