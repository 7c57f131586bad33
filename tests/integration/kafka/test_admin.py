"""librdkafka's admin client and the hub: topics, partitions, configurations, which hold at once and after a kill."""
import json
import subprocess

from leat import LIMIT
from rdadmin import BROKER, DEFAULT, OF_FILE, OF_NODE, OF_TOPIC, TOPIC, Admin, Refused
from .clients import KafkaCase


class AdminCase(KafkaCase):
    def admin(self):
        admin = Admin(self.address)
        self.addCleanup(admin.close)
        return admin

    def refused(self, code, call, *args, **more):
        with self.assertRaises(Refused) as seen:
            call(*args, **more)
        self.assertEqual(code, seen.exception.code)

    def too_large(self, topic, size):
        done = subprocess.run(["kcat", "-b", self.address, "-P", "-t", topic, "-p", "0", "-X", "request.required.acks=-1"],
                              input="x" * size + "\n", capture_output=True, text=True, timeout=LIMIT)
        return "too large" in done.stderr


class Configurations(AdminCase):
    def test_a_topic_goes_by_its_settings_at_once(self):
        hub = self.serve()
        admin = self.admin()
        admin.create_topic("t", 1)
        self.assertEqual(("1048588", DEFAULT), admin.describe_configs(TOPIC, "t")["max.message.bytes"])
        self.assertFalse(self.too_large("t", 5000))
        admin.alter_configs(TOPIC, "t", max__message__bytes=1000, cleanup__policy="compact,delete")
        self.assertTrue(self.too_large("t", 5000))
        hub.kill()
        hub.start()
        self.find(hub)
        admin = self.admin()
        now = admin.describe_configs(TOPIC, "t")
        self.assertEqual(("1000", OF_TOPIC), now["max.message.bytes"])
        self.assertEqual(("compact,delete", OF_TOPIC), now["cleanup.policy"])
        self.assertTrue(self.too_large("t", 5000))
        admin.alter_configs(TOPIC, "t", retention__ms=60000) # what is not named goes
        self.assertFalse(self.too_large("t", 5000))
        self.assertEqual(("delete", DEFAULT), admin.describe_configs(TOPIC, "t")["cleanup.policy"])
        self.refused(40, admin.alter_configs, TOPIC, "t", retention__ms="soon")
        self.refused(40, admin.alter_configs, TOPIC, "t", nobody__knows="1")
        self.refused(3, admin.alter_configs, TOPIC, "nope", retention__ms="1")
        self.refused(3, admin.describe_configs, TOPIC, "nope")

    def test_the_broker_has_the_id_that_it_was_given(self):
        self.serve(**{"node.id": 0})
        admin = self.admin()
        admin.create_topic("t", 1)
        self.assertIn("broker 0 at %s (controller)" % self.address, self.kcat("-L"))
        self.assertIn("partition 0, leader 0, replicas: 0, isrs: 0", self.kcat("-L", "-t", "t"))
        self.kcat("-P", "-t", "t", stdin="1\n")
        self.assertEqual("1\n", self.kcat("-G", "g", "-q", "-e", "t", "-X", "auto.offset.reset=earliest"))
        self.assertEqual(("0", OF_FILE), admin.describe_configs(BROKER, "0")["node.id"])

    def test_defaults_of_all_topics_change_while_the_hub_runs(self):
        hub = self.serve(**{"message.max.bytes": "3000", "num.io.threads": 5})
        admin = self.admin()
        admin.create_topic("t", 1)
        before = admin.describe_configs(BROKER, "1")
        self.assertEqual(("3000", OF_FILE), before["message.max.bytes"])
        self.assertEqual(("5", OF_FILE), before["num.io.threads"])
        self.assertEqual(("168", DEFAULT), before["log.retention.hours"])
        self.assertTrue(self.too_large("t", 5000))
        admin.alter_configs(BROKER, "1", message__max__bytes=9000)
        self.assertFalse(self.too_large("t", 5000))
        hub.kill()
        hub.start()
        self.find(hub)
        admin = self.admin()
        self.assertFalse(self.too_large("t", 5000))
        self.assertEqual(("9000", OF_NODE), admin.describe_configs(BROKER, "1")["message.max.bytes"])
        self.assertEqual(("9000", OF_NODE), admin.describe_configs(TOPIC, "t")["max.message.bytes"])
        self.refused(42, admin.alter_configs, BROKER, "1", num__io__threads=1)
        admin.alter_configs(BROKER, "1")
        self.assertTrue(self.too_large("t", 5000))


class Topics(AdminCase):
    def test_topics_and_partitions(self):
        self.serve()
        admin = self.admin()
        admin.create_topic("t", 2)
        self.refused(36, admin.create_topic, "t", 2)
        self.refused(17, admin.create_topic, "not good", 2)
        admin.create_partitions("t", 5)
        self.refused(37, admin.create_partitions, "t", 5)
        self.refused(3, admin.create_partitions, "nope", 5)
        self.assertEqual([5], [len(t["partitions"]) for t in json.loads(self.kcat("-L", "-J"))["topics"]])
        admin.delete_topic("t")
        self.refused(3, admin.delete_topic, "t")
        self.assertEqual([], json.loads(self.kcat("-L", "-J"))["topics"])
