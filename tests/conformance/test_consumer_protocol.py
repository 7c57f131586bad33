"""Groups of Kafka's Java consumer with group.protocol=consumer (KIP-848): what its tools show of them, regular expressions, and a group that moves from the
classic protocol and back, member by member, while records come."""
import json
import re
import signal
import subprocess
import threading

import kafka
from leat import LIMIT, wait_for
from tests.integration.kafka.clients import KafkaCase

PARTITIONS = 4


class Member:
    """A running VerifiableConsumer: what it is assigned, and up to where it read."""

    def __init__(self, case, protocol, group="g", topic="t"):
        properties = {"classic": "heartbeat.interval.ms=300\npartition.assignment.strategy="
                                 "org.apache.kafka.clients.consumer.CooperativeStickyAssignor\n", "consumer": "metadata.max.age.ms=1000\n"}[protocol]
        self.assigned, self.read, self.errors = set(), {}, []
        self.process = subprocess.Popen(
            kafka.java(kafka.TOOLS["verifiable-consumer"], "--bootstrap-server", case.address, "--group-id", group, "--topic", topic, "--group-protocol",
                       protocol, "--reset-policy", "earliest", "--command-config", case.write("%d.properties" % len(case.members), properties)),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        case.members.append(self)
        self.threads = [threading.Thread(target=self.listen, daemon=True),
                        threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True)]
        for t in self.threads:
            t.start()
        case.addCleanup(self.end)

    def listen(self):
        for line in self.process.stdout:
            if not line.startswith("{"):
                continue
            said = json.loads(line)
            named = [(p["topic"], p["partition"]) for p in said.get("partitions", [])]
            if said["name"] == "partitions_assigned":
                self.assigned = self.assigned | set(named)
            elif said["name"] == "partitions_revoked":
                self.assigned = self.assigned - set(named)
            elif said["name"] == "records_consumed":
                for p in said["partitions"]:
                    self.read.setdefault(p["partition"], set()).update(range(p["minOffset"], p["maxOffset"] + 1))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(LIMIT)

    def end(self):
        self.process.kill()
        self.process.wait()
        for t in self.threads:
            t.join(LIMIT)
        self.process.stdout.close()
        self.process.stderr.close()


class ConsumerProtocol(KafkaCase):
    def setUp(self):
        super().setUp()
        self.members = []
        self.produced = [0] * PARTITIONS
        self.hub_ = self.serve(**{"group.initial.rebalance.delay.ms": "0s", "group.consumer.heartbeat.interval.ms": "300ms"})

    def tool(self, name, *args, check=True):
        return kafka.tool(name, "--bootstrap-server", self.address, *args, check=check)

    def produce(self):
        for p in range(PARTITIONS):
            self.hub_.leat("produce", "t", "--partition", str(p), stdin="".join("%d\n" % i for i in range(20)))
            self.produced[p] += 20

    def wait_for_assignments(self, members, least=1):
        """All partitions, each with one of the members, and each of them with some."""
        def fine():
            for m in members:
                if m.process.poll() is not None:
                    raise AssertionError("a member ended: %s" % "".join(m.errors)[-3000:])
            owned = [p for m in members for p in m.assigned]
            return len(owned) == len(set(owned)) == PARTITIONS and all(len(m.assigned) >= least for m in members)
        wait_for("%d members to share" % len(members), fine)

    def kind(self):
        return [line.split()[1] for line in self.tool("groups", "--list").splitlines() if line.split()[:1] == ["g"]]

    def test_what_the_tools_show(self):
        self.hub_.leat("topics", "create", "t", "--partitions", str(PARTITIONS))
        self.produce()
        a, b = Member(self, "consumer"), Member(self, "consumer")
        self.wait_for_assignments([a, b], 2)
        # What a member took it says with its next heartbeat.
        wait_for("the group to be stable", lambda: re.search(r"g +127.0.0.1:\d+ +\(1\) +uniform +Stable +\d+ +\d+ +2", self.tool(
            "consumer-groups", "--describe", "--group", "g", "--state", "--verbose")))
        members = [line.split() for line in self.tool("consumer-groups", "--describe", "--group", "g", "--members", "--verbose").splitlines()
                   if line.startswith("g ")]
        self.assertEqual(2, len(members))
        shown = "".join(self.tool("consumer-groups", "--describe", "--group", "g", "--members", "--verbose"))
        for m in (a, b):
            self.assertIn("t:" + ",".join(str(p) for t, p in sorted(m.assigned)), shown)
        self.assertEqual(["Consumer"], self.kind())
        self.assertIn("g", self.tool("consumer-groups", "--list", "--type", "consumer").split())
        self.assertNotIn("g", self.tool("consumer-groups", "--list", "--type", "classic").split())
        refused = self.tool("consumer-groups", "--delete", "--group", "g", check=False)
        self.assertIn("GroupNotEmptyException", refused)
        b.stop()
        self.wait_for_assignments([a], PARTITIONS)
        a.stop()
        wait_for("the group to be empty", lambda: "Empty" in self.tool("consumer-groups", "--describe", "--group", "g", "--state"))
        self.tool("consumer-groups", "--delete", "--group", "g")
        self.assertEqual([], self.kind())

    def test_a_regular_expression(self):
        for topic in ("log.a", "log.b", "other"):
            self.hub_.leat("topics", "create", topic)
            self.hub_.leat("produce", topic, "--partition", "0", stdin="%s\n" % topic)
        reader = subprocess.Popen(kafka.java(kafka.TOOLS["console-consumer"], "--bootstrap-server", self.address, "--include", "log[.].*", "--group", "r",
                                             "--from-beginning", "--command-property", "group.protocol=consumer", "--command-property",
                                             "metadata.max.age.ms=1000", "--max-messages", "3"), stdout=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (reader.kill(), reader.wait(), reader.stdout.close()))
        got = {reader.stdout.readline().strip(), reader.stdout.readline().strip()}
        self.assertEqual({"log.a", "log.b"}, got)
        self.hub_.leat("topics", "create", "log.c")
        self.hub_.leat("produce", "log.c", "--partition", "0", stdin="log.c\n")
        self.assertEqual("log.c", reader.stdout.readline().strip())

    def test_from_the_classic_protocol_and_back(self):
        self.hub_.leat("topics", "create", "t", "--partitions", str(PARTITIONS))
        self.produce()
        a, b = Member(self, "classic"), Member(self, "classic")
        self.wait_for_assignments([a, b], 2)
        self.assertEqual(["Classic"], self.kind())
        c = Member(self, "consumer")
        self.wait_for_assignments([a, b, c])
        self.assertEqual(["Consumer"], self.kind())
        self.produce()
        a.stop()
        d = Member(self, "consumer")
        self.wait_for_assignments([b, c, d])
        b.stop()
        self.wait_for_assignments([c, d], 2)
        self.produce()
        e = Member(self, "classic")
        self.wait_for_assignments([c, d, e])
        c.stop()
        d.stop()
        self.wait_for_assignments([e], PARTITIONS)
        wait_for("the group to be a classic one", lambda: self.kind() == ["Classic"])
        self.produce()
        wait_for("every record to be read by somebody", lambda: all(
            set().union(*[m.read.get(p, set()) for m in self.members]) == set(range(self.produced[p])) for p in range(PARTITIONS)))
