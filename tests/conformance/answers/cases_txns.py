"""Producers and transactions: wrong ids, epochs, states."""
from answers.cases import ask, case


def init(s, v, txn, note="", **more):
    return s.ask("InitProducerId", v, dict({"transactionalId": txn, "transactionTimeoutMs": 60000}, **more), note)


@case("InitProducerId", "timeouts and ids")
def _(s, v):
    name = "init" + s.unique
    for ms in (0, -1, 900000, 900001, 2147483647):
        init(s, v, name + str(ms), transactionTimeoutMs=ms, note="timeout %d" % ms)
        init(s, v, None, transactionTimeoutMs=ms, note="timeout %d without an id" % ms)
    init(s, v, "", note="empty id")
    init(s, v, "", note="empty id, timeout 0", transactionTimeoutMs=0)
    init(s, v, name, note="first")
    init(s, v, name, note="second")


@case("InitProducerId", "ids with a NUL", [0, 5])
def _(s, v):
    name = "nul" + s.unique
    for text in (name + "\0", name + "\0x"):
        s.call_it(init(s, v, text, note=repr(text[:4]))["producerId"], "the producer")
        s.ask("DescribeTransactions", 0, {"transactionalIds": [text, name]}, repr(text[:4]))
        s.ask("FindCoordinator", 2, {"key": text, "keyType": 1}, repr(text[:4]))


@case("InitProducerId", "what a producer brings", [3, 4, 5])
def _(s, v):
    name = "bring" + s.unique
    first = init(s, v, name, note="first")
    pid, epoch = s.call_it(first["producerId"], "the producer"), first["producerEpoch"]
    for note, p, e in (("unknown id", 987654, 0), ("its own", pid, epoch), ("its own again", pid, epoch), ("epoch too high", pid, 100),
                       ("id alone", pid, -1), ("epoch alone", -1, 0), ("below -1", -2, -2)):
        init(s, v, name, producerId=p, producerEpoch=e, note=note)
    init(s, v, None, producerId=pid, producerEpoch=5, note="without a transactional id")
    init(s, v, "unknown" + name, producerId=987654, producerEpoch=3, note="of a transactional id that is new")


def added(s, v, txn, pid, epoch, *topics, note=""):
    return s.ask("AddPartitionsToTxn", v, {"v3AndBelowTransactionalId": txn, "v3AndBelowProducerId": pid, "v3AndBelowProducerEpoch": epoch,
                                           "v3AndBelowTopics": [{"name": n, "partitions": list(p)} for n, *p in topics]}, note)


@case("AddPartitionsToTxn", "ids, epochs, partitions", [0, 1, 2, 3])
def _(s, v):
    name = "add" + s.unique
    added(s, v, name, 5, 0, ("t", 0), note="unknown transactional id")
    added(s, v, "", 5, 0, ("t", 0), note="empty transactional id")
    pid, epoch = s.producer(name)
    added(s, v, name, pid + 1000, epoch, ("t", 0), note="other producer")
    added(s, v, name, pid, epoch + 1, ("t", 0), note="epoch too high")
    added(s, v, name, pid, -1, ("t", 0), note="epoch -1")
    added(s, v, name, pid, epoch, ("nowhere", 0), ("t", 0), note="unknown topic")
    added(s, v, name, pid, epoch, ("t", 0, 7), note="unknown partition")
    added(s, v, name, pid, epoch, note="nothing")
    added(s, v, name, pid, epoch, ("t",), note="no partitions")
    added(s, v, name, pid, epoch, ("t", 0, 0), note="twice")
    added(s, v, name, pid, epoch, ("t", 0), note="again")
    s.producer(name)
    added(s, v, name, pid, epoch, ("t", 0), note="fenced")


@case("AddOffsetsToTxn", "ids, epochs, groups")
def _(s, v):
    name = "offsets" + s.unique

    def add(txn, pid, epoch, group, note):
        s.ask("AddOffsetsToTxn", v, {"transactionalId": txn, "producerId": pid, "producerEpoch": epoch, "groupId": group}, note)
    add(name, 5, 0, "g", "unknown transactional id")
    add("", 5, 0, "g", "empty transactional id")
    pid, epoch = s.producer(name)
    add(name, pid + 1000, epoch, "g", "other producer")
    add(name, pid, epoch + 1, "g", "epoch too high")
    add(name, pid, epoch, "", "empty group")
    add(name, pid, epoch, "g", "good")
    s.producer(name)
    add(name, pid, epoch, "g", "fenced")


def end(s, v, txn, pid, epoch, commit, note):
    return s.ask("EndTxn", v, {"transactionalId": txn, "producerId": pid, "producerEpoch": epoch, "committed": commit}, note)


