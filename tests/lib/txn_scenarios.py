"""What a broker answers to transactions' raw requests: scenarios that are run against Kafka and against us. Kafka 4.3.1's answers are in
tests/integration/kafka/txn_answers.json.

A scenario asks and notes; what differs from run to run (producer ids, times) is noted by what it is equal to. 51, which says
to come again, is followed where a scenario is not about it.
"""
import json
import sys
import time

from leat import LIMIT
from wire import Wire, batch, values_of

BUSY = {14, 15, 16, 51}  # the coordinator starts, or completes what went before


class Scene:
    """One connection with a transactional id, a topic and a group of the scenario's own."""

    def __init__(self, address, name):
        self.name, self.notes, self.ids = name, [], {}
        self.connect(address)
        self.pid, self.epoch, self.topic, self.group = -1, -1, "t-" + name, "g-" + name
        self.now = int(time.time() * 1000)
        made = self.wire.ask("CreateTopics", 7, TimeoutMs=30000, Topics=[
            {"Name": self.topic, "NumPartitions": 2, "ReplicationFactor": 1}])
        assert made["Topics"][0]["ErrorCode"] in (0, 36), made
        self.topic_id = made["Topics"][0]["TopicId"]
        for kind in (0, 1):
            self.until(lambda: self.wire.ask("FindCoordinator", 4, KeyType=kind, CoordinatorKeys=[self.name])["Coordinators"][0]["ErrorCode"] == 0)
        self.until(lambda: self.partition(0)["ErrorCode"] == 0 and self.partition(1)["ErrorCode"] == 0)

    def connect(self, address):
        """Anew, for instance after the broker was killed."""
        self.wire = Wire(address)

    def until(self, condition):
        end = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.005)

    def partition(self, n, bytes=1, isolation=0):
        r = self.wire.ask("Fetch", 11, MaxWaitMs=0, MinBytes=0, IsolationLevel=isolation, Topics=[{"Topic": self.topic, "Partitions": [
            {"Partition": n, "FetchOffset": 0, "PartitionMaxBytes": bytes}]}])
        return r["Responses"][0]["Partitions"][0]

    def id_of(self, pid):
        """Producer ids in the order of their appearance."""
        return pid if pid < 0 else "pid%d" % self.ids.setdefault(pid, len(self.ids))

    def note(self, label, *values):
        self.notes.append((label,) + values)

    def patient(self, name, version, patient=True, **body):
        """Asks until the broker is through with what went before."""
        end = time.monotonic() + LIMIT
        while True:
            answer = self.wire.ask(name, version, **body)
            if not patient or BUSY.isdisjoint(_codes(answer)):
                return answer
            assert time.monotonic() < end, answer
            time.sleep(0.005)

    # ---- requests; each notes what came ----

    def init(self, label, version=5, pid=-1, epoch=-1, timeout=60000, name=None, patient=True):
        more = {"ProducerId": pid, "ProducerEpoch": epoch} if version >= 3 else {}
        r = self.patient("InitProducerId", version, patient, TransactionalId=self.name if name is None else name,
                         TransactionTimeoutMs=timeout, **more)
        self.note(label, r["ErrorCode"], self.id_of(r["ProducerId"]), r["ProducerEpoch"])
        if r["ErrorCode"] == 0:
            self.pid, self.epoch = r["ProducerId"], r["ProducerEpoch"]
        return r

    def add(self, label, partitions=(0,), version=3, pid=None, epoch=None, name=None, topic=None, patient=True, **more):
        pid, epoch = self.pid if pid is None else pid, self.epoch if epoch is None else epoch
        name, topics = self.name if name is None else name, [{"Name": topic or self.topic, "Partitions": list(partitions)}]
        if version <= 3:
            body = {"V3AndBelowTransactionalId": name, "V3AndBelowProducerId": pid, "V3AndBelowProducerEpoch": epoch,
                    "V3AndBelowTopics": topics}
        else:
            body = {"Transactions": [dict(TransactionalId=name, ProducerId=pid, ProducerEpoch=epoch, Topics=topics, **more)]}
        r = self.patient("AddPartitionsToTxn", version, patient, **body)
        results = r["ResultsByTopicV3AndBelow"] if version <= 3 else r["ResultsByTransaction"][0]["TopicResults"]
        self.note(label, *sorted((p["PartitionIndex"], p["PartitionErrorCode"]) for t in results for p in t["ResultsByPartition"]))

    def add_offsets(self, label, version=4, pid=None, epoch=None, name=None, group=None, patient=True):
        r = self.patient("AddOffsetsToTxn", version, patient, TransactionalId=self.name if name is None else name,
                         ProducerId=self.pid if pid is None else pid, ProducerEpoch=self.epoch if epoch is None else epoch,
                         GroupId=self.group if group is None else group)
        self.note(label, r["ErrorCode"])

    def produce(self, label, *values, sequence=0, version=12, partition=0, pid=None, epoch=None, name=None, transactional=True,
                patient=True, after=0):
        pid, epoch = self.pid if pid is None else pid, self.epoch if epoch is None else epoch
        records = batch(*values, producer=(pid, epoch, sequence), transactional=transactional, timestamp=self.now + after)
        topic = {"TopicId": self.topic_id} if version >= 13 else {"Name": self.topic}
        name = self.name if name is None and transactional else name
        r = self.patient("Produce", version, patient, TransactionalId=name or None, Acks=-1, TimeoutMs=30000, TopicData=[
            dict(topic, PartitionData=[{"Index": partition, "Records": records}])])
        p = r["Responses"][0]["PartitionResponses"][0]
        at = p["LogAppendTimeMs"]
        self.note(label, p["ErrorCode"], p["BaseOffset"], at if at < 0 else at - self.now)

    def end(self, label, commit, version=5, pid=None, epoch=None, name=None, patient=True):
        r = self.patient("EndTxn", version, patient, TransactionalId=self.name if name is None else name,
                         ProducerId=self.pid if pid is None else pid, ProducerEpoch=self.epoch if epoch is None else epoch,
                         Committed=commit)
        more = (self.id_of(r["ProducerId"]), r["ProducerEpoch"]) if version >= 5 else ()
        self.note(label, r["ErrorCode"], *more)
        if r["ErrorCode"] == 0 and version >= 5:
            self.pid, self.epoch = r["ProducerId"], r["ProducerEpoch"]

    def commit_offset(self, label, offset=1, version=5, pid=None, epoch=None, name=None, partition=0, patient=True, **more):
        r = self.patient("TxnOffsetCommit", version, patient, TransactionalId=self.name if name is None else name,
                         GroupId=more.pop("group", self.group), ProducerId=self.pid if pid is None else pid,
                         ProducerEpoch=self.epoch if epoch is None else epoch,
                         Topics=[{"Name": more.pop("topic", self.topic), "Partitions": [
                             {"PartitionIndex": partition, "CommittedOffset": offset, "CommittedMetadata": "m"}]}], **more)
        self.note(label, r["Topics"][0]["Partitions"][0]["ErrorCode"])

    def committed_offset(self, label, stable=False):
        p = self.offset(stable)
        self.note(label, p["ErrorCode"], p["CommittedOffset"])

    def offset(self, stable):
        return self.wire.ask("OffsetFetch", 7, RequireStable=stable, GroupId=self.group, Topics=[
            {"Name": self.topic, "PartitionIndexes": [0]}])["Topics"][0]["Partitions"][0]

    def wait_offset(self, offset):
        """Until it is committed and stable."""
        self.until(lambda: self.offset(True)["CommittedOffset"] == offset)

    def mark(self, label, commit, version=2, pid=None, epoch=None, coordinator=0, transaction=2, topic=None, partitions=(0,)):
        more = {"TransactionVersion": transaction} if version >= 2 else {}
        r = self.wire.ask("WriteTxnMarkers", version, Markers=[dict(
            ProducerId=self.pid if pid is None else pid, ProducerEpoch=self.epoch if epoch is None else epoch,
            TransactionResult=commit, CoordinatorEpoch=coordinator,
            Topics=[{"Name": topic or self.topic, "PartitionIndexes": list(partitions)}], **more)])
        self.note(label, *sorted((self.id_of(m["ProducerId"]), p["PartitionIndex"], p["ErrorCode"])
                                 for m in r["Markers"] for t in m["Topics"] for p in t["Partitions"]))

    def describe(self, label, name=None):
        def settled():
            """A coordinator may learn after its partitions that a transaction has ended."""
            found[:] = self.wire.ask("DescribeTransactions", 0, TransactionalIds=[self.name if name is None else name])["TransactionStates"]
            return not any(t["TransactionState"].startswith("Prepare") for t in found)
        found = []
        self.until(settled)
        for t in found:
            self.note(label, t["ErrorCode"], t["TransactionState"], t["TransactionTimeoutMs"], t["TransactionStartTimeMs"] > 0,
                      self.id_of(t["ProducerId"]), t["ProducerEpoch"], sorted((x["Topic"], sorted(x["Partitions"])) for x in t["Topics"]))

    def list(self, label, version=2, **filters):
        r = self.wire.ask("ListTransactions", version, **filters)
        self.note(label, r["ErrorCode"], sorted(r["UnknownStateFilters"]), sorted(
            (t["TransactionalId"], self.id_of(t["ProducerId"]), t["TransactionState"]) for t in r["TransactionStates"]
            if t["TransactionalId"].startswith(self.name)))

    def producers(self, label, topic=None, partitions=(0,)):
        r = self.wire.ask("DescribeProducers", 0, Topics=[{"Name": topic or self.topic, "PartitionIndexes": list(partitions)}])
        for t in r["Topics"]:
            for p in sorted(t["Partitions"], key=lambda p: p["PartitionIndex"]):
                self.note(label, p["PartitionIndex"], p["ErrorCode"], sorted(
                    (self.id_of(a["ProducerId"]), a["ProducerEpoch"], a["LastSequence"], a["CoordinatorEpoch"], a["CurrentTxnStartOffset"])
                    for a in p["ActiveProducers"]))

    def log(self, label, partition=0, isolation=0):
        """Every record and marker that is there."""
        p = self.partition(partition, 1 << 20, isolation)
        aborted = sorted((self.id_of(a["ProducerId"]), a["FirstOffset"]) for a in p["AbortedTransactions"] or [])
        self.note(label, p["ErrorCode"], p["LastStableOffset"], aborted,
                  [(o, self.id_of(i), e, k, v) for o, i, e, k, v in values_of(p["Records"] or b"")])

    def settled(self, partition=0):
        """Waits until no transaction is open in the partition: markers follow the answer to EndTxn."""
        def none_open():
            p = self.partition(partition)
            return p["HighWatermark"] == p["LastStableOffset"]
        self.until(none_open)


