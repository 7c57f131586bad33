"""Produce, Fetch, ListOffsets, DeleteRecords, OffsetForLeaderEpoch: bad topics, partitions, batches, offsets."""
import struct
import time

from answers.cases import BAD_NAMES, ask, case

# ---- Produce ----


def data(s, topic, *partitions):
    return {"name": topic, "topicId": s.id(topic), "partitionData": [{"index": p, "records": r} for p, r in partitions]}


def produce(s, v, *topics, acks=-1, note="", txn=None, silent=False):
    return s.ask("Produce", v, {"transactionalId": txn, "acks": acks, "timeoutMs": 5000, "topicData": list(topics)}, note,
                 silent=silent)


def patched(s, batch, at, fmt, value, seal=True):
    """The batch with a field of its header changed, and its checksum made right again."""
    raw = bytearray.fromhex(batch)
    struct.pack_into(">" + fmt, raw, at, value)
    return s.codec.seal(raw.hex()) if seal else raw.hex()


def bad_batch(name, make, versions=None, topic=None):
    @case("Produce", name, versions)
    def _(s, v):
        produce(s, v, data(s, topic or s.topic("bad" + s.unique), (0, make(s))))


for _name, _bad in BAD_NAMES.items():
    ask("Produce", "topic's name: " + _name,
        lambda s, v, n=_bad: {"acks": 1, "topicData": [data(s, n, (0, s.codec.batch("x")))]}, [3, 8, 12])


@case("Produce", "topics and partitions that are not there")
def _(s, v):
    one = s.codec.batch("x")
    produce(s, v, data(s, "nowhere", (0, one)), note="unknown topic")
    produce(s, v, data(s, "t", (2, one), (-1, one), (2147483647, one)), note="unknown partitions")
    produce(s, v, data(s, "t", (0, one)), data(s, "nowhere", (0, one)), note="one good, one not")


@case("Produce", "nothing to write")
def _(s, v):
    produce(s, v, note="no topics")
    produce(s, v, data(s, "t"), note="no partitions")
    produce(s, v, note="no topics, acks 0", acks=0, silent=True)


@case("Produce", "acks")
def _(s, v):
    for acks in (-1, 0, 1, 2, -2, 32767):
        produce(s, v, data(s, s.topic("acks" + s.unique), (0, s.codec.batch("x"))), acks=acks, note="acks %d" % acks,
                silent=acks == 0)
    produce(s, v, data(s, "nowhere", (0, s.codec.batch("x"))), acks=0, note="acks 0 and an error", silent=True)
    produce(s, v, data(s, "t", (7, "")), acks=5, note="wrong in every way")


@case("Produce", "timeouts")
def _(s, v):
    for ms in (0, -1, -2147483648):
        s.ask("Produce", v, {"acks": -1, "timeoutMs": ms, "topicData": [data(s, s.topic("wait" + s.unique), (0, s.codec.batch("x")))]},
              "%d ms" % ms)


