"""Kafka's protocol under load: Leat beside the floor program and, with PEER=1, beside Apache Kafka. Parts of tests/bench/run.

The load comes from bench_kafka, as requests made beforehand, so that neither side's speed depends on it. The floor receives, computes the CRC, writes into a
preallocated file and syncs: what a synced broker cannot be faster than, but for several files or syncs at a time. BENCH_SECONDS=4: of each load. The aims are
issue 7's.
"""
import os
import socket
import subprocess
import time

from kafka_servers import MIB, SECONDS, Floor, Load, measure, memory_mib, on_each_side

ONE_RECORD = {"batch": 256, "record": 256}
DEEP = {"in_flight": 8}
SOCKETS = "sockets alone"

# name, options of bench_kafka, the aim: in 1/s where a request is a record, else MiB/s
PRODUCE = [
    ("1 KiB in 16 KiB batches", dict(DEEP, batch=16 << 10), 250),
    ("1 KiB in 64 KiB batches", dict(DEEP, batch=64 << 10), 750),
    ("1 KiB in 1 MiB batches", {"in_flight": 4, "batch": 1 << 20}, 1500),
    ("100 B in 64 KiB batches", dict(DEEP, batch=64 << 10, record=100), 572),
    ("256 B a request, 1 connection", ONE_RECORD, None),
    ("256 B a request, 16 connections", dict(ONE_RECORD, connections=16), 60000),
    ("256 B a request, 64 connections", dict(ONE_RECORD, connections=64), 150000),
]
MANY = [
    ("16 KiB batches, 1 partition", dict(DEEP), None),
    ("16 KiB batches, 100 partitions", dict(DEEP, partitions=100), None),
    ("16 KiB batches, 1,000 partitions", dict(DEEP, partitions=1000), None),
    ("16 KiB batches, 10,000 partitions", dict(DEEP, partitions=10000), None),
    ("256 B a request, 100 connections", dict(ONE_RECORD, connections=100), None),
    ("256 B a request, 1,000 connections", dict(ONE_RECORD, connections=1000), None),
]
CODECS = [("64 KiB batches, %s" % codec, dict(DEEP, batch=64 << 10, codec=codec), None) for codec in ("none", "gzip", "lz4", "zstd")]
FETCH = [
    ("fetch, 1 MiB at a time, page cache", {"batch": MIB}, 2500),
    ("fetch, 16 KiB at a time, 16 connections", {"batch": 16 << 10, "connections": 16}, None),
    ("fetch, 1 KiB at a time, 64 connections", {"batch": 1 << 10, "connections": 64, "topic": "small"}, None),
]


def unit_of(options):
    return ("rate", "1/s") if options.get("batch", 16 << 10) <= 1024 else ("mib", "MiB/s")


def rows_of(row, name, options, ours, references, aim=None):
    """One load: rate, processor, time to the answer, beside each of the references, {name: figures}, and the aim for the rate."""
    key, unit = unit_of(options)
    rows = [row(name, ours[key], unit, "aim" if aim else None, aim)] if aim or not references else []
    for other, theirs in references.items():
        rows.append(row(name, ours[key], unit, other, theirs[key]))
        if other == SOCKETS:
            continue
        rows.append(row("  processor", ours["cpu"], "s/GiB", other, theirs["cpu"]))
        rows += [row("  " + p, ours[p], "us", other, max(theirs[p], 1)) for p in ("p50", "p99", "p999")]
    return rows