def _codes(value):
    """Every error code of an answer."""
    if isinstance(value, dict):
        for k, v in value.items():
            if k in ("ErrorCode", "PartitionErrorCode"):
                yield v
            else:
                yield from _codes(v)
    elif isinstance(value, list):
        for v in value:
            yield from _codes(v)


# ---- scenarios ------------------------------------------------------------------------------------------------------

def second_version(s):
    s.init("init")
    s.describe("described when new")
    s.produce("data", "a", "b")
    s.produce("data goes on", "c", sequence=2)
    s.produce("with the topic's id", "d", sequence=0, version=13, partition=1)
    s.describe("described when open")
    s.producers("producers", partitions=(0, 1))
    s.end("commit", True)
    s.settled()
    s.end("commit again, as the answer was lost", True, epoch=0)
    s.end("abort of what is committed", False, epoch=0)
    s.end("commit of nothing", True)
    s.end("abort of nothing", False)
    s.end("abort of nothing again, as the answer was lost", False, epoch=1)
    s.produce("data of the first epoch", "late", sequence=3, epoch=0)
    s.produce("of the second", "late", sequence=0, epoch=1)
    s.end("end of the first epoch", True, epoch=0)
    s.produce("data of the next transaction", "x")
    s.end("end of the first epoch while the next is open", True, epoch=0)
    s.end("abort of the first epoch while the next is open", False, epoch=0)
    s.end("of the second", False, epoch=1)
    s.produce("data of the first epoch while the next is open", "late", sequence=3, epoch=0)
    s.end("abort", False)
    s.settled()
    s.log("the log")
    s.log("the log, committed", isolation=1)
    s.describe("described at the end")