bad_batch("no bytes", lambda s: "")
bad_batch("ten bytes", lambda s: s.codec.batch("x")[:20])
bad_batch("a whole header and no records", lambda s: s.codec.batch("x")[:122])
bad_batch("a batch without its last byte", lambda s: s.codec.batch("x")[:-2])
bad_batch("bytes behind the batch", lambda s: s.codec.batch("x") + "00")
bad_batch("two batches", lambda s: s.codec.batch("x") * 2)
bad_batch("checksum", lambda s: patched(s, s.codec.batch("x"), 17, "I", 1, seal=False))
bad_batch("magic 0", lambda s: patched(s, s.codec.batch("x"), 16, "b", 0))
bad_batch("magic 1", lambda s: patched(s, s.codec.batch("x"), 16, "b", 1))
bad_batch("magic 3", lambda s: patched(s, s.codec.batch("x"), 16, "b", 3))
bad_batch("magic -1", lambda s: patched(s, s.codec.batch("x"), 16, "b", -1))
bad_batch("base offset 5", lambda s: patched(s, s.codec.batch("x"), 0, "q", 5))
bad_batch("a length below 0", lambda s: patched(s, s.codec.batch("x"), 8, "i", -5))
bad_batch("a length of 0", lambda s: patched(s, s.codec.batch("x"), 8, "i", 0))
bad_batch("a length past the end", lambda s: patched(s, s.codec.batch("x"), 8, "i", 1 << 30))
bad_batch("a control batch", lambda s: patched(s, s.codec.batch("x"), 21, "h", 0x20))
bad_batch("a codec that nobody knows", lambda s: patched(s, s.codec.batch("x"), 21, "h", 6))
bad_batch("last offset delta too large", lambda s: patched(s, s.codec.batch("x"), 23, "i", 5))
bad_batch("last offset delta below 0", lambda s: patched(s, s.codec.batch("x"), 23, "i", -1))
bad_batch("count 0", lambda s: patched(s, s.codec.batch("x"), 57, "i", 0))
bad_batch("count -1", lambda s: patched(s, s.codec.batch("x"), 57, "i", -1))
bad_batch("count too large", lambda s: patched(s, s.codec.batch("x"), 57, "i", 2))
bad_batch("a producer without sequence", lambda s: s.codec.batch("x", producerId=5, epoch=0, sequence=-1))
bad_batch("gzip that is none", lambda s: patched(s, s.codec.batch("x"), 21, "h", 1))
bad_batch("snappy that is none", lambda s: patched(s, s.codec.batch("x"), 21, "h", 2))
bad_batch("lz4 that is none", lambda s: patched(s, s.codec.batch("x"), 21, "h", 3))
bad_batch("zstd that is none", lambda s: patched(s, s.codec.batch("x"), 21, "h", 4), [7, 10, 13])
bad_batch("zstd", lambda s: s.codec.batch("z" * 500, codec=4), [3, 6, 7, 13])
bad_batch("gzip", lambda s: s.codec.batch("z" * 500, codec=1))
bad_batch("no key in a compacted topic", lambda s: s.codec.batch("x", "y"), topic="compacted")
bad_batch("a key in a compacted topic", lambda s: s.codec.batch("x", recordKey="k"), topic="compacted")
bad_batch("too large for its topic", lambda s: s.codec.batch("z" * 2000), topic="small")
bad_batch("days ahead of time", lambda s: s.codec.batch("x", "y", timestamp=int(time.time() + 5 * 86400) * 1000))
bad_batch("time -1", lambda s: s.codec.batch("x", timestamp=-1))
bad_batch("time -2", lambda s: s.codec.batch("x", timestamp=-2))
bad_batch("LogAppendTime set by the client", lambda s: patched(s, s.codec.batch("x"), 21, "h", 8))
bad_batch("a transaction without its id", lambda s: s.codec.batch("x", producerId=5, epoch=0, sequence=0, transactional=True))
bad_batch("a record whose length is wrong", lambda s: patched(s, s.codec.batch("x"), 61, "B", 0x20))
bad_batch("a record whose value is longer than the record", lambda s: patched(s, s.codec.batch("x"), 66, "B", 0x40))
bad_batch("a record of length below 0", lambda s: patched(s, s.codec.batch("x"), 61, "B", 0x01))


@case("Produce", "a topic or partition named twice")
def _(s, v):
    name, one = s.topic("twice" + s.unique), s.codec.batch("x")
    produce(s, v, data(s, name, (0, one)), data(s, name, (0, one)), note="topic")
    produce(s, v, data(s, name, (0, one), (0, one)), note="partition")


@case("Produce", "sequences")
def _(s, v):
    name = s.topic("seq" + s.unique)
    pid, epoch = s.producer()

    def put(sequence, n=1, epoch=epoch, note=""):
        batch = s.codec.batch(*["x"] * n, producerId=pid, epoch=epoch, sequence=sequence)
        produce(s, v, data(s, name, (0, batch)), note="%s: sequence %d, %d records" % (note, sequence, n))
    put(0, 2, note="first")
    put(2, note="next")
    put(2, note="again")
    put(0, 2, note="the one before again")
    put(5, note="gap")
    put(1, note="overlap")
    put(0, 3, note="other size")
    for i in range(3, 10):
        put(i, note="next")
    put(2, note="older than five")
    put(10, epoch=epoch + 1, note="a new epoch that does not begin at 0")
    put(0, epoch=epoch + 1, note="a new epoch")
    put(10, epoch=epoch, note="the epoch before")


@case("Produce", "a producer that nobody knows")
def _(s, v):
    name = s.topic("stray" + s.unique)
    produce(s, v, data(s, name, (0, s.codec.batch("x", producerId=987654, epoch=3, sequence=7))), note="sequence 7")
    produce(s, v, data(s, name, (0, s.codec.batch("x", producerId=987655, epoch=-1, sequence=0))), note="epoch -1")


