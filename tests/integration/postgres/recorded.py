"""Recorded change events (tests/data/debezium) and events of our own made comparable: byte for byte, but for what differs
from run to run, of which the relations are kept.

A varying number becomes a name by its first appearance within its kind: `L3` is the third LSN of a change that is seen, so two
runs are equal if the same places hold the same LSNs. Kinds: L (LSN of a change), P (of a snapshot), C (end of a commit), B (begin
of a transaction, where that is no event's), X (transaction), Y (of a snapshot), S (time in the source), U (UUID). What must hold within a run is checked: sequence's second part is the LSN, the three times of a
source are one, a transaction has one time.

The events were recorded from PostgreSQL 15; versions.py says what older ones do otherwise.
"""
import json
import os
import re

from leat import ROOT

from . import differences, versions

DATA = os.path.join(ROOT, "tests/data/debezium/postgres")

STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
SCALAR = re.compile(r'-?[0-9][0-9.eE+-]*|true|false|null')
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
WINDOW_TIME = re.compile(r'((?:open|close)WindowTimestamp[\\": ]+)\d{4}-\d\d-\d\dT[0-9:.]+Z')


def cases():
    return sorted(f[:-len(".sql")] for f in os.listdir(DATA) if f.endswith(".sql"))


def config(case):
    with open(os.path.join(DATA, case + ".config.json"), encoding="utf-8") as f:
        return json.load(f)


def sections(case, major):
    """(what, argument, SQL) of each section of the case's SQL: setup, stream, wait, sleep; as a server of this version takes it."""
    with open(os.path.join(DATA, case + ".sql"), encoding="utf-8") as f:
        parts = re.split(r"^-- @(\w+) ?(.*)\n", versions.statements(case, major, f.read()), flags=re.M)
    return list(zip(parts[1::3], parts[2::3], parts[3::3]))


class Record:
    """A record as bytes: key and value as text (None: null), headers as pairs of texts."""

    def __init__(self, topic, key, value, headers):
        self.topic, self.key, self.value, self.headers = topic, key, value, headers

    def __str__(self):
        return "%s\n  key     %s\n  value   %s\n  headers %s" % (self.topic, self.key, self.value, self.headers)


def span(line, member):
    """The text of a member of the object in `line`, as it stands there."""
    start = line.index('"%s":' % member) + len(member) + 3
    _, end = json.JSONDecoder().raw_decode(line, start)
    return line[start:end], end


def read_line(line):
    topic = json.loads(span(line, "topic")[0])
    key, end = span(line, "key")
    rest = line[end:]
    value, end = span(rest, "value")
    headers = json.loads(span(rest[end:], "headers")[0], object_pairs_hook=list)
    flat = [(name, text if isinstance(text, str) or text is None else compact(text)) for [(name, text)] in headers]
    return Record(topic, None if key == "null" else key, None if value == "null" else value, flat)


def compact(pairs):
    """A header that was a struct: JSON without spaces, members in their order."""
    return json.dumps(dict(pairs), separators=(",", ":"), ensure_ascii=False)


def recorded(case):
    with open(os.path.join(DATA, case + ".events.jsonl"), encoding="utf-8") as f:
        return [read_line(line.rstrip("\n")) for line in f]


def scalars(text):
    """(path, start, end) of each string, number and word in JSON text that is no member's name. Paths are joined by dots."""
    found, path, at = [], [], 0
    # What is open: the name that leads into it, whether it is an object, and the name or index that comes next.
    while at < len(text):
        c = text[at]
        if c in "{[":
            path.append([c == "{", None if c == "{" else 0])
            at += 1
        elif c in "}]":
            path.pop()
            at += 1
        elif c == ",":
            if not path[-1][0]:
                path[-1][1] += 1
            else:
                path[-1][1] = None
            at += 1
        elif c == ":":
            at += 1
        else:
            m = (STRING if c == '"' else SCALAR).match(text, at)
            if path and path[-1][0] and path[-1][1] is None:
                path[-1][1] = json.loads(m.group())
            else:
                found.append((".".join(str(p[1]) for p in path), at, m.end()))
            at = m.end()
    return found


class Names:
    """Names of what varies, by first appearance within a kind."""

    def __init__(self):
        self.known = {}
        self.times = {}  # of transactions, in us

    def name(self, kind, value):
        if value is None:
            return "null"
        of_kind = self.known.setdefault(kind, {})
        return of_kind.setdefault(str(value), "%s%d" % (kind, len(of_kind) + 1))