def first_version(s):
    s.init("init", version=2)
    s.produce("not added, version 10", "a", version=10)
    s.produce("not added, version 11", "a", version=11)
    s.add("add", version=2)
    s.produce("data", "a", version=11)
    s.produce("another partition, not added", "a", version=11, partition=1)
    s.end("commit", True, version=4)
    s.settled()
    s.end("again", True, version=4)
    s.end("abort of what is committed", False, version=4)
    s.produce("late data of an epoch that goes on", "late", sequence=1, version=11)
    s.add("add", version=3)
    s.produce("data", "b", sequence=1, version=11)
    s.end("abort", False, version=4)
    s.settled()
    s.end("again", False, version=4)
    s.end("commit of what is aborted", True, version=4)
    s.log("the log", isolation=1)


def versions_in_turn(s):
    """A client that falls back, and one that comes back to version 2."""
    s.init("init")
    s.add("added by name", version=3)
    s.produce("data by version 12, partition 1", "a", partition=1)
    s.produce("data", "b", version=11)
    s.end("ended by version 4", True, version=4)
    s.settled()
    s.end("again", True, version=4)
    s.produce("next", "c", sequence=1)
    s.end("ended by version 5", True)
    s.settled()
    s.end("with the old epoch by version 4", True, version=4, epoch=0)
    s.add("with the new one", version=3)
    s.end("ended by version 4", False, version=4)
    s.settled()
    s.end("again", False, version=4)
    s.describe("described")
    s.log("the log")