@case("Produce", "transactions", [3, 8, 11])
def _(s, v):
    name, txn = s.topic("txn" + s.unique), "txn" + s.unique
    pid, epoch = s.producer(txn)
    for note, p, e, i in (("not added", pid, epoch, txn), ("unknown producer", 98765, 0, txn), ("unknown id", pid, epoch, "no" + txn)):
        batch = s.codec.batch("x", producerId=p, epoch=e, sequence=0, transactional=True)
        produce(s, v, data(s, name, (0, batch)), txn=i, note=note)
    s.quietly("AddPartitionsToTxn", 3, {"v3AndBelowTransactionalId": txn, "v3AndBelowProducerId": pid,
                                        "v3AndBelowProducerEpoch": epoch, "v3AndBelowTopics": [{"name": name, "partitions": [0]}]})
    for note, e, sequence, inside in (("in it", epoch, 0, True), ("beside it", epoch, 1, False), ("epoch too high", epoch + 1, 0, True),
                                      ("plain batch of none", -1, -1, False)):
        batch = s.codec.batch("x", producerId=pid if e >= 0 else -1, epoch=e, sequence=sequence, transactional=inside)
        produce(s, v, data(s, name, (0, batch)), txn=txn if inside else None, note=note)
    s.producer(txn)
    batch = s.codec.batch("x", producerId=pid, epoch=epoch, sequence=1, transactional=True)
    produce(s, v, data(s, name, (0, batch)), txn=txn, note="fenced")


# ---- Fetch ----

def fetch(s, v, *partitions, topic="t", note="", **more):
    body = {"maxWaitMs": 0, "minBytes": 1, "maxBytes": 1 << 20, "sessionEpoch": -1, "topics": [
        {"topic": topic, "topicId": s.id(topic), "partitions": [dict({"partition": 0, "fetchOffset": 0, "partitionMaxBytes": 1 << 20}, **p)
                                                                for p in partitions]}]}
    body.update(more)
    return s.ask("Fetch", v, body, note)


def filled(s, n=3):
    name = s.topic("full" + s.unique, retention_ms=-1)  # the records have old times, and Kafka looks for such 30 s after its start
    s.quietly("Produce", 7, {"acks": -1, "timeoutMs": 5000, "topicData": [
        {"name": name, "partitionData": [{"index": 0, "records": s.codec.batch(*["value %d" % i for i in range(n)])}]}]})
    return name


@case("Fetch", "topics and partitions that are not there")
def _(s, v):
    fetch(s, v, {}, topic="nowhere", note="topic")
    fetch(s, v, {"partition": 2}, {"partition": -1}, note="partitions")
    for bad in BAD_NAMES.values():
        fetch(s, v, {}, topic=bad, note="topic " + bad[:5])
    fetch(s, v, note="no partitions")
    fetch(s, v, topics=[], note="no topics")


@case("Fetch", "offsets")
def _(s, v):
    name = filled(s)
    for offset in (0, 1, 2, 3, 4, -1, -2, 1 << 60):
        fetch(s, v, {"fetchOffset": offset}, topic=name, note="offset %d" % offset)


@case("Fetch", "sizes and times")
def _(s, v):
    name = filled(s)
    for note, more in {"maxBytes 0": {"maxBytes": 0}, "maxBytes -1": {"maxBytes": -1}, "minBytes 0": {"minBytes": 0},
                       "minBytes -1": {"minBytes": -1}, "maxWait -1": {"maxWaitMs": -1, "minBytes": 1 << 20},
                       "isolation 1": {"isolationLevel": 1}, "isolation 2": {"isolationLevel": 2}, "isolation -1": {"isolationLevel": -1},
                       "replica 7": {"replicaId": 7}, "replica -2": {"replicaId": -2},
                       "replica 7, its state": {"replicaState": {"replicaId": 7, "replicaEpoch": 1}} if v >= 15 else {}}.items():
        fetch(s, v, {}, topic=name, note=note, **more)
    fetch(s, v, {"partitionMaxBytes": 0}, topic=name, note="partitionMaxBytes 0")
    fetch(s, v, {"partitionMaxBytes": -1}, topic=name, note="partitionMaxBytes -1")
    fetch(s, v, {}, {}, topic=name, note="the same partition twice")


@case("Fetch", "epochs", [9, 12, 18])
def _(s, v):
    name = filled(s)
    for epoch in (-1, 0, 1, 100, -2):
        fetch(s, v, {"currentLeaderEpoch": epoch}, topic=name, note="epoch %d" % epoch)
    for epoch in (-1, 0, 1):
        fetch(s, v, {"lastFetchedEpoch": epoch, "currentLeaderEpoch": 0}, topic=name, note="last fetched epoch %d" % epoch)


