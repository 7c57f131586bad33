#!/usr/bin/env python3
"""Kills Leat and PostgreSQL again and again, cuts and stalls the connection between them, while a mixed workload changes tables.

    tests/crash/postgres.py [--kills 200] [--seed N] [--fill]

At the end the events are compared with what another slot of the same server tells (tests/lib/pgchanges.py): for each table the
same changes, each once, in the same order, with the same values; and the rows rebuilt from the topics equal the tables. The
seed decides the workload and the kills as far as a seed can; it is printed, and a failed run keeps its directory.

With --fill unchanged large values are filled in (unavailable.value.fill). Each such value begins with what another column of its row
says, also after the table was rewritten with others: an event may have the placeholder, but no value of another moment or row.
"""
import argparse
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from leat import Hub, LEAT, wait_for  # noqa: E402
from pgchanges import changes, lsn  # noqa: E402
from postgres import Postgres, SqlError, PASSWORD  # noqa: E402
from proxy import Proxy  # noqa: E402

SCHEMA = """
CREATE TABLE accounts(id int PRIMARY KEY, balance bigint NOT NULL, filler text);
CREATE TABLE history(account int, delta int, at timestamptz DEFAULT now());
CREATE TABLE wide(id int PRIMARY KEY, n int, tag text, big text, %s);
ALTER TABLE wide ALTER big SET STORAGE EXTERNAL;
CREATE TABLE keys(id int PRIMARY KEY, v text);
CREATE TABLE whole(a int, b text); ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE bulk(id bigserial PRIMARY KEY, v text, n int);
CREATE TABLE shape(id serial PRIMARY KEY, v text);
CREATE TABLE many_0(id serial PRIMARY KEY, v int);
INSERT INTO accounts SELECT i, 0, repeat('f', 60) FROM generate_series(1, 2000) i;
INSERT INTO keys SELECT i, 'key ' || i FROM generate_series(1, 200) i;
INSERT INTO wide(id, n, tag, big) SELECT i, 0, i, i || ':' || repeat(md5(i::text), 200) FROM generate_series(1, 40) i;
INSERT INTO bulk(v, n) SELECT 'old', i FROM generate_series(1, 20000) i;
CREATE PUBLICATION p FOR ALL TABLES;
""" % ", ".join("c%d text DEFAULT 'column %d'" % (i, i) for i in range(40))

SETTINGS = {"logical_decoding_work_mem": "64kB", "wal_sender_timeout": "3s", "max_wal_size": "256MB",
            "wal_keep_size": "0", "autovacuum": "on"}

PAUSE_S = 10
CATCH_UP_S = 1800  # only a hang takes so long
STUCK_S = 60  # that the same error comes again and nothing is confirmed


# ---- the workload ---------------------------------------------------------------------------------------------------

def bank(r, _):
    a, d = r.randint(1, 2000), r.randint(-500, 500)
    return "BEGIN; UPDATE accounts SET balance = balance + %d WHERE id = %d; INSERT INTO history(account, delta) " \
           "VALUES (%d, %d); COMMIT" % (d, a, a, d)


def single(r, _):
    return "INSERT INTO history(account, delta) VALUES (%d, 1)" % r.randint(1, 2000)


def wide(r, _):
    return "UPDATE wide SET n = n + 1, c%d = 'now %d' WHERE id = %d" % (r.randrange(40), r.randrange(1000), r.randint(1, 40))


def wide_big(r, _):
    """Of parts that do not compress, as another storage is forgotten when the column's type is altered."""
    return "UPDATE wide SET tag = t.tag, big = t.tag || ':' || t.rest FROM (SELECT md5(random()::text) AS tag, " \
           "string_agg(md5(random()::text), '') AS rest FROM generate_series(1, %d)) t WHERE id = %d" % (
               r.randint(1, 400), r.randint(1, 40))


