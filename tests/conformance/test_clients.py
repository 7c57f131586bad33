"""Real clients against a hub: records of each written by all and read by all, groups, transactions, administration."""
import json
import re
import subprocess
import unittest

import clients
from leat import LIMIT, wait_for
from tests.integration.kafka.clients import KafkaCase

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
START = 1700000000000


def sample():
    """Records that differ in what clients are known to get wrong; their values tell who is who."""
    def record(partition, key, value, headers=()):
        records.append({"partition": partition, "key": key, "value": value, "headers": [list(h) for h in headers],
                        "timestamp": START + 1000 * len(records)})
    records = []
    for p in range(3):
        record(p, "key %d" % p, "value %d" % p)
        record(p, None, "no key")
        record(p, "deleted", None)
        record(p, "", "")
        record(p, "ключ 鍵", "überall 🙂")
        record(p, "one", "header", [("name", "value")])
        record(p, "many", "headers", [("twice", "1"), ("twice", "2"), ("empty", "")])
        record(p, "null", "header", [("nothing", None)])
        record(p, "long", "".join("%d of many, " % i for i in range(3000)))
    records[4]["timestamp"] = START - 5000  # earlier than those before it
    return records


def offsets_of(hub, group):
    """(topic, partition, committed offset) of a group, in order."""
    return [(o["topic"], o["partition"], o["offset"]) for o in hub.json("groups", "lag", group)["offsets"]]


class Matrix(KafkaCase):
    def test_what_any_client_writes_every_client_reads(self):
        """Every codec, every writer, every reader."""
        hub = self.serve()
        present = clients.present(self)
        wanted = {}
        for writer in present:
            records = [r for r in sample() if writer.can_write(r)]
            for codec in CODECS:
                topic = "%s-%s" % (writer.name, codec)
                hub.leat("topics", "create", topic, "--partitions", "3", "--config", "retention.ms=-1")  # what is old stays, however long it takes
                for p in range(3):
                    mine = [r for r in records if r["partition"] == p]
                    wanted[topic, p] = [dict(r, topic=topic, offset=i) for i, r in enumerate(mine)]
            writer.write(self.address, writer.name, CODECS, records, hub)
        self.are_compressed(hub, sorted({t for t, _ in wanted}))
        # kcat has no way to say when, so what it wrote is as old as the first reader found it to be
        for reader in present:
            got = {place: [] for place in wanted}
            for r in reader.read(self.address, sum(len(w) for w in wanted.values()), sorted({t for t, _ in wanted}), hub):
                got[r["topic"], r["partition"]].append(r)
            for place, records in wanted.items():
                with self.subTest(writer=place[0], reader=reader.name):
                    if place[0].startswith("kcat-") and reader is present[0]:
                        for w, r in zip(records, got[place]):
                            w["timestamp"] = r["timestamp"]
                    self.assertEqual(records, got[place])

    def are_compressed(self, hub, topics):
        """A topic's batches have the codec that its name ends with, or none where a client saw that it does not pay."""
        for topic in topics:
            files = [self.path("data", "logs", "%s-%d" % (topic, p), "%020d.log" % 0) for p in range(3)]
            lines = hub.leat("log", "dump", *files).stdout
            codec, found = topic.rpartition("-")[2], set(re.findall(r"compresscodec: (\w+)", lines))
            self.assertTrue(codec in found and found <= {codec, "none"}, "%s: %s" % (topic, found))


class Groups(KafkaCase):
    def run_group(self, client, *more):
        """Members come and go; each record is seen by one of them, and what is committed is the end."""
        hub = self.serve(**{"group.initial.rebalance.delay.ms": "0s"})
        hub.leat("topics", "create", "t", "--partitions", "4")
        first = client.member(self, self.address, "g", "t", *more)
        first.wait_for(lambda m: m.assigned == [0, 1, 2, 3])
        sent = self.produce(hub, 0)
        first.wait_for(lambda m: len(m.records) == len(sent))
        second = client.member(self, self.address, "g", "t", *more)
        wait_for("both to have two", lambda: len(first.assigned) == 2 and sorted(first.assigned + second.assigned) == [0, 1, 2, 3])
        sent += self.produce(hub, 1)
        wait_for("all records", lambda: {r["value"] for r in first.records + second.records} == set(sent))
        self.assertTrue(second.records)
        first.stop()
        second.wait_for(lambda m: m.assigned == [0, 1, 2, 3])
        sent += self.produce(hub, 2)
        wait_for("the rest", lambda: {r["value"] for r in first.records + second.records} == set(sent))
        second.stop()
        self.assertEqual(sorted(sent), sorted(r["value"] for r in first.records + second.records))
        self.assertEqual([("t", p, 15) for p in range(4)], offsets_of(hub, "g"))

    def produce(self, hub, turn):
        lines = [{"partition": p, "value": "%d-%d-%d" % (turn, p, i)} for p in range(4) for i in range(5)]
        hub.leat("produce", "t", "--format", "json", stdin="".join(json.dumps(line) + "\n" for line in lines))
        return [line["value"] for line in lines]


class Transactions(KafkaCase):
    def run_transactions(self, client):
        hub = self.serve()
        hub.leat("topics", "create", "out")
        hub.leat("topics", "create", "in")
        hub.leat("produce", "in", stdin="".join("%d\n" % i for i in range(10)))
        client.run(["txn", self.address, "out", "g", "in"])
        self.assertEqual(["kept %d" % i for i in range(10)] + ["kept too"], hub.values("out"))
        everything = hub.leat("consume", "out", "--exit-at-end", "--isolation", "read_uncommitted").stdout.splitlines()
        self.assertEqual(31, len(everything))
        self.assertEqual([("in", 0, 5)], offsets_of(hub, "g"))
        reader = clients.named("confluent-kafka") or client
        got = [r["value"] for r in reader.read(self.address, 11, ["out"], hub)]
        self.assertEqual(hub.values("out"), got)


class Administration(KafkaCase):
    def run_admin(self, client):
        hub = self.serve()
        hub.leat("topics", "create", "in")
        hub.leat("produce", "in", stdin="".join("%d\n" % i for i in range(10)))
        self.kcat("-G", "g", "-c", "5", "-q", "-X", "auto.offset.reset=earliest", "in")
        wait_for("kcat to have left", lambda: hub.json("groups", "describe", "g")["state"] == "Empty")
        found = client.run(["admin", self.address, "made", "g", "in"])[0]
        wanted = {"retention": ["86400000", "3600000"], "partitions": 4, "low": 3, "listed": True, "state": "Empty",
                  "offsets": [["in", 0, 5]], "left": False}
        self.assertEqual({k: v for k, v in wanted.items() if k not in client.cannot}, found)
        self.assertEqual([str(i) for i in range(0 if "low" in client.cannot else 3, 10)], hub.values("in"))
        self.assertEqual(["in"], [t["name"] for t in hub.json("topics", "list") if not t["name"].startswith("__")])


def add(case, what, run, client, *more):
    def test(self):
        client.need(self)
        getattr(self, run)(client, *more)
    name = "test_%s_%s" % (what, re.sub(r"\W", "_", client.name))
    test.__name__ = name
    test.__doc__ = "%s: %s" % (client.name, what)
    setattr(case, name, test)


for one in clients.ALL:
    if one.has("group"):
        add(Groups, "group", "run_group", one)
    if one.has("consumer"):
        add(Groups, "consumer_group", "run_group", one, "consumer")
    if one.has("txn"):
        add(Transactions, "transactions", "run_transactions", one)
    if one.has("admin"):
        add(Administration, "administration", "run_admin", one)

if __name__ == "__main__":
    unittest.main()
