#!/usr/bin/env python3
"""What must hold of records after a hub was killed under Kafka's clients; and, when run by itself, that each breach is found.

Values are "<writer> <number>", numbered per writer and partition from 0 on. Partitions are lists of values in the order of offsets.
"""
import sys


class Broken(AssertionError):
    pass


def split(value):
    writer, number = value.rsplit(" ", 1)
    return writer, int(number)


def once_in_order(what, partitions, written):
    """Every record of `written`, {(writer, partition): count}, is there once, in its writer's order, and no other."""
    following = {key: 0 for key in written}
    for partition, values in partitions.items():
        for at, value in enumerate(values):
            writer, number = split(value)
            key = (writer, partition)
            if key not in written:
                raise Broken("%s: %r in partition %d was never written there" % (what, value, partition))
            if number != following[key]:
                raise Broken("%s: partition %d, place %d: %r came where %d was due" % (what, partition, at, value, following[key]))
            following[key] += 1
    if following != written:
        raise Broken("%s: there are %s of %s" % (what, following, written))


def at_least_once_in_order(what, partitions, acknowledged, written):
    """Every record of `acknowledged`, {(writer, partition): numbers}, is there; what comes again aside, numbers rise."""
    seen = {key: set() for key in acknowledged}
    for partition, values in partitions.items():
        last = {}
        for at, value in enumerate(values):
            writer, number = split(value)
            key = (writer, partition)
            if number >= written.get(key, 0):
                raise Broken("%s: %r in partition %d was never written there" % (what, value, partition))
            if number not in seen[key] and number < last.get(key, 0):
                raise Broken("%s: partition %d, place %d: %r came for the first time after %d" % (what, partition, at, value, last[key]))
            seen[key].add(number)
            last[key] = max(number, last.get(key, 0))
    for key, numbers in acknowledged.items():
        lost = sorted(set(numbers) - seen[key])
        if lost:
            raise Broken("%s: acknowledged and not there: %s %s" % (what, key, lost[:10]))


def transactions(what, partitions, committed, open_ended):
    """Of each transaction, a list of (partition, value): all of a committed one, once, in order; of one whose end is not known all or
    nothing; of others nothing."""
    place = {}
    for partition, values in partitions.items():
        for at, value in enumerate(values):
            if (partition, value) in place:
                raise Broken("%s: %r is twice in partition %d" % (what, value, partition))
            place[partition, value] = at
    expected = []
    for records in committed:
        absent = [r for r in records if r not in place]
        if absent:
            raise Broken("%s: committed and not there: %s" % (what, absent[:5]))
        expected += records
    for records in open_ended:
        there = [r for r in records if r in place]
        if there and len(there) != len(records):
            raise Broken("%s: half of a transaction is there: %s of %d" % (what, there[:5], len(records)))
        expected += there
    if len(set(expected)) != len(place):
        raise Broken("%s: aborted or never written: %s" % (what, sorted(set(place) - set(expected))[:5]))
    last = {}
    for partition, value in expected:
        if place[partition, value] < last.get(partition, -1) and (partition, value) not in {r for t in open_ended for r in t}:
            raise Broken("%s: partition %d: %r is before what was committed before it" % (what, partition, value))
        last[partition] = max(place[partition, value], last.get(partition, -1))


def copied(what, inputs, outputs):
    """The output is each input once, in order."""
    for partition, values in inputs.items():
        got = outputs.get(partition, [])
        for at, (a, b) in enumerate(zip(values, got)):
            if a != b:
                raise Broken("%s: partition %d, place %d: %r instead of %r" % (what, partition, at, b, a))
        if len(got) != len(values):
            raise Broken("%s: partition %d has %d records of %d" % (what, partition, len(got), len(values)))


class Rising:
    """Committed offsets as they were acknowledged to members and seen by others: they never go back."""

    def __init__(self):
        self.least = {}

    def acknowledged(self, key, offset):
        self.least[key] = max(offset, self.least.get(key, -1))

    def seen(self, key, offset, least):
        """`least` is what self.least was before it was asked for."""
        if offset < least.get(key, -1):
            raise Broken("committed offset of %s: %d after %d" % (key, offset, least[key]))
        self.acknowledged(key, offset)


# ---- that it can fail ----

def self_check():
    good = {0: ["a 0", "b 0", "a 1", "a 2"], 1: ["a 0"]}
    written = {("a", 0): 3, ("b", 0): 1, ("a", 1): 1}
    numbers = {k: range(n) for k, n in written.items()}
    txns = [[(0, "a 0"), (1, "a 0")], [(0, "b 0"), (0, "a 1")]]
    unclear = [[(0, "a 2")]]

    def rising(*offsets):
        r = Rising()
        for o in offsets:
            r.seen("p", o, dict(r.least))

    spoiled = {"lost": {0: ["a 0", "b 0", "a 2"], 1: ["a 0"]}, "twice": {0: ["a 0", "b 0", "a 1", "a 1", "a 2"], 1: ["a 0"]},
               "order": {0: ["a 0", "b 0", "a 2", "a 1"], 1: ["a 0"]}, "strange": {0: good[0] + ["c 0"], 1: ["a 0"]},
               "end lost": {0: good[0], 1: []}}
    holds = [lambda g: once_in_order("x", g, written), lambda g: copied("x", good, g)]
    for check in holds + [lambda g: at_least_once_in_order("x", g, numbers, written), lambda g: transactions("x", g, txns, unclear)]:
        check(good)
        for name, bad in spoiled.items():
            if name == "twice" and check not in holds and check.__code__.co_names[0].startswith("at_least"):
                continue
            if name == "order" and check.__code__.co_names[0] == "transactions":
                continue  # of one whose end is not known the place is not known either
            must_fail(name, check, bad)
    at_least_once_in_order("x", spoiled["twice"], numbers, written)
    must_fail("aborted", lambda _: transactions("x", good, txns[:1], unclear), None)
    must_fail("half", lambda _: transactions("x", good, txns[:1], [[(0, "b 0"), (0, "gone")], [(0, "a 1")], [(0, "a 2")]]), None)
    must_fail("swapped", lambda _: transactions("x", good, [txns[1], txns[0]], unclear), None)
    rising(1, 1, 5)
    must_fail("back", lambda _: rising(1, 5, 4), None)


def must_fail(name, check, argument):
    try:
        check(argument)
    except Broken:
        return
    raise SystemExit("the checker finds nothing wrong with: " + name)


if __name__ == "__main__":
    self_check()
    print("kafka_check: every breach is found")
    sys.exit(0)