def wide_move(r, _):
    return "UPDATE wide SET id = %d, n = n + 1 WHERE id = %d AND NOT EXISTS (SELECT FROM wide WHERE id = %d)" \
        % ((n := r.randint(1, 80)), r.randint(1, 80), n)


def wide_anew(r, _):
    n = r.randint(1, 40)
    return "BEGIN; DELETE FROM wide WHERE id = %d; INSERT INTO wide(id, n, tag, big) VALUES (%d, 0, 'new', 'new:' || repeat(md5('%d'), " \
           "%d)); COMMIT" % (n, n, n, r.choice([1, 1, 300]))


def wide_rewrite(_, __):
    return "BEGIN; UPDATE wide SET n = n + 1 WHERE id < 5; ALTER TABLE wide ALTER tag TYPE text USING 'r' || tag, ALTER big TYPE text " \
           "USING 'r' || big; UPDATE wide SET n = n + 1 WHERE id < 9; COMMIT"


def key(r, _):
    return "UPDATE keys SET id = %d WHERE id = %d AND NOT EXISTS (SELECT FROM keys WHERE id = %d)" \
        % ((n := r.randint(1, 400)), r.randint(1, 400), n)


def keyless(r, _):
    return r.choice(["INSERT INTO whole VALUES (%d, 'row')", "UPDATE whole SET b = b || '.' WHERE a = %d",
                     "DELETE FROM whole WHERE a = %d"]) % r.randint(1, 30)