class Comparable:
    """Makes the records of one run comparable, in their order."""

    def __init__(self, case, major):
        self.case = case
        self.all_told = versions.tells_all_transactions(major)
        self.names = Names()
        self.boundary = "L"

    def record(self, r):
        # Only the value of transaction metadata tells whose LSN the id has: an event's, or that of the commit's end.
        self.boundary = "C" if r.value and '"status":"END"' in r.value else "B" if self.all_told else "L"
        key = self.text(r.topic, r.key)
        value = self.text(r.topic, r.value)
        return [r.topic, key, value, [(n, self.header(n, v)) for n, v in r.headers]]

    def header(self, name, value):
        return self.names.name("U", value) if name == "__debezium.context.runId" else value

    def text(self, topic, text):
        if text is None:
            return None
        at = {}
        spans = scalars(text)
        for path, start, end in spans:
            at[path.removeprefix("payload.")] = json.loads(text[start:end])
        self.check(at)
        out, done = [], 0
        for path, start, end in spans:
            short = path.removeprefix("payload.")
            if path.startswith("schema."):
                continue
            new = self.varying(topic, short, at)
            if new is None:
                new = self.texts(topic, text[start:end])
            if new is not None:
                out += [text[done:start], new]
                done = end
        return "".join(out) + text[done:]

    # ---- what must hold ----

    def check(self, at):
        if "source.ts_us" in at:
            us = at["source.ts_us"]
            assert at["source.ts_ms"] == us // 1000, at
            assert at["source.ts_ns"] // 1000 == us, at
            if at["source.snapshot"] == "false" and at.get("source.txId") is not None:
                assert self.names.times.setdefault(at["source.txId"], us) == us, "one time a transaction"
                assert at["source.ts_ns"] == us * 1000, at
            lsn = json.loads(at["source.sequence"])[1]
            assert at["source.lsn"] is None or lsn == str(at["source.lsn"]), at
        if "op" in at and "ts_us" in at:
            assert at["ts_ms"] == at["ts_us"] // 1000 and at["ts_us"] == at["ts_ns"] // 1000, at
        if at.get("transaction.id"):
            assert at["transaction.id"] == "%d:%d" % (at["source.txId"], at["source.lsn"]), at
        if at.get("status") in ("BEGIN", "END"):
            us = self.names.times.get(int(at["id"].split(":")[0]))
            assert us is None or at["ts_ms"] == us // 1000, "a transaction's boundaries have its time"

    # ---- what varies ----

    def varying(self, topic, path, at):
        """The name of a varying place; None: it does not vary."""
        name = self.names.name
        if path in ("ts_ms", "ts_us", "ts_ns", "timestamp", "__source_ts_ms") or path.startswith("source.ts_"):
            # Each row of an incremental snapshot has the moment when it was read, which may be that of the next row, or not.
            of_change = path == "source.ts_us" and at["source.snapshot"] != "incremental"
            return name("S", at["source.ts_us"]) if of_change else "T"
        point = "P" if at.get("source.snapshot", "false") not in ("false", "incremental") else "L"
        if path in ("source.lsn", "__pos"):
            return name("P" if at.get("__op") == "r" else point, at[path])
        if path == "source.txId":
            return name("Y" if point == "P" else "X", at[path])
        if path == "source.sequence":
            commit, lsn = json.loads(at[path])
            if commit is None and self.all_told and at["source.snapshot"] == "false":
                commit = "none"
            return "[%s,%s]" % (name("C", commit), name(point, lsn))
        if path == "transaction.id" and at[path]:
            return self.transaction(at[path], "L")
        if topic.endswith(".transaction") and path == "id":
            return self.transaction(at[path], self.boundary)
        return None

    def transaction(self, ident, kind):
        xid, lsn = ident.split(":")
        return "%s:%s" % (self.names.name("X", xid), self.names.name(kind, lsn))

    def texts(self, topic, text):
        """Ids and times that signals and notifications make up."""
        if self.case != "incremental" or not ("dbz_signal" in topic or "notify" in topic):
            return None
        new = WINDOW_TIME.sub(r"\1T", UUID.sub(lambda m: self.names.name("U", m.group()), text))
        return None if new == text else new


def comparable(case, major, records):
    c = Comparable(case, major)
    return [c.record(r) for r in records]


def expected(case, major):
    """What was recorded, with what Leat means to write otherwise, and what a server of this version has otherwise."""
    return versions.events(case, major, differences.apply(case, recorded(case)))
