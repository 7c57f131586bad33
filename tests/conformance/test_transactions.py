"""Transactions: raw requests are answered by Kafka as it was recorded (tests/integration/kafka/txn_answers.json, which our hub is tested
with), and Kafka's own tools work with our hub."""
import json
import subprocess

import kafka
import txn_scenarios
from leat import LIMIT, Case, leat
from tests.integration.kafka.clients import KafkaCase

ANSWERS = "tests/integration/kafka/txn_answers.json"


class Recorded(Case):
    def test_kafka_still_answers_so(self):
        broker = kafka.Broker(self.directory + "/kafka")
        try:
            broker.start()
            with open(ANSWERS, encoding="utf-8") as f:
                recorded = json.load(f)
            for scenario in txn_scenarios.SCENARIOS:
                with self.subTest(scenario.__name__):
                    self.assertEqual(recorded[scenario.__name__], txn_scenarios.run(broker.bootstrap, scenario))
        finally:
            if broker.process:
                broker.kill()


class Tools(KafkaCase):
    def tool(self, name, *args):
        done = subprocess.run(kafka.java("org.apache.kafka.tools." + name, *args), capture_output=True, text=True, timeout=LIMIT)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        return done.stdout

    def transactions(self, *args):
        """Rows of its table, without their head."""
        out = self.tool("TransactionsCommand", "--bootstrap-server", self.address, *args)
        return [line.split() for line in out.splitlines()[1:]]

    def test_transactional_producer(self):
        """Kafka's own, whose transactions are of version 2: each has an epoch of its own."""
        hub = self.serve()
        hub.leat("topics", "create", "t", "--partitions", "3")
        out = self.tool("ProducerPerformance", "--bootstrap-server", self.address, "--topic", "t", "--num-records", "5000", "--record-size",
                        "100", "--throughput", "-1", "--transactional-id", "perf", "--transaction-duration-ms", "20")
        self.assertRegex(out, "5000 records sent")
        [row] = self.transactions("list")
        self.assertEqual(["perf", "CompleteCommit"], [row[0], row[3]])
        [row] = self.transactions("describe", "--transactional-id", "perf")
        producer, epoch = row[2], int(row[3])
        self.assertGreater(epoch, 0)
        self.assertEqual(5000, len(self.kcat("-C", "-q", "-e", "-t", "t", "-X", "isolation.level=read_committed", "-f", "%o\n").splitlines()))
        # which of the partitions the last transaction wrote to is the producer's affair
        rows = [row for partition in "012" for row in self.transactions("describe-producers", "--topic", "t", "--partition", partition)]
        self.assertEqual([{producer}, epoch, {"None"}], [{row[0] for row in rows}, max(int(row[1]) for row in rows), {row[-1] for row in rows}])

    def late(self, address, name):
        """A batch of a transaction that has ended (an old protocol's, an hour old); the error that it got."""
        s = txn_scenarios.Scene(address, name)
        self.addCleanup(s.wire.close)
        s.now -= 3600000
        s.init("init")
        s.add("add")
        s.produce("data", "a", version=11)
        s.end("end", True, version=3)
        s.until(lambda: s.partition(0)["HighWatermark"] == 2)  # the marker, which is written when EndTxn was answered
        s.produce("late", "late", sequence=1, version=11)
        return s, s.notes[-1][1]

    def test_one_that_hangs_for_ever(self):
        """Nobody coordinates it any more. A Kafka that does not verify partitions makes one; we make none, and find one that was imported."""
        broker = kafka.Broker(self.path("kafka"), more=["transaction.partition.verification.enable=false"]).start()
        try:
            s, error = self.late(broker.bootstrap, "hung")
            self.assertEqual(0, error)
            broker.stop()
        finally:
            if broker.process:
                broker.kill()
        leat("kafka", "import", broker.data, "--data-dir", self.path("data"))
        self.serve()
        _, error = self.late(self.address, "refused")
        self.assertEqual(120, error)  # TRANSACTION_ABORTABLE
        [row] = self.transactions("find-hanging", "--broker-id", "1")
        self.assertEqual([s.topic, "0", str(s.pid), str(s.epoch)], row[:4])
        start = row[5]
        self.kcat("-P", "-t", s.topic, "-p", "0", stdin="behind\n")
        committed = ["-X", "isolation.level=read_committed"]
        self.assertEqual(["a"], [line.split()[-1] for line in self.read(s.topic, *committed)])
        self.transactions("abort", "--topic", s.topic, "--partition", "0", "--start-offset", start)
        self.assertEqual([], self.transactions("find-hanging", "--broker-id", "1"))
        self.assertEqual(["a", "behind"], [line.split()[-1] for line in self.read(s.topic, *committed)])

    def test_one_that_hangs_is_aborted_by_hand(self):
        self.serve()
        s = txn_scenarios.Scene(self.address, "hangs")
        self.addCleanup(s.wire.close)
        s.init("init", timeout=900000)  # it does not end by itself while the tools start
        s.produce("data", "a", "b")
        self.assertEqual([["hangs"]], [row[:1] for row in self.transactions("list", "--duration-filter", "0")])
        self.assertEqual([["hangs"]], [row[:1] for row in self.transactions("list", "--transactional-id-pattern", "ha.*s")])
        self.assertEqual([], self.transactions("list", "--transactional-id-pattern", "ha"))
        [row] = self.transactions("describe-producers", "--topic", s.topic, "--partition", "0")
        self.assertEqual("0", row[-1])
        self.assertEqual([], self.transactions("find-hanging", "--broker-id", "1"))
        self.transactions("abort", "--topic", s.topic, "--partition", "0", "--start-offset", "0")
        [row] = self.transactions("describe-producers", "--topic", s.topic, "--partition", "0")
        self.assertEqual("None", row[-1])
        self.assertEqual([], self.read(s.topic, "-X", "isolation.level=read_committed"))