def large(r, _):
    """Streamed by the server, with subtransactions of which some roll back."""
    parts = ["BEGIN"]
    for i in range(r.randint(1, 4)):
        parts.append("SAVEPOINT s%d" % i)
        parts.append("INSERT INTO bulk(v, n) SELECT 'v' || i, i FROM generate_series(1, %d) i" % r.randint(10, 1500))
        parts.append("UPDATE accounts SET balance = balance + 1 WHERE id %% %d = 0" % r.randint(5, 50))
        if r.random() < 0.4:
            parts.append("ROLLBACK TO s%d" % i)
    return "; ".join(parts + [r.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"])])


def huge(r, _):
    """Several polls long, so that kills fall within it."""
    return "INSERT INTO bulk(v, n) SELECT 'huge ' || i, i FROM generate_series(1, %d) i" % r.randint(20000, 50000)


def prune(r, _):
    return "DELETE FROM bulk WHERE id %% %d = 0" % r.randint(3, 9)


def truncate(r, _):
    return r.choice(["TRUNCATE history", "TRUNCATE whole, history", "TRUNCATE bulk RESTART IDENTITY"])


def shape(r, state):
    """The table gains and loses columns, also within a transaction that writes before and after."""
    state["column"] += 1
    n = state["column"]
    return r.choice(["ALTER TABLE shape ADD x%d int DEFAULT %d; INSERT INTO shape(v) VALUES ('added')" % (n, n),
                     "BEGIN; INSERT INTO shape(v) VALUES ('before'); ALTER TABLE shape ADD y%d text; INSERT INTO "
                     "shape(v) VALUES ('after'); COMMIT" % n,
                     "BEGIN; INSERT INTO shape(v) SELECT 'r' FROM generate_series(1, 800); SAVEPOINT a; ALTER TABLE shape ADD "
                     "z%d int; INSERT INTO shape(v) SELECT 's' FROM generate_series(1, 800); ROLLBACK TO a; INSERT INTO "
                     "shape(v) VALUES ('t'); COMMIT" % n,
                     "ALTER TABLE shape DROP IF EXISTS x%d, DROP IF EXISTS y%d" % (n - 2, n - 3),
                     "UPDATE shape SET v = v || '.' WHERE id %% %d = 0" % r.randint(2, 7)])


def many(r, state):
    """New tables come and are written at once."""
    if r.random() < 0.3 and state["tables"] < 40:
        state["tables"] += 1
        return "CREATE TABLE IF NOT EXISTS many_%d(id serial PRIMARY KEY, v int); INSERT INTO many_%d(v) VALUES (1)" \
            % (state["tables"], state["tables"])
    return "INSERT INTO many_%d(v) VALUES (%d)" % (r.randint(0, state["tables"]), r.randrange(100))


def message(r, _):
    return "SELECT pg_logical_emit_message(%s, 'note', 'text')" % r.choice(["true", "false"])


MIX = [(bank, 40), (single, 15), (wide, 10), (wide_big, 4), (key, 10), (keyless, 8), (large, 4), (huge, 0.3), (prune, 2),
       (truncate, 2), (shape, 3), (many, 6), (message, 2)]
FILL_MIX = [(wide, 30), (wide_move, 10), (wide_anew, 3), (wide_rewrite, 0.1)]


class Worker(threading.Thread):
    """Writes by a session of its own, and by a new one when the server was killed under it."""

    def __init__(self, server, database, seed, mix):
        super().__init__(daemon=True)
        self.server, self.database, self.mix = server, database, mix
        self.random = random.Random(seed)
        self.state = {"column": seed % 1000 * 1000, "tables": 0}
        self.stopping = threading.Event()
        self.done = 0

    def run(self):
        session = None
        kinds, weights = zip(*self.mix)
        while not self.stopping.is_set():
            try:
                session = session or self.server.session(self.database)
                session.run(self.random.choices(kinds, weights)[0](self.random, self.state))
                self.done += 1
            except (SqlError, OSError, ValueError):
                # The server was killed, or the statement lost against another one; which, the tables know.
                self.close(session)
                session = None
                self.stopping.wait(0.05)
        self.close(session)

    @staticmethod
    def close(session):
        try:
            if session:
                session.close()
        except OSError:
            pass


# ---- kills ----------------------------------------------------------------------------------------------------------

class Run:
    def __init__(self, directory, seed, fill=False):
        self.directory = directory
        self.fill = fill
        self.random = random.Random(seed)
        self.server = Postgres(SETTINGS)
        self.database = self.server.database(SCHEMA)
        self.server.psql("SELECT pg_create_logical_replication_slot('reference', 'pgoutput')", self.database)
        self.proxy = Proxy(("127.0.0.1", self.server.port))
        self.hub = Hub(directory, self.config())
        self.workers = [Worker(self.server, self.database, seed * 10 + i, MIX + FILL_MIX if fill else MIX) for i in range(3)]
        self.counts = collections.Counter()
        self.peak = 0
        self.before = 0  # transactions that were done when the kills began
        self.stuck = (None, 0)  # what was confirmed when the server could not decode, and since when

    def config(self):
        return """
hub:
  journal.file.bytes: 1MiB
pipelines:
  - name: changes
    topic: rest
    source:
      type: io.debezium.connector.postgresql.PostgresConnector
      database.hostname: 127.0.0.1
      database.port: %d
      database.user: postgres
      database.password: %s
      database.dbname: %s
      topic.prefix: t
      slot.name: leat
      publication.name: p
      skipped.operations: none
      snapshot.chunk.rows: 1000
      snapshot.lock.timeout.ms: 1s
      status.update.interval.ms: 100ms
      stream.timeout.ms: 2s
      retry.backoff.ms: 20ms
      retry.backoff.max.ms: 200ms
      unavailable.value.fill: %s
""" % (self.proxy.port, PASSWORD, self.database, "last_known" if self.fill else "none")

    def filled(self, table):
        return "big" if self.fill and table == "public.wide" else None

    def look(self):
        """The hub's peak of memory; it may be dead."""
        try:
            with open("/proc/%d/status" % self.hub.process.pid, encoding="ascii") as f:
                self.peak = max([self.peak] + [int(line.split()[1]) for line in f if line.startswith("VmHWM")])
        except OSError:
            pass

    def kill_hub(self):
        self.look()
        self.hub.kill()
        self.hub.start(wait=self.random.random() < 0.5)

    def kill_server(self):
        self.server.kill()
        self.server.start()

    def cut(self):
        self.proxy.cut()

    def stall(self):
        self.proxy.stall()
        time.sleep(self.random.uniform(0.05, 0.8))  # how long is the test
        self.proxy.resume()

    def strike(self):
        what = self.random.choices([self.kill_hub, self.kill_server, self.cut, self.stall], [45, 20, 20, 15])[0]
        self.counts[what.__name__] += 1
        what()

    def slot_confirmed(self):
        return self.server.psql("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'leat'").strip()

    def not_failed(self):
        """Nor does it begin anew for ever, which its state does not tell."""
        if self.hub.process.poll() is not None or not self.hub.answers():
            return
        task = self.hub.task("changes")
        if task["state"] == "FAILED":
            raise AssertionError("the task failed: %s" % task)
        if "could not map file" not in (task.get("error") or ""):
            return
        confirmed, now = self.slot_confirmed(), time.monotonic()
        if confirmed != self.stuck[0]:
            self.stuck = (confirmed, now)
        elif now - self.stuck[1] > STUCK_S:
            raise AssertionError("nothing is confirmed behind %s: %s" % (confirmed, task))

    def confirmed(self, end):
        """All that was committed before is in the store."""
        self.not_failed()
        text = self.slot_confirmed()
        return text and lsn(text) >= end

    def pause(self, end):
        """No kills until that is confirmed; a slow machine gets PAUSE_S, as the workload goes on."""
        last = time.monotonic() + PAUSE_S
        while not self.confirmed(end) and time.monotonic() < last:
            time.sleep(0.05)

    def go(self, kills):
        self.hub.start()
        for w in self.workers:
            w.start()
        # What came before the slot is in the snapshot only: on a slow machine that would be everything. A slot that is being
        # made goes with whoever makes it; once rows are stored it stays.
        wait_for("the first rows", lambda: any(t["name"].startswith("t.public.") for t in self.hub.json("topics", "list")))
        self.before = sum(w.done for w in self.workers)
        for i in range(kills):
            if i % 10 == 9:  # the others may come faster than anything is read
                self.pause(lsn(self.server.lsn()))
            time.sleep(self.random.choice([0, self.random.uniform(0, 0.2), self.random.uniform(0, 0.8)]))
            self.strike()
            if self.hub.process.poll() is not None:
                raise AssertionError("the hub ended by itself:\n" + self.hub.log_text()[-4000:])
            if i % 20 == 19:
                print("%d kills, %d transactions" % (i + 1, sum(w.done for w in self.workers)), flush=True)
        for w in self.workers:
            w.stopping.set()
        for w in self.workers:
            w.join()

    def catch_up(self):
        wait_for("the hub to answer", self.hub.answers)
        # Not in the snapshot, or it would be there before tables that come later.
        wait_for("the snapshot", lambda: {"t.public." + t for t in STAY} <= {t["name"] for t in self.hub.json("topics", "list")},
                 CATCH_UP_S)
        if self.fill:  # what a rewrite made of values no event tells: each is written once more
            self.server.psql("UPDATE wide SET big = big || ''", self.database)
        self.server.psql("INSERT INTO keys VALUES (-1, 'the end')", self.database)
        end = lsn(self.server.lsn())

        def there():
            self.not_failed()
            end = self.hub.leat("consume", "t.public.keys", "--exit-at-end", "--from", "-10m", check=False).stdout
            return "the end" in end
        wait_for("the last change", there, CATCH_UP_S)
        wait_for("all changes to be confirmed", lambda: self.confirmed(end), CATCH_UP_S)
        self.look()

    def explain(self):
        """What a failed run says of itself, as far as it still can: of a hang nothing else tells."""
        for what, tell in [("the hub's tasks", self.hub.tasks),
                           ("the server's slots", lambda: self.server.psql("SELECT * FROM pg_replication_slots", self.database)),
                           ("the server's sessions", lambda: self.server.psql(
                               "SELECT pid, application_name, state, wait_event, query FROM pg_stat_activity", self.database)),
                           ("the hub's log", lambda: self.hub.log_text()[-8000:])]:
            try:
                print("-- %s:\n%s" % (what, tell()))
            except (AssertionError, AttributeError, OSError, SqlError, subprocess.SubprocessError) as e:
                print("-- %s: not to be had, %s" % (what, e))

    def close(self):
        if self.hub.process:
            self.hub.kill()
        self.proxy.close()
        self.server.close()


# ---- comparison -----------------------------------------------------------------------------------------------------
#
# There may be millions of changes: both sides are read as they come, and of a change its place, kind and a digest stay.

Seen = collections.namedtuple("Seen", "lsn op xid digest")

# Columns that are there all the time, by which rows are rebuilt.
STAY = {"accounts": ["id", "balance", "filler"], "wide": ["id", "n", "big", "c0", "c39"], "keys": ["id", "v"],
        "bulk": ["id", "v", "n"], "shape": ["id", "v"], "many_0": ["id", "v"]}
UNCHANGED = "__debezium_unavailable_value"


def digest(row, without=None):
    """Of what can be compared: texts; not times, which look different, and not what was not sent."""
    return hash(tuple(sorted((k, None if v is None else str(v)) for k, v in (row or {}).items()
                             if k not in ("at", without) and v is not Ellipsis and v != UNCHANGED)))


class Topic:
    """The events of a table in their order: `seen` without those of the snapshot; rows rebuilt from all."""

    def __init__(self, columns, filled=None):
        self.columns = columns
        self.filled = filled  # the column that is filled in
        self.values, self.placeholders, self.wrong = 0, 0, []
        self.seen = []
        self.rows = {}
        self.snapshot_lsn = None

    def take(self, record):
        if record["value"] is None:
            return  # a tombstone
        v, key = json.loads(record["value"]), record["key"]
        at, op = v["source"], v["op"]
        if op == "r":
            self.snapshot_lsn = at["lsn"]
        elif op == "c" and self.seen and self.seen[-1].op == "d" and self.seen[-1].lsn == at["lsn"]:
            self.seen[-1] = Seen(at["lsn"], "u", at["txId"], digest(v["after"], self.filled))  # the second half of a changed key
        else:
            self.seen.append(Seen(at["lsn"], op, at["txId"], digest(v["after"], self.filled) if op in "cu" else 0))
        if self.filled and op in "cru":
            self.look(v["after"], key, at["lsn"])
        self.rebuild(op, key, v)

    def look(self, row, key, at):
        value = row[self.filled]
        self.values += value != UNCHANGED
        self.placeholders += value == UNCHANGED
        if value != UNCHANGED and not value.startswith(row["tag"] + ":"):
            self.wrong.append("%s at %d: the value begins with %s, not with %s" % (key, at, value[:60], row["tag"]))

    def rebuild(self, op, key, v):
        if op == "t":
            self.rows.clear()
        elif op == "d":
            self.rows.pop(key, None)
        elif self.columns and op in "cru":
            row = self.rows.setdefault(key, {})
            row.update((c, v["after"][c]) for c in self.columns if v["after"].get(c) != UNCHANGED)

    def rebuilt(self):
        return sorted(tuple(None if r.get(c) is None else str(r[c]) for c in self.columns) for r in self.rows.values())


def records(hub, topic):
    consume = subprocess.Popen([LEAT, "consume", topic, "--exit-at-end", "--format", "json", "--data-dir", hub.data],
                               stdout=subprocess.PIPE, text=True)
    with consume.stdout:
        for line in consume.stdout:
            yield json.loads(line)
    if consume.wait() != 0:
        raise AssertionError("leat consume %s ended with %d" % (topic, consume.returncode))


def topics_of(run):
    topics = {}
    for line in run.hub.json("topics", "list"):
        name = line["name"]
        if name.startswith("t.public."):
            topic = topics[name[2:]] = Topic(STAY.get(name[9:]), run.filled(name[2:]))
            for r in records(run.hub, name):
                topic.take(r)
    return topics


def compare(table, wanted, got):
    """Streamed events against the reference's changes, from the slot's beginning on."""
    for i, (w, g) in enumerate(zip(wanted, got)):
        if w != g:
            return ["%s: change %d of %d should be %s, is %s" % (table, i, len(wanted), w, g)]
    return [] if len(wanted) == len(got) else ["%s: %d changes, %d events; the first that differs: %s" % (
        table, len(wanted), len(got), (wanted + got)[min(len(wanted), len(got))])]


def check_tables(run, topics):
    """Keyed tables: rows rebuilt from the topic, by the columns that were there all the time."""
    problems = []
    for table, columns in STAY.items():
        want = sorted(tuple(r) for r in run.server.rows(
            "SELECT %s FROM %s" % (", ".join('"%s"::text' % c for c in columns), table), run.database))
        got = topics["public." + table].rebuilt()
        if want != got:
            extra, missing = set(got) - set(want), set(want) - set(got)
            problems.append("%s: %d rows, rebuilt %d; missing %s, too many %s" % (
                table, len(want), len(got), str(sorted(missing)[:2])[:300], str(sorted(extra)[:2])[:300]))
    return problems


def check(run):
    topics = topics_of(run)
    start = min(t.snapshot_lsn for t in topics.values() if t.snapshot_lsn)
    wanted, messages, count, unsent = collections.defaultdict(list), [], 0, 0
    for c in changes(run.server, run.database, "reference", "p"):
        if c.commit < start:
            continue  # before the slot: in the snapshot
        count += 1
        unsent += bool(c.op == "u" and c.new.get(run.filled(c.table)) is Ellipsis)
        if c.op == "m":
            messages.append(c.lsn)
        else:
            wanted[c.table].append(Seen(c.lsn, c.op, c.xid, digest(c.new, run.filled(c.table)) if c.op in "cu" else 0))
    got = [json.loads(r["value"])["source"]["lsn"] for r in records(run.hub, "t.message")] if messages else []
    problems = [] if messages == got else ["messages: %d, %d events" % (len(messages), len(got))]
    for table in sorted(set(wanted) | set(topics)):
        problems += compare(table, wanted[table], topics[table].seen if table in topics else [])
    done = sum(w.done for w in run.workers) - run.before
    if count < done / 2:
        problems.append("%d changes were compared, of %d transactions" % (count, done))
    if run.fill:
        wide = topics["public.wide"]
        print("%d values not sent, %d of them left" % (unsent, wide.placeholders))
        problems += wide.wrong
        # How many can be known is by the rewrites; of many that none is would be strange.
        if wide.placeholders > unsent or wide.placeholders == unsent > 200:
            problems.append("none was filled in")
    return problems + check_tables(run, topics), count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--fill", action="store_true")
    args = parser.parse_args()
    print("seed", args.seed, flush=True)
    directory = tempfile.mkdtemp(prefix="leat-crash-pg-")
    run = Run(directory, args.seed, args.fill)
    problems = ["it did not end"]
    try:
        run.go(args.kills)
        run.catch_up()
        problems, count = check(run)
    finally:
        if problems:
            run.explain()
        run.close()
        if problems:
            print("kept", directory, "\n" + "\n".join(problems[:20]))
    if problems:
        return 1
    shutil.rmtree(directory)
    print("%s: %d changes, each once and in order; peak %d MiB" % (
        ", ".join("%d %s" % (n, what) for what, n in sorted(run.counts.items())), count, run.peak // 1024))
    return 0


if __name__ == "__main__":
    sys.exit(main())
