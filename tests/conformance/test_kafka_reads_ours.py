"""Files that we wrote, read by Kafka: its dump tool on each kind of file, and its broker on an exported directory."""
import glob
import json
import os
import re
import subprocess

import kafka
from leat import BUILD, Case, LIMIT, leat

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def make_store(directory, *args):
    subprocess.run([os.path.join(BUILD, "tests", "conformance", "make_store"), directory, *args], check=True, timeout=LIMIT)


def value(i, padding=0):
    return None if i % 25 == 24 else "v%d" % i + "." * padding


def committed():
    """Values of one partition of txn that a read_committed reader sees."""
    return [value(10 * i + k) for i in range(10) if i % 3 != 0 for k in range(2)]


class Dump(Case):
    """Kafka's dump-log: with deep iteration every record is decoded and checked against its batch."""

    def setUp(self):
        super().setUp()
        self.data = self.path("data")
        make_store(self.data)

    def files(self, pattern):
        found = sorted(glob.glob(os.path.join(self.data, "logs", pattern)))
        self.assertTrue(found, pattern)
        return found

    def same_as_ours(self, lines, files):
        """Kafka's lines of batches and records are those that leat log dump prints."""
        ours = []
        for path in files:
            ours += leat("log", "dump", "--records", path).stdout.splitlines()
        ours = [re.sub(r" (headerValues|key|group|transactionalId|metadataType): .*", "", x) for x in ours]
        theirs = [re.sub(r" (key|payload): .*", "", x) for x in lines]
        self.assertEqual([x for x in theirs if x.startswith(("baseOffset", "| offset"))],
                         [x for x in ours if x.startswith(("baseOffset", "| offset"))])

    def test_segments(self):
        files = self.files("*/*.log")
        self.assertGreater(len(files), 12)
        shallow = kafka.dump_log(files)
        self.assertNotIn("isvalid: false", "\n".join(shallow))
        batches = [x for x in shallow if x.startswith("baseOffset")]
        self.assertGreater(len(batches), 100)
        deep = kafka.dump_log(files, "--deep-iteration")
        self.assertNotIn("isvalid: false", "\n".join(deep))
        self.assertEqual([x for x in deep if x.startswith("baseOffset")], batches)
        self.same_as_ours(deep, files)
        for codec in CODECS:
            self.assertIn("compresscodec: " + codec, "\n".join(batches))
        self.assertIn("endTxnMarker: ABORT", "\n".join(deep))
        offsets = [int(x.split()[2]) for x in kafka.dump_log(self.files("compacted-0/*.log"), "--deep-iteration")
                   if x.startswith("| offset")]
        self.assertLess(len(offsets), 60, "the cleaner left everything")
        self.assertEqual(offsets, sorted(set(offsets)))

    def test_indexes_and_snapshots(self):
        files = self.files("*/*.index") + self.files("*/*.timeindex")
        self.assertGreater(len(files), 20)
        sane = kafka.dump_log(files, "--index-sanity-check")
        self.assertEqual(sum(x.endswith(("passed sanity check.", "is empty.")) for x in sane), len(files), "\n".join(sane))
        bad = re.compile("mismatch|Mismatch|not found|is not|Out of order|corrupt", re.I)
        for options in (["--verify-index-only"], []):
            self.assertEqual([x for x in kafka.dump_log(files, *options) if bad.search(x)], [])
        entries = kafka.dump_log(self.files("segments-0/*.index"))
        self.assertGreater(sum(x.startswith("offset: ") for x in entries), 30)
        # What is read of these two kinds is what we read ourselves.
        files = self.files("txn-*/*.txnindex")
        ours = [x for f in files for x in leat("log", "dump", f).stdout.splitlines() if x.startswith("version")]
        self.assertEqual([x for x in kafka.dump_log(files) if x.startswith("version")], ours)
        self.assertEqual(len(ours), 8)  # four aborted transactions in each of two partitions
        files = self.files("txn-*/*.snapshot") + self.files("idem-0/*.snapshot")
        theirs = [x for x in kafka.dump_log(files) if x.startswith("producerId")]
        ours = [x for f in files for x in leat("log", "dump", f).stdout.splitlines() if x.startswith("producerId")]
        fields = re.compile(r"(producerId|producerEpoch|coordinatorEpoch|currentTxnFirstOffset|lastTimestamp|lastSequence|"
                            r"lastOffset): (\S+)")
        self.assertEqual([fields.findall(x) for x in theirs], [fields.findall(x) for x in ours])
        self.assertGreater(len(theirs), 3)

    def test_decoders(self):
        offsets = "\n".join(kafka.dump_log(self.files("__consumer_offsets-*/*.log"), "--offsets-decoder"))
        self.assertRegex(offsets, r'"group":"plain","topic":"codec-none","partition":0')
        self.assertRegex(offsets, r'"offset":17')
        states = "\n".join(kafka.dump_log(self.files("__transaction_state-*/*.log"), "--transaction-log-decoder"))
        self.assertIn('"transactionalId":"even"', states)
        self.assertNotIn("ERROR", offsets + states)
        metadata = "\n".join(kafka.dump_log(self.files("__cluster_metadata-0/*.log"), "--cluster-metadata-decoder"))
        self.assertIn('"type":"TOPIC_RECORD","version":0,"data":{"name":"txn"', metadata)
        self.assertIn('"type":"PARTITION_RECORD"', metadata)
        self.assertIn('"name":"segment.bytes","value":"1048576"', metadata)
        self.assertIn('{"resourceType":32,"resourceName":"plain","name":"consumer.session.timeout.ms","value":"50000"}', metadata)
        self.assertNotIn("Could not", metadata)


