"""Pipelines from end to end with the real program: files to topic to files; signals, reload, failures, metrics."""
import gzip
import json
import os
import signal
import urllib.error
import urllib.request

from leat import Case, complete_files, leat, wait_for
from ports import free_port

FILES = """
pipelines:
  - name: logs
    source:
      type: file
      paths: @DIR@/in/*.log
    topic: lines
    sinks:
      - name: out
        type: file
        directory: @DIR@/out
        format: raw
        compression.type: gzip
        flush.size: 10
"""


class Pipelines(Case):
    def lines_out(self):
        return b"".join(gzip.open(p).read() for p in complete_files(self.path("out"))).decode().splitlines()

    def test_lines_reach_topic_and_files(self):
        self.write("in/a.log", "".join("line %d\n" % i for i in range(25)))
        hub = self.hub(FILES)
        wait_for("twenty lines in files", lambda: len(self.lines_out()) == 20)
        self.assertEqual(hub.values("lines"), ["line %d" % i for i in range(25)])
        self.write("in/a.log", "".join("line %d\n" % i for i in range(25, 40)), "a")
        wait_for("forty lines in files", lambda: len(self.lines_out()) == 40)
        self.assertEqual(self.lines_out(), ["line %d" % i for i in range(40)])
        self.assertEqual(hub.stop(), 0)

    def test_a_restart_goes_on_where_it_was(self):
        self.write("in/a.log", "".join("line %d\n" % i for i in range(10)))
        hub = self.hub(FILES)
        wait_for("the lines", lambda: hub.task("logs")["records"] == 10)
        self.assertEqual(hub.stop(), 0)
        self.write("in/a.log", "while away\n", "a")
        hub.start()
        wait_for("the new line", lambda: hub.task("logs")["records"] == 1)
        self.assertEqual(hub.values("lines"), ["line %d" % i for i in range(10)] + ["while away"])

    def test_a_dead_sink_does_not_hold_the_source(self):
        self.write("in/a.log", "x\n")
        self.write("blocked", "a file where the directory should be")
        hub = self.hub(FILES.replace("@DIR@/out", "@DIR@/blocked/out"))
        wait_for("the sink to say why", lambda: hub.task("logs-out").get("error"))
        self.write("in/a.log", "y\n", "a")
        wait_for("the source to go on", lambda: hub.values("lines") == ["x", "y"])
        self.assertIn("blocked", hub.task("logs-out")["error"])
        os.unlink(self.path("blocked"))
        self.write("in/a.log", "".join("z\n" for _ in range(8)), "a")
        hub.leat("restart", "logs-out")
        wait_for("the sink to recover", lambda: hub.task("logs-out")["lag"] == 0 and
                 len(complete_files(self.path("blocked/out"))) == 1)

    def test_reload_changes_only_what_changed(self):
        self.write("in/a.log", "x\n")
        hub = self.hub(FILES)
        wait_for("the line", lambda: hub.task("logs")["records"] == 1)
        with open(hub.config, encoding="utf-8") as f:
            text = f.read()
        hub.write_config(text.replace("flush.size: 10", "flush.size: 1"))
        plan = hub.leat("plan", hub.config, "--detailed-exit-code", check=False)
        self.assertEqual(plan.returncode, 6)
        self.assertIn("flush.size", plan.stdout)
        hub.process.send_signal(signal.SIGHUP)
        wait_for("the new setting to work", lambda: self.lines_out() == ["x"])
        self.assertEqual(hub.task("logs")["records"], 1, "the source was restarted though nothing of it changed")
        self.assertEqual(hub.leat("plan", hub.config).stdout, "no changes\n")

    def test_a_wrong_reload_keeps_what_runs(self):
        self.write("in/a.log", "x\n")
        hub = self.hub(FILES)
        wait_for("the line", lambda: hub.task("logs")["records"] == 1)
        with open(hub.config, encoding="utf-8") as f:
            text = f.read()
        hub.write_config(text.replace("flush.size", "flush.sise"))
        hub.process.send_signal(signal.SIGHUP)
        wait_for("the complaint", lambda: "flush.sise" in hub.log_text())
        self.assertRegex(hub.log_text(), r"leat\.yaml:\d+:\d+: .*flush\.size")
        done = hub.leat("reload", check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn("flush.sise", done.stderr)
        self.write("in/a.log", "y\n", "a")
        wait_for("the old pipeline to go on", lambda: hub.values("lines") == ["x", "y"])

    def test_pause_and_resume(self):
        self.write("in/a.log", "x\n")
        hub = self.hub(FILES)
        wait_for("the line", lambda: hub.values("lines") == ["x"])
        hub.leat("pause", "logs")
        wait_for("the pause", lambda: hub.task("logs")["state"] == "PAUSED")
        self.write("in/a.log", "y\n", "a")
        self.assertEqual(hub.values("lines"), ["x"])
        hub.leat("resume", "logs")
        wait_for("the rest", lambda: hub.values("lines") == ["x", "y"])
        self.assertEqual(hub.leat("pause", "nobody", check=False).returncode, 4)

    def test_a_pause_outlives_the_hub(self):
        self.write("in/a.log", "x\n")
        hub = self.hub(FILES)
        wait_for("the line", lambda: hub.values("lines") == ["x"])
        hub.leat("pause", "logs")
        hub.kill()
        self.write("in/a.log", "y\n", "a")
        hub.start()
        wait_for("the pause", lambda: hub.task("logs")["state"] == "PAUSED")
        self.assertEqual(hub.task("logs")["paused_by"], "command")
        self.assertIn("PAUSED (by command)", hub.leat("status").stdout)
        self.assertEqual(hub.values("lines"), ["x"])
        hub.leat("resume", "logs")
        wait_for("the rest", lambda: hub.values("lines") == ["x", "y"])
        hub.stop()
        hub.start()
        wait_for("no pause", lambda: hub.task("logs")["state"] == "RUNNING")
        self.assertNotIn("paused_by", hub.task("logs"))

    def test_topics_of_a_running_pipeline_are_not_deleted(self):
        self.write("in/a.log", "x\n")
        hub = self.hub(FILES)
        wait_for("the line", lambda: hub.values("lines") == ["x"])
        for connector in ("logs", "logs-out"):
            done = hub.leat("topics", "delete", "lines", check=False)
            self.assertEqual(done.returncode, 5)
            self.assertIn("connector %s is running and uses topic lines: pause it first" % connector, done.stderr)
            hub.leat("pause", connector)
            wait_for("the pause", lambda: hub.task(connector)["state"] == "PAUSED")
        hub.leat("topics", "delete", "lines")
        self.assertEqual(hub.leat("topics", "describe", "lines", check=False).returncode, 4)

    def test_a_replaced_file_is_told(self):
        self.write("in/a.log", "".join("line %d\n" % i for i in range(10)))
        hub = self.hub(FILES)
        wait_for("a file", self.lines_out)
        wait_for("the commit", lambda: hub.leat("groups", "lag", "connect-logs-out", check=False).returncode == 0)
        hub.leat("pause", "logs-out")
        wait_for("the pause", lambda: hub.task("logs-out")["state"] == "PAUSED")
        self.assertNotIn("is replaced", hub.log_text())
        hub.leat("groups", "reset", "connect-logs-out", "--topic", "lines", "--to", "beginning")
        hub.leat("resume", "logs-out")
        wait_for("the word", lambda: "lines+0+0000000000.bin.gz and perhaps more is replaced, as offsets were set back" in hub.log_text())
        self.assertEqual(self.lines_out(), ["line %d" % i for i in range(10)])

    def test_groups_of_a_running_sink_are_not_reset(self):
        self.write("in/a.log", "x\n")
        hub = self.hub(FILES)
        wait_for("the line", lambda: hub.values("lines") == ["x"])
        done = hub.leat("groups", "reset", "connect-logs-out", "--topic", "lines", "--to", "beginning", check=False)
        self.assertEqual(done.returncode, 5)
        self.assertIn("pause", done.stderr)

    def test_a_permanent_failure_stops_that_task_alone(self):
        self.write("in/a.log", "not json\n")
        self.write("in2/b.log", "fine\n")
        hub = self.hub("""
pipelines:
  - name: bad
    source: {type: file, paths: @DIR@/in/*.log, mode: json}
    topic: bad
  - name: good
    source: {type: file, paths: @DIR@/in2/*.log}
    topic: good
""")
        wait_for("the failure", lambda: hub.task("bad")["state"] == "FAILED")
        self.assertIn("a.log", hub.task("bad")["error"])
        wait_for("the other pipeline", lambda: hub.values("good") == ["fine"])
        self.assertRegex(hub.leat("status").stdout, r"bad +bad +file source +0 +FAILED")

    def test_metrics_and_health(self):
        port = free_port()
        self.write("in/a.log", "x\ny\n")
        hub = self.hub("hub:\n  http.listen: 127.0.0.1:%d\n%s" % (port, FILES.lstrip()))
        self.assertRegex(hub.log_text(), r"WARN .*http.listen: whoever reaches 127.0.0.1:%d can read every topic" % port)
        wait_for("the lines", lambda: hub.task("logs")["records"] == 2)

        def get(path, method="GET"):
            request = urllib.request.Request("http://127.0.0.1:%d%s" % (port, path), method=method)
            try:
                with urllib.request.urlopen(request) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as e:
                with e:
                    return e.code, e.read().decode()

        status, text = get("/health")
        self.assertEqual((status, json.loads(text)["status"]), (200, "healthy"))
        status, text = get("/metrics")
        self.assertEqual(status, 200)
        self.assertIn('leat_task_records_total{pipeline="logs",connector="logs",kind="source",task="0"} 2\n', text)
        self.assertIn('leat_partition_log_end_offset{topic="lines",partition="0"}', text)
        for line in text.splitlines():
            self.assertRegex(line, r'^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{([a-z_]+="[^"]*",?)+\})? [-+0-9.e]+)$')
        self.assertEqual(get("/hub/topics/lines", "DELETE")[0], 403, "TCP must only read")
        self.assertEqual(get("/hub/topics/lines", "POST")[0], 405)
        self.assertEqual(get("/nothing")[0], 404)
        self.assertEqual(get("/hub/topics/%00")[0], 400)

    def test_diagnostics_as_json(self):
        hub = self.hub("hub:\n  log.format: json\npipelines: []\n")
        self.assertEqual(hub.stop(), 0)
        for line in hub.log_text().splitlines():
            self.assertEqual(sorted(json.loads(line)), ["component", "level", "message", "ts"])

    def test_the_store_survives_kill(self):
        self.write("in/a.log", "".join("line %d\n" % i for i in range(1000)))
        hub = self.hub(FILES)
        wait_for("the lines", lambda: hub.task("logs")["records"] == 1000)
        hub.kill()
        self.assertEqual(hub.values("lines"), ["line %d" % i for i in range(1000)])


class Validation(Case):
    def validate(self, text, *args):
        path = self.write("p.yaml", text.replace("@DIR@", self.directory))
        return leat("validate", path, *args, check=False)

    def test_all_problems_at_once_with_positions(self):
        done = self.validate("""pipelines:
  - name: a
    source:
      type: fil
      paths: x
    topic: "no good"
  - name: a
    source:
      type: file
      pats: /tmp/x
    topic: t
    sinks:
      - type: file
        directory: @DIR@/o
        flush.size: many
""")
        self.assertEqual(done.returncode, 3)
        for expected in (r"p\.yaml:4:\d+: .*fil.*file", r"p\.yaml:6:\d+: .*no good", r"p\.yaml:7:\d+: .*a.*", r"p\.yaml:10:\d+: .*pats.*paths",
                         r"p\.yaml:15:\d+: .*flush\.size"):
            self.assertRegex(done.stderr, expected)
        problems = json.loads(self.validate("pipelines: [}", "--output", "json").stdout)["problems"]
        self.assertEqual(problems[0]["line"], 1)

    def test_secrets_are_never_printed(self):
        text = """pipelines:
  - name: a
    topics: [t]
    sinks:
      - type: s3
        s3.bucket.name: b
        flush.size: 1
        store.url: http://127.0.0.1:1
        format.class: io.confluent.connect.s3.format.json.JsonFormat
        aws.access.key.id: AK
        aws.secret.access.key: ${env:LEAT_TEST_SECRET}
        s3.part.size: ${env:LEAT_TEST_SECRET}
"""
        os.environ["LEAT_TEST_SECRET"] = "hunter2hunter2"
        done = self.validate(text)
        self.assertEqual(done.returncode, 3)
        self.assertNotIn("hunter2", done.stderr + done.stdout)
        del os.environ["LEAT_TEST_SECRET"]
        self.assertIn("LEAT_TEST_SECRET", self.validate(text).stderr)

    def test_sinks_that_would_overwrite_each_other(self):
        text = """pipelines:
  - name: a
    topics: [t, u]
    sinks:
      - {name: one, type: file, directory: @DIR@/o}
      - {name: packed, type: file, directory: @DIR@/o, compression.type: gzip}
      - {name: log, type: file, file: @DIR@/all.log}
  - name: b
    topics: [%s]
    sinks:
      - {name: two, type: file, directory: @DIR@/o/%s}
  - name: c
    topics: [z]
    sinks:
      - {name: log, type: file, file: %s}
"""
        self.assertEqual(self.validate(text % ("v", "", "@DIR@/some.log")).returncode, 0)
        names = ", path: \"${connector}/${topic}-${partition}-${start_offset}\""
        self.assertEqual(self.validate(text % ("u", names, "@DIR@/some.log")).returncode, 0)
        done = self.validate(text % ("u", "./", "@DIR@//all.log"))
        self.assertEqual(done.returncode, 3)
        self.assertRegex(done.stderr, r"p\.yaml:11: sink b-two would overwrite what sink a-one \(.*p\.yaml:5\) writes of topic u")
        self.assertRegex(done.stderr, r"p\.yaml:15: sink c-log would overwrite what sink a-log \(.*p\.yaml:7\) writes: ")
        self.assertEqual(done.stderr.count("would overwrite"), 2)

    def test_connect_tries_the_outside(self):
        done = self.validate("""pipelines:
  - name: a
    topics: [t]
    sinks:
      - type: s3
        s3.bucket.name: bucket
        s3.region: us-east-1
        flush.size: 1
        s3.part.retries: 0
        store.url: http://127.0.0.1:1
        format.class: io.confluent.connect.s3.format.json.JsonFormat
        aws.access.key.id: AK
        aws.secret.access.key: SK
""", "--connect")
        self.assertEqual(done.returncode, 3)
        self.assertIn("127.0.0.1", done.stderr)

    def test_a_fine_file(self):
        done = self.validate("pipelines:\n  - name: a\n    source: {type: datagen}\n    topic: t\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("1 pipeline", done.stdout)


if __name__ == "__main__":
    import unittest
    unittest.main()
