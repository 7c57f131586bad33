"""leat log dump: beside a running hub and without one, as text and as JSON."""
import json
import os

from leat import Case, leat


class LogDump(Case):
    def dump(self, *args, code=0):
        done = leat("log", "dump", *args, check=False)
        self.assertEqual(done.returncode, code, "%s\n%s%s" % (args, done.stdout, done.stderr))
        return done.stdout if code in (0, 1) else done.stderr

    def test_beside_a_hub_and_after_it(self):
        hub = self.hub("pipelines: []\n")
        hub.leat("topics", "create", "t", "--partitions", "2")
        hub.leat("produce", "t", "--partition", "1", "--header", "h=1", "--key-separator", ":", stdin="k:v\n")
        hub.leat("groups", "reset", "g", "--topic", "t", "--to", "end")
        for running in (True, False):
            if not running:
                self.assertEqual(hub.stop(), 0)
            text = self.dump("t", "--records", "--data-dir", hub.data)
            self.assertIn("Dumping %s/logs/t-1/%020d.log\n" % (hub.data, 0), text)
            self.assertRegex(text, r"\n\| offset: 0 .* headerKeys: \[h\] headerValues: \[1\] key: k payload: v\n")
            self.assertEqual(self.dump("t", "--partition", "1", "--data-dir", hub.data).count("baseOffset: 0 "), 1)
            lines = [json.loads(x) for x in
                     self.dump(hub.data, "--records", "--output", "json").splitlines()]
            records = [x for x in lines if x["type"] == "record"]
            self.assertIn(("k", "v"), [(x.get("key"), x.get("payload")) for x in records])
            self.assertIn(("g", "t", 1, 1), [(x.get("group"), x.get("topic"), x.get("partition"),
                                              x.get("committedOffset")) for x in records])
            self.assertIn("TOPIC_RECORD", [x.get("metadataType") for x in records])
            self.assertRegex(self.dump("--verify", hub.data), r"\n?[0-9]+ files, .*: 0 problems\n$")

    def test_damage_makes_the_exit_code_1(self):
        data = self.path("data")
        leat("topics", "create", "t", "--data-dir", data)
        for i in range(3):
            leat("produce", "t", "--data-dir", data, stdin="value %d\n" % i)
        log = os.path.join(data, "logs", "t-0", "0" * 20 + ".log")
        with open(log, "r+b") as f:
            f.seek(os.path.getsize(log) // 3 + 65)
            f.write(b"!")
        text = self.dump(log, "--records", code=1)
        self.assertIn("! path: %s byte: %d problem: " % (log, os.path.getsize(log) // 3), text)
        self.assertIn("payload: value 0\n", text)
        self.assertNotIn("value 1", text)
        self.assertIn("payload: value 2\n", text)

    def test_kafka_commands_refuse_what_they_cannot_do(self):
        data = self.path("data")
        leat("topics", "create", "t", "--data-dir", data)

        def refused(code, *args):
            done = leat("kafka", *args, check=False)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
            return done.stderr

        self.assertIn("meta.properties", refused(1, "import", self.path("nothing"), "--data-dir", self.path("new")))
        self.assertFalse(os.path.exists(self.path("new")))
        self.assertIn("not formatted", refused(1, "export", self.path(), "--data-dir", data))
        refused(4, "export", self.path(), "--data-dir", self.path("none"))
        refused(2, "import")
        refused(2, "export")

    def test_usage(self):
        self.assertIn("nothing of such a topic", self.dump("none", "--data-dir", self.path("none"), code=4))
        self.assertIn("no file of a store", self.dump(__file__, code=1) or
                      leat("log", "dump", __file__, check=False).stderr)
        self.dump(code=2)
        self.dump("t", "--from", "x", code=2)


if __name__ == "__main__":
    import unittest
    unittest.main()
