"""Consumer groups of librdkafka over a hub that is killed: the generation goes on, offsets never go back."""
from leat import wait_for
from ports import free_port
from rdkafka import Consumer

from .clients import KafkaCase

SESSION = {"session_timeout_ms": 300000}  # none ends because the machine is slow


class Groups(KafkaCase):
    def serve_at(self, **more):
        """At a port that stays the same, as a consumer that lives through a restart must find it again."""
        return self.serve(listeners="PLAINTEXT://127.0.0.1:%d" % free_port(), **dict({"group.initial.rebalance.delay.ms": 0}, **more))

    def produce(self, first, count):
        self.kcat("-P", "-t", "t", "-K", ":", "-X", "partitioner=consistent",
                  stdin="".join("%d:%d\n" % (i, i) for i in range(first, first + count)))

    def poll_all(self, consumers, seen, count):
        """Polls until `count` records have been seen, each once."""
        def enough():
            for consumer in consumers:
                found = consumer.poll(20)
                if found:
                    self.assertNotIn(found[2], seen, "a record came twice")
                    seen[found[2]] = found
            return len(seen) >= count
        wait_for("%d records" % count, enough)
        self.assertEqual(count, len(seen))

    def join(self, n, group="g", **settings):
        consumers = []
        for i in range(n):
            consumers.append(Consumer(self.address, group, ["t"], **dict(SESSION, client_id="c%d" % i, **settings)))
        wait_for("every member's assignment", lambda: [c.poll(20) for c in consumers] and all(c.assigned for c in consumers))
        return consumers

    def committed(self, hub):
        return sum(o["offset"] for o in hub.json("groups", "lag", "g")["offsets"])

    def commit_all(self, consumers):
        """Once the members are connected again."""
        for consumer in consumers:
            wait_for("a commit", lambda c=consumer: c.commit() == 0)

    def test_members_live_through_kills(self):
        hub = self.serve_at()
        hub.leat("topics", "create", "t", "--partitions", "6")
        consumers, seen = self.join(3), {}
        self.produce(0, 60)
        self.poll_all(consumers, seen, 60)
        self.commit_all(consumers)
        generations, members = [c.assigned for c in consumers], [c.member() for c in consumers]
        for n in range(1, 4):
            self.assertEqual(60 * n, self.committed(hub))
            hub.kill()
            hub.start()
            self.assertEqual(60 * n, self.committed(hub))
            self.produce(60 * n, 60)
            self.poll_all(consumers, seen, 60 * (n + 1))  # none twice: nobody began at an older offset
            self.commit_all(consumers)
            self.assertEqual(generations, [c.assigned for c in consumers], "there was a rebalance")
            self.assertEqual(members, [c.member() for c in consumers])
        for consumer in consumers:
            consumer.close()

    def test_a_static_member_keeps_its_assignment(self):
        hub = self.serve_at()
        hub.leat("topics", "create", "t", "--partitions", "4")
        other, one = self.join(1)[0], Consumer(self.address, "g", ["t"], group_instance_id="one", client_id="s", **SESSION)
        wait_for("both members' assignments", lambda: (other.poll(20), one.poll(20)) and one.assigned and other.assigned == 2)
        seen = {}
        self.produce(0, 40)
        self.poll_all([other, one], seen, 40)
        self.commit_all([other, one])
        one.close(leave=False)  # a process that ends; its session goes on
        hub.kill()
        hub.start()
        again = Consumer(self.address, "g", ["t"], group_instance_id="one", client_id="s", **SESSION)
        wait_for("its assignment", lambda: (other.poll(20), again.poll(20)) and again.assigned)
        self.produce(40, 40)
        self.poll_all([other, again], seen, 80)
        self.assertEqual(2, other.assigned, "there was a rebalance")
        again.close()
        other.close()

    def test_tools_show_members(self):
        hub = self.serve_at()
        hub.leat("topics", "create", "t", "--partitions", "4")
        consumers, seen = self.join(2), {}

        def settled():
            for consumer in consumers:
                consumer.poll(20)
            return [len(m["partitions"]) for m in hub.json("groups", "describe", "g")["members"]] == [2, 2]
        wait_for("two partitions for each", settled)
        self.produce(0, 20)
        self.poll_all(consumers, seen, 20)
        self.commit_all(consumers)
        self.produce(20, 5)
        for _ in range(2):
            group = hub.json("groups", "describe", "g")
            self.assertEqual(("Stable", "classic", "range"), (group["state"], group["type"], group["assignor"]))
            self.assertEqual({"c0", "c1"}, {m["client_id"] for m in group["members"]})
            self.assertEqual({c.member() for c in consumers}, {m["member"] for m in group["members"]})
            self.assertEqual([(t, p) for t in ("t",) for p in range(4)],
                             sorted((p["topic"], p["partition"]) for m in group["members"] for p in m["partitions"]))
            self.assertEqual(5, sum(o["lag"] for o in group["offsets"]))
            text = hub.leat("groups", "describe", "g").stdout
            self.assertIn("state Stable", text)
            self.assertEqual(4, sum(c.member() in line for c in consumers for line in text.splitlines()))
            self.assertEqual([("g", "Stable", 2)],
                             [(g["group"], g["state"], len(g["members"])) for g in hub.json("groups", "list")])
            hub.kill()
            hub.start()
        refused = hub.leat("groups", "delete", "g", check=False)
        self.assertNotEqual(0, refused.returncode)
        self.assertIn("has members", refused.stderr)
        self.poll_all(consumers, seen, 25)
        self.commit_all(consumers)  # so they are connected again, and can say that they leave
        for consumer in consumers:
            consumer.close()
        wait_for("the group to be empty", lambda: hub.json("groups", "describe", "g")["state"] == "Empty")
        self.assertRegex(hub.leat("groups", "list").stdout, r"g +Empty +classic +0 +4 +0")
        hub.leat("groups", "delete", "g")
        self.assertEqual([], hub.json("groups", "list"))
