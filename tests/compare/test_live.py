"""Debezium and Leat read one server at the same time; every record of every topic is compared.

LEAT_COMPARE_SEED chooses the workload (default 1), LEAT_COMPARE_TRANSACTIONS how many transactions a session makes.
"""
import collections
import json
import os
import subprocess
import threading
import time
import unittest

from debezium import Worker
from events import Comparison, Record
from kafka import Broker
from leat import Case, wait_for
from postgres import Postgres
from rdconsumer import Consumer
from workload import Workload

SEED = int(os.environ.get("LEAT_COMPARE_SEED", "1"))
TRANSACTIONS = int(os.environ.get("LEAT_COMPARE_TRANSACTIONS", "150"))
SESSIONS = 3
DATABASE = "shop"

COMMON = {
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "tasks.max": "1", "plugin.name": "pgoutput",
    "publication.autocreate.mode": "all_tables", "skipped.operations": "none", "table.exclude.list": "public.secret",
    "key.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "key.converter.schemas.enable": "false", "value.converter.schemas.enable": "false"}

# One pipeline each, all at once.
PIPELINES = {
    "plain": {"key.converter.schemas.enable": "true", "value.converter.schemas.enable": "true", "provide.transaction.metadata": "true"},
    "texts": {"decimal.handling.mode": "string", "time.precision.mode": "isostring", "binary.handling.mode": "hex",
              "interval.handling.mode": "string", "hstore.handling.mode": "json", "include.unknown.datatypes": "true",
              "unavailable.value.placeholder": "not sent", "tombstones.on.delete": "false",
              "message.key.columns": "public.no_key_full:v;public.every_full:id,i2", "xmin.fetch.interval.ms": "10"},
    "numbers": {"decimal.handling.mode": "double", "time.precision.mode": "connect", "binary.handling.mode": "base64",
                "hstore.handling.mode": "map", "skipped.operations": "t", "skip.messages.without.change": "true",
                "column.exclude.list": "public.every.(mny|x)", "schema.name.adjustment.mode": "avro", "field.name.adjustment.mode": "avro",
                "column.mask.with.5.chars": "public.masked.pin", "column.truncate.to.4.chars": "public.masked.note",
                "column.mask.hash.v2.SHA-256.with.salt.pepper": "public.masked.email",
                "column.propagate.source.type": "public.(defaults|masked).*", "value.converter.schemas.enable": "true"},
    "flat": {"time.precision.mode": "microseconds", "transforms": "flat", "transforms.flat.type": "io.debezium.transforms.ExtractNewRecordState",
             "transforms.flat.add.fields": "op,source.ts_ms,lsn", "transforms.flat.delete.tombstone.handling.mode": "rewrite"},
}


class Live(Case):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.closing = []
        self.work = Workload(SEED)
        self.server = self.held(Postgres({"logical_decoding_work_mem": "64kB"}))
        self.broker = Broker(self.path("kafka")).start()
        self.closing.append(self.broker.stop)
        self.consumer = self.held(Consumer(self.broker.bootstrap, [p + "." for p in PIPELINES]))
        self.theirs = collections.defaultdict(list)

    def tearDown(self):
        for hub in self.hubs:
            if hub.process:
                hub.kill()
        for close in reversed(self.closing):
            close()
        super().tearDown()

    def held(self, thing):
        self.closing.append(thing.close)
        return thing

    # ---- the two readers ----

    def start_debezium(self):
        self.worker = Worker(self.path("worker"), self.broker.bootstrap)
        self.closing.insert(-1, self.worker.stop)  # before the consumer and the broker
        for name, more in PIPELINES.items():
            self.worker.create(name, dict(
                COMMON, **more, **self.server.options(DATABASE, host="127.0.0.1"),
                **{"topic.prefix": name, "slot.name": "debezium_" + name, "publication.name": "compare",
                   "topic.creation.default.replication.factor": "1", "topic.creation.default.partitions": "1"}))

    def start_leat(self):
        lines = ["pipelines:"]
        for name, more in PIPELINES.items():
            options = dict(COMMON, **more, **self.server.options(DATABASE))
            options.update({"type": options.pop("connector.class"), "topic.prefix": name, "slot.name": "leat_" + name,
                            "publication.name": "compare", "retry.backoff.ms": "20ms", "retry.backoff.max.ms": "100ms"})
            lines += ["  - name: %s" % name, "    source:"] + ["      %s: %s" % (k, json.dumps(v)) for k, v in options.items()]
        self.leat = self.hub("\n".join(lines) + "\n")

    def streaming(self):
        for name in PIPELINES:
            self.worker.check(name)
        self.assertNotIn("FAILED", [t["state"] for t in self.leat.tasks()], self.leat.tasks())
        return self.server.psql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "%d\n" % (2 * len(PIPELINES))

    # ---- what they wrote ----

    def read_theirs(self):
        found = self.consumer.read()
        for topic, key, value, headers in found:
            self.theirs[topic].append(Record(key, value, headers))
        return len(found)

    def read_until(self, topic, n):
        """A topic may be new, and its records on their way; if they never come the comparison says so."""
        end = time.monotonic() + 30
        while len(self.theirs[topic]) < n and time.monotonic() < end:
            self.read_theirs()

    def ours(self, topic):
        if self.leat.leat("topics", "describe", topic, check=False).returncode != 0:
            return []
        return [Record(r["key"], r["value"], [(h["key"], h["value"]) for h in r["headers"]]) for r in self.leat.records(topic)]

    def catch_up(self):
        """Both have all that was committed: a row that comes last has come."""
        n = self.work.barrier()
        self.server.psql("insert into barrier values (%d)" % n, DATABASE)

        def come():
            self.read_theirs()
            for name in PIPELINES:
                if len(self.theirs[name + ".public.barrier"]) < n:
                    self.worker.check(name)
                    return False
            self.assertNotIn("FAILED", [t["state"] for t in self.leat.tasks()], self.leat.tasks())
            return all(len(self.ours(name + ".public.barrier")) >= n for name in PIPELINES)
        wait_for("both to have read everything", come, limit=600)

    # ---- the workload ----

    def run_session(self, script, said):
        """Statements may fail, as sessions meet; what they did before stands or falls with their transaction."""
        command = self.server.psql_command(DATABASE, "postgres") + ["-v", "ON_ERROR_STOP=0"]
        said.append(subprocess.run(command, input=script, capture_output=True, text=True, env=self.server.environment()).stderr)

    def run_sessions(self, said):
        scripts = [self.work.session(i, TRANSACTIONS) for i in range(1, SESSIONS + 1)]
        threads = [threading.Thread(target=self.run_session, args=(s, said)) for s in scripts]
        for t in threads:
            t.start()
        return threads

    def run_workload(self):
        self.catch_up()  # messages outside of transactions have the time of the last one
        said, before = [], self.leat.task("flat")["records"]
        threads = self.run_sessions(said)
        # In the middle of it Leat is killed: what it has is exact all the same.
        wait_for("some of it to be there", lambda: self.leat.task("flat")["records"] > before + SESSIONS)
        self.leat.kill()
        self.leat.start()
        for t in threads:
            t.join()
        errors = [line for text in said for line in text.splitlines() if "ERROR:" in line]
        self.assertLess(len(errors), TRANSACTIONS // 5 + 1, errors[:20])
        for sql in self.work.truncates() + self.work.origins() + self.work.large():
            self.server.psql(sql, DATABASE)
        for sql in self.work.evolution():
            self.catch_up()
            self.server.psql(sql, DATABASE)
        self.catch_up()

    # ---- the test ----

    def test_everything(self):
        self.server.database(self.work.setup(), DATABASE)
        self.server.psql("create publication compare for all tables", DATABASE)
        self.start_debezium()
        self.start_leat()
        wait_for("both to stream", self.streaming)
        self.run_workload()
        reports, counts = [], {}
        for name in PIPELINES:
            c = Comparison()
            ours = {t["name"] for t in self.leat.json("topics", "list") if t["name"].startswith(name + ".")}
            for topic in sorted(ours | {t for t in self.theirs if t.startswith(name + ".")}):
                records = self.ours(topic)
                self.read_until(topic, len(records))
                c.topic(topic, self.theirs[topic], records)
            counts[name] = c.count
            reports += [c.report()] if c.found else []
            print("%s: %d records, %d topics; excused: %s" % (name, c.count, len(ours), dict(c.excused)))
        self.assertTrue(all(n > 1000 for n in counts.values()), counts)
        self.assertEqual([], reports, "seed %d:\n%s" % (SEED, "\n".join(reports)))


if __name__ == "__main__":
    unittest.main()
