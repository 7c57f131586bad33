"""Where and when a change was: the source block, the ends of transactions, the marks of a snapshot."""
import json
import unittest

from leat import wait_for
from .pg import PgCase

TABLE = "CREATE TABLE t(id int PRIMARY KEY, v text)"


class Places(PgCase):
    def test_marks_of_a_snapshot(self):
        """Of a row that is the first and the last of its table the first table's says `first`."""
        self.make("CREATE TABLE a(id int PRIMARY KEY); CREATE TABLE b(id int PRIMARY KEY); CREATE TABLE c(id int PRIMARY KEY); "
                  "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1); INSERT INTO c VALUES (1), (2)")
        hub = self.run_hub(self.options(snapshot_mode="initial"))
        marks = [v["source"]["snapshot"] for n, rows in (("a", 1), ("b", 1), ("c", 2))
                 for _, v in self.wait_events(hub, "t.public." + n, rows)]
        self.assertEqual(["first", "last_in_data_collection", "first_in_data_collection", "last"], marks)

    def test_one_row_alone_is_the_last(self):
        self.make("CREATE TABLE a(id int PRIMARY KEY); INSERT INTO a VALUES (1)")
        hub = self.run_hub(self.options(snapshot_mode="initial"))
        self.assertEqual("last", self.wait_events(hub, "t.public.a", 1)[0][1]["source"]["snapshot"])

    def test_ends_of_streamed_transactions(self):
        """Whether it is streamed before its commit makes no difference: it begins at its first change that stays."""
        self.server.needs(14, "streamed transactions")
        self.make(TABLE)
        work = ("BEGIN; SAVEPOINT s; INSERT INTO t SELECT i, repeat('x', 2000) FROM generate_series(1, 60) i; ROLLBACK TO s; "
                "INSERT INTO t SELECT i, repeat('y', 2000) FROM generate_series(1, 90) i; COMMIT")
        more = {"provide.transaction.metadata": "true"}
        hub = self.run_hub(dict(self.options(), **more))
        self.sql(work)
        rows = self.wait_events(hub, "t.public.t", 90)
        ends = self.wait_events(hub, "t.transaction", 2)
        wait_for("the server to say that it was streamed", lambda: int(self.server.psql(
            "SELECT coalesce(sum(stream_txns), 0) FROM pg_stat_replication_slots WHERE slot_name = '%s'" % self.name)) > 0)
        first = rows[0][1]["source"]
        self.assertEqual(["BEGIN", "END"], [v["status"] for _, v in ends])
        self.assertEqual("%d:%d" % (first["txId"], first["lsn"]), ends[0][1]["id"])
        self.assertEqual(90, ends[1][1]["event_count"])

    # ---- where a transaction comes from ----

    def test_origins(self):
        self.make(TABLE + "; SELECT pg_replication_origin_create(n) FROM (VALUES ('far_%s'), ('\"odd\\%s')) x(n)" % (self.name, self.name))
        hub = self.run_hub()
        self.sql("SELECT pg_replication_origin_session_setup('far_%s'); INSERT INTO t VALUES (1, 'x'); "
                 "BEGIN; SELECT pg_replication_origin_xact_setup('2/1234', '2020-01-01'); INSERT INTO t VALUES (2, 'x'); "
                 "UPDATE t SET v = 'y' WHERE id = 2; COMMIT; SELECT pg_replication_origin_session_reset(); INSERT INTO t VALUES (3, 'x'); "
                 "SELECT pg_replication_origin_session_setup('\"odd\\%s'); INSERT INTO t VALUES (4, 'x')" % (self.name, self.name))
        far, sources = "far_" + self.name, [v["source"] for _, v in self.wait_events(hub, "t.public.t", 5)]
        self.assertEqual([(far, 0), (far, 0x200001234), (far, 0x200001234), (None, None), ('"odd\\' + self.name, 0)],
                         [(s["origin"], s["origin_lsn"]) for s in sources])

    def test_origins_of_streamed_transactions(self):
        """The server tells the name alone, before the commit."""
        self.server.needs(14, "streamed transactions")
        self.make(TABLE + "; SELECT pg_replication_origin_create('%s')" % self.name)
        hub = self.run_hub()
        self.sql("SELECT pg_replication_origin_session_setup('%s'); BEGIN; SELECT pg_replication_origin_xact_setup('2/1234', now()); "
                 "INSERT INTO t SELECT i, repeat('y', 2000) FROM generate_series(1, 90) i; COMMIT; "
                 "SELECT pg_replication_origin_session_reset(); INSERT INTO t VALUES (100, 'x')" % self.name)
        sources = [v["source"] for _, v in self.wait_events(hub, "t.public.t", 91)]
        self.assertEqual({(self.name, 0)}, {(s["origin"], s["origin_lsn"]) for s in sources[:90]})
        self.assertEqual((None, None), (sources[90]["origin"], sources[90]["origin_lsn"]))

    def test_xmin_of_the_slot(self):
        self.make(TABLE)
        hub = self.run_hub(dict(self.options(), **{"xmin.fetch.interval.ms": "1ms"}))
        before = int(self.slot("catalog_xmin"))
        self.sql("INSERT INTO t VALUES (1, 'x')")
        xmin = self.wait_events(hub, "t.public.t", 1)[0][1]["source"]["xmin"]
        self.assertTrue(before <= xmin <= int(self.slot("catalog_xmin")), (before, xmin))

    def test_xmin_is_not_asked_for(self):
        self.make(TABLE)
        hub = self.run_hub()
        self.sql("INSERT INTO t VALUES (1, 'x')")
        self.assertIsNone(self.wait_events(hub, "t.public.t", 1)[0][1]["source"]["xmin"])

    # ---- versions of the protocol ----

    def test_each_version_of_the_protocol(self):
        """The same changes, large and small, become the same events."""
        self.server.needs(14, "other version of the protocol than 1")
        self.make(TABLE + "; CREATE TABLE big(id int PRIMARY KEY, v text)")
        newest = self.server.protocol()
        hubs = self.hub("pipelines:\n" + "".join(self.config(dict(self.options(), **{
            "topic.prefix": "v%d" % v, "slot.name": "%s_%d" % (self.name, v), "stream.protocol.version": v,
            "provide.transaction.metadata": "true"}), "v%d" % v) for v in range(1, newest + 1)))
        for v in range(1, newest + 1):
            wait_for("the slot to be read", lambda v=v: self.server.streams("%s_%d" % (self.name, v)))
        self.sql("INSERT INTO t VALUES (1, 'x'); BEGIN; INSERT INTO big SELECT i, repeat('y', 500) FROM generate_series(1, 400) i; "
                 "SAVEPOINT s; INSERT INTO big SELECT i, 'z' FROM generate_series(1000, 1400) i; ROLLBACK TO s; UPDATE t SET id = 2; "
                 "SELECT pg_logical_emit_message(true, 'p', 'x'); COMMIT; SELECT pg_logical_emit_message(false, 'p', 'y'); DELETE FROM t")

        def events(v):
            return [[(k, w and (w.get("op"), w.get("source", {}).get("lsn"), w.get("after"), w.get("transaction"), w.get("id")))
                     for k, w in self.events(hubs, "v%d.%s" % (v, topic))]
                    for topic in ("public.t", "public.big", "message", "transaction")]
        for v in range(1, newest + 1):
            wait_for("all of version %d" % v, lambda v=v: [len(rows) for rows in events(v)] == [6, 400, 2, 6])
        first = events(1)
        for v in range(2, newest + 1):
            self.assertEqual(first, events(v), v)

    def test_a_version_that_the_server_does_not_have(self):
        if self.server.protocol() == 4:
            self.skipTest("PostgreSQL %d has all" % self.server.version)
        self.make(TABLE)
        hub = self.run_hub(dict(self.options(), **{"stream.protocol.version": 4}), wait=False)
        self.assertIn("stream.protocol.version: the server, PostgreSQL 1", self.wait_failed(hub))

    # ---- logical messages ----

    def test_contents_of_messages_as_binary_values(self):
        self.server.needs(14, "logical messages by pgoutput")
        self.make(TABLE)
        expected = {"bytes": "AP+/", "base64": "AP+/", "base64-url-safe": "AP-_", "hex": "00ffbf"}
        for i, (mode, text) in enumerate(expected.items()):
            options = dict(self.options(), **{"binary.handling.mode": mode, "topic.prefix": "m%d" % i, "slot.name": self.name + str(i),
                                              "value.converter.schemas.enable": "true"})
            hub = self.hub("pipelines:\n" + self.config(options))
            wait_for("the slot to be read", lambda: self.server.streams(options["slot.name"]))
            self.sql("SELECT pg_logical_emit_message(true, 'p', '\\x00ffbf'::bytea)")
            _, value = self.wait_events(hub, "m%d.message" % i, 1)[0]
            self.assertEqual(text, value["payload"]["message"]["content"])
            field = [f for f in value["schema"]["fields"] if f["field"] == "message"][0]["fields"][1]
            self.assertEqual({"type": "bytes" if mode == "bytes" else "string", "optional": True, "field": "content"}, field)
            self.assertEqual(0, hub.stop())

    def test_times_of_messages_alone(self):
        """They tell none: that of the last transaction is theirs, also over a restart."""
        self.server.needs(14, "logical messages by pgoutput")
        self.make(TABLE)
        hub = self.run_hub()
        self.sql("INSERT INTO t VALUES (1, 'x')")
        at = self.wait_events(hub, "t.public.t", 1)[0][1]["source"]["ts_us"]
        self.sql("SELECT pg_logical_emit_message(false, 'p', 'one')")
        self.wait_events(hub, "t.message", 1)
        self.assertEqual(0, hub.stop())
        hub.start()
        self.sql("SELECT pg_logical_emit_message(false, 'p', 'two')")
        events = self.wait_events(hub, "t.message", 2)
        self.assertEqual([at, at], [v["source"]["ts_us"] for _, v in events])

    # ---- keys in headers ----

    def test_keys_in_headers(self):
        """As Kafka Connect prints a struct, which is not quite JSON."""
        self.make("CREATE TABLE k(n numeric(6,2), d date, s text, PRIMARY KEY (n, d, s))")
        hub = self.run_hub(dict(self.options(), **{"time.precision.mode": "connect"}))
        self.sql("INSERT INTO k VALUES (1.5, '2023-03-03', E'two\\nlines \"q\"'); UPDATE k SET n = -2.25")
        self.wait_events(hub, "t.public.k", 4)
        headers = [dict((h["key"], h["value"]) for h in r["headers"]) for r in hub.records("t.public.k")]
        self.assertEqual('{"n":-2.25,"d":2023-03-03,"s":"two\nlines \\"q\\""}', headers[1]["__debezium.newkey"])
        self.assertEqual('{"n":1.50,"d":2023-03-03,"s":"two\nlines \\"q\\""}', headers[3]["__debezium.oldkey"])
        self.assertEqual({"n": "/x8=", "d": 19419, "s": 'two\nlines "q"'}, json.loads(hub.records("t.public.k")[3]["key"]))


if __name__ == "__main__":
    unittest.main()
