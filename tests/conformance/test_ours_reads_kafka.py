"""Directories that a Kafka broker wrote, stopped cleanly and killed: what we import is what Kafka served, and Kafka's own
directory is as it was."""
import hashlib
import json
import os

import kafka
import rdkafka
from leat import Case, leat

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def fingerprint(directory):
    """{name: hash} of every file."""
    found = {}
    for top, _, names in os.walk(directory):
        for name in names:
            with open(os.path.join(top, name), "rb") as f:
                found[os.path.join(top, name)] = hashlib.sha256(f.read()).hexdigest()
    return found


class Import(Case):
    def setUp(self):
        super().setUp()
        self.broker = kafka.Broker(self.path("kafka"))

    def tearDown(self):
        if self.broker.process:
            self.broker.kill()
        super().tearDown()

    # ---- what Kafka is made to write

    def create(self, topic, partitions, *settings):
        args = [x for s in settings for x in ("--config", s)]
        self.broker.tool("topics", "--create", "--topic", topic, "--partitions", str(partitions), *args)

    def fill(self):
        self.create("mixed", 2, "retention.ms=-1", "min.insync.replicas=1", "segment.bytes=1048576")
        self.create("txn", 1, "retention.ms=-1", "index.interval.bytes=100")
        for codec in CODECS:
            self.broker.tool("console-producer", "--request-timeout-ms", "60000", "--topic", "mixed", "--compression-codec", codec, "--reader-property",
                             "parse.key=true", "--reader-property", "key.separator=|",
                             stdin="".join("%s-%d|value %d of %s\n" % (codec, i, i, codec) for i in range(50)))
        self.broker.tool("console-producer", "--request-timeout-ms", "60000", "--topic", "mixed", "--reader-property", "parse.headers=true",
                         "--reader-property", "parse.key=true", "--reader-property", "null.marker=NULL",
                         stdin="a:1,b:\tkey\tvalue\na:2\tNULL\tNULL\n")
        self.transactions(0)
        self.broker.values(20, "--topic", "mixed", "--group", "readers")
        self.broker.tool("configs", "--alter", "--entity-type", "groups", "--entity-name", "readers", "--add-config",
                         "consumer.session.timeout.ms=50000")

    def transactions(self, first):
        """Records <first>..., every third transaction aborted; each is flushed, so that aborted data is in the log."""
        producer = rdkafka.Producer(self.broker.bootstrap, "pump")
        for i in range(first, first + 9):
            producer.begin()
            for k in range(5):
                producer.produce("txn", 0, "%s%d.%d" % ("aborted" if i % 3 == 0 else "kept", i, k), key=str(i))
            producer.flush()
            producer.abort() if i % 3 == 0 else producer.commit()
        producer.close()

    # ---- what both sides see

    def kafka_sees(self, topic, count, isolation):
        """Sorted (partition, offset, timestamp, key, value, headers) as the console consumer prints them."""
        lines = self.broker.values(count, "--topic", topic, *[x for p in (
            "print.partition=true", "print.offset=true", "print.timestamp=true", "print.key=true", "print.headers=true",
            "key.separator=\x01", "headers.separator=;", "null.literal=\x02") for x in ("--formatter-property", p)],
            isolation=isolation)
        return sorted(tuple(x.split("\x01")) for x in lines)

    def we_see(self, data, topic, isolation):
        out = leat("consume", topic, "--exit-at-end", "--format", "json", "--isolation", isolation, "--data-dir", data).stdout
        records = [json.loads(x) for x in out.splitlines()]

        def text(v):
            return "\x02" if v is None else v

        return sorted((("CreateTime:%d" % r["timestamp"]), "Partition:%d" % r["partition"], "Offset:%d" % r["offset"],
                       ";".join("%s:%s" % (h["key"], text(h["value"])) for h in r["headers"]) or "NO_HEADERS",
                       text(r["key"]), text(r["value"])) for r in records)

    def observe(self):
        """Everything that Kafka says, to be compared after the import."""
        ends = self.broker.end_offsets()
        seen = {("mixed", "read_uncommitted"): None, ("txn", "read_committed"): None, ("txn", "read_uncommitted"): None}
        transactions = ends["txn:0"] // 6  # five records and a marker each
        counts = {("mixed", "read_uncommitted"): ends["mixed:0"] + ends["mixed:1"],
                  ("txn", "read_committed"): transactions // 3 * 2 * 5, ("txn", "read_uncommitted"): transactions * 5}
        for (topic, isolation) in seen:
            seen[topic, isolation] = self.kafka_sees(topic, counts[topic, isolation], isolation)
        groups = self.broker.offsets_of("readers")
        return self.broker.end_offsets(), seen, groups  # the ends last: reading writes to __consumer_offsets

    def check(self, data, observed):
        before = fingerprint(self.broker.data)
        done = leat("kafka", "import", self.broker.data, "--data-dir", data)
        self.assertEqual(fingerprint(self.broker.data), before)
        ends, seen, groups = observed
        for line in done.stderr.splitlines():  # what stays behind is the brokers', nothing of the topics
            self.assertRegex(line, r"^leat: note: (\d+ topics have no retention\.ms|[a-z.]+=\S* of Kafka's brokers is left out)")
        for name, partition in [x.rsplit(":", 1) for x in ends]:
            topic = json.loads(leat("topics", "describe", name, "--output", "json", "--data-dir", data).stdout)
            self.assertEqual(topic["partitions"][int(partition)]["high_watermark"], ends["%s:%s" % (name, partition)], name)
        for (topic, isolation), records in seen.items():
            self.assertEqual(self.we_see(data, topic, isolation), records, (topic, isolation))
        lag = json.loads(leat("groups", "lag", "readers", "--output", "json", "--data-dir", data).stdout)
        self.assertEqual({(o["topic"], o["partition"]): o["offset"] for o in lag["offsets"]}, groups)
        topic = json.loads(leat("topics", "describe", "mixed", "--output", "json", "--data-dir", data).stdout)
        self.assertEqual(topic["config"]["segment.bytes"], "1048576")
        metadata = leat("log", "dump", "--records", os.path.join(data, "logs", "__cluster_metadata-0", "%020d.log" % 0)).stdout
        self.assertRegex(metadata, r'(?m)^.*readers.*consumer\.session\.timeout\.ms.*50000.*$')
        fsck = json.loads(leat("fsck", "--output", "json", "--data-dir", data).stdout.splitlines()[-1])["summary"]
        self.assertEqual((fsck["errors"], fsck["warnings"]), (0, 0))
        leat("produce", "mixed", "--partition", "0", "--data-dir", data, stdin="ours\n")
        self.assertEqual(len(self.we_see(data, "mixed", "read_uncommitted")), len(seen["mixed", "read_uncommitted"]) + 1)

    def test_what_kafka_served_is_what_we_serve(self):
        self.broker.start()
        self.fill()
        refused = leat("kafka", "import", self.broker.data, "--data-dir", self.path("early"), check=False)
        self.assertEqual(refused.returncode, 5)
        self.assertIn("pid %d" % self.broker.process.pid, refused.stderr)
        observed = self.observe()
        self.broker.stop()
        self.check(self.path("clean"), observed)
        self.broker.start()  # on what was only read
        self.transactions(9)
        observed = self.observe()
        self.broker.kill()
        self.check(self.path("killed"), observed)


if __name__ == "__main__":
    import unittest
    unittest.main()
