"""leat fsck: on a sound directory, on damaged ones, in use, and repairs."""
import json
import os

from leat import Case, leat, wait_for


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Fsck(Case):
    def setUp(self):
        super().setUp()
        self.data = self.path("data")
        self.log = os.path.join(self.data, "logs", "t-0", "0" * 20 + ".log")

    def run_leat(self, *args, code=0, stdin=None):
        done = leat(*args, "--data-dir", self.data, check=False, stdin=stdin)
        self.assertEqual(done.returncode, code, "%s\n%s%s" % (args, done.stdout, done.stderr))
        return done.stdout + done.stderr

    def fill(self):
        self.run_leat("topics", "create", "t")
        for i in range(5):
            self.run_leat("produce", "t", stdin="value %d\n" % i)

    def flip(self, path, at):
        with open(path, "r+b") as f:
            f.seek(at)
            b = f.read(1)[0]
            f.seek(at)
            f.write(bytes([b ^ 1]))

    def findings(self, *args, code):
        lines = [json.loads(x) for x in self.run_leat("fsck", "--output", "json", *args, code=code).splitlines()]
        return lines[:-1], lines[-1]["summary"]

    def test_a_sound_directory(self):
        self.fill()
        self.assertIn("0 errors, 0 warnings, 0 notes", self.run_leat("fsck"))
        findings, summary = self.findings("--quick", code=0)
        self.assertEqual(findings, [])
        self.assertEqual((summary["topics"], summary["batches"], summary["clean"]), (1, 6, True))

    def test_damage_is_explained_and_mended(self):
        self.fill()
        size = os.path.getsize(self.log) // 5
        self.flip(self.log, 2 * size + 70)
        text = self.run_leat("fsck", code=1)
        self.assertIn("error: damaged-batch: t-0 offset 2", text)
        self.assertIn("%s: byte %d" % (self.log, 2 * size), text)
        findings, summary = self.findings(code=1)
        self.assertEqual([(f["kind"], f["partition"], f["offset"], f["next_offset"], f["byte"], f["repair"])
                          for f in findings], [("damaged-batch", "t-0", 2, 3, 2 * size, "damage")])
        self.assertEqual(summary["errors"], 1)
        self.assertIn("reading can go on at offset 3", self.run_leat("consume", "t", "--exit-at-end", code=1))
        self.assertEqual(self.run_leat("consume", "t", "--exit-at-end", "--from", "3"), "value 3\nvalue 4\n")
        before = read(self.log)
        self.assertIn("would t-0: write segment 0 anew", self.run_leat("fsck", "--repair", "damage", "--dry-run"))
        self.assertEqual(read(self.log), before)
        self.assertFalse(os.path.exists(os.path.join(self.data, "set-aside")))
        self.assertIn("4 batches kept", self.run_leat("fsck", "--repair", "damage"))
        self.assertEqual(self.run_leat("consume", "t", "--exit-at-end"), "value 0\nvalue 1\nvalue 3\nvalue 4\n")
        self.run_leat("fsck")
        aside = [os.path.join(d, n) for d, _, names in os.walk(os.path.join(self.data, "set-aside")) for n in names]
        self.assertEqual(len(aside), 1)
        self.assertEqual(read(aside[0]), before)

    def test_damaged_metadata_stops_the_start_until_it_is_mended(self):
        self.fill()
        for i in range(3):
            self.run_leat("topics", "create", "later%d" % i)
        meta = os.path.join(self.data, "logs", "__cluster_metadata-0", "0" * 20 + ".log")
        self.flip(meta, os.path.getsize(meta) // 4 * 2 + 40)
        text = self.run_leat("topics", "list", code=1)
        self.assertIn(meta, text)
        self.assertIn("leat fsck", text)
        self.run_leat("fsck", code=1)
        self.run_leat("fsck", "--repair", "damage")
        topics = self.run_leat("topics", "list")
        self.assertIn("t ", topics)
        self.assertIn("later2", topics)

    def test_the_scrub_of_a_hub_finds_it(self):
        hub = self.hub("pipelines: []\n")
        self.data = hub.data
        self.log = os.path.join(self.data, "logs", "t-0", "0" * 20 + ".log")
        self.fill()
        self.assertEqual(hub.stop(), 0)
        self.flip(self.log, 70)
        os.unlink(os.path.join(self.data, "scrub"))  # the first pass is due at once
        hub.write_config("hub:\n  scrub.interval: 1h\npipelines: []\n")
        hub.start()
        scrub = wait_for("the scrub", lambda: [s for s in [hub.json("status")["store"]["scrub"]] if s["finished_ms"]])[0]
        self.assertEqual([(f["kind"], f["partition"], f["path"], f["offset"]) for f in scrub["findings"]],
                         [("damaged-batch", "t-0", self.log, 0)])
        self.assertIn("error: damaged-batch: t-0, offset 0\n    %s: byte 0: " % self.log, hub.leat("status").stdout)
        self.assertIn("scrub: damaged-batch, t-0, offset 0", hub.log_text())
        self.assertEqual(hub.stop(), 0)

    def test_refusals(self):
        self.run_leat("fsck", code=4)
        hub = self.hub("pipelines: []\n")
        self.data = hub.data
        self.assertIn("process %d" % hub.process.pid, self.run_leat("fsck", code=5))
        self.assertIn("process %d" % hub.process.pid, self.run_leat("fsck", "--repair", "indexes", code=5))
        self.run_leat("fsck", "--repair", "everything", code=2)
        self.run_leat("fsck", "--repair", "damage,segments", code=2)
        self.run_leat("fsck", "--dry-run", code=2)


if __name__ == "__main__":
    import unittest
    unittest.main()