@case("Fetch", "sessions that are not there", [7, 12, 18])
def _(s, v):
    for id_, epoch in ((77, 1), (77, 0), (77, -1), (0, 1), (0, 5), (-1, 1)):
        fetch(s, v, {}, topic="t", sessionId=id_, sessionEpoch=epoch, note="session %d, epoch %d" % (id_, epoch))
    fetch(s, v, {}, topic="nowhere", sessionId=77, sessionEpoch=1, note="and an unknown topic")


# ---- ListOffsets ----

def offsets(s, v, *partitions, topic="t", note="", **more):
    body = {"replicaId": -1, "topics": [{"name": topic, "partitions": [dict({"partitionIndex": 0, "timestamp": -1}, **p) for p in partitions]}]}
    body.update(more)
    s.ask("ListOffsets", v, body, note)


@case("ListOffsets", "topics and partitions that are not there")
def _(s, v):
    offsets(s, v, {}, topic="nowhere", note="topic")
    offsets(s, v, {"partitionIndex": 2}, {"partitionIndex": -1}, {}, note="partitions")
    for bad in BAD_NAMES.values():
        offsets(s, v, {}, topic=bad, note="topic " + bad[:5])
    offsets(s, v, note="no partitions")
    offsets(s, v, topics=[], note="no topics")
    offsets(s, v, {}, {}, note="twice")


@case("ListOffsets", "timestamps", [1, 4, 7, 8, 9, 11])
def _(s, v):
    for name in (filled(s), s.topic("void" + s.unique)):
        for time_ in (-1, -2, -3, -4, -5, -6, -7, -100, 0, 1700000000000, 1700000000001, 1 << 62):
            offsets(s, v, {"timestamp": time_}, topic=name, note="time %d of %s" % (time_, name[:4]))


@case("ListOffsets", "isolation, replica, epochs", [2, 4, 11])
def _(s, v):
    name = filled(s)
    for isolation in (0, 1, 2, -1):
        offsets(s, v, {}, topic=name, isolationLevel=isolation, note="isolation %d" % isolation)
    for replica in (-2, 0, 7):
        offsets(s, v, {}, topic=name, replicaId=replica, note="replica %d" % replica)
    for epoch in (-2, -1, 0, 1):
        offsets(s, v, {"currentLeaderEpoch": epoch}, topic=name, note="epoch %d" % epoch)


# ---- DeleteRecords, OffsetForLeaderEpoch ----

@case("DeleteRecords", "offsets")
def _(s, v):
    name = filled(s)

    def delete(topic, *partitions, note="", ms=10000):
        s.ask("DeleteRecords", v, {"timeoutMs": ms, "topics": [
            {"name": topic, "partitions": [{"partitionIndex": p, "offset": o} for p, o in partitions]}]}, note)
    for offset in (4, -2, 1, 0, 1, -1, -1):
        delete(name, (0, offset), note="offset %d" % offset)
    delete("nowhere", (0, 0), note="unknown topic")
    delete("", (0, 0), note="empty name")
    delete(name, (1, 0), (-1, 0), note="unknown partitions")
    delete("compacted", (0, 0), note="compacted")
    delete(name, note="no partitions")
    delete(name, (0, 0), ms=0, note="timeout 0")
    delete(name, (0, 0), ms=-1, note="timeout -1")
    s.ask("DeleteRecords", v, {"timeoutMs": 1000, "topics": []}, "no topics")


@case("OffsetForLeaderEpoch", "epochs")
def _(s, v):
    name = filled(s)

    def epochs(topic, *partitions, note="", **more):
        s.ask("OffsetForLeaderEpoch", v, dict({"replicaId": -1, "topics": [{"topic": topic, "partitions": [
            dict({"partition": 0, "leaderEpoch": 0}, **p) for p in partitions]}]}, **more), note)
    for epoch in (0, 1, -1, -2, 100):
        epochs(name, {"leaderEpoch": epoch}, note="epoch %d" % epoch)
        epochs(name, {"currentLeaderEpoch": epoch}, note="current epoch %d" % epoch)
    epochs("nowhere", {}, note="unknown topic")
    epochs(name, {"partition": 1}, {"partition": -1}, note="unknown partitions")
    epochs(name, {}, {}, note="twice")
    epochs(name, note="no partitions")
    epochs(name, {}, replicaId=5, note="replica 5")