def errors(s):
    s.init("init")
    pid, e = s.pid, s.epoch
    for v in (0, 1, 2, 3):
        s.add("add, unknown id, version %d" % v, version=v, name="nobody")
        s.add("add, wrong producer, version %d" % v, version=v, pid=pid + 1000)
        s.add("add, low epoch, version %d" % v, version=v, epoch=e - 1)
        s.add("add, high epoch, version %d" % v, version=v, epoch=e + 1)
        s.add("add, unknown partition, version %d" % v, version=v, partitions=(0, 7))
        s.add("add, unknown topic, version %d" % v, version=v, topic="nowhere")
        s.add("add, no id, version %d" % v, version=v, name="")
    for v in (0, 1, 2, 3, 4):
        s.add_offsets("offsets, unknown id, version %d" % v, version=v, name="nobody")
        s.add_offsets("offsets, wrong producer, version %d" % v, version=v, pid=pid + 1000)
        s.add_offsets("offsets, high epoch, version %d" % v, version=v, epoch=e + 1)
        s.add_offsets("offsets, no id, version %d" % v, version=v, name="")
    for v in (0, 1, 2, 3, 4, 5):
        s.end("end, unknown id, version %d" % v, True, version=v, name="nobody")
        s.end("end, wrong producer, version %d" % v, True, version=v, pid=pid + 1000)
        s.end("end, low epoch, version %d" % v, True, version=v, epoch=e - 1)
        s.end("end, high epoch, version %d" % v, True, version=v, epoch=e + 1)
        s.end("commit of nothing, version %d" % v, True, version=v)
        s.end("end, no id, version %d" % v, True, version=v, name="")
    s.end("abort of nothing, version 4", False, version=4)
    for v in (3, 8, 10, 11, 12):
        s.produce("produce, unknown id, version %d" % v, "a", version=v, name="nobody")
        s.produce("produce, wrong producer, version %d" % v, "a", version=v, pid=pid + 1000)
        s.produce("produce, high epoch, version %d" % v, "a", version=v, epoch=e + 1)
        s.produce("produce, no id, version %d" % v, "a", version=v, name="")
    for v in (0, 2, 3, 4, 5):
        s.commit_offset("offset, unknown id, version %d" % v, version=v, name="nobody")
        s.commit_offset("offset, wrong producer, version %d" % v, version=v, pid=pid + 1000)
        s.commit_offset("offset, high epoch, version %d" % v, version=v, epoch=e + 1)
        s.commit_offset("offset, no id, version %d" % v, version=v, name="")
        s.commit_offset("offset, no group, version %d" % v, version=v, group="")
        s.commit_offset("offset, unknown topic, version %d" % v, version=v, topic="nowhere")
    for v in (0, 2, 3, 4):
        s.commit_offset("offset, group not added, version %d" % v, version=v)
    s.describe("nothing happened")


