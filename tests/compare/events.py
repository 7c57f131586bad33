"""Two lists of records, of Debezium and of Leat, compared one by one.

Both read one server, so what the stream brings is equal to the byte: LSNs, transactions, times and sequence too. What varies is
masked: when the connector handled it, which snapshot its rows are of, and which run it is. Where texts still differ they are
compared value by value, and a pair of values counts as equal if a rule of EXCUSES says so, each a row of
docs/debezium-differences.md.
"""
import collections
import json
import math
import re
import struct

from tests.integration.postgres.recorded import scalars

Record = collections.namedtuple("Record", "key value headers")

HANDLED = re.compile(r'"ts_ms":\d+,"ts_us":\d+,"ts_ns":\d+(\}{1,2})$')
MESSAGE_HANDLED = re.compile(r'("op":"m"),"ts_ms":\d+,')
SNAPSHOT = re.compile(r'"ts_ms":\d+,("snapshot":"(?!false)\w+","db":"[^"]*"),"sequence":"\[null,\\"\d+\\"\]","ts_us":\d+,"ts_ns":\d+,'
                      r'("schema":"(?:[^"\\]|\\.)*","table":"(?:[^"\\]|\\.)*"),"txId":\d+,"lsn":\d+,')
UNWRAPPED = re.compile(r'("__op":"r"),"__source_ts_ms":\d+,"__lsn":\d+')
XMIN = re.compile(r'("lsn":\d+,"xmin":)\d+,"origin"')  # of each one's own slot
RUN = "__debezium.context.runId"


def mask(r):
    value = r.value
    if value is not None:
        value = HANDLED.sub(r'"ts":0\1', value)
        value = MESSAGE_HANDLED.sub(r'\1,', value)
        value = SNAPSHOT.sub(r'\1,\2,', value)
        value = XMIN.sub(r'\g<1>0,"origin"', value)
        value = UNWRAPPED.sub(r'\1', value)
    return Record(r.key, value, [(n, "U" if n == RUN else v) for n, v in r.headers])


# ---- what may differ --------------------------------------------------------------------------------------------------

def number(text):
    try:
        return float(text)
    except ValueError:
        return math.nan


def digits(text):
    return len(text.lower().partition("e")[0].strip("-0").replace(".", "").strip("0"))


def float_digits(path, theirs, ours):
    """Java before 19 writes some floating-point numbers with a digit more than they need."""
    single = struct.pack("f", number(theirs)) == struct.pack("f", number(ours)) if abs(number(ours)) < 3.5e38 else False
    return "E" in theirs and digits(theirs) > digits(ours) and (number(theirs) == number(ours) or single)


def half_a_character(path, theirs, ours):
    """column.truncate.to.N.chars between the halves of a character beyond the basic plane."""
    return re.search(r"\\uD83D\"$", theirs) is not None and theirs[:-7] == ours[:-1]


def placeholder_as_text(path, theirs, ours):
    """An unchanged bytea where binary.handling.mode is a base64 text."""
    return theirs == "null" and ours == '"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="'


def enum_that_grew(path, theirs, ours):
    """ALTER TYPE ... ADD VALUE: Debezium goes on with the list that it read first."""
    return path.endswith("parameters.allowed") and ours[:-1].startswith(theirs[:-1] + ",")


def messages_counted(path, theirs, ours):
    """Logical messages of a transaction are one data collection."""
    return path.endswith("transaction.data_collection_order") and int(theirs) <= int(ours)


def origin_of_the_last(path, theirs, ours):
    """Messages outside of transactions keep the replication origin of the last transaction in Debezium."""
    return ours == "null" and re.search(r"source\.origin(_lsn)?$", path) is not None and theirs != "null"


MESSAGE_EXCUSES = {"origins of messages outside of transactions": origin_of_the_last}
EXCUSES = {"real and double precision in scientific notation": float_digits,
           "column.truncate.to.N.chars between halves": half_a_character,
           "unchanged large values": placeholder_as_text,
           "enums that grow": enum_that_grew,
           "logical messages in transaction metadata": messages_counted}


