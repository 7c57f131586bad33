"""What goes wrong at 3 a.m.: odd inputs and mistakes, each told by one line that says what and where."""
import os
import shutil

from leat import Case, leat, wait_for

TAIL = """
pipelines:
  - name: tail
    source:
      type: file
      paths: @DIR@/in/*.log
    topic: lines
"""
ONCE = """
pipelines:
  - name: gen
    source: {type: datagen, rate: 0, count: 2500}
    sinks:
      - {name: out, type: file, directory: @DIR@/out, format: raw, flush.size: 1000}
"""


class Operator(Case):
    def complaints(self, hub):
        return [line.split(" ", 2)[2] for line in hub.log_text().splitlines() if " WARN " in line or " ERROR " in line]

    def test_a_line_longer_than_a_record_may_be_is_split(self):
        self.write("in/a.log", "x" * 3000000 + "\nafter\n")
        hub = self.hub(TAIL)
        wait_for("the line after it", lambda: hub.values("lines")[-1:] == ["after"])
        self.assertEqual("".join(hub.values("lines")[:-1]), "x" * 3000000)
        self.assertEqual(self.complaints(hub), [])

    def test_a_record_that_the_topic_does_not_take_is_explained(self):
        self.write("in/a.log", "x" * 3000000 + "\n")
        hub = self.hub(TAIL.replace("paths:", "line.max.bytes: 4MiB\n      paths:"))
        wait_for("the failure", lambda: hub.task("tail")["state"] == "FAILED")
        self.assertRegex(hub.task("tail")["error"], "3000000 bytes is too large: topic lines .*max.message.bytes")

    def test_what_is_no_file_among_the_logs(self):
        self.write("in/good.log", "good\n")
        self.write("in/empty.log", "")
        os.mkdir(self.path("in/directory.log"))
        os.mkfifo(self.path("in/fifo.log"))
        os.symlink("nowhere", self.path("in/dangling.log"))
        os.symlink("loop.log", self.path("in/loop.log"))
        os.symlink("/dev/zero", self.path("in/zero.log"))
        with open(os.fsencode(self.path("in")) + b"/\xff\xfe.log", "wb") as f:
            f.write(b"named oddly\n\xff\0\xfe\n")
        hub = self.hub(TAIL)
        wait_for("every line", lambda: hub.task("tail")["records"] == 3)
        values = [r["value"] for r in hub.records("lines")]
        self.assertIn("good", values)
        self.assertIn("named oddly", values)
        self.assertIn({"base64": "/wD+"}, values)
        self.assertEqual(len(self.complaints(hub)), 1, self.complaints(hub))
        self.assertIn("in/loop.log: Too many levels", self.complaints(hub)[0])

    def test_until_done_ends_when_sources_and_sinks_have(self):
        path = self.write("once.yaml", ONCE.replace("@DIR@", self.directory))
        for _ in range(2):  # the second time there is nothing new
            leat("run", path, "--until-done", "--data-dir", self.path("data"))
            lines = b""
            for name in sorted(os.listdir(self.path("out/gen/partition=0"))):
                with open(self.path("out/gen/partition=0", name), "rb") as f:
                    lines += f.read()
            self.assertEqual(lines.count(b"\n"), 2500)
            self.assertEqual(lines.decode(), leat("consume", "gen", "--exit-at-end", "--data-dir", self.path("data")).stdout)

    def test_a_topic_made_anew_overwrites_no_files(self):
        hub = self.hub("""
pipelines:
  - name: copy
    topics: [t]
    sinks:
      - {name: out, type: file, directory: @DIR@/out, format: raw, flush.size: 1}
""")
        hub.leat("topics", "create", "t", "--partitions", "1")
        hub.leat("produce", "t", stdin="old\n")
        first = self.path("out/t/partition=0/t+0+0000000000.bin")
        wait_for("the first file", lambda: os.path.exists(first))
        hub.leat("pause", "copy-out")
        wait_for("the pause", lambda: hub.task("copy-out")["state"] == "PAUSED")
        hub.leat("topics", "delete", "t")
        hub.leat("topics", "create", "t", "--partitions", "1")
        hub.leat("produce", "t", stdin="new\n")
        hub.leat("resume", "copy-out")
        wait_for("the second file", lambda: len(os.listdir(self.path("out/t/partition=0"))) == 2)
        texts = set()
        for name in os.listdir(self.path("out/t/partition=0")):
            self.assertRegex(name, r"^t\+0\+0000000000(\.[0-9a-f]{8})?\.bin$")
            with open(self.path("out/t/partition=0", name)) as f:
                texts.add(f.read())
        self.assertEqual(texts, {"old\n", "new\n"})
        self.assertIn("topic t was made anew", "".join(self.complaints(hub)))

    def test_a_sink_whose_directory_is_taken_away(self):
        hub = self.hub("""
pipelines:
  - name: copy
    source: {type: file, paths: @DIR@/in/*.log}
    sinks:
      - {name: out, type: file, directory: @DIR@/out, format: raw, flush.size: 1, retry.backoff.ms: 10}
""")
        self.write("in/a.log", "one\n")
        place = self.path("out/copy/partition=0")
        wait_for("the first file", lambda: os.path.isdir(place) and len(os.listdir(place)) == 1)
        hub.wait_caught_up("copy-out")
        shutil.rmtree(self.path("out"))
        with open(self.path("in/a.log"), "a") as f:
            f.write("two\n")
        wait_for("the second file", lambda: os.path.isdir(place) and os.listdir(place))
        with open(os.path.join(place, os.listdir(place)[0])) as f:
            self.assertEqual(f.read(), "two\n")

    def test_half_a_command_is_told_from_a_wrong_one(self):
        self.assertIn("one more word", leat("topics", check=False).stderr)
        self.assertIn("there is no command 'topics lst'", leat("topics", "lst", check=False).stderr)

    def test_an_empty_endpoint_is_none(self):
        text = "pipelines: [{name: p, topics: [t], sinks: [{type: s3, s3.bucket.name: bucket, flush.size: 1, store.url: \"%s\"}]}]"
        self.assertIn("fine", leat("validate", self.write("aws.yaml", text % "")).stdout)
        done = leat("validate", self.write("odd.yaml", text % "ftp://x"), check=False)
        self.assertRegex(done.stderr, r"odd\.yaml:1: sink .*: store.url: http or https")


if __name__ == "__main__":
    import unittest
    unittest.main()
