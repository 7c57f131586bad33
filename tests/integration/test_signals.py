"""Signals by the command line, HTTP and a topic, and what a source says of things by their names: the test plugin teller."""
import http.client
import json
import os
import socket
import subprocess
import unittest

from leat import LEAT, LIMIT, Case, build_test_plugins, wait_for

PATIENT = ("--timeout", "600")  # the source may just have been started
PIPELINE = """
hub:
  plugin.path: [@PLUGINS@]
pipelines:
  - name: told
    topic: t
    source: {type: teller, log: @DIR@/log, total: 0, signal.topic: signals}
  - name: deaf
    topic: d
    source: {type: counter, ends: false}
"""


class Signals(Case):
    @classmethod
    def setUpClass(cls):
        cls.plugins = build_test_plugins("teller", "generator")

    def start(self, options=""):
        hub = self.hub(PIPELINE.replace("@PLUGINS@", self.plugins).replace("signal.topic: signals", "signal.topic: signals" + options))
        wait_for("the source to run", lambda: hub.task("told")["state"] == "RUNNING")
        return hub

    def log(self):
        with open(self.path("log"), encoding="utf-8") as f:
            return f.read()

    def request(self, hub, method, path, body=None):
        connection = http.client.HTTPConnection("hub")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(os.path.join(hub.data, "leat.sock"))
        connection.request(method, path, body and json.dumps(body))
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def test_by_command(self):
        hub = self.start()
        done = hub.leat("signal", "told", "begin", '{"data-collections": ["public.a"]}', "--id", "first", *PATIENT)
        self.assertEqual("told: taken, as signal first\n", done.stdout)
        wait_for("it to be there", lambda: 'signal first begin {"data-collections":["public.a"]}\n' in self.log())
        given = hub.json("signal", "told", "end", *PATIENT)["id"]
        wait_for("it to be there", lambda: "signal %s end -\n" % given in self.log())

    def test_what_was_answered_outlives_a_kill(self):
        hub = self.start()
        for n in range(5):
            hub.leat("signal", "told", "say", '{"n": %d}' % n, *PATIENT)
            hub.kill()
            hub.start()
        self.assertEqual(['{"n":%d}' % n for n in range(5)], hub.values("t"))

    def test_refused_with_a_reason(self):
        hub = self.start()
        for args, code, text in [
                (("none", "x"), 4, "there is no pipeline none"),
                (("deaf", "x"), 1, "the source counter of pipeline deaf takes no signals"),
                (("told", "x", "[1]"), 2, "the data is no JSON object"),
                (("told", "x", "{"), 2, "the data is no JSON object: "),
                (("told", "x", "--timeout", "0"), 2, "timeout"),
                (("told",), 2, "")]:
            done = hub.leat("signal", *args, check=False)
            self.assertEqual(code, done.returncode, done.stderr)
            self.assertIn(text, done.stderr)
        hub.leat("pause", "told")
        wait_for("the pause", lambda: hub.task("told")["state"] == "PAUSED")
        done = hub.leat("signal", "told", "x", check=False)
        self.assertEqual(5, done.returncode)
        self.assertIn("does not run, it is PAUSED", done.stderr)

    def test_one_that_waits_does_not_hold_up_a_stop(self):
        hub = self.start(", fail.signal: x, retry.backoff.ms: 600000, retry.backoff.max.ms: 600000")
        with subprocess.Popen([LEAT, "signal", "told", "x", "--data-dir", hub.data, *PATIENT], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as caller:
            wait_for("the source to wait, and who sent it", lambda: hub.task("told")["state"] == "RESTARTING")
            self.assertEqual(0, hub.stop(), hub.log_text())
            self.assertNotEqual(0, caller.wait(LIMIT))

    def test_by_topic(self):
        hub = self.start()
        hub.leat("produce", "signals", "--key-separator", "=", stdin='you={"type":"a"}\nme={"type":"b","data":"c"}\n')
        wait_for("it to be there", lambda: "signal 0-1 b c\n" in self.log())
        hub.kill()
        hub.start()
        hub.leat("produce", "signals", "--key-separator", "=", stdin='me={"type":"d"}\n')
        wait_for("it to be there", lambda: "signal 0-2 d -\n" in self.log())
        self.assertLessEqual(self.log().count("signal 0-1 b c\n"), 2)  # twice if the kill came before it was stored

    def test_by_http(self):
        hub = self.start()
        status, text = self.request(hub, "POST", "/hub/pipelines/told/signals", {"type": "x", "data": "plain", "id": "i", "timeout_ms": 600000})
        self.assertEqual((200, {"id": "i"}), (status, json.loads(text)))
        wait_for("it to be there", lambda: "signal i x plain\n" in self.log())
        for body in ({}, {"type": 1}, {"type": "x", "data": []}, {"type": "x", "id": 3}, {"type": "x", "timeout_ms": 0}):
            self.assertEqual(400, self.request(hub, "POST", "/hub/pipelines/told/signals", body)[0], body)
        self.assertEqual(404, self.request(hub, "POST", "/hub/pipelines/none/signals", {"type": "x"})[0])

    def test_rows_of_status(self):
        hub = self.start()
        hub.leat("signal", "told", "row table public.b", '{"rows": 12, "size_bytes": 2048, "left_ms": 65000, "done": false}', *PATIENT)
        hub.leat("signal", "told", "row table public.a", '{"rows": 3, "rows_per_s": 2500000.0}', *PATIENT)
        hub.leat("signal", "told", "row slot leat", '{"state": "streaming"}', *PATIENT)
        wait_for("the last row", lambda: "slot" in hub.task("told")["status"])
        self.assertEqual({"rows": 3, "rows_per_s": 2500000.0}, hub.task("told")["status"]["table"]["public.a"])
        text = hub.leat("status", "told").stdout
        self.assertNotIn("deaf", text)
        self.assertRegex(text, r"(?m)^SLOT  STATE\nleat  streaming$")
        self.assertRegex(text, r"(?m)^TABLE +ROWS +ROWS/S +SIZE +LEFT +DONE$")
        self.assertRegex(text, r"(?m)^public.a +3 +2.50M +- +- +-$")
        self.assertRegex(text, r"(?m)^public.b +12 +- +2.00 KiB +65s +no$")
        self.assertEqual(["told"], [t["pipeline"] for t in hub.json("status", "told")["tasks"]])
        self.assertEqual(4, hub.leat("status", "none", check=False).returncode)
        metrics = self.request(hub, "GET", "/metrics")[1]
        sample = ('leat_connector_status{pipeline="told",connector="told",kind="source",task="0",about="table",'
                  'of="public.b",name="%s"} %s\n')
        for name, value in (("rows", 12), ("size_bytes", 2048), ("done", 0)):
            self.assertIn(sample % (name, value), metrics)
        self.assertNotIn('name="state"', metrics)


if __name__ == "__main__":
    unittest.main()
