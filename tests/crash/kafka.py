#!/usr/bin/env python3
"""Kills, stops and starves a hub under Kafka's clients (librdkafka, over the wire); at the end a checker reads everything.

    tests/crash/kafka.py [--kills 100] [--seed N]

Who is at work: idempotent producers, plain ones with acks 1 and all, a producer of transactions of which a third is aborted, members of
a group that commit what they read, and copiers that consume, produce and commit their offsets in one transaction. What happens: SIGKILL,
SIGSTOP for longer than the sessions of groups, writes that are told that there is no space, once or from then on, and, where this may mount, a
file system that is full while the hub runs or starts (small_disk.py). What must hold then: kafka_check.py.
The seed decides what happens and when; it is printed, and a failed run keeps its directory, and what is mounted there.
"""
import argparse
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import defaultdict

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
from leat import Hub, wait_for  # noqa: E402
from ports import free_port  # noqa: E402
from rdclients import END, Consumer, Membership, Producer, RdError  # noqa: E402
from small_disk import SmallDisk  # noqa: E402
from kafka_check import split, Rising, at_least_once_in_order, copied, once_in_order, self_check, transactions  # noqa: E402

CONFIG = """
hub:
  listeners: PLAINTEXT://127.0.0.1:%d
  journal.file.bytes: 1MiB
  group.initial.rebalance.delay.ms: 0
  group.min.session.timeout.ms: 500ms
"""
PARTITIONS = 2
SESSION_MS = 2000
FULL_BYTES = 512 << 10  # less than that is free on a full disk
QUEUED = 5000000  # records of a writer, while the hub is away: on a slow machine that may be for minutes
END_S = 600       # of what comes in any case: only a hang takes so long
TOPICS = ("idempotent", "plain", "input", "output")
CLIENT = {"socket_timeout_ms": 15000, "reconnect_backoff_ms": 20, "reconnect_backoff_max_ms": 100, "retry_backoff_ms": 20, "log_level": 0}
READER = dict(CLIENT, auto_offset_reset="earliest", enable_auto_commit="false", session_timeout_ms=SESSION_MS, heartbeat_interval_ms=300,
              fetch_wait_max_ms=50, isolation_level="read_committed")


class Worker(threading.Thread):
    """One of the clients: `work` again and again until told to stop, then `finish`."""

    def __init__(self, name, address, seed):
        super().__init__(daemon=True, name=name)
        self.address, self.random = address, random.Random("%s %s" % (seed, name))
        self.stopping, self.failed, self.troubles = threading.Event(), None, 0

    def run(self):
        try:
            self.begin()
            while not self.stopping.is_set():
                self.work()
            self.finish()
        except Exception:  # a broken client must not look like a passed test
            self.failed = traceback.format_exc()


class Writer(Worker):
    """Numbers its records per partition; knows which were acknowledged."""

    def __init__(self, name, address, seed, topic, **settings):
        super().__init__(name, address, seed)
        self.topic, self.settings = topic, settings
        self.written, self.acknowledged, self.numbers = defaultdict(int), defaultdict(set), []

    def begin(self):
        self.producer = Producer(self.address, on_delivery=self.delivered, message_timeout_ms=0, linger_ms=3,
                                 queue_buffering_max_messages=QUEUED, **self.settings, **CLIENT)

    def delivered(self, number, error, _):
        if error == 0:
            partition, n = self.numbers[(number or 0) - 1]
            self.acknowledged[self.name, partition].add(n)

    def work(self):
        for _ in range(self.random.randrange(1, 12)):
            partition = self.random.randrange(PARTITIONS)
            key = (self.name, partition)
            self.numbers.append((partition, self.written[key]))
            self.producer.produce(self.topic, partition, "%s %d" % (self.name, self.written[key]), number=len(self.numbers))
            self.written[key] += 1
        self.producer.poll(5)
        if self.producer.fatal():
            raise AssertionError("%s: %s" % (self.name, self.producer.fatal()))

    def finish(self):
        self.producer.flush(END_S * 1000)
        self.producer.close()
        if sum(map(len, self.acknowledged.values())) != sum(self.written.values()):
            raise AssertionError("%s: not everything was acknowledged" % self.name)