class Served(Case):
    """A Kafka broker on what we exported: after a clean stop, and after kill -9."""

    def test_a_broker_serves_what_we_wrote(self):
        data = self.path("data")
        make_store(data, "killed")
        broker = kafka.Broker(self.path("kafka"))
        left = [json.loads(x) for x in leat("consume", "compacted", "--exit-at-end", "--format", "json", "--data-dir",
                                            data).stdout.splitlines()]
        self.assertLess(len(left), 60)
        leat("kafka", "export", broker.data, "--data-dir", data)
        broker.start()
        try:
            ends = broker.end_offsets()
            for codec in CODECS:
                self.assertEqual(ends["codec-%s:0" % codec], 200)
            self.assertEqual((ends["txn:0"], ends["txn:1"], ends["idem:0"], ends["segments:0"], ends["trimmed:0"]),
                             (30, 30, 40, 60, 100))
            wanted = sorted(str(value(i)) for i in range(200)) * len(CODECS)
            self.assertEqual(sorted(x if x else "None" for x in self.null(broker.values(1000, "--include", "codec-.*"))),
                             sorted(wanted))
            got = broker.values(2 * len(committed()), "--topic", "txn")
            self.assertEqual(sorted(self.null(got)), sorted(str(v) for v in committed() * 2))
            self.assertEqual(len(broker.values(40, "--topic", "txn", isolation="read_uncommitted")), 40)
            self.assertEqual(self.null(broker.values(40, "--topic", "trimmed")), [str(value(i)) for i in range(60, 100)])
            segments = broker.values(60, "--topic", "segments")
            self.assertEqual(self.null(segments), [str(value(i, 60000)) for i in range(60)])
            compacted = broker.values(len(left), "--topic", "compacted", "--formatter-property", "print.offset=true",
                                      "--formatter-property", "print.key=true")
            self.assertEqual(compacted, ["Offset:%d\t%s\t%s" % (r["offset"], r["key"], r["value"]) for r in left])
            self.assertEqual(broker.offsets_of("plain"), {("codec-none", 0): 17})
            self.assertEqual(broker.offsets_of("txn-group"), {("codec-none", 0): 8})  # 9 was aborted
            self.assertIn("consumer.session.timeout.ms=50000 ", broker.tool("configs", "--describe", "--entity-type", "groups", "--entity-name", "plain"))
            broker.tool("console-producer", "--request-timeout-ms", "60000", "--topic", "idem", stdin="more\n")
            self.assertEqual(broker.end_offsets()["idem:0"], 41)
        finally:
            broker.stop()
        # a broker that starts may be told to load a group's partition before it leads it; it says so as an error, and loads it again
        log = [line for line in broker.log().splitlines() if "Stopped loading records" not in line]
        self.assertNotRegex("\n".join(log), r"ERROR|corrupt|Corrupt")

    @staticmethod
    def null(lines):
        return ["None" if x == "null" else x for x in lines]


if __name__ == "__main__":
    import unittest
    unittest.main()