def more_errors(s):
    s.add("add before init", version=3)
    s.describe("unknown")
    s.describe("empty", name="")
    for v in (0, 2, 3, 4, 5):
        s.init("time-out 0, version %d" % v, version=v, timeout=0)
        s.init("time-out too long, version %d" % v, version=v, timeout=900001)
        s.init("empty id, version %d" % v, version=v, name="")
    s.init("init")
    for label, group in (("unknown member", {"MemberId": "x", "GenerationId": 1}), ("generation", {"GenerationId": 7}),
                         ("instance", {"GroupInstanceId": "i"}),
                         ("member without a generation", {"MemberId": "x"})):
        s.commit_offset(label, version=5, **group)
        s.commit_offset(label + ", version 3", version=3, **group)


def resumed(s):
    for v in (3, 4, 5):
        s.init("init %d" % v, version=v)
        pid, e = s.pid, s.epoch
        s.init("resume %d" % v, version=v, pid=pid, epoch=e)
        s.init("resume again, as the answer was lost %d" % v, version=v, pid=pid, epoch=e)
        s.init("resume once more %d" % v, version=v, pid=pid, epoch=e + 1)
        s.init("resume of an epoch long ago %d" % v, version=v, pid=pid, epoch=e)
        s.init("resume of an epoch to come %d" % v, version=v, pid=pid, epoch=e + 9)
        s.init("resume of another producer %d" % v, version=v, pid=pid + 1000, epoch=e)
        s.init("resume of an unknown id %d" % v, version=v, pid=pid + 1000, epoch=e, name=s.name + "-%d" % v)
        s.init("resume without an id of a producer %d" % v, version=v, pid=-1, epoch=e)
    s.init("anew")
    s.produce("data", "a")
    s.init("resume while open", pid=s.pid, epoch=s.epoch, patient=False)
    s.settled()
    s.init("and again", pid=s.pid, epoch=s.epoch)
    s.produce("data", "b")
    s.end("commit", True)
    s.settled()
    s.init("resume after a commit", pid=s.pid, epoch=s.epoch)
    s.init("resume after a commit, of the epoch before", pid=s.pid, epoch=s.epoch - 1)
    s.init("resume after a commit, of two before", pid=s.pid, epoch=s.epoch - 2)
    s.log("the log")


def fenced(s):
    s.init("init")
    first, e = s.pid, s.epoch
    s.produce("data", "a")
    s.init("another comes", patient=False)
    s.settled()
    s.produce("data of the first", "late", sequence=1, pid=first, epoch=e)
    s.produce("data of the first with the next epoch", "late", sequence=0, pid=first, epoch=e + 1)
    s.end("abort by the first", False, pid=first, epoch=e + 1)
    s.init("and again")
    for v in (0, 2, 4, 5):
        s.end("commit by the first, version %d" % v, True, pid=first, epoch=e, version=v)
    for v in (0, 3):
        s.add("add by the first, version %d" % v, pid=first, epoch=e, version=v)
    for v in (0, 3, 4):
        s.add_offsets("offsets by the first, version %d" % v, pid=first, epoch=e, version=v)
    for v in (0, 3, 4, 5):
        s.commit_offset("offset by the first, version %d" % v, pid=first, epoch=e, version=v)
    for v in (3, 4, 5):
        s.init("resume by the first, version %d" % v, pid=first, epoch=e, version=v)
    s.log("the log")


def offsets(s):
    s.init("init")
    s.commit_offset("offset, version 5 adds the group", offset=5)
    s.committed_offset("not shown")
    s.end("commit", True)
    s.end("as long as it is written", True, epoch=0)
    s.describe("described")
    s.wait_offset(5)
    s.committed_offset("shown")
    s.commit_offset("another", offset=7)
    s.end("abort", False)
    s.end("as long as it is written", False, epoch=1)
    s.committed_offset("as before")
    s.add_offsets("added, version 3", version=3)
    s.commit_offset("offset, version 3", offset=9, version=3)
    s.end("commit, version 4", True, version=4)
    s.wait_offset(9)
    s.committed_offset("shown")


