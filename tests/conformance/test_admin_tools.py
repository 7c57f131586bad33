"""Kafka's own tools for administrators against a hub: what they print is what they print of Kafka, but for names, ids and places."""
import json
import re
import subprocess

import kafka
from leat import LIMIT
from tests.integration.kafka.clients import KafkaCase

kafka.TOOLS.update({
    "acls": "org.apache.kafka.tools.AclCommand",
    "broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "cluster": "org.apache.kafka.tools.ClusterTool",
    "configs": "kafka.admin.ConfigCommand",
    "features": "org.apache.kafka.tools.FeatureCommand",
    "leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
})


class Tools(KafkaCase):
    def tool(self, name, *args):
        return kafka.tool(name, "--bootstrap-server", self.address, *args)

    def refused(self, name, *args):
        """What the tool says that must fail."""
        done = subprocess.run(kafka.java(kafka.TOOLS[name], "--bootstrap-server", self.address, *args), capture_output=True, text=True,
                              timeout=LIMIT)
        self.assertNotEqual(0, done.returncode, done.stdout)
        return done.stdout + done.stderr

    def test_topics(self):
        self.serve()
        self.tool("topics", "--create", "--topic", "t", "--partitions", "2", "--config", "retention.ms=100000")
        self.tool("topics", "--alter", "--topic", "t", "--partitions", "3")
        described = self.tool("topics", "--describe", "--topic", "t").splitlines()
        self.assertRegex(described[0], r"^Topic: t\tTopicId: \S+\tPartitionCount: 3\tReplicationFactor: 1\tConfigs: retention.ms=100000$")
        self.assertEqual(["\tTopic: t\tPartition: %d\tLeader: 1\tReplicas: 1\tIsr: 1\tElr: \tLastKnownElr: " % p for p in range(3)],
                         described[1:])
        self.assertIn("does not exist", self.refused("topics", "--describe", "--topic", "nope"))
        self.assertIn("already exists", self.refused("topics", "--create", "--topic", "t"))
        self.tool("topics", "--delete", "--topic", "t")
        self.assertEqual("", self.tool("topics", "--list").strip())

    def test_configurations(self):
        hub = self.serve()
        hub.leat("topics", "create", "t")
        self.tool("configs", "--alter", "--topic", "t", "--add-config", "cleanup.policy=[compact,delete],retention.ms=5000")
        self.tool("configs", "--alter", "--topic", "t", "--delete-config", "retention.ms")
        self.assertEqual(["Dynamic configs for topic t are:",
                          "  cleanup.policy=compact,delete sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, "
                          "DEFAULT_CONFIG:log.cleanup.policy=delete}"], self.tool("configs", "--describe", "--topic", "t").splitlines())
        self.assertIn("InvalidConfigurationException", self.refused("configs", "--alter", "--topic", "t", "--add-config", "nope=1"))
        brokers, node, cluster = ("--entity-type", "brokers"), ("--entity-name", "1"), ("--entity-default",)
        self.tool("configs", "--alter", *brokers, *cluster, "--add-config", "log.retention.ms=70000")
        self.tool("configs", "--alter", *brokers, *node, "--add-config", "log.retention.ms=60000")
        self.assertEqual(["Default configs for brokers in the cluster are:",
                          "  log.retention.ms=70000 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=70000}"],
                         self.tool("configs", "--describe", *brokers, *cluster).splitlines())
        self.assertEqual(["Dynamic configs for broker 1 are:",
                          "  log.retention.ms=60000 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:log.retention.ms=60000, "
                          "DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=70000}"],
                         self.tool("configs", "--describe", *brokers, *node).splitlines())
        self.assertEqual("60000", {s["name"]: s["value"] for s in hub.json("topics", "describe", "t", "--all")["settings"]}["retention.ms"])
        everything = self.tool("configs", "--describe", *brokers, *node, "--all")
        self.assertIn("\n  auto.create.topics.enable=true sensitive=false", everything)
        self.assertIn("\n  ssl.key.password=null sensitive=true", everything)
        self.tool("configs", "--alter", "--entity-type", "broker-loggers", *node, "--add-config", "root=WARN")
        self.assertIn("root=WARN", self.tool("configs", "--describe", "--entity-type", "broker-loggers", *node))

    def test_configurations_of_groups(self):
        hub = self.serve(**{"group.consumer.session.timeout.ms": "50s", "group.consumer.max.session.timeout.ms": "70s"})
        group = ("--entity-type", "groups", "--entity-name", "g")
        self.assertIn("The group 'g' doesn't exist and doesn't have dynamic config.", self.tool("configs", "--describe", *group))
        self.tool("configs", "--alter", *group, "--add-config", "consumer.heartbeat.interval.ms=6000,consumer.session.timeout.ms=65000")
        self.tool("configs", "--alter", *group, "--delete-config", "consumer.heartbeat.interval.ms")
        own = ["Dynamic configs for group g are:",
               "  consumer.session.timeout.ms=65000 sensitive=false synonyms={DYNAMIC_GROUP_CONFIG:consumer.session.timeout.ms=65000, "
               "STATIC_BROKER_CONFIG:group.consumer.session.timeout.ms=50000, DEFAULT_CONFIG:group.consumer.session.timeout.ms=45000}"]
        self.assertEqual(own, self.tool("configs", "--describe", *group).splitlines())
        self.assertEqual(own, self.tool("configs", "--describe", "--entity-type", "groups").splitlines())
        everything = self.tool("configs", "--describe", *group, "--all")
        self.assertIn("\n  consumer.heartbeat.interval.ms=5000 sensitive=false synonyms={"
                      "DEFAULT_CONFIG:group.consumer.heartbeat.interval.ms=5000}", everything)
        self.assertIn("\n  share.auto.offset.reset=latest sensitive=false", everything)
        for setting in ("nope=1", "consumer.session.timeout.ms=44999", "share.auto.offset.reset=earliest"):
            self.assertIn("InvalidConfigurationException", self.refused("configs", "--alter", *group, "--add-config", setting))
        hub.stop()
        hub.start()
        self.find(hub)
        self.assertEqual(own, self.tool("configs", "--describe", *group).splitlines())

    def test_what_the_cluster_is(self):
        hub = self.serve()
        hub.leat("topics", "create", "t", "--partitions", "2")
        hub.leat("produce", "t", "--partition", "1", stdin="a record\n")
        dirs = json.loads(self.tool("log-dirs", "--describe", "--topic-list", "t").splitlines()[-1])["brokers"][0]["logDirs"]
        sizes = {p["partition"]: p["size"] for p in dirs[0]["partitions"]}
        self.assertEqual(({"t-0", "t-1"}, 0), (set(sizes), sizes["t-0"]))
        self.assertLess(0, sizes["t-1"])
        quorum = self.tool("metadata-quorum", "describe", "--status")
        self.assertRegex(quorum, r"LeaderId: +1\n")
        self.assertRegex(quorum, r"CurrentObservers: +\[\]")
        self.assertRegex(self.tool("metadata-quorum", "describe", "--replication"), r"\n1 +\t\S+\t\d+ +\t0 .*\tLeader")
        self.assertRegex(self.tool("features", "describe"), r"metadata.version .*FinalizedVersionLevel: 4.3-IV0")
        offered = self.tool("broker-api-versions")
        self.assertIn("DescribeConfigs(32): 1 to 4 [usable: 4]", offered)
        self.assertNotIn("UNKNOWN", offered)
        cluster = subprocess.run(kafka.java(kafka.TOOLS["cluster"], "cluster-id", "--bootstrap-server", self.address), capture_output=True,
                                 text=True, timeout=LIMIT)
        self.assertRegex(cluster.stdout, r"^Cluster ID: \S{22}\n$")

    def test_what_there_is_none_of(self):
        hub = self.serve()
        hub.leat("topics", "create", "t")
        self.assertIn("No Authorizer is configured", self.refused("acls", "--list"))
        self.assertEqual("No partition reassignments found.", self.tool("reassign-partitions", "--list").strip())
        plan = self.write("plan.json", json.dumps({"version": 1, "partitions": [{"topic": "t", "partition": 0, "replicas": [1]}]}))
        self.assertIn("Successfully started partition reassignment", self.tool("reassign-partitions", "--execute",
                                                                               "--reassignment-json-file", plan))
        self.assertIn("Valid replica already elected", self.tool("leader-election", "--election-type", "preferred", "--topic", "t",
                                                                 "--partition", "0"))
        self.assertEqual("", re.sub(r"\s", "", self.tool("configs", "--describe", "--entity-type", "users")))
