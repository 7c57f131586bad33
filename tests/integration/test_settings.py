"""Topics' settings as an operator meets them: the hub's defaults, describe, retention."""
import json
import os
import subprocess
import unittest

from leat import LEAT, Case, wait_for


class Settings(Case):
    def settings(self, hub, topic):
        described = json.loads(hub.leat("topics", "describe", topic, "--output", "json").stdout)
        return {s["name"]: s for s in described["settings"]}

    def test_defaults_of_the_hub(self):
        hub = self.hub("hub: {log.retention.hours: 2, log.segment.bytes: 2MiB, num.partitions: 3}\npipelines: []\n")
        hub.leat("topics", "create", "t", "--config", "segment.bytes=1048576")
        got = self.settings(hub, "t")
        self.assertEqual((got["retention.ms"]["value"], got["retention.ms"]["source"]), ("7200000", "hub"))
        self.assertEqual((got["segment.bytes"]["value"], got["segment.bytes"]["source"]), ("1048576", "topic"))
        self.assertEqual(got["segment.bytes"]["hub_value"], "2097152")
        self.assertEqual((got["flush.ms"]["value"], got["flush.ms"]["source"]), ("9223372036854775807", "default"))
        self.assertEqual(hub.json("topics", "describe", "t")["partition_count"], 3)
        shown = [line.split() for line in hub.leat("topics", "describe", "t").stdout.splitlines()]
        self.assertIn(["retention.ms", "7200000", "hub:", "log.retention.ms"], shown)
        self.assertIn(["segment.bytes", "1048576", "topic"], shown)
        self.assertNotIn("default", [line[-1] for line in shown if line])
        whole = [line.split() for line in hub.leat("topics", "describe", "t", "--all").stdout.splitlines()]
        self.assertIn(["flush.ms", "9223372036854775807", "default"], whole)
        hub.leat("topics", "configure", "t", "--reset", "segment.bytes")
        self.assertEqual(self.settings(hub, "t")["segment.bytes"]["source"], "hub")
        self.assertEqual(hub.stop(), 0)
        # Without a hub the directory is used by the same settings.
        self.assertEqual(self.settings(hub, "t")["retention.ms"]["value"], "7200000")
        hub.leat("topics", "create", "offline")
        self.assertEqual(hub.json("topics", "describe", "offline")["partition_count"], 3)

    def test_refused(self):
        hub = self.hub("pipelines: []\n")
        hub.leat("topics", "create", "t")
        done = hub.leat("topics", "configure", "t", "--config", "remote.storage.enable=true", check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn("there is no tiered storage", done.stderr)

    def test_retention_by_time_takes_everything(self):
        hub = self.hub("hub: {log.retention.check.interval.ms: 20ms, log.segment.delete.delay.ms: 1ms}\npipelines: []\n")
        hub.leat("topics", "create", "t", "--partitions", "1")
        hub.leat("produce", "t", stdin="a\nb\n")
        hub.leat("topics", "configure", "t", "--config", "retention.ms=1")
        start = lambda: hub.json("topics", "describe", "t")["partitions"][0]["log_start_offset"]
        wait_for("retention to delete what is there", lambda: start() == 2)
        logs = os.path.join(hub.data, "logs", "t-0")
        wait_for("the files to go", lambda: sorted(n for n in os.listdir(logs) if n.endswith((".log", ".deleted"))) ==
                 ["00000000000000000002.log"])
        hub.leat("topics", "configure", "t", "--reset", "retention.ms")
        hub.leat("produce", "t", stdin="c\n")
        self.assertEqual(hub.values("t"), ["c"])

    def test_compression_type(self):
        hub = self.hub("pipelines: []\n")
        hub.leat("topics", "create", "t", "--partitions", "1", "--config", "compression.type=zstd")
        lines = "\n".join("the same line again and again" for _ in range(20000)) + "\n"
        hub.leat("produce", "t", stdin=lines)
        partition = hub.json("topics", "describe", "t")["partitions"][0]
        self.assertEqual(partition["end_offset"], 20000)
        self.assertLess(partition["size"], len(lines) // 4)
        self.assertEqual(len(hub.values("t")), 20000)

    def test_open_files(self):
        hub = self.hub("hub: {open.files.max: 16}\npipelines: []\n", start=False)
        done = subprocess.run(["prlimit", "--nofile=200:200", LEAT, "topics", "create", "many", "--partitions", "150",
                               "--data-dir", hub.data], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        hub.start()
        for p in range(150):
            hub.leat("produce", "many", "--partition", str(p), stdin="%d\n" % p)
        fds = [os.path.realpath("/proc/%d/fd/%s" % (hub.process.pid, fd))
               for fd in os.listdir("/proc/%d/fd" % hub.process.pid)]
        self.assertLessEqual(sum("/logs/many-" in fd for fd in fds), 20)
        self.assertEqual(sorted(hub.values("many"), key=int), [str(p) for p in range(150)])
        self.assertEqual(hub.stop(), 0)

    PIPELINE = """
pipelines:
  - name: lines
    source: {type: file, paths: ["@DIR@/in.log"], retry.backoff.ms: 20ms, retry.backoff.max.ms: 100ms}
    topic: {name: lines, config: {%s}}
"""

    def test_quota_holds_a_source_back(self):
        lines = ["line %d %s" % (i, "x" * 100) for i in range(2000)]
        self.write("in.log", "".join(line + "\n" for line in lines[:100]))
        hub = self.hub(self.PIPELINE % "quota.stored.bytes: 20KiB")
        wait_for("the first lines", lambda: len(hub.values("lines")) == 100)
        self.write("in.log", "".join(line + "\n" for line in lines[100:]), mode="a")
        error = wait_for("the task to tell why it waits", lambda: hub.task("lines").get("error"))
        self.assertIn("quota.stored.bytes", error)
        self.assertIn("topic lines", error)
        self.assertIn("20480", error)
        self.assertEqual(hub.values("lines"), lines[:100])  # reading goes on
        hub.leat("topics", "configure", "lines", "--config", "quota.stored.bytes=-1")
        wait_for("the rest", lambda: len(hub.values("lines")) >= 2000)
        self.assertEqual(hub.values("lines"), lines)
        self.assertEqual(hub.stop(), 0)

    def test_rate_delays_and_a_stop_does_not_wait(self):
        lines = ["line %d %s" % (i, "x" * 1000) for i in range(20000)]
        self.write("in.log", "".join(line + "\n" for line in lines))
        hub = self.hub(self.PIPELINE % "quota.produce.bytes.per.second: 64KiB")
        wait_for("the first lines", lambda: len(hub.values("lines")) > 0)
        self.assertLess(len(hub.values("lines")), 20000)
        self.assertEqual(hub.stop(), 0)  # some minutes of waiting are cut short
        got = hub.values("lines")
        self.assertEqual(got, lines[:len(got)])
        hub.write_config((self.PIPELINE % "quota.produce.bytes.per.second: -1").replace("@DIR@", self.directory))
        hub.start()
        wait_for("the rest", lambda: len(hub.values("lines")) >= 20000)
        self.assertEqual(hub.values("lines"), lines)


if __name__ == "__main__":
    unittest.main()