def timed_out(s):
    s.init("init", timeout=3000)  # longer than an append takes
    s.produce("data", "a")
    s.settled()
    s.describe("aborted")
    pid, e = s.pid, s.epoch
    s.produce("data of before", "late", sequence=1)
    for v in (0, 4):
        s.end("commit of before, version %d" % v, True, version=v)
    s.end("commit of before", True)
    s.end("abort of before", False)
    s.init("resume", pid=pid, epoch=e)
    s.log("the log")


def batched(s):
    s.init("init")
    for v in (4, 5):
        s.add("verify, not there, version %d" % v, version=v, VerifyOnly=True)
        s.add("verify, unknown partition, version %d" % v, version=v, VerifyOnly=True, partitions=(0, 7))
        s.add("wrong producer, version %d" % v, version=v, pid=s.pid + 1000)
        s.add("low epoch, version %d" % v, version=v, epoch=s.epoch - 1)
        s.add("high epoch, version %d" % v, version=v, epoch=s.epoch + 1)
        s.add("verify, high epoch, version %d" % v, version=v, epoch=s.epoch + 1, VerifyOnly=True)
        s.add("no id, version %d" % v, version=v, name="")
        s.add("unknown id, version %d" % v, version=v, name="nobody")
        s.add("unknown topic, version %d" % v, version=v, topic="nowhere")
        s.add("add, version %d" % v, version=v)
        s.add("verify, version %d" % v, version=v, VerifyOnly=True)
        s.add("verify two, version %d" % v, version=v, VerifyOnly=True, partitions=(0, 1))
        s.end("end", False)
        s.end("end again", False, epoch=s.epoch - 1)
    second = s.name + "-2"
    r = s.wire.ask("InitProducerId", 5, TransactionalId=second, TransactionTimeoutMs=60000)
    topics = [{"Name": s.topic, "Partitions": [0, 1]}]
    r = s.wire.ask("AddPartitionsToTxn", 5, Transactions=[
        {"TransactionalId": s.name, "ProducerId": s.pid, "ProducerEpoch": s.epoch, "Topics": topics},
        {"TransactionalId": second, "ProducerId": r["ProducerId"], "ProducerEpoch": 7, "Topics": topics}])
    s.note("two at a time", r["ErrorCode"], sorted((t["TransactionalId"], [
        (p["PartitionIndex"], p["PartitionErrorCode"]) for x in t["TopicResults"] for p in x["ResultsByPartition"]])
        for t in r["ResultsByTransaction"]))


def listed(s):
    s.init("init")
    s.produce("data", "a")
    other = s.name + "-idle"
    pid = s.pid
    s.init("another", name=other)
    for v in (0, 1, 2):
        s.list("all, version %d" % v, version=v)
    s.list("by state", StateFilters=["Ongoing"])
    s.list("by two states", StateFilters=["Ongoing", "Empty"])
    s.list("by an unknown state", StateFilters=["ongoing", "Nonsense"])
    s.list("by a known and an unknown state", StateFilters=["Ongoing", "Nonsense"])
    s.list("by producer", ProducerIdFilters=[pid])
    s.list("by an unknown producer", ProducerIdFilters=[1 << 40])
    s.list("by duration", DurationFilter=0, StateFilters=["Ongoing"])
    s.list("by a long duration", DurationFilter=1 << 40)
    s.list("by pattern", TransactionalIdPattern=s.name + "-.*")
    s.list("by pattern, the whole id", TransactionalIdPattern="-idle")
    s.list("by an empty pattern", TransactionalIdPattern="")
    s.list("by a broken pattern", TransactionalIdPattern="(")
    s.list("by a broken pattern and an unknown state", TransactionalIdPattern="(", StateFilters=["Nonsense"])
    s.describe("idle", name=other)