def differing(theirs, ours):
    """(path, their value, our value) of each place where two JSON texts differ; of their form the first, with a path of None."""
    if theirs is None or ours is None:
        return [(None, theirs, ours)]
    found, at = [], [0, 0]
    for (path, s1, e1), (name, s2, e2) in zip(scalars(theirs), scalars(ours)):
        if path != name or theirs[at[0]:s1] != ours[at[1]:s2]:
            return found + [(None, theirs[max(0, at[0] - 60):s1 + 200], ours[max(0, at[1] - 60):s2 + 200])]
        if theirs[s1:e1] != ours[s2:e2]:
            found.append((path, theirs[s1:e1], ours[s2:e2]))
        at = [e1, e2]
    return found if theirs[at[0]:] == ours[at[1]:] else found + [(None, theirs[at[0]:][:200], ours[at[1]:][:200])]


def counts_in_order(value):
    """The end of a transaction with its data collections by name: Debezium's order is that of a hash map, and it counts each
    logical message as a collection of its own."""
    found = re.search(r'"data_collections":(\[.*\])', value or "")
    if not found:
        return value
    counts = collections.Counter()
    for item in json.loads(found.group(1)):
        name = item["data_collection"]
        counts["message" if "LogicalDecodingMessageId" in name else name] += item["event_count"]
    return value[:found.start(1)] + json.dumps(sorted(counts.items())) + value[found.end(1):]


class Comparison:
    """Of all topics of one pipeline."""

    def __init__(self):
        self.excused = collections.Counter()
        self.found = {}  # (topic, where): [how often, an example]
        self.count = 0

    def note(self, topic, where, example):
        entry = self.found.setdefault((topic, where), [0, example])
        entry[0] += 1

    def text(self, topic, what, theirs, ours):
        if theirs == ours:
            return
        alone = topic.endswith(".message") and '"txId":null' in (ours or "")
        if theirs and ours:  # schemas are long, and mostly the same
            (schema1, mark, _), (schema2, _, _) = theirs.partition('},"payload":'), ours.partition('},"payload":')
            if mark and schema1 == schema2:
                theirs, ours = theirs[len(schema1) + 2:-1].join("{}"), ours[len(schema2) + 2:-1].join("{}")
        for path, a, b in differing(theirs, ours):
            rules = dict(EXCUSES, **MESSAGE_EXCUSES) if alone else EXCUSES
            excuse = path and next((name for name, rule in rules.items() if rule(path, a, b)), None)
            if excuse:
                self.excused[excuse] += 1
            else:
                where = "%s: %s" % (what, re.sub(r"\.\d+(?=\.|$)", ".*", path) if path else "form")
                self.note(topic, where, "\n    Debezium %s\n    Leat     %s" % (a, b))

    def topic(self, topic, theirs, ours):
        self.count += len(theirs)
        if len(theirs) != len(ours):
            self.note(topic, "number of records", "\n    Debezium %d\n    Leat     %d" % (len(theirs), len(ours)))
        if topic.endswith(".transaction"):
            theirs, ours = ([r._replace(value=counts_in_order(r.value)) for r in side] for side in (theirs, ours))
        for i, (a, b) in enumerate(zip(map(mask, theirs), map(mask, ours))):
            if place(a) != place(b):
                self.note(topic, "record %d is another" % i, "\n    Debezium %s\n    Leat     %s" % (a, b))
                break
            self.text(topic, "key", a.key, b.key)
            self.text(topic, "value", a.value, b.value)
            if a.headers != b.headers:
                self.note(topic, "headers", "\n    Debezium %s\n    Leat     %s" % (a.headers, b.headers))

    def report(self):
        lines = ["%s, %s (%d times):%s" % (topic, where, n, example[:3000]) for (topic, where), (n, example) in self.found.items()]
        return "\n".join(lines)


def place(r):
    """What must agree for two records to be of one change at all."""
    found = re.search(r'"lsn":(\d+),"xmin"', r.value) if r.value else None
    op = re.search(r'"op":"(.)"', r.value) if r.value else None
    return (r.value is None, found and found.group(1), op and op.group(1))
