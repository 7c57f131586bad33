"""Kafka's protocol as users meet it: librdkafka from end to end, Kafka's own perf tools, starts, memory, and an hour of mixed load. Parts of tests/bench/run."""
import json
import os
import re
import subprocess
import time

from kafka_servers import MIB, PEERS, SECONDS, Leat, Load, kit, measure, memory_mib, on_each_side, sides, topic
from kafka_wire import DEEP, ONE_RECORD


def bench_e2e(directory, row, program_of):
    """librdkafka, 10,000 records of 256 B a second, from produce to consumer."""
    program, e2e = program_of("bench_kafka"), program_of("bench_kafka_e2e")

    def one(server):
        server.topic("e2e", 1)
        out = subprocess.run([e2e, server.address, "e2e", "10000", "256", str(max(2 * SECONDS, 5))], check=True, stdout=subprocess.PIPE, text=True).stdout
        return json.loads(out)
    got = on_each_side(directory, program, one)
    rows = [row("librdkafka end to end, %s" % p, got["Leat"][p] / 1000, "ms", "aim", aim) for p, aim in (("p50", 0.5), ("p99", 2), ("p999", 5))]
    return rows + [row("  " + p, got["Leat"][p] / 1000, "ms", side, theirs[p] / 1000) for side, theirs in got.items() if side != "Leat" for p in ("p50", "p99", "p999")]


# ---- Kafka's own tools --------------------------------------------------------------------------------------------


def produced(server, records, *args):
    """What producer-perf-test says at its end, of 1 KiB records as fast as they go."""
    out = kit("producer-perf-test", "--topic", "perf", "--num-records", str(records), "--record-size", "1024", "--throughput", "-1",
               "--bootstrap-server", server.address, *args)
    last = re.findall(r"([\d.]+) MB/sec\), ([\d.]+) ms avg latency.* (\d+) ms 99th", out)[-1]
    return {"mib": float(last[0]), "avg": float(last[1]), "p99": float(last[2])}


def perf_tools(server):
    records = 100000 * SECONDS
    server.topic("perf", 1)
    got = {"plain": produced(server, records, "--command-property", "enable.idempotence=false"),
           "idempotent": produced(server, records),
           "transactional": produced(server, records, "--transactional-id", "bench", "--transaction-duration-ms", "100")}
    out = kit("consumer-perf-test", "--topic", "perf", "--bootstrap-server", server.address, "--num-records", str(3 * records), "--hide-header")
    got["consumer"] = {"mib": float(out.split(",")[8])}  # of fetching: joining takes as long as group.initial.rebalance.delay.ms, which the kit sets to 0
    return got


PERF = (("plain", "producer-perf-test, 1 KiB"), ("idempotent", "  idempotent"), ("transactional", "  transactions of 100 ms"), ("consumer", "consumer-perf-test"))


def bench_tools(directory, row, program_of):
    """Kafka's perf tools; their own speed is part of it, so that Kafka always stands beside it."""
    if not os.path.exists(PEERS):
        raise SystemExit("Kafka's tools come from the peers kit, which is not at %s" % PEERS)
    got = on_each_side(directory, program_of("bench_kafka"), perf_tools, asked=True)
    rows = []
    for key, name in PERF:
        for side, theirs in got.items():
            if side == "Leat":
                continue
            rows.append(row(name, got["Leat"][key]["mib"], "MiB/s", side, theirs[key]["mib"]))
            if "p99" in theirs[key]:
                rows.append(row("  p99", got["Leat"][key]["p99"], "ms", side, max(theirs[key]["p99"], 1)))
    return rows


# ---- starts and memory --------------------------------------------------------------------------------------------


def starts(program, side, directory):
    """Seconds from exec to a connection, and memory; 1,000 partitions and 1 GiB where there is something to start with."""
    server = side(directory)
    try:
        return figures_of_starts(program, server)
    finally:
        server.stop()
        server.remove()