def markers(s):
    s.init("init")
    s.init("again")
    s.produce("data", "a")
    s.mark("unknown topic", False, topic="nowhere")
    s.mark("unknown partition and one that is there, low epoch", False, partitions=(0, 7), epoch=s.epoch - 1, transaction=0)
    s.producers("open")
    s.mark("version 1", False, version=1)
    s.settled()
    s.producers("aborted")
    s.mark("version 1 again", False, version=1)
    s.produce("data goes on", "b", sequence=1)
    s.mark("same epoch, transaction version 2", False)
    s.producers("after the same epoch, transaction version 2")
    s.mark("next epoch, transaction version 2", True, epoch=s.epoch + 1)
    s.mark("next epoch again", True, epoch=s.epoch + 1)
    s.producers("committed")
    s.produce("data of the old epoch", "c", sequence=2)
    s.mark("a coordinator of epoch 5", False, coordinator=5, epoch=s.epoch + 2)
    s.mark("one of epoch 4", False, coordinator=4, epoch=s.epoch + 3)
    s.mark("one of epoch 4, transaction version 0", False, coordinator=4, epoch=s.epoch + 3, transaction=0)
    s.mark("negative coordinator", False, coordinator=-1, epoch=s.epoch + 4)
    s.mark("an unknown producer", False, pid=s.pid + 100000, epoch=3)
    s.mark("a negative producer", False, pid=-1, epoch=0)
    s.mark("a negative epoch", False, epoch=-1)
    s.producers("at the end")
    s.log("the log")
    s.note("none", s.wire.ask("WriteTxnMarkers", 2)["Markers"])


def idempotent(s):
    r = s.patient("InitProducerId", 5, TransactionalId=None)
    s.note("init", r["ErrorCode"], s.id_of(r["ProducerId"]), r["ProducerEpoch"])
    p = r["ProducerId"]

    def ask(label, *values, epoch=0, **more):
        s.produce(label, *values, pid=p, epoch=epoch, transactional=False, **more)
    for i in range(7):
        ask("batch %d" % i, "a", "b", sequence=2 * i, after=i)
    for i in range(7):
        ask("batch %d again" % i, "a", "b", sequence=2 * i, after=i)
    ask("half of one", "a", sequence=12)
    ask("a gap", "a", sequence=16)
    ask("overlap", "a", "b", sequence=13)
    ask("negative", "a", sequence=-1)
    ask("next epoch, not from 0", "a", sequence=14, epoch=1)
    ask("next epoch", "a", sequence=0, epoch=1, after=50)
    ask("old epoch", "a", sequence=14)
    ask("duplicate of the old epoch", "a", "b", sequence=12, after=6)
    ask("next epoch, duplicate", "a", sequence=0, epoch=1, after=50)
    ask("another partition, not from 0, version 12", "a", sequence=11, epoch=1, partition=1, version=12)
    ask("another partition, not from 0, version 11", "a", sequence=9, epoch=1, partition=1, version=11)
    s.producers("producers", partitions=(0, 1, 9))
    s.producers("unknown topic", topic="nowhere")
    s.producers("bad topic", topic="no/where")
    s.init("a transactional one")
    s.produce("not from 0, version 12", "a", sequence=5)
    r = s.wire.ask("InitProducerId", 5, TransactionalId=None, ProducerId=p, ProducerEpoch=1)
    s.note("resume without an id", r["ErrorCode"], s.id_of(r["ProducerId"]), r["ProducerEpoch"])


SCENARIOS = [second_version, first_version, versions_in_turn, errors, more_errors, resumed, fenced, offsets, timed_out, batched, listed,
             markers, idempotent]


def run(address, scenario):
    """Notes of the scenario, in order, as JSON has them. Once for each broker: ids and topics are named after it."""
    s = Scene(address, scenario.__name__.replace("_", "-"))
    try:
        scenario(s)
    finally:
        s.wire.close()
    return json.loads(json.dumps(s.notes))


def main():
    """`txn_scenarios.py HOST:PORT`: what that broker answers, for txn_answers.json."""
    answers = {f.__name__: run(sys.argv[1], f) for f in SCENARIOS}
    print("{" + ",".join("\n%s: [%s\n]" % (json.dumps(name), ",".join("\n " + json.dumps(n) for n in notes))
                         for name, notes in answers.items()) + "}")


if __name__ == "__main__":
    main()