@case("EndTxn", "ids, epochs, states", [0, 1, 2, 3, 4])
def _(s, v):
    name = "end" + s.unique
    for commit in (True, False):
        end(s, v, name, 5, 0, commit, "unknown transactional id")
    end(s, v, "", 5, 0, True, "empty transactional id")
    pid, epoch = s.producer(name)
    end(s, v, name, pid, epoch, True, "commit of nothing")
    end(s, v, name, pid, epoch, False, "abort of nothing")
    end(s, v, name, pid + 1000, epoch, True, "other producer")
    end(s, v, name, pid, epoch + 1, True, "epoch too high")
    added(s, 3, name, pid, epoch, ("t", 0))
    end(s, v, name, pid, epoch, True, "commit")
    while s.quietly("EndTxn", v, {"transactionalId": name, "producerId": pid, "producerEpoch": epoch, "committed": True})["errorCode"] == 51:
        pass
    end(s, v, name, pid, epoch, True, "commit again")
    end(s, v, name, pid, epoch, False, "abort what was committed")
    s.producer(name)
    end(s, v, name, pid, epoch, True, "fenced")


@case("TxnOffsetCommit", "ids, epochs, members, offsets", [0, 2, 3, 4])
def _(s, v):
    name, group = "toffset" + s.unique, "tgroup" + s.unique

    def commit(txn, pid, epoch, note, *offsets, topic="t", **more):
        s.ask("TxnOffsetCommit", v, dict({"transactionalId": txn, "groupId": group, "producerId": pid, "producerEpoch": epoch, "topics": [
            {"name": topic, "partitions": [{"partitionIndex": p, "committedOffset": o} for p, o in offsets]}]}, **more), note)
    commit(name, 5, 0, "unknown transactional id", (0, 1))
    pid, epoch = s.producer(name)
    commit(name, pid, epoch, "not added", (0, 1))
    s.quietly("AddOffsetsToTxn", 3, {"transactionalId": name, "producerId": pid, "producerEpoch": epoch, "groupId": group})
    commit(name, pid, epoch, "empty group", (0, 1), groupId="")
    commit(name, pid, epoch, "unknown topic", (0, 1), topic="nowhere")
    commit(name, pid, epoch, "unknown partitions", (7, 1), (-1, 1), (0, 1))
    commit(name, pid, epoch, "negative offset", (0, -3))
    commit(name, pid, epoch, "no partitions")
    commit(name, pid, epoch, "good", (0, 1))
    if v >= 3:
        commit(name, pid, epoch, "unknown member", (0, 1), memberId="m", generationId=1)
        commit(name, pid, epoch, "generation 5", (0, 1), generationId=5)
        commit(name, pid, epoch, "unknown instance", (0, 1), groupInstanceId="i", memberId="m", generationId=1)
    s.ask("OffsetFetch", 7, {"groupId": group, "topics": [{"name": "t", "partitionIndexes": [0]}]}, "pending")
    s.ask("OffsetFetch", 7, {"groupId": group, "requireStable": True, "topics": [{"name": "t", "partitionIndexes": [0, 1]}]}, "stable only")
    s.ask("OffsetFetch", 7, {"groupId": group, "requireStable": True, "topics": None}, "stable only, all")


@case("DescribeProducers", "topics and partitions")
def _(s, v):
    for note, topic, partitions in (("unknown topic", "nowhere", [0]), ("unknown partitions", "t", [7, -1]), ("none", "t", []),
                                    ("empty name", "", [0]), ("nobody wrote", s.topic("calm" + s.unique), [0])):
        s.ask("DescribeProducers", v, {"topics": [{"name": topic, "partitionIndexes": partitions}]}, note)
    s.ask("DescribeProducers", v, {"topics": []}, "no topics")


@case("DescribeTransactions", "ids")
def _(s, v):
    name = "told" + s.unique
    for ids in ([], [""], ["no" + name], ["no" + name, "no" + name]):
        s.ask("DescribeTransactions", v, {"transactionalIds": ids}, str(len(ids)))
    pid, epoch = s.producer(name)
    s.ask("DescribeTransactions", v, {"transactionalIds": [name]}, "empty")
    added(s, 3, name, pid, epoch, ("t", 0, 1))
    s.ask("DescribeTransactions", v, {"transactionalIds": [name]}, "ongoing")


@case("ListTransactions", "filters")
def _(s, v):
    name = "list" + s.unique
    pid, _ = s.producer(name)
    for note, more in {"unknown states": {"stateFilters": ["Nonsense", ""]}, "a known and an unknown state": {"stateFilters": ["Dead", "x"]},
                       "unknown producer": {"producerIdFilters": [987654]}, "this one": {"producerIdFilters": [pid]},
                       "this one by another state": {"producerIdFilters": [pid], "stateFilters": ["Ongoing"]},
                       "a long time": {"durationFilter": 1 << 40}}.items():
        s.ask("ListTransactions", v, more, note)
    if v >= 2:
        for pattern in ("", "[", name, name + ".*", "no" + name):
            s.ask("ListTransactions", v, {"transactionalIdPattern": pattern, "producerIdFilters": [pid]}, "pattern %r" % pattern)


@case("WriteTxnMarkers", "producers, topics, partitions")
def _(s, v):
    for note, topics in {"unknown topic": [{"name": "nowhere", "partitionIndexes": [0]}],
                         "unknown partitions": [{"name": "t", "partitionIndexes": [7, -1]}], "no topics": []}.items():
        s.ask("WriteTxnMarkers", v, {"markers": [{"producerId": 987654, "producerEpoch": 1, "transactionResult": False, "topics": topics,
                                                  "coordinatorEpoch": 0}]}, note)


ask("WriteTxnMarkers", "none", {"markers": []})
