"""A Kafka Streams application with exactly_once_v2 on our hub, both killed again and again: every input is counted once."""
import collections
import os
import shutil
import signal
import subprocess
import time
import unittest

import kafka
from leat import wait_for
from ports import free_port
from tests.integration.kafka.clients import KafkaCase

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS = 1800  # for all of it; a minute or two is usual, and only a hang takes so long
KILLS = int(os.environ.get("STREAMS_KILLS", "4"))  # of the application; the hub is killed as often
PARTITIONS = 3


class Streams(KafkaCase):
    def setUp(self):
        super().setUp()
        if not shutil.which("javac"):
            self.skipTest("there is no javac (package default-jdk-headless)")
        self.end = time.monotonic() + SECONDS
        self.apps = {}
        self.classes = self.directory + "/classes"
        subprocess.run(["javac", "-d", self.classes, "-cp", kafka.JARS + "/*", HERE + "/StreamsCount.java"], check=True)

    def tearDown(self):
        for name in list(self.apps):
            self.kill_app(name)
        super().tearDown()

    def start_app(self, name):
        """One instance of it, whose directory outlives it."""
        command = kafka.java("StreamsCount", self.address, "words", "%s/state-%s" % (self.directory, name))
        command[command.index("-cp") + 1] += ":" + self.classes
        with open(self.log_of(name), "ab") as log:
            self.apps[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill_app(self, name):
        app = self.apps.pop(name)
        app.send_signal(signal.SIGKILL)
        app.wait()

    def log_of(self, name):
        return "%s/app-%s.log" % (self.directory, name)

    def lines(self, topic):
        out = self.kcat("-C", "-q", "-e", "-t", topic, "-f", "%k\t%s\n", "-X", "isolation.level=read_committed")
        return [line.split("\t") for line in out.splitlines()]

    def count(self, topic):
        return len(self.lines(topic))

    def wait(self, what, condition):
        try:
            wait_for(what, condition, self.end - time.monotonic())
        except AssertionError as e:
            logs = "".join(open(self.log_of(n), encoding="utf-8", errors="replace").read()[-3000:] for n in "ab")
            raise AssertionError("%s\n%s" % (e, logs)) from e

    def send(self, n):
        """`n` further lines, each with a number of its own."""
        lines = ["k%d\tline%d word%d the" % (i % 50, i, i % 97) for i in range(self.sent, self.sent + n)]
        self.kcat("-P", "-t", "in", "-K", "\t", "-X", "enable.idempotence=true", stdin="".join(line + "\n" for line in lines))
        self.sent += n

    def restart_hub(self, hub):
        hub.kill()
        hub.start()

    def test_every_line_is_counted_once(self):
        port = free_port()
        hub = self.serve(listeners="PLAINTEXT://127.0.0.1:%d" % port, **{"group.initial.rebalance.delay.ms": 0})
        for topic in ("in", "copy", "counts"):
            hub.leat("topics", "create", topic, "--partitions", str(PARTITIONS))
        self.sent = 0
        self.send(500)
        for name in "ab":
            self.start_app(name)
        for round in range(KILLS):
            self.wait("the application to go on", lambda: self.count("copy") > self.sent - 400)
            self.send(500)
            if round % 2 == 0:
                self.restart_hub(hub)
            self.kill_app("ab"[round % 2])
            self.start_app("ab"[round % 2])
            self.send(500)
            if round % 2 == 1:
                self.restart_hub(hub)
        self.wait("the last line", lambda: self.count("copy") >= self.sent)
        words = collections.Counter(word for i in range(self.sent) for word in ("line%d" % i, "word%d" % (i % 97), "the"))
        self.wait("the last count", lambda: dict(self.lines("counts")).get("the") == str(words["the"]))
        self.assertEqual(sorted("line%d word%d the" % (i, i % 97) for i in range(self.sent)), sorted(line for _, line in self.lines("copy")))
        counts = self.lines("counts")
        self.assertEqual({word: str(n) for word, n in words.items()}, dict(counts))
        each = sorted((word, int(n)) for word, n in counts)  # not only the last: none was counted twice in between
        self.assertEqual(sorted((word, i + 1) for word, n in words.items() for i in range(n)), each)


if __name__ == "__main__":
    unittest.main()