def figures_of_starts(program, server):
    got = {"first": server.started_in * 1000}
    time.sleep(1)
    got["idle"] = memory_mib(server.pid, "VmRSS")
    server.topic("many", 1000)
    measure(program, server, "fill", topic="many", partitions=1000, batch=64 << 10, mib=1024, **DEEP)
    got["loaded"] = memory_mib(server.pid, "VmHWM")
    server.stop()
    got["restart"] = server.start() * 1000
    server.wait_until_led("many", 1000)
    measure(program, server, "fill", topic="many", partitions=1000, batch=64 << 10, mib=1024, **DEEP)
    server.kill()
    got["killed"] = server.start() * 1000
    got["idle with 1,000 partitions"] = memory_mib(server.pid, "VmRSS")
    return got


START = (("first", "first start", "ms", 50), ("restart", "restart, 1,000 partitions, 1 GiB", "ms", 300), ("killed", "after kill -9, 1,000 partitions, 2 GiB", "ms", 1000),
         ("idle", "resident, idle after the first start", "MiB", 20), ("loaded", "largest, after 1 GiB into 1,000 partitions", "MiB", 64),
         ("idle with 1,000 partitions", "resident, idle after the kill", "MiB", 20))


def bench_start(directory, row, program_of):
    program = program_of("bench_kafka")
    got = {}
    for side in sides()[:2]:
        server_directory = os.path.join(directory, side.__name__)
        os.mkdir(server_directory)
        got[side.__name__] = starts(program, side, server_directory)
    rows = []
    for key, name, unit, aim in START:
        rows.append(row(name, got["Leat"][key], unit, "aim", aim))
        if "Kafka" in got:
            rows.append(row(name, got["Leat"][key], unit, "Kafka", got["Kafka"][key]))
    return rows


# ---- a long run ---------------------------------------------------------------------------------------------------


def minute(program, server, seconds):
    """Mixed load for so long: large and small produces, fetches of both topics from the start on, groups that commit."""
    loads = {"large": Load(program, server, "produce", topic="large", partitions=10, in_flight=2, seconds=seconds),
             "small": Load(program, server, "produce", topic="small", connections=16, seconds=seconds, **ONE_RECORD),
             "fetch": Load(program, server, "fetch", topic="large", partitions=10, connections=10, batch=MIB, seconds=seconds),
             "groups": Load(program, server, "commit", topic="small", groups=1000, seconds=seconds)}
    return {name: load.figures() for name, load in loads.items()}


def bench_long(directory, row, program_of):
    """SECONDS=3600: prints each minute what is there of memory and files, and the times of it. Retention keeps the disk from filling."""
    program, total = program_of("bench_kafka"), int(os.environ.get("SECONDS", "3600"))
    server = Leat(directory)
    try:
        minutes = minutes_of(program, server, total)
    finally:
        server.stop()
    return [row("last of %d minutes: %s" % (len(minutes), what), minutes[-1][key], unit, "the second", minutes[min(1, len(minutes) - 1)][key])
            for key, what, unit in (("resident", "resident memory", "MiB"), ("files", "open files", "files"), ("rate", "small produces", "1/s"), ("p99", "their p99", "ms"))]


def minutes_of(program, server, total):
    for name, partitions in (("large", 10), ("small", 1)):
        topic("create", server.address, name, "--partitions", str(partitions), "--config", "retention.bytes=%d" % (256 * MIB), "--config", "segment.bytes=%d" % (64 * MIB))
    piece, end, minutes = min(60, total), time.monotonic() + total, []
    print("%7s %9s %7s %9s %9s %9s %9s %9s %9s" % ("minute", "resident", "files", "large", "p99", "small", "p99", "fetch", "commits"))
    while time.monotonic() < end or not minutes:
        got = minute(program, server, piece)
        now = {"resident": memory_mib(server.pid, "VmRSS"), "files": len(os.listdir("/proc/%d/fd" % server.pid)), "rate": got["small"]["rate"],
               "p99": got["small"]["p99"] / 1000}
        minutes.append(now)
        print("%7d %6.1fMiB %7d %4.0fMiB/s %7.1fms %7.0f/s %7.1fms %4.0fMiB/s %7.0f/s" % (
            len(minutes), now["resident"], now["files"], got["large"]["mib"], got["large"]["p99"] / 1000, now["rate"], now["p99"], got["fetch"]["mib"],
            got["groups"]["rate"]), flush=True)
    return minutes