def produce_all(program, server, loads):
    got = {}
    for i, (name, options, _) in enumerate(loads):
        topic = "produce-%d" % i
        if options.get("partitions", 1) > server.partitions_max:
            continue
        partitions, batch = options.get("partitions", 1), options.get("batch", 16 << 10)
        server.topic(topic, partitions)
        if partitions > 1:  # their files are made by the first append, which is not what is measured
            measure(program, server, "fill", topic=topic, partitions=partitions, batch=batch, mib=partitions * batch // MIB + 1, **DEEP)
        got[name] = measure(program, server, "produce", topic=topic, seconds=SECONDS, **options)
        server.forget(topic)
    got["memory"] = memory_mib(server.pid, "VmHWM")
    return got


def others(got, name):
    return {side: figures[name] for side, figures in got.items() if side != "Leat" and name in figures}


def of_floors(program, floor, directory, options):
    """{name: figures} of the synced floor, and where a request is small of the sockets alone."""
    kinds = [("floor, synced", 512)] + ([(SOCKETS, 0)] if unit_of(options)[0] == "rate" else [])
    got = {}
    for name, mib in kinds:
        server = Floor(floor, directory, mib)
        try:
            got[name] = measure(program, server, "floor", seconds=SECONDS, **options)
        finally:
            server.stop()
    return got


def produce_rows(directory, row, program, loads, floor=None):
    got = on_each_side(directory, program, lambda server: produce_all(program, server, loads))
    rows = []
    for name, options, aim in loads:
        floors = of_floors(program, floor, directory, options) if floor else {}
        rows += rows_of(row, name, options, got["Leat"][name], {**floors, **others(got, name)}, aim)
    rows.append(row("largest memory", got["Leat"]["memory"], "MiB", "aim", 64))
    rows += [row("largest memory", got["Leat"]["memory"], "MiB", side, theirs) for side, theirs in others(got, "memory").items()]
    return rows


def bench_produce(directory, row, program_of):
    return produce_rows(directory, row, program_of("bench_kafka"), PRODUCE, program_of("bench_kafka_floor"))


def bench_many(directory, row, program_of):
    """Partitions, beside one of them, and connections."""
    rows = produce_rows(directory, row, program_of("bench_kafka"), MANY)
    one = next(r["value"] for r in rows if r["name"] == MANY[0][0])
    return rows + [row("  %s: of one" % name, next(r["value"] for r in rows if r["name"] == name), "MiB/s", "1 partition; aim 0.8 of it", one)
                   for name, options, _ in MANY[1:] if "partitions" in options]


def bench_codecs(directory, row, program_of):
    return produce_rows(directory, row, program_of("bench_kafka"), CODECS)


# ---- fetch --------------------------------------------------------------------------------------------------------


def forget_pages(directory):
    """What is on disk is no longer in memory."""
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                fd = os.open(os.path.join(folder, name), os.O_RDONLY)
            except FileNotFoundError:
                continue
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


def lagging(program, server):
    """Fetches from disk while writes go on, and each alone."""
    got = {}
    server.topic("writes", 1)
    got["write"] = measure(program, server, "produce", topic="writes", seconds=SECONDS, **DEEP)
    forget_pages(server.logs())
    got["read"] = measure(program, server, "fetch", topic="fetch", batch=MIB, seconds=2)
    forget_pages(server.logs())
    write = Load(program, server, "produce", topic="writes", seconds=2, **DEEP)
    got["read beside"] = measure(program, server, "fetch", topic="fetch", batch=MIB, seconds=2)
    got["write beside"] = write.figures()
    return got


def fetch_all(program, server):
    got = {}
    server.topic("fetch", 1)
    server.topic("small", 1)
    measure(program, server, "fill", topic="fetch", batch=64 << 10, mib=1024, **DEEP)
    measure(program, server, "fill", topic="small", batch=1 << 10, record=256, mib=32, **DEEP)
    for name, options, _ in FETCH:
        got[name] = measure(program, server, "fetch", **dict({"topic": "fetch", "seconds": SECONDS}, **options))
    got.update(lagging(program, server))
    return got


def bench_fetch(directory, row, program_of):
    program = program_of("bench_kafka")
    got = on_each_side(directory, program, lambda server: fetch_all(program, server))
    ours, rows = got["Leat"], []
    for name, options, aim in FETCH:
        rows += rows_of(row, name, options, ours[name], others(got, name), aim)
    rows.append(row("  processor, 1 MiB at a time", ours[FETCH[0][0]]["cpu"], "s/GiB", "aim", 0.25))
    for what in ("read", "write"):
        rows.append(row("lagging consumer: %s beside the other" % what, ours[what + " beside"]["mib"], "MiB/s", what + " alone", ours[what]["mib"]))
        rows += [row("  " + what, ours[what + " beside"]["mib"], "MiB/s", side, theirs["mib"]) for side, theirs in others(got, what + " beside").items()]
    return rows


# ---- those who should cost the others nothing ---------------------------------------------------------------------


class Hold:
    """Connections that ask and do not read, or that are idle."""

    def __init__(self, program, server, **options):
        self.process = subprocess.Popen([program, str(server.port), "hold", "seconds=600", *("%s=%s" % o for o in options.items())], stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def end(self):
        self.process.kill()
        self.process.communicate()


class HugeRequest:
    """A request of 90 MiB of which half has come."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port))
        self.socket.sendall((90 * MIB).to_bytes(4, "big") + b"\0\0\0\x09" + bytes(45 * MIB))

    def end(self):
        self.socket.close()


def disturbed(program, server):
    """Rates of small produces: alone, and beside each who should not matter, in turns."""
    server.topic("slow", 1)
    server.topic("small", 1)
    measure(program, server, "fill", topic="slow", batch=64 << 10, mib=256, **DEEP)
    beside = {
        "64 slow consumers": lambda: Hold(program, server, topic="slow", connections=64, in_flight=16, batch=MIB),
        "a huge request, half of it sent": lambda: HugeRequest(server),
        "5,000 idle connections": lambda: Hold(program, server, connections=5000, in_flight=0),
    }
    load = lambda: measure(program, server, "produce", topic="small", connections=16, seconds=SECONDS, **ONE_RECORD)
    got = {}
    for name, begin in beside.items():
        alone = load()
        other = begin()
        time.sleep(0.5)  # what they begin with is not what they cost while they are there
        try:
            got[name] = (load(), alone)
        finally:
            other.end()
    return got


def bench_others(directory, row, program_of):
    program = program_of("bench_kafka")
    got = on_each_side(directory, program, lambda server: disturbed(program, server))
    rows = []
    for side, figures in got.items():
        for name, (beside, alone) in figures.items():
            rows.append(row("%s: beside %s" % (side, name), beside["rate"], "1/s", "alone", alone["rate"]))
            rows.append(row("  p99", beside["p99"], "us", "alone", max(alone["p99"], 1)))
    return rows


def bench_groups(directory, row, program_of):
    """1,000 groups that commit, 16 connections with 8 commits each at a time; beside as many produces of a small record."""
    program = program_of("bench_kafka")
    many = {"connections": 16, "in_flight": 8, "seconds": SECONDS}

    def one(server):
        server.topic("offsets", 1)
        server.wait_until_it_coordinates("offsets")
        return {"commit": measure(program, server, "commit", topic="offsets", groups=1000, **many),
                "produce": measure(program, server, "produce", topic="offsets", **ONE_RECORD, **many)}
    got = on_each_side(directory, program, one)
    ours = got["Leat"]["commit"]
    beside = {"produces instead": got["Leat"]["produce"], **others(got, "commit")}
    rows = [row("1,000 groups committing", ours["rate"], "1/s", name, theirs["rate"]) for name, theirs in beside.items()]
    return rows + [row("  p99", ours["p99"], "us", name, max(theirs["p99"], 1)) for name, theirs in beside.items()]
