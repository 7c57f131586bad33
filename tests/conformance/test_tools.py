"""Kafka's own command-line tools against a hub: what they print is what they print of a Kafka broker."""
import json
import re
import subprocess

import kafka
from leat import LIMIT
from tests.integration.kafka.clients import KafkaCase


class Tools(KafkaCase):
    def setUp(self):
        super().setUp()
        self.hub_ = self.serve(**{"group.initial.rebalance.delay.ms": "0s"})

    def tool(self, name, *args, check=True):
        return kafka.tool(name, "--bootstrap-server", self.address, *args, check=check)

    def rows(self, text, first):
        """Fields of the table's lines that begin with `first`."""
        return [line.split() for line in text.splitlines() if line.split()[:1] == [first]]

    def fill(self, topic, count):
        self.hub_.leat("produce", topic, "--partition", "0", stdin="".join("%d\n" % i for i in range(count)))

    def test_topics_and_configs(self):
        self.tool("topics", "--create", "--topic", "t", "--partitions", "2", "--config", "retention.ms=86400000")
        self.tool("topics", "--alter", "--topic", "t", "--partitions", "3")
        described = self.tool("topics", "--describe", "--topic", "t")
        self.assertRegex(described, r"PartitionCount: 3\s+ReplicationFactor: 1\s+Configs: .*retention.ms=86400000")
        self.assertRegex(described, r"Partition: 2\s+Leader: 1\s+Replicas: 1\s+Isr: 1")
        entity = ["--entity-type", "topics", "--entity-name", "t"]
        self.tool("configs", "--alter", *entity, "--add-config", "retention.ms=3600000,max.message.bytes=2000000")
        self.tool("configs", "--alter", *entity, "--delete-config", "retention.ms")
        found = self.tool("configs", "--describe", *entity)
        self.assertIn("max.message.bytes=2000000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:max.message.bytes=2000000", found)
        self.assertNotIn("retention.ms", found)
        self.assertIn("retention.ms=604800000", self.tool("configs", "--describe", "--all", *entity))
        self.tool("topics", "--delete", "--topic", "t")
        self.assertNotIn("t", self.tool("topics", "--list").split())

    def test_records(self):
        self.hub_.leat("topics", "create", "t", "--partitions", "2")
        sent = self.tool("verifiable-producer", "--topic", "t", "--max-messages", "100", "--acks", "-1", "--repeating-keys", "10")
        self.assertEqual(100, sent.count('"producer_send_success"'))
        self.assertIn('"acked":100', sent)
        ends = dict(line.rsplit(":", 1) for line in self.tool("get-offsets", "--topic", "t").split())
        self.assertEqual(100, sum(int(n) for n in ends.values()))
        read = self.tool("verifiable-consumer", "--topic", "t", "--group-id", "g", "--max-messages", "100", "--reset-policy", "earliest")
        self.assertRegex(read, r'"name":"offsets_committed".*"success":true')
        self.assertEqual(100, sum(p["count"] for line in read.splitlines() if '"records_consumed"' in line for p in json.loads(line)["partitions"]))
        self.fill("t", 10)
        place = self.write("delete.json", json.dumps({"version": 1, "partitions": [{"topic": "t", "partition": 0, "offset": 5}]}))
        self.assertIn("low_watermark: 5", self.tool("delete-records", "--offset-json-file", place))
        self.assertIn("t:0:5", self.tool("get-offsets", "--topic", "t", "--time", "earliest").split())

    def test_performance(self):
        self.hub_.leat("topics", "create", "t")
        sent = self.tool("producer-perf-test", "--topic", "t", "--num-records", "2000", "--record-size", "100", "--throughput", "-1")
        self.assertIn("2000 records sent", sent)
        read = self.tool("consumer-perf-test", "--topic", "t", "--num-records", "2000", "--timeout", "%d" % (1000 * LIMIT))
        self.assertEqual("2000", read.splitlines()[-1].split(", ")[4])

    def test_groups(self):
        self.hub_.leat("topics", "create", "t")
        self.fill("t", 10)
        for protocol in ("classic", "consumer"):
            name = "g-" + protocol
            got = self.tool("console-consumer", "--topic", "t", "--group", name, "--max-messages", "10", "--from-beginning", "--timeout-ms",
                            "%d" % (1000 * LIMIT), "--command-property", "group.protocol=" + protocol)
            self.assertEqual([str(i) for i in range(10)], got.splitlines())
            self.assertEqual([name, "t", "0", "10", "10", "0"], self.rows(self.tool("consumer-groups", "--describe", "--group", name), name)[0][:6])
            self.assertIn("Empty", self.tool("consumer-groups", "--describe", "--group", name, "--state"))
            self.assertEqual([[name, protocol.capitalize(), "consumer"]], self.rows(self.tool("groups", "--list"), name))
            self.assertEqual([[name, "t", "0", "2"]],
                             self.rows(self.tool("consumer-groups", "--reset-offsets", "--group", name, "--topic", "t", "--shift-by", "-8", "--execute"), name))
            self.tool("consumer-groups", "--delete", "--group", name)
        self.assertEqual("", self.tool("consumer-groups", "--list").strip())

    def test_transactions(self):
        self.hub_.leat("topics", "create", "t")
        self.tool("producer-perf-test", "--topic", "t", "--num-records", "100", "--record-size", "100", "--throughput", "-1",
                  "--transactional-id", "perf", "--transaction-duration-ms", "10")
        listed = self.rows(self.tool("transactions", "list"), "perf")
        self.assertEqual(["1", "CompleteCommit"], listed[0][1:2] + listed[0][3:4])
        self.assertIn("CompleteCommit", self.tool("transactions", "describe", "--transactional-id", "perf"))
        producers = self.tool("transactions", "describe-producers", "--topic", "t", "--partition", "0").splitlines()
        self.assertEqual([listed[0][2]], [line.split()[0] for line in producers[1:]])
        self.assertEqual(1, len(self.tool("transactions", "find-hanging", "--broker-id", "1").splitlines()))

    def test_the_cluster(self):
        versions = self.tool("broker-api-versions")
        for api in ("Produce(0)", "Fetch(1)", "ApiVersions(18)", "ConsumerGroupHeartbeat(68)", "DescribeTopicPartitions(75)"):
            self.assertRegex(versions, re.escape(api) + r": [\d to]+ \[usable: \d+\]")
        self.hub_.leat("topics", "create", "t")
        dirs = json.loads(self.tool("log-dirs", "--describe", "--topic-list", "t").splitlines()[-1])
        self.assertEqual(["t-0"], [p["partition"] for d in dirs["brokers"][0]["logDirs"] for p in d["partitions"]])
        self.assertRegex(self.tool("metadata-quorum", "describe", "--status"), r"LeaderId: +1\n")
        self.assertEqual("Leader", self.tool("metadata-quorum", "describe", "--replication").split()[-1])
        self.assertIn("Feature: transaction.version", self.tool("features", "describe"))
        cluster = kafka.tool("cluster", "cluster-id", "--bootstrap-server", self.address)
        self.assertRegex(cluster, r"Cluster ID: \S{22}\n")
        self.assertIn("already elected", self.tool("leader-election", "--election-type", "PREFERRED", "--topic", "t", "--partition", "0"))
        refused = subprocess.run(kafka.java(kafka.TOOLS["acls"], "--bootstrap-server", self.address, "--list"), capture_output=True, text=True,
                                 timeout=LIMIT)
        self.assertIn("No Authorizer is configured", refused.stdout + refused.stderr)