class Feeder(Worker):
    """Transactions into the copiers' input; every third is aborted."""

    def begin(self):
        self.producer, self.number = None, 0
        self.committed, self.unclear = [], []

    def finish(self):
        if self.producer:
            self.producer.close()

    def work(self):
        records = []
        try:
            self.producer = self.producer or Producer(self.address, "feeder", linger_ms=1, transaction_timeout_ms=20000, **CLIENT)
            self.producer.begin()
            for _ in range(self.random.randrange(1, 15)):
                records.append((self.random.randrange(PARTITIONS), "feeder %d" % self.number))
                self.number += 1
                self.producer.produce("input", *records[-1])
            if self.random.random() < 0.33:
                self.producer.flush() if self.random.random() < 0.5 else None
                self.persist(self.producer.abort)
                return
            self.unclear.append(records)
            self.persist(self.producer.commit)
            self.committed.append(self.unclear.pop())
        except RdError as e:
            self.trouble(e, records)

    def persist(self, end):
        """As often as librdkafka says that it may be tried again."""
        while True:
            try:
                return end()
            except RdError as e:
                if not e.retriable:
                    raise

    def trouble(self, e, records):
        """If it is certain that the transaction is aborted, its records are nowhere."""
        self.troubles += 1
        if self.producer and e.abort and not e.fatal:
            try:
                self.persist(self.producer.abort)
                if self.unclear and self.unclear[-1] is records:
                    self.unclear.pop()
                return
            except RdError:
                pass
        if self.producer:
            self.producer.close()
        self.producer = None


class Member(Worker):
    """Of a group that reads and commits."""

    def __init__(self, name, address, seed, rising, settings):
        super().__init__(name, address, seed)
        self.rising, self.settings, self.reads = rising, settings, 0

    def begin(self):
        self.at = {}  # the next to be read of each partition that it still has
        self.consumer = Consumer(self.address, "readers", on_revoked=self.at.clear, **dict(READER, **self.settings))
        self.consumer.subscribe("idempotent", "plain")

    def work(self):
        self.at.clear()
        for _ in range(self.random.randrange(5, 60)):
            got = self.consumer.poll(20)
            if got and got[0] == 0:
                self.at[got[1], got[2]] = got[3] + 1
                self.reads += 1
        at = dict(self.at)
        if not at:
            return
        try:
            self.consumer.commit(at)
        except RdError:  # a rebalance, or no hub: not acknowledged
            self.troubles += 1
            return
        for key, offset in at.items():
            self.rising.acknowledged(key, offset)

    def finish(self):
        self.consumer.close()


class Watcher(Worker):
    """Asks for the group's offsets, as a tool does."""

    def __init__(self, name, address, seed, rising):
        super().__init__(name, address, seed)
        self.rising, self.looks = rising, 0

    def begin(self):
        self.consumer = Consumer(self.address, "readers", **CLIENT)
        self.partitions = [(t, p) for t in ("idempotent", "plain") for p in range(PARTITIONS)]

    def work(self):
        least = dict(self.rising.least)
        try:
            found = self.consumer.committed(*self.partitions, ms=3000)
        except RdError:
            self.troubles += 1
            return
        for key, offset in found.items():
            self.rising.seen(key, max(offset, -1), least)  # below: nothing is committed
        self.looks += 1
        time.sleep(0.02)  # a tool's pace, not a wait for anything

    def finish(self):
        self.work()
        self.consumer.close()


class Copier(Worker):
    """Consume, produce, commit the offsets with it. After an abort it begins from what is committed."""

    def begin(self):
        self.producer = self.consumer = None
        self.copies = 0

    def finish(self):
        self.drop()

    def drop(self):
        for client in (self.producer, self.consumer):
            if client:
                client.close()
        self.producer = self.consumer = None

    def work(self):
        try:
            if not self.producer:
                self.producer = Producer(self.address, self.name, linger_ms=1, transaction_timeout_ms=20000, **CLIENT)
                self.consumer = Consumer(self.address, "copiers", **READER)
                self.consumer.subscribe("input")
            self.copy()
        except RdError:
            self.troubles += 1
            self.drop()  # the next with the same transactional id ends what this one left, the next member reads what is committed

    def copy(self):
        # From before the reading: the group may have given the partitions to another by the time that the offsets are committed, and then they must be refused.
        with Membership(self.consumer) as membership:
            self.copy_as(membership)

    def copy_as(self, membership):
        records = [r for r in (self.consumer.poll(30) for _ in range(self.random.randrange(1, 20))) if r and r[0] == 0]
        if not records:
            return
        self.producer.begin()
        for _, _, partition, _, value in records:
            self.producer.produce("output", partition, value)
        self.producer.send_offsets(membership, {(t, p): o + 1 for _, t, p, o, _ in records})
        if self.random.random() < 0.1:
            self.producer.abort()
            raise RdError("an abort of its own")
        while True:
            try:
                self.producer.commit()
                self.copies += len(records)
                return
            except RdError as e:
                if not e.retriable:
                    raise


