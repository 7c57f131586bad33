"""A hub with a listener, and kcat."""
import json
import re
import subprocess

from leat import LIMIT, Case


class KafkaCase(Case):
    def serve(self, **more):
        settings = dict({"listeners": "PLAINTEXT://127.0.0.1:0"}, **more)
        hub = self.hub("hub:\n" + "".join("  %s: %s\n" % (k, json.dumps(v)) for k, v in settings.items()))
        self.find(hub)
        return hub

    def find(self, hub):
        ports = re.findall(r"clients connect to 127.0.0.1:(\d+)", hub.log_text())
        self.assertTrue(ports, hub.log_text())
        self.address = "127.0.0.1:" + ports[-1]

    def kcat(self, *args, stdin=None):
        done = subprocess.run(["kcat", "-m", "300", "-b", self.address] + list(args), input=stdin, capture_output=True, text=True, timeout=LIMIT)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def read(self, topic, *args):
        return self.kcat("-C", "-q", "-e", "-t", topic, "-f", "%p %o %k %s\\n", *args).splitlines()
