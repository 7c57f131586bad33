"""A group's members in __consumer_offsets: what Kafka wrote we describe after an import, what we wrote Kafka describes after an export."""

import kafka
from leat import Case, leat, wait_for
from ports import free_port
from rdkafka import Consumer


class GroupRecords(Case):
    def setUp(self):
        super().setUp()
        self.broker = kafka.Broker(self.path("kafka"))

    def tearDown(self):
        if self.broker.process:
            self.broker.kill()
        super().tearDown()

    def member_of(self, bootstrap):
        """A member with a long session, which does not leave; its id."""
        consumer = Consumer(bootstrap, "g", ["t"], client_id="me", session_timeout_ms=600000, max_poll_interval_ms=600000)
        wait_for("its assignment", lambda: consumer.poll(50) or consumer.assigned)
        return consumer, consumer.member()

    def hub_at(self, data=None):
        port = free_port()
        hub = self.hub("hub:\n  listeners: PLAINTEXT://127.0.0.1:%d\n  group.initial.rebalance.delay.ms: 0\n" % port, start=False)
        hub.data = data or hub.data
        hub.start()
        return hub, "127.0.0.1:%d" % port

    def test_kafka_wrote_it(self):
        self.broker.start()
        self.broker.tool("topics", "--create", "--topic", "t", "--partitions", "3")
        consumer, member = self.member_of(self.broker.bootstrap)
        self.broker.stop()
        consumer.close(leave=False)
        leat("kafka", "import", self.broker.data, "--data-dir", self.path("imported"))
        hub, _ = self.hub_at(self.path("imported"))
        group = hub.json("groups", "describe", "g")
        self.assertEqual("Stable", group["state"])
        self.assertEqual([(member, "me")], [(m["member"], m["client_id"]) for m in group["members"]])
        self.assertEqual([0, 1, 2], [p["partition"] for p in group["members"][0]["partitions"]])

    def test_we_wrote_it(self):
        hub, address = self.hub_at()
        hub.leat("topics", "create", "t", "--partitions", "3")
        consumer, member = self.member_of(address)
        generation = hub.json("groups", "describe", "g")["generation"]
        hub.stop()
        consumer.close(leave=False)
        leat("kafka", "export", self.broker.data, "--data-dir", hub.data)
        self.broker.start()
        wait_for("Kafka to have loaded the group", lambda: member in self.broker.tool(
            "consumer-groups", "--describe", "--members", "--verbose", "--group", "g"))
        state = self.broker.tool("consumer-groups", "--describe", "--state", "--group", "g")
        self.assertIn("Stable", state)
        self.assertIn("range", state)
        self.assertGreater(generation, 0)