# ---- what happens to the hub ------------------------------------------------------------------------------------------


class Fate:
    def __init__(self, hub, rand, disk):
        self.hub, self.random, self.disk, self.count = hub, rand, disk, defaultdict(int)

    def start(self, fault=None):
        self.armed = fault is not None or self.disk.full
        self.hub.start(wait=self.random.random() < 0.7 and not self.armed, env={"LEAT_FAULT": fault} if fault else None)

    def check_alive(self):
        """A hub may end by itself only when its disk was full; never by a signal of its own making."""
        code = self.hub.process.poll()
        if code is not None and (code < 0 or not self.armed):
            raise AssertionError("the hub ended by itself with %s:\n%s" % (code, self.hub.log_text()[-3000:]))

    def strike(self):
        dice, was_full = self.random.random(), self.disk.full
        if self.random.random() < 0.2 and self.disk.fill(self.random.randrange(FULL_BYTES)):
            self.count["with a full disk"] += 1
            self.armed = True
        time.sleep(self.random.random() ** 2 * 1.2)
        self.check_alive()
        if dice < 0.12 and self.hub.process.poll() is None:
            self.count["stopped for longer than sessions"] += 1
            self.pause(SESSION_MS / 1000 + self.random.random())
        elif dice < 0.25 and self.hub.process.poll() is None:
            self.count["stopped"] += 1
            self.pause(self.random.random() * 0.5)
        else:
            self.count["killed"] += 1
        if self.hub.process.poll() is None:
            self.hub.kill()
        self.hub.process = None
        if was_full or self.random.random() < 0.7:  # else it starts on the full disk
            self.disk.empty()
        fault = None
        if self.random.random() < 0.25:
            self.count["without space"] += 1
            fault = "write:%d:ENOSPC%s" % (self.random.randrange(1, 400), self.random.choice(["", ":sticky"]))
        self.start(fault)

    def pause(self, seconds):
        self.hub.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.hub.process.send_signal(signal.SIGCONT)
        time.sleep(self.random.random() * 0.5)
        self.check_alive()


# ---- the end ------------------------------------------------------------------------------------------------------------


def everything(address, topic):
    """{partition: values} as a reader of committed records sees them."""
    reader = Consumer(address, "checker", enable_partition_eof="true", **dict(READER, fetch_wait_max_ms=10))
    reader.assign({(topic, p): 0 for p in range(PARTITIONS)})
    found, open_ = {p: [] for p in range(PARTITIONS)}, set(range(PARTITIONS))
    end = time.monotonic() + END_S
    while open_:
        got = reader.poll(1000)
        if got and got[0] == 0:
            found[got[2]].append(got[4])
        elif got and got[0] == END:
            open_.discard(got[2])
        if time.monotonic() > end:
            raise AssertionError("topic %s cannot be read to its end" % topic)
    reader.close()
    return found


def check(address, workers, refused):
    """`refused`: the disk was full for a while. librdkafka without idempotence then sent what came later before what it tries again (two records before a
    batch of 450 that was refused, with one request in flight): that everything is there is all that can be asked of it."""
    writers = [w for w in workers if isinstance(w, Writer)]
    for topic, verdict in (("idempotent", once_in_order), ("plain", at_least_once_in_order)):
        of = [w for w in writers if w.topic == topic]
        written = {k: n for w in of for k, n in w.written.items()}
        acknowledged = {k: n for w in of for k, n in w.acknowledged.items()}
        found = everything(address, topic)
        if refused and verdict is at_least_once_in_order:
            found = {partition: sorted(values, key=split) for partition, values in found.items()}
        verdict(topic, found, *((written,) if verdict is once_in_order else (acknowledged, written)))
    feeder = [w for w in workers if isinstance(w, Feeder)][0]
    inputs = everything(address, "input")
    transactions("input", inputs, feeder.committed, feeder.unclear)
    copied("output", inputs, everything(address, "output"))


