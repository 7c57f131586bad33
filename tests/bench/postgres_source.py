"""The Postgres source beside PostgreSQL's own tools, on the same log and the same table in the same run. A part of tests/bench/run."""
import http.client
import json
import os
import queue
import shutil
import socket
import subprocess
import threading
import time

from leat import Hub, LEAT, wait_for
from postgres import Postgres

ROWS = {1: 200000, 100: 800000}  # by rows a transaction
SNAPSHOT_ROWS = 10000000
PLAIN_ROWS = 2000000  # of a snapshot that is not compressed
LARGE_ROWS = 2000000
LATENCIES = 1000
PLAIN_FILL_ROWS = 400000  # of a table without large values
WIDE_ROWS, WIDE_PASSES = 20000, 3

TABLE = """
CREATE TABLE orders (id bigserial PRIMARY KEY, customer int NOT NULL, total numeric(10,2) NOT NULL, state text NOT NULL,
                     note text, at timestamptz NOT NULL DEFAULT now());
CREATE PUBLICATION bench FOR ALL TABLES;
CREATE PROCEDURE fill(transactions int, size int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..transactions LOOP
        INSERT INTO orders (customer, total, state, note)
            SELECT i % 1000, k * 1.25, 'new', 'order number ' || i || ' of a customer' FROM generate_series(1, size) k;
        COMMIT;
    END LOOP;
END $$;
"""

PIPELINE = """
pipelines:
  - name: bench
    source:
      type: postgres
      database.hostname: @HOST@
      database.port: @PORT@
      database.user: postgres
      database.dbname: @DATABASE@
      topic.prefix: bench
      slot.name: @SLOT@
      publication.name: bench
      snapshot.mode: @MODE@
@MORE@"""
TOPIC = "bench.public.orders"


def hub_of(directory, server, database, slot, mode="no_data", more=""):
    text = PIPELINE.replace("@HOST@", server.directory).replace("@PORT@", str(server.port)).replace("@SLOT@", slot)
    text = text.replace("@MORE@", more)
    return Hub(directory, text.replace("@DATABASE@", database).replace("@MODE@", mode), ["--log-level", "warn"])


