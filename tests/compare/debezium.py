"""A Kafka Connect worker with Debezium, in one process on loopback, with its offsets in a file."""
import json
import os
import subprocess
import urllib.error
import urllib.request

from kafka import HERE, free_port
from leat import wait_for

CONNECT = os.environ["LEAT_CONNECT_JARS"]    # Kafka Connect's own
PLUGINS = os.path.dirname(os.environ["LEAT_DEBEZIUM_JARS"])  # each directory in there is one; jars that lie in it would be one each

PROPERTIES = """bootstrap.servers=%s
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
offset.storage.file.filename=%s/offsets
offset.flush.interval.ms=500
listeners=http://127.0.0.1:%d
plugin.path=%s
"""


class Worker:
    def __init__(self, directory, bootstrap):
        os.makedirs(directory)
        self.log = os.path.join(directory, "worker.log")
        self.port = free_port()
        properties = os.path.join(directory, "worker.properties")
        with open(properties, "w", encoding="utf-8") as f:
            f.write(PROPERTIES % (bootstrap, directory, self.port, PLUGINS))
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["java", "-Xmx2g", "-XX:+UseSerialGC", "-Dlog4j2.configurationFile=" + os.path.join(HERE, "log4j2.xml"), "-cp",
                 os.path.join(CONNECT, "*"), "org.apache.kafka.connect.cli.ConnectStandalone", properties],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for("the Connect worker to answer", self._answers)

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError("the worker ended:\n" + self.log_text()[-3000:])
        try:
            return self.request("/connectors") is not None
        except (urllib.error.URLError, OSError):
            return False

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def request(self, path, body=None):
        request = urllib.request.Request("http://127.0.0.1:%d%s" % (self.port, path), headers={"Content-Type": "application/json"},
                                         data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=90) as answer:
            return json.load(answer)

    def create(self, name, config):
        try:
            self.request("/connectors", {"name": name, "config": config})
        except urllib.error.HTTPError as e:
            raise AssertionError("Debezium refuses %s: %s" % (name, e.read().decode())) from e

    def check(self, name):
        """AssertionError if it failed."""
        status = self.request("/connectors/%s/status" % name)
        for part in [status["connector"]] + status["tasks"]:
            if part["state"] == "FAILED":
                raise AssertionError("Debezium failed:\n" + part["trace"])

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