def stop(workers):
    for w in workers:
        w.stopping.set()
    for w in workers:
        w.join(2 * END_S)
        if w.is_alive():
            raise AssertionError("%s does not end" % w.name)


def failures(workers):
    failed = [w.failed for w in workers if w.failed]
    if failed:
        raise AssertionError("\n".join(failed))


def clients(address, seed):
    rising, idempotent = Rising(), {"enable_idempotence": "true"}
    plain = {"max_in_flight_requests_per_connection": 1, "enable_idempotence": "false"}
    return [Writer("i1", address, seed, "idempotent", **idempotent), Writer("i2", address, seed, "idempotent", **idempotent),
            Writer("one", address, seed, "plain", acks="1", **plain), Writer("all", address, seed, "plain", acks="all", **plain),
            Member("m1", address, seed, rising, {}), Member("m2", address, seed, rising, {"group_instance_id": "m2"}),
            Watcher("watcher", address, seed, rising), Feeder("feeder", address, seed),
            Copier("copier1", address, seed), Copier("copier2", address, seed)]


def run(kills, seed, directory):
    port = free_port()
    address = "127.0.0.1:%d" % port
    hub = Hub(directory, CONFIG % port, ["--log-level", "warn"])
    disk = SmallDisk(hub.data)
    fate = Fate(hub, random.Random(seed), disk)
    workers = clients(address, seed)
    try:
        fate.start()
        wait_for("the hub", hub.answers)
        for topic in TOPICS:
            hub.leat("topics", "create", topic, "--partitions", str(PARTITIONS))
        for w in workers:
            w.start()
        for _ in range(kills):
            fate.strike()
            failures(workers)
        if hub.process.poll() is None:
            hub.kill()
        disk.empty()
        fate.start()
        stop([w for w in workers if not isinstance(w, Copier)])
        failures(workers)
        wait_for("everything to be copied", lambda: failures(workers) or sum(map(len, everything(address, "output").values())) >=
                 sum(map(len, everything(address, "input").values())), END_S)
        stop(workers)
        failures(workers)
        check(address, workers, fate.count["with a full disk"] > 0)
        if hub.stop() != 0:
            raise AssertionError("the hub did not stop cleanly:\n" + hub.log_text()[-2000:])
    finally:
        for w in workers:
            w.stopping.set()
        if hub.process:
            hub.kill()
    disk.remove()
    report(fate, workers)


def report(fate, workers):
    print("  kafka   %s" % ", ".join("%d times %s" % (n, what) for what, n in sorted(fate.count.items())))
    print("  kafka   %d records, %d transactions (%d unclear), %d copied, %d read by members, %d looks at offsets, %d troubles" % (
        sum(sum(w.written.values()) for w in workers if isinstance(w, Writer)),
        sum(len(w.committed) for w in workers if isinstance(w, Feeder)), sum(len(w.unclear) for w in workers if isinstance(w, Feeder)),
        sum(w.copies for w in workers if isinstance(w, Copier)), sum(w.reads for w in workers if isinstance(w, Member)),
        sum(w.looks for w in workers if isinstance(w, Watcher)), sum(w.troubles for w in workers)))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    given = options.parse_args()
    self_check()
    print("  kafka   %d kills, seed %d" % (given.kills, given.seed), flush=True)
    directory = tempfile.mkdtemp(prefix="leat-crash-kafka-")
    try:
        run(given.kills, given.seed, directory)
    except AssertionError as e:
        print("FAIL crash_kafka (kept in %s; again with --seed %d): %s" % (directory, given.seed, e))
        sys.stdout.flush()
        return 1
    shutil.rmtree(directory)
    print("crash_kafka: 1 passed, 0 failed")
    return 0


sys.exit(main())