def peak_mib(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return int(f.read().split("VmHWM:")[1].split()[0]) / 1024


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Status:
    """How many events a hub's source has in the store, over one connection: a program for each look would take a third of a core."""

    def __init__(self, hub):
        self.hub = hub
        self.connection = None

    def connect(self):
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(os.path.join(self.hub.data, "leat.sock"))
        except (FileNotFoundError, ConnectionRefusedError):
            s.close()
            return False
        self.connection = http.client.HTTPConnection("localhost")
        self.connection.sock = s
        return True

    def records(self):
        if self.hub.process.poll() is not None:
            raise AssertionError("the hub ended:\n" + self.hub.log_text()[-4000:])
        if not self.connection and not self.connect():
            return 0
        self.connection.request("GET", "/hub/status")
        tasks = json.loads(self.connection.getresponse().read())["tasks"]
        return sum(t["records"] for t in tasks)

    def close(self):
        if self.connection:
            self.connection.close()


def until_read(hub, rows):
    """Seconds from the start until so many events are in the store; peak memory, CPU seconds."""
    start = time.monotonic()
    hub.start(wait=False)
    status = Status(hub)
    wait_for("all events", lambda: status.records() >= rows, 600)
    seconds = time.monotonic() - start
    status.close()
    used = seconds, peak_mib(hub.process.pid), cpu_seconds(hub.process.pid)
    hub.stop()
    shutil.rmtree(hub.data)
    return used


def recvlogical(server, database, slot, end):
    """Seconds that PostgreSQL's own reader takes up to `end`, with the options that the source gives."""
    options = ["proto_version=3", "publication_names=bench", "messages=true", "streaming=on"]
    command = [os.path.join(server.bin, "pg_recvlogical"), "-h", server.directory, "-p", str(server.port), "-U", "postgres", "-d",
               database, "--slot", slot, "--start", "-f", "/dev/null", "--endpos", end, "--no-loop"]
    for o in options:
        command += ["-o", o]
    start = time.monotonic()
    subprocess.run(command, check=True, env=server.environment())
    return time.monotonic() - start


def make_slots(server, database, *names):
    for name in names:
        server.psql("SELECT pg_create_logical_replication_slot('%s', 'pgoutput')" % name, database)


def stream(directory, row, size):
    rows = ROWS[size]
    with Postgres({"synchronous_commit": "off", "max_wal_size": "8GB"}) as server:
        database = server.database(TABLE)
        make_slots(server, database, "peer", "leat")
        server.psql("CALL fill(%d, %d)" % (rows // size, size), database)
        peer = recvlogical(server, database, "peer", server.lsn())
        seconds, memory, cpu = until_read(hub_of(directory, server, database, "leat"), rows)
    what = "stream, %d row%s a transaction" % (size, "" if size == 1 else "s")
    return [row(what, rows / seconds, "rows/s", "pg_recvlogical -f /dev/null, same log; aim 0.8 of it", rows / peer),
            row("  CPU of an event", cpu / rows * 1e6, "us", "Debezium (measured before)", 46),
            row("  peak memory", memory, "MiB", "aim", 64)]


def bench_postgres_large(directory, row):
    with Postgres({"synchronous_commit": "off", "max_wal_size": "8GB"}) as server:
        database = server.database(TABLE)
        make_slots(server, database, "peer", "leat")
        server.psql("CALL fill(1, %d)" % LARGE_ROWS, database)
        peer = recvlogical(server, database, "peer", server.lsn())
        seconds, memory, _ = until_read(hub_of(directory, server, database, "leat"), LARGE_ROWS)
    return [row("stream, one transaction of %d rows" % LARGE_ROWS, LARGE_ROWS / seconds, "rows/s",
                "pg_recvlogical -f /dev/null, same log", LARGE_ROWS / peer),
            row("  peak memory", memory, "MiB", "aim", 64)]


def bench_postgres_stream(directory, row):
    return stream(directory, row, 1) + stream(directory, row, 100)


def copy_to(server, database, table):
    """Seconds of COPY TO by psql."""
    start = time.monotonic()
    with open("/dev/null", "wb") as null:
        subprocess.run(server.psql_command(database, "postgres") + ["-c", "COPY %s TO STDOUT" % table], check=True, stdout=null,
                       env=server.environment())
    return time.monotonic() - start


def bench_postgres_snapshot(directory, row):
    """The large table as a pipeline is by default, where the server, a reader and the task's thread share the cores; a smaller one as
    events come without compression, which is a measurement of the disk."""
    rows = []
    with Postgres({"max_wal_size": "8GB"}) as server:
        database = server.database(TABLE)
        server.psql("CALL fill(%d, 1000000); VACUUM ANALYZE orders" % (SNAPSHOT_ROWS // 1000000), database)
        server.psql("CREATE TABLE plain (LIKE orders INCLUDING ALL); INSERT INTO plain SELECT * FROM orders LIMIT %d; "
                    "VACUUM ANALYZE plain" % PLAIN_ROWS, database)
        for table, count, more, what in (("orders", SNAPSHOT_ROWS, "", ""),
                                         ("plain", PLAIN_ROWS, "    compression: none\n", ", compression: none")):
            peer = copy_to(server, database, table)
            hub = hub_of(directory, server, database, "leat_" + table, "initial_only", "      table.include.list: public.%s\n%s" % (table, more))
            seconds, memory, cpu = until_read(hub, count)
            rows += [row("snapshot, %d rows%s" % (count, what), count / seconds, "rows/s", "psql COPY TO; aim 0.5 of it", count / peer),
                     row("  CPU of an event", cpu / count * 1e6, "us", "a row by psql COPY TO, wall clock", peer / count * 1e6),
                     row("  peak memory", memory, "MiB", "aim", 64)]
    return rows


def bench_postgres_latency(directory, row):
    """From the commit's answer at the client to the record at a consumer, one row at a time, all synced."""
    arrived = queue.Queue()
    with Postgres({"fsync": "on"}) as server:
        database = server.database(TABLE)
        make_slots(server, database, "leat")
        hub = hub_of(directory, server, database, "leat").start()
        session = server.session(database)
        session.run("INSERT INTO orders (customer, total, state) VALUES (0, 0, 'first')")
        wait_for("the topic", lambda: hub.task("bench")["records"] >= 1)
        reader = subprocess.Popen([LEAT, "consume", TOPIC, "--from", "beginning", "-d", hub.data], stdout=subprocess.PIPE, text=True)

        def read():
            for line in reader.stdout:
                arrived.put((json.loads(line)["after"]["customer"], time.monotonic()))
        threading.Thread(target=read, daemon=True).start()
        arrived.get(timeout=60)  # the first
        waited = []
        for i in range(1, LATENCIES + 1):
            session.run("INSERT INTO orders (customer, total, state) VALUES (%d, 1, 'new')" % i)
            committed = time.monotonic()
            number, at = arrived.get(timeout=60)
            assert number == i
            waited.append(max(0.0, at - committed) * 1000)
        session.close()
        reader.terminate()
        reader.wait()
        reader.stdout.close()
        hub.stop()
    shutil.rmtree(hub.data)
    waited.sort()
    return [row("commit to readable record, p50", waited[len(waited) // 2], "ms", "aim", 2),
            row("  p99", waited[len(waited) * 99 // 100], "ms", "aim for p50", 2)]


WIDE = """
CREATE TABLE docs (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, body text);
CREATE PUBLICATION bench FOR ALL TABLES;
CREATE PROCEDURE fill(rows int, passes int) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO docs SELECT i, 0, (SELECT string_agg(md5((i * k)::text), '') FROM generate_series(1, 100) k) FROM generate_series(1, rows) i;
    COMMIT;
    FOR p IN 1..passes LOOP
        FOR i IN 0..rows / 100 - 1 LOOP
            UPDATE docs SET n = n + 1 WHERE id > i * 100 AND id <= i * 100 + 100;
            COMMIT;
        END LOOP;
    END LOOP;
END $$;
"""
FILL = "      unavailable.value.fill: last_known\n"


def bench_postgres_fill(directory, row):
    """What last known values cost: a table without large ones, and one whose updates leave a value of 3200 bytes as it is."""
    with Postgres({"synchronous_commit": "off", "max_wal_size": "8GB"}) as server:
        database = server.database(TABLE)
        make_slots(server, database, "off", "on")
        server.psql("CALL fill(%d, 100)" % (PLAIN_FILL_ROWS // 100), database)
        off, _, off_cpu = until_read(hub_of(directory, server, database, "off"), PLAIN_FILL_ROWS)
        on, _, on_cpu = until_read(hub_of(directory, server, database, "on", more=FILL), PLAIN_FILL_ROWS)
        wide = server.database(WIDE)
        make_slots(server, wide, "wide_off", "wide_on")
        full = server.database(WIDE + "ALTER TABLE docs REPLICA IDENTITY FULL")
        make_slots(server, full, "full")
        for d in (wide, full):
            server.psql("CALL fill(%d, %d)" % (WIDE_ROWS, WIDE_PASSES), d)
        rows = WIDE_ROWS * (WIDE_PASSES + 1)
        left, _, _ = until_read(hub_of(directory, server, wide, "wide_off"), rows)
        filled, memory, cpu = until_read(hub_of(directory, server, wide, "wide_on", more=FILL), rows)
        whole, _, whole_cpu = until_read(hub_of(directory, server, full, "full"), rows)
    return [row("stream without large values, last known values on", PLAIN_FILL_ROWS / on, "rows/s", "off", PLAIN_FILL_ROWS / off),
            row("  CPU of an event", on_cpu / PLAIN_FILL_ROWS * 1e6, "us", "off", off_cpu / PLAIN_FILL_ROWS * 1e6),
            row("stream with large values, filled in", rows / filled, "rows/s", "REPLICA IDENTITY FULL, the same events", rows / whole),
            row("  the same", rows / filled, "rows/s", "off: three of four events have a placeholder of 28 bytes", rows / left),
            row("  CPU of an event", cpu / rows * 1e6, "us", "REPLICA IDENTITY FULL", whole_cpu / rows * 1e6),
            row("  peak memory", memory, "MiB", "aim", 64)]


def bench_postgres(directory, row):
    return [r for part in (bench_postgres_stream, bench_postgres_large, bench_postgres_snapshot, bench_postgres_latency)
            for r in part(directory, row)]
