"""Every example of config/examples: validated by the real program, run, and found to do what its comments say."""
import csv
import glob
import gzip
import io
import json
import os
import re
import subprocess
import sys
import urllib.request

from leat import LIMIT, ROOT, Case, Hub, complete_files, leat, wait_for

EXAMPLES = os.path.join(ROOT, "config/examples")
NOWHERE = {"S3_URL": "http://127.0.0.1:1", "S3_BUCKET": "bucket", "S3_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKFAKE",
           "AWS_SECRET_ACCESS_KEY": "fakesecret", "no_proxy": "*", "PG_HOST": "localhost", "PG_PORT": "5432", "PG_PASSWORD": "x"}


class Example(Hub):
    """A hub of an example as it is, started in a private directory: the paths in it are relative."""

    def __init__(self, directory, name):
        with open(os.path.join(EXAMPLES, name + ".yaml"), encoding="utf-8") as f:
            super().__init__(directory, f.read())
        self.data = os.path.join(directory, "build", name, "data")
        self.out = os.path.join(directory, "build", name)


class Examples(Case):
    def example(self, name, env=None):
        hub = Example(self.directory, name)
        self.hubs.append(hub)
        return hub.start(env=env)

    def finish(self, hub):
        """A clean stop, without one complaint on the way."""
        self.assertEqual(hub.stop(), 0)
        self.assertNotRegex(hub.log_text(), " (WARN|ERROR) ")

    def test_every_example_is_valid(self):
        files = sorted(glob.glob(os.path.join(EXAMPLES, "*.yaml")))
        self.assertEqual([os.path.basename(f)[:-5] for f in files],
                         ["existing-topics", "fan-out", "json-to-csv", "kafka", "multiline", "postgres", "quickstart", "s3"],
                         "an example without a test below")
        for path in files:
            with self.subTest(path=path):
                self.assertIn("fine", leat("validate", path, cwd=self.directory, env=NOWHERE).stdout)
                with open(path, encoding="utf-8") as f:
                    self.assertLess(max(len(line) for line in f), 122)

    def test_what_the_pages_show_is_valid(self):
        secret = self.write("secret", "x\n")
        for page in ("README.md", "docs/configuration.md"):
            with open(os.path.join(ROOT, page), encoding="utf-8") as f:
                blocks = re.findall(r"^```yaml\n((?:hub|pipelines):.*?)^```", f.read(), re.S | re.M)
            self.assertTrue(blocks, page)
            for block in blocks:
                path = self.write("page.yaml", block.replace("/run/secrets/s3", secret))
                with self.subTest(page=page, block=block):
                    self.assertIn("fine", leat("validate", path, env={"S3_KEY": "x"}).stdout)

    def test_quickstart(self):
        hub = self.example("quickstart")
        wait_for("a compressed file", lambda: complete_files(hub.out + "/archive"))
        first = gzip.open(complete_files(hub.out + "/archive")[0]).read().decode().splitlines()
        self.assertEqual(first, hub.values("app-logs")[:len(first)])
        self.assertEqual(hub.stop(), 0)

    def test_multiline(self):
        hub = self.example("multiline")
        trace = "ERROR no such user\n    at login(Main.java:7)\n    at main(Main.java:3)"
        self.write("build/multiline/app.log", trace + "\nINFO ready\n")
        wait_for("two records", lambda: hub.values("traces") and hub.task("traces")["records"] == 2)
        self.assertEqual([(r["value"], r["headers"][0]["value"]) for r in hub.records("traces")],
                         [(trace, "build/multiline/app.log"), ("INFO ready", "build/multiline/app.log")])
        hub.wait_caught_up("traces-archive")
        self.assertEqual(hub.stop(), 0)
        with open(complete_files(hub.out + "/out")[0], encoding="utf-8") as f:
            self.assertEqual(json.loads(f.readline()), trace)

    def test_json_to_csv(self):
        hub = self.example("json-to-csv")
        tables = wait_for("a table", lambda: complete_files(hub.out + "/csv"))
        with open(tables[0], encoding="utf-8", newline="") as f:
            rows = list(csv.reader(f))
        self.assertEqual(rows[0], ["timestamp", "id", "path", "status", "ms"])
        documents = [json.loads(v) for v in hub.values("requests")]
        self.assertGreater(len(rows), 1)
        for row, document in zip(rows[1:], documents):
            self.assertEqual(row[1:], [str(document[name]) for name in ("id", "path", "status", "ms")])
        self.assertEqual(hub.stop(), 0)

    def test_kafka(self):
        hub = Example(self.directory, "kafka")
        self.hubs.append(hub)
        with open(hub.config, encoding="utf-8") as f:
            text = f.read()
        self.assertIn("127.0.0.1:9092\n\n", text)
        hub.write_config(text.replace("127.0.0.1:9092\n\n", "127.0.0.1:0\n\n"))
        hub.start()
        address = re.search(r"clients connect to (127.0.0.1:\d+)", hub.log_text()).group(1)
        lines = "".join("%d\n" % i for i in range(100))
        subprocess.run(["kcat", "-b", address, "-P", "-t", "orders"], input=lines, text=True, check=True, timeout=LIMIT)
        self.assertEqual(lines, subprocess.run(["kcat", "-m", "300", "-b", address, "-C", "-q", "-e", "-t", "orders"], capture_output=True, text=True,
                                               check=True, timeout=LIMIT).stdout)
        archived = wait_for("a file", lambda: complete_files(hub.out + "/archive"))
        with open(archived[0], encoding="utf-8") as f:
            self.assertTrue(lines.startswith(f.read()))
        self.finish(hub)

    def test_fan_out(self):
        hub = self.example("fan-out")
        wait_for("some requests", lambda: hub.task("requests")["records"] >= 1000)
        hub.leat("pause", "requests")
        wait_for("the pause", lambda: hub.task("requests")["state"] == "PAUSED")
        wait_for("every sink to catch up", lambda: all(t["lag"] == 0 for t in hub.tasks() if t["kind"] == "sink"))
        self.finish(hub)
        want = sorted(hub.values("requests"))
        with open(hub.out + "/live.jsonl", encoding="utf-8") as f:
            self.assertEqual(sorted(f.read().splitlines()), want)
        parsed, by_status = [json.loads(v) for v in want], []
        for path in complete_files(hub.out + "/by-status"):
            with open(path, encoding="utf-8") as f:
                lines = [json.loads(line) for line in f]
            self.assertIn("/status=%s/" % lines[0]["status"], path)
            self.assertEqual(len({line["status"] for line in lines}), 1)
            by_status += lines
        self.assertEqual(sorted(d["id"] for d in by_status), sorted(d["id"] for d in parsed))
        plain = b"".join(gzip.open(path).read() for path in complete_files(hub.out + "/archive")).decode()
        self.assertEqual(sorted(plain.splitlines()), want)

    def test_existing_topics(self):
        data = ("--data-dir", self.path("build/existing-topics/data"))
        for topic in ("orders", "payments"):
            leat("topics", "create", topic, *data)
        hub = self.example("existing-topics")
        hub.leat("produce", "orders", stdin="".join("%d\n" % i for i in range(100)))
        hub.wait_caught_up("export-files")
        self.finish(hub)
        lag = json.loads(leat("groups", "lag", "connect-export-files", "--output", "json", *data).stdout)
        self.assertEqual([(o["topic"], o["lag"]) for o in lag["offsets"]], [("orders", 0)])
        leat("groups", "reset", "connect-export-files", "--topic", "orders", "--to", "beginning", *data)
        first = complete_files(hub.out + "/out/orders")
        self.assertEqual(len(first), 1)
        with open(first[0], encoding="utf-8") as f:
            self.assertEqual(f.read().splitlines(), ['"%d"' % i for i in range(100)])

    def test_s3(self):
        server = subprocess.Popen([sys.executable, os.path.join(ROOT, "tests/lib/s3/fake_s3.py")], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.communicate)
        url = "http://127.0.0.1:" + server.stdout.readline().strip()
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

        def objects():
            text = direct.open(url + "/-/objects").read().decode()
            return [line.split("\t")[0] for line in text.splitlines()]

        hub = self.example("s3", dict(NOWHERE, S3_URL=url))
        name = wait_for("an object", objects)[0]
        self.assertEqual(name, "topics/app-logs/partition=0/app-logs+0+0000000000.log.gz")
        body = direct.open(url + "/-/object?key=" + urllib.request.quote(name, safe="")).read()
        lines = gzip.open(io.BytesIO(body)).read().decode().splitlines()
        self.assertEqual((len(lines), lines), (1000, hub.values("app-logs")[:1000]))
        self.assertEqual(hub.stop(), 0)


if __name__ == "__main__":
    import unittest
    unittest.main()
