"""leat topics delete-records: through a hub and on the directory itself; what was answered holds after a kill."""
import json
import os
import unittest

from leat import Case, leat


class DeleteRecords(Case):
    CONFIG = "pipelines: []\n"

    def make(self, hub, topic="t", partitions=1, count=10):
        hub.leat("topics", "create", topic, "--partitions", str(partitions))
        for p in range(partitions):
            hub.leat("produce", topic, "--partition", str(p), stdin="".join("%d\n" % i for i in range(count)))

    def start(self, hub, partition=0, topic="t"):
        return hub.json("topics", "describe", topic)["partitions"][partition]["log_start_offset"]

    def each_way(self):
        for running in (False, True):
            with self.subTest(hub=running):
                hub = self.hub(self.CONFIG, start=False)
                hub.data = self.path("data-%s" % running)
                if running:
                    hub.start()
                yield hub
                if running:
                    self.assertEqual(hub.stop(), 0)

    def test_one_partition(self):
        for hub in self.each_way():
            self.make(hub, partitions=2)
            out = hub.json("topics", "delete-records", "t", "--partition", "1", "--offset", "4")
            self.assertEqual(out, [{"topic": "t", "partition": 1, "offset": 4, "log_start_offset": 4}])
            self.assertEqual((self.start(hub, 0), self.start(hub, 1)), (0, 4))
            hub.leat("topics", "delete-records", "t", "--partition", "1", "--offset", "2")  # nothing comes back
            self.assertEqual(self.start(hub, 1), 4)
            self.assertEqual(hub.leat("consume", "t", "-p", "1", "--exit-at-end").stdout.split(), list("456789"))
            done = hub.leat("topics", "delete-records", "t", "--partition", "0", "--offset", "11", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("t-0 ends at 10", done.stderr)
            hub.leat("topics", "delete-records", "t", "--partition", "0", "--offset", "end")
            self.assertEqual(self.start(hub, 0), 10)
            hub.leat("produce", "t", "--partition", "0", stdin="more\n")
            self.assertEqual(hub.leat("consume", "t", "-p", "0", "--exit-at-end").stdout, "more\n")
            for wrong, code in ((["missing", "-p", "0", "--offset", "1"], 4), (["t", "-p", "7", "--offset", "1"], 4),
                                (["t", "-p", "0"], 2), (["t", "--offset", "1"], 2), (["-p", "0", "--offset", "1"], 2),
                                (["t", "-p", "0", "--offset", "-2"], 2), (["t", "-p", "0", "--offset", "x"], 2),
                                (["__consumer_offsets", "-p", "0", "--offset", "1"], 1)):
                self.assertEqual(hub.leat("topics", "delete-records", *wrong, check=False).returncode, code, wrong)

    def test_kafkas_file(self):
        for hub in self.each_way():
            self.make(hub, "a", 2)
            self.make(hub, "b", 1)

            def run(text, code=0):
                done = hub.leat("topics", "delete-records", "--offset-json-file", self.write("o.json", text), check=False)
                self.assertEqual(done.returncode, code, done.stderr)
                return done

            run('{"partitions": [{"topic": "a", "partition": 1, "offset": 3}, {"topic": "b", "partition": 0, "offset": -1}],'
                ' "version": 1}')
            self.assertEqual([self.start(hub, 0, "a"), self.start(hub, 1, "a"), self.start(hub, 0, "b")], [0, 3, 10])
            # One that fails does not keep the others.
            done = run('{"partitions": [{"topic": "no", "partition": 0, "offset": 1},'
                       ' {"topic": "a", "partition": 0, "offset": 2}]}', 4)
            self.assertIn('no topic "no"', done.stderr)
            self.assertEqual(self.start(hub, 0, "a"), 2)
            # A file with a mistake does nothing at all.
            good = '{"topic": "a", "partition": 0, "offset": 5}'
            for text, part in (('{"partitions": [%s, {"topic": "a", "partition": 0, "offset": 6}]}' % good, "twice"),
                               ('{"partitions": [%s, {"topic": "a", "partition": 1}]}' % good, "offset"),
                               ('{"partitions": [%s, {"topic": "a", "partition": 1, "offset": -2}]}' % good, "offset"),
                               ('{"partitions": [%s, {"topic": "a", "partition": 1.5, "offset": 2}]}' % good, "partition"),
                               ('{"partitions": [%s, {"partition": 1, "offset": 2}]}' % good, "topic"),
                               ('{"partitions": [%s], "version": 2}' % good, "version"),
                               ('{"partitions": %s}' % good, "partitions"), ("[1", ":1:")):
                self.assertIn(part, run(text, 2).stderr)
            self.assertEqual(self.start(hub, 0, "a"), 2)

    def test_kill_after_the_answer(self):
        hub = self.hub(self.CONFIG, start=False)
        for durability in ("sync", "page-cache"):
            hub.start()
            hub.leat("topics", "create", durability, "--partitions", "1", "--config", "durability=" + durability,
                     "--config", "segment.bytes=1048576")
            line = "x" * 2000
            for _ in range(4):  # several segments, all still in the journal
                hub.leat("produce", durability, stdin="".join(line + "\n" for _ in range(500)))
            for below in (3, 700, 1999):
                hub.leat("topics", "delete-records", durability, "-p", "0", "--offset", str(below))
                hub.kill()
                hub.start()
                self.assertEqual(self.start(hub, 0, durability), below)
                got = hub.leat("consume", durability, "--exit-at-end", "--format", "json").stdout.splitlines()
                self.assertEqual([json.loads(r)["offset"] for r in got], list(range(below, 2000)))
                logs = os.path.join(hub.data, "logs", durability + "-0")
                first = min(int(n[:20]) for n in os.listdir(logs) if n.endswith(".log"))
                self.assertLessEqual(first, below)
            hub.kill()


if __name__ == "__main__":
    unittest.main()
