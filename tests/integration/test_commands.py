"""The command line, through a running hub and on the directory itself: both must do the same."""
import json
import os
import subprocess
import time

from leat import BUILD, LIMIT, Case, leat


class Commands(Case):
    """Every test runs twice: without and with a hub."""

    def each_way(self):
        """Yields a function that runs commands on a fresh data directory, once each way."""
        for running in (False, True):
            with self.subTest(hub=running):
                self.data = self.path("data-%s" % running)
                hub = None
                if running:
                    hub = self.hub("pipelines: []\n", start=False)
                    hub.data = self.data
                    hub.start()
                yield self.run_command
                if hub:
                    self.assertEqual(hub.stop(), 0)

    def run_command(self, *args, code=0, stdin=None):
        done = leat(*args, "--data-dir", self.data, check=False, stdin=stdin)
        self.assertEqual(done.returncode, code, "%s\n%s%s" % (args, done.stdout, done.stderr))
        return done.stdout if code == 0 else done.stderr

    def test_topics(self):
        for run in self.each_way():
            run("topics", "create", "orders", "--partitions", "3", "--config", "retention.ms=60000")
            self.assertIn("exists already", run("topics", "create", "orders", code=1))
            run("topics", "create", "orders", "--if-not-exists")
            topic = json.loads(run("topics", "describe", "orders", "--output", "json"))
            self.assertEqual(topic["partition_count"], 3)
            self.assertEqual(topic["config"], {"retention.ms": "60000"})
            run("topics", "configure", "orders", "--config", "segment.bytes=2097152", "--reset", "retention.ms",
                "--partitions", "5")
            topic = json.loads(run("topics", "describe", "orders", "--output", "json"))
            self.assertEqual((topic["partition_count"], topic["config"]), (5, {"segment.bytes": "2097152"}))
            self.assertIn("retention.ms", run("topics", "configure", "orders", "--config", "retenton.ms=1", code=3))
            self.assertIn("orders", run("topics", "list"))
            self.assertEqual([t["name"] for t in json.loads(run("topics", "list", "--output", "json"))], ["orders"])
            run("produce", "orders", "--partition", "2", stdin="one\n")
            self.assertRegex(run("topics", "describe", "orders", "--segments"), r"\n +2 +0 +[0-9]+ B .* active\n")
            partitions = json.loads(run("topics", "describe", "orders", "--segments", "--output", "json"))["partitions"]
            self.assertEqual([len(p["segment_list"]) for p in partitions], [0, 0, 1, 0, 0])
            self.assertEqual(partitions[2]["segment_list"][0]["base_offset"], 0)
            run("topics", "delete", "orders")
            run("topics", "describe", "orders", code=4)
            run("topics", "delete", "orders", code=4)
            run("topics", "delete", "orders", "--if-exists")
            run("topics", "create", "a/b", code=1)

    def test_produce_and_consume(self):
        for run in self.each_way():
            run("topics", "create", "t", "--partitions", "1")
            run("produce", "t", stdin="one\ntwo\n\nlast without newline")
            self.assertEqual(run("consume", "t", "--exit-at-end"), "one\ntwo\n\nlast without newline\n")
            run("produce", "t", "--key-separator", ":", "--header", "h=1", stdin="k:v:w\n")
            record = json.loads(run("consume", "t", "--exit-at-end", "--format", "json", "--from", "4"))
            self.assertEqual((record["topic"], record["partition"], record["offset"], record["key"], record["value"],
                              record["headers"]), ("t", 0, 4, "k", "v:w", [{"key": "h", "value": "1"}]))
            self.assertEqual(run("consume", "t", "--exit-at-end", "--max", "2", "--from", "1"), "two\n\n")
            self.assertEqual(run("consume", "t", "--exit-at-end", "--from", "end"), "")
            self.assertEqual(run("consume", "t", "--exit-at-end", "--from", "4", "--format", "key-value"), "k\tv:w\n")
            run("consume", "nothing", "--exit-at-end", code=4)
            run("produce", "nothing", stdin="x", code=4)

    def test_bytes_survive(self):
        for run in self.each_way():
            run("topics", "create", "t")
            given = [{"key": None, "value": None, "headers": [{"key": "n", "value": None}], "timestamp": 1700000000000},
                     {"key": {"base64": "/w=="}, "value": "", "headers": []},
                     {"key": "\u00e9", "value": {"base64": "AP/+gA=="}, "headers": [{"key": "a", "value": "1"},
                                                                               {"key": "a", "value": {"base64": "/w=="}}]}]
            run("produce", "t", "--format", "json", "--compression", "zstd", stdin="\n".join(map(json.dumps, given)))
            got = [json.loads(x) for x in run("consume", "t", "--exit-at-end", "--format", "json").splitlines()]
            self.assertEqual([{k: g[k] for k in ("key", "value", "headers")} for g in got],
                             [{k: g[k] for k in ("key", "value", "headers")} for g in given])
            self.assertEqual(got[0]["timestamp"], 1700000000000)
            self.assertIn("record 2", run("produce", "t", "--format", "json", stdin='{"value":1}\n[]\n', code=1))
            self.assertIn("'valu'", run("produce", "t", "--format", "json", stdin='{"valu":1}\n', code=1))
            self.assertEqual(len(run("consume", "t", "--exit-at-end", "--format", "json").splitlines()), 3,
                             "a refused request wrote something")

    def test_offsets_by_time(self):
        for run in self.each_way():
            run("topics", "create", "t")
            for second in range(5):
                run("produce", "t", "--format", "json",
                    stdin=json.dumps({"value": "v%d" % second, "timestamp": 1700000000000 + second * 1000}))
            self.assertEqual(run("consume", "t", "--exit-at-end", "--from", "2023-11-14T22:13:22Z"), "v2\nv3\nv4\n")
            self.assertEqual(run("consume", "t", "--exit-at-end", "--from", "@1700000003500"), "v4\n")
            self.assertEqual(run("consume", "t", "--exit-at-end", "--from", "-1m"), "")
            run("consume", "t", "--exit-at-end", "--from", "yesterday", code=2)

    def test_groups(self):
        for run in self.each_way():
            run("topics", "create", "t", "--partitions", "2")
            run("produce", "t", "--partition", "1", stdin="a\nb\nc\n")
            run("groups", "lag", "g", code=4)
            run("groups", "reset", "g", "--topic", "t", "--to", "beginning")
            lag = json.loads(run("groups", "lag", "g", "--output", "json"))
            self.assertEqual([(o["partition"], o["offset"], o["lag"]) for o in lag["offsets"]], [(0, 0, 0), (1, 0, 3)])
            run("groups", "reset", "g", "--topic", "t", "--partition", "1", "--to", "2")
            self.assertRegex(run("groups", "lag", "g"), r"t +1 +2 +3 +1")
            self.assertIn("g", run("groups", "list"))
            run("groups", "delete", "g")
            run("groups", "lag", "g", code=4)

    def test_usage(self):
        self.assertEqual(leat("topics", check=False).returncode, 2)
        self.assertIn("topics list", leat("topics", check=False).stderr)
        self.assertIn("did you mean 'consume'", leat("consum", check=False).stderr)
        self.assertEqual(leat("consume", check=False).returncode, 2)
        self.assertEqual(leat("consume", "t", "--format", "xml", check=False).returncode, 2)
        self.assertLess(len(leat("--help").stdout.splitlines()), 29, "help must fit one screen")
        self.assertLess(max(map(len, leat("--help").stdout.splitlines())), 121)
        self.assertEqual(leat("topics", "list", "--data-dir", self.path("none"), check=False).returncode, 4)

    def test_completion(self):
        script = leat("completion", "bash").stdout
        test = script + "\nCOMP_WORDS=(leat top); COMP_CWORD=1; _leat; echo ${COMPREPLY[*]}" \
            "\nCOMP_WORDS=(leat consume --fo); COMP_CWORD=2; _leat; echo ${COMPREPLY[*]}" \
            "\nCOMP_WORDS=(leat consume --format j); COMP_CWORD=3; _leat; echo ${COMPREPLY[*]}" \
            "\nCOMP_WORDS=(leat topics cr); COMP_CWORD=2; _leat; echo ${COMPREPLY[*]}\n"
        out = subprocess.run(["bash", "-c", test], capture_output=True, text=True, check=True).stdout
        self.assertEqual(out.split("\n")[:4], ["topics", "--format", "json", "create"])

    def test_a_waiting_consumer_gets_what_comes(self):
        hub = self.hub("pipelines: []\n")
        hub.leat("topics", "create", "t")
        consumer = subprocess.Popen([os.path.join(BUILD, "leat"), "consume", "t", "--from", "beginning", "--max", "2",
                                     "--data-dir", hub.data], stdout=subprocess.PIPE, text=True)
        hub.leat("produce", "t", stdin="first\n")
        self.assertEqual(consumer.stdout.readline(), "first\n")
        hub.leat("produce", "t", stdin="second\n")
        self.assertEqual(consumer.stdout.readline(), "second\n")
        self.assertEqual(consumer.wait(LIMIT), 0)
        consumer.stdout.close()

    def test_a_second_process_is_refused_with_the_pid(self):
        hub = self.hub("pipelines: []\n")
        done = leat("run", hub.config, "--data-dir", hub.data, check=False)
        self.assertEqual(done.returncode, 5)
        self.assertIn(str(hub.process.pid), done.stderr)
        os.unlink(os.path.join(hub.data, "leat.sock"))  # no way in: the lock must still hold
        done = leat("topics", "list", "--data-dir", hub.data, check=False)
        self.assertEqual(done.returncode, 5)
        self.assertIn(str(hub.process.pid), done.stderr)

    def test_stop_is_quick_while_a_consumer_waits(self):
        hub = self.hub("pipelines: []\n")
        hub.leat("topics", "create", "t")
        hub.leat("produce", "t", stdin="first\n")
        took = []
        while not took or min(took) >= 25 and len(took) < 5:  # a slow machine may take as long, but not each time
            if took:
                hub.start()
            consumer = subprocess.Popen([os.path.join(BUILD, "leat"), "consume", "t", "--from", "beginning", "--data-dir", hub.data],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            self.assertEqual(consumer.stdout.readline(), "first\n")  # it waits for the next one
            start = time.monotonic()
            self.assertEqual(hub.stop(), 0)
            took.append(time.monotonic() - start)
            consumer.kill()
            consumer.wait()
            consumer.stdout.close()
        self.assertLess(min(took), 25, "the reader's wait of 30 s was not interrupted")


if __name__ == "__main__":
    import unittest
    unittest.main()
