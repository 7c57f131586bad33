"""Snapshots of a real PostgreSQL: which rows are read, how often, what is said of them, and what a crash leaves."""
import unittest

from leat import wait_for
from .tables import TableCase

BIG = "CREATE TABLE big (id bigint PRIMARY KEY, a int, v text); INSERT INTO big SELECT i, i %% 7, 'row ' || i FROM generate_series(1, %d) i; ANALYZE big;"


class Modes(TableCase):
    TABLE = "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1), (2)"

    def ids(self, hub):
        return [row["id"] for row in self.reads(hub, "t.public.a")]

    def test_initial_reads_once(self):
        self.make(self.TABLE)
        hub = self.begin()
        self.wait_snapshot(hub)
        self.wait_change(hub, "INSERT INTO a VALUES (3)", "t.public.a")
        hub.stop()
        self.sql("INSERT INTO a VALUES (4)")
        hub.start()
        self.wait_equal(hub, "a", ["id"])
        self.assertEqual([1, 2], self.ids(hub))

    def test_always_reads_at_each_start(self):
        self.make(self.TABLE)
        hub = self.begin(snapshot_mode="always")
        self.wait_snapshot(hub)
        hub.stop()
        hub.start()
        self.wait_snapshot(hub, 2)
        self.assertEqual([1, 2, 1, 2], self.ids(hub))

    def test_initial_only_ends(self):
        self.make(self.TABLE)
        hub = self.begin(snapshot_mode="initial_only")
        wait_for("the task to complete", lambda: hub.task("p")["state"] == "COMPLETED")
        self.assertEqual([1, 2], self.ids(hub))
        self.assertEqual("0", self.sql("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '%s'" %
                                       self.database).strip())

    def test_no_data_reads_nothing(self):
        for mode in ("no_data", "never"):
            self.make(self.TABLE)
            hub = self.begin(snapshot_mode=mode)
            wait_for("the stream", lambda: self.failure(hub) or self.server.streams(self.database))
            self.wait_change(hub, "INSERT INTO a VALUES (3)", "t.public.a")
            self.assertEqual([], self.ids(hub))
            hub.kill()
            self.directory_of_its_own()

    def directory_of_its_own(self):
        super().tearDown()
        super().setUp()

    def test_when_needed_reads_again_where_changes_were_lost(self):
        self.make(self.TABLE)
        hub = self.begin(snapshot_mode="when_needed")
        self.wait_snapshot(hub)
        hub.stop()
        hub.start()
        self.wait_change(hub, "INSERT INTO a VALUES (3)", "t.public.a")
        self.assertEqual([1, 2], self.ids(hub))
        hub.stop()
        self.sql("SELECT pg_drop_replication_slot('%s')" % self.database)
        self.sql("INSERT INTO a VALUES (4)")
        hub.start()
        self.wait_snapshot(hub, 2)
        self.assertEqual([1, 2, 1, 2, 3, 4], self.ids(hub))


class Tables(TableCase):
    def test_markers(self):
        self.make("CREATE TABLE t1 (id int PRIMARY KEY); CREATE TABLE t2 (id int PRIMARY KEY); "
                  "CREATE TABLE t3 (id int PRIMARY KEY); CREATE TABLE t4 (v text); CREATE TABLE t9 (id int PRIMARY KEY); "
                  "INSERT INTO t1 VALUES (1), (2), (3); INSERT INTO t2 VALUES (1); INSERT INTO t4 VALUES ('x'), ('x')")
        hub = self.begin()
        self.wait_snapshot(hub)
        self.assertEqual(["first", "true", "last_in_data_collection"], self.markers(hub, "t.public.t1"))
        self.assertEqual(["last_in_data_collection"], self.markers(hub, "t.public.t2"))
        self.assertEqual(["first_in_data_collection", "last"], self.markers(hub, "t.public.t4"))
        self.assertNotIn("t.public.t9", self.topics(hub))
        sources = [e["source"] for t in ("t1", "t2", "t4") for _, e in self.events(hub, "t.public." + t)]
        self.assertEqual(1, len({(s["ts_ns"], s["lsn"], s["txId"], s["sequence"]) for s in sources}))
        self.assertEqual('[null,"%d"]' % sources[0]["lsn"], sources[0]["sequence"])

    def test_first_is_of_the_first_table_only(self):
        self.make("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b VALUES (1), (2)")
        hub = self.begin()
        self.wait_snapshot(hub)
        self.assertEqual(["first_in_data_collection", "last"], self.markers(hub, "t.public.b"))

    def test_every_value_comes_as_it_is(self):
        self.make("CREATE TABLE odd (id int PRIMARY KEY, v text); INSERT INTO odd VALUES (1, E'tab\\tline\\nback\\\\slash'), "
                  "(2, NULL), (3, ''), (4, '\\N'), (5, E'\\r\\b\\f\\v'), (6, 'caf\u00e9 \U0001f600 \"quoted\"'), "
                  "(7, repeat('wide ', 100000)); "
                  'CREATE TABLE "Odd name.x" ("Ke y" int PRIMARY KEY, "a""b" text); '
                  'INSERT INTO "Odd name.x" VALUES (1, \'x\'); CREATE SCHEMA other; '
                  "CREATE TABLE other.o (id int PRIMARY KEY, g int GENERATED ALWAYS AS (id * 2) STORED); "
                  "INSERT INTO other.o VALUES (4); CREATE TABLE bare (); INSERT INTO bare DEFAULT VALUES")
        hub = self.begin()
        self.wait_snapshot(hub)
        self.assert_equal(hub, "odd", ["id"])
        self.assertEqual([{"Ke y": 1, 'a"b': "x"}], self.reads(hub, "t.public.Odd_name.x"))
        self.assertEqual([{"id": 4}], self.reads(hub, "t.other.o"))
        self.assertEqual([{}], self.reads(hub, "t.public.bare"))

    PARTITIONED = ("CREATE TABLE root (id int, d int, v text, PRIMARY KEY (id, d)) PARTITION BY RANGE (d); "
                   "CREATE TABLE leaf1 PARTITION OF root FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (id); "
                   "CREATE TABLE leaf1a PARTITION OF leaf1 FOR VALUES FROM (0) TO (100); "
                   "CREATE TABLE leaf2 (v text, gone int, d int NOT NULL, id int NOT NULL, PRIMARY KEY (id, d)); "
                   "ALTER TABLE leaf2 DROP COLUMN gone; "
                   "ALTER TABLE root ATTACH PARTITION leaf2 FOR VALUES FROM (10) TO (20); "
                   "INSERT INTO root VALUES (1, 1, 'one'), (2, 12, 'two');")

    def test_partitions_once_as_the_root(self):
        self.make(self.PARTITIONED)
        self.sql("CREATE PUBLICATION %s FOR ALL TABLES WITH (publish_via_partition_root)" % self.database)
        hub = self.begin()
        self.wait_snapshot(hub)
        self.assertEqual([{"id": 1, "d": 1, "v": "one"}, {"id": 2, "d": 12, "v": "two"}],
                         self.reads(hub, "t.public.root"))
        self.assertEqual({"t.public.root"}, {t for t in self.topics(hub) if t.startswith("t.")})
        self.wait_change(hub, "INSERT INTO root VALUES (3, 3, 'three')", "t.public.root")

    def test_partitions_once_as_themselves(self):
        self.make(self.PARTITIONED)
        hub = self.begin()
        self.wait_snapshot(hub)
        self.assertEqual([1], [r["id"] for r in self.reads(hub, "t.public.leaf1a")])
        self.assertEqual([2], [r["id"] for r in self.reads(hub, "t.public.leaf2")])
        self.assertEqual({"t.public.leaf1a", "t.public.leaf2"}, {t for t in self.topics(hub) if t.startswith("t.")})

    def test_heirs_once(self):
        self.make("CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE heir (x int, PRIMARY KEY (id)) INHERITS (parent); "
                  "INSERT INTO parent VALUES (1); INSERT INTO heir VALUES (2, 3)")
        hub = self.begin()
        self.wait_snapshot(hub)
        self.assertEqual([{"id": 1}], self.reads(hub, "t.public.parent"))
        self.assertEqual([{"id": 2, "x": 3}], self.reads(hub, "t.public.heir"))

    def test_tables_are_chosen_and_ordered_by_the_lists(self):
        self.make("".join("CREATE TABLE %s (id int PRIMARY KEY); INSERT INTO %s VALUES (1), (2);" % (t, t) for t in "abcd"))
        hub = self.begin(table_include_list="public.c,public.[ab]", snapshot_include_collection_list="public.[bcd]")
        self.wait_snapshot(hub)
        self.assertEqual({"t.public.b", "t.public.c"}, {t for t in self.topics(hub) if t.startswith("t.")})
        self.assertEqual(["first", "last_in_data_collection"], self.markers(hub, "t.public.c"))
        self.assertEqual(["first_in_data_collection", "last"], self.markers(hub, "t.public.b"))

    def test_tables_are_ordered_by_their_rows(self):
        tables = "".join("CREATE TABLE %s (id int PRIMARY KEY); INSERT INTO %s SELECT generate_series(1, %d); ANALYZE %s;" %
                         (t, t, n, t) for t, n in (("a", 3), ("b", 30), ("c", 2)))
        for order, first, last in (("ascending", "c", "b"), ("descending", "b", "c")):
            self.make(tables)
            hub = self.begin(snapshot_tables_order_by_row_count=order, topic_prefix=order)
            self.wait_snapshot(hub)
            self.assertEqual("last", self.markers(hub, "%s.public.%s" % (order, last))[-1])
            self.assertEqual("last_in_data_collection", self.markers(hub, "%s.public.%s" % (order, first))[-1])
            hub.kill()
            super().tearDown()
            super().setUp()

    def test_a_select_instead_of_the_table(self):
        self.make("CREATE TABLE a (id int PRIMARY KEY, v text, n int); "
                  "INSERT INTO a SELECT i, 'v' || i, i FROM generate_series(1, 10) i; CREATE TABLE b (id int PRIMARY KEY); "
                  "INSERT INTO b VALUES (1)")
        self.options["snapshot.select.statement.overrides.public.a"] = \
            "SELECT n, id, upper(v) AS v FROM public.a WHERE id > 7 ORDER BY id DESC -- the newest first"
        hub = self.begin(snapshot_select_statement_overrides="public.a")
        self.wait_snapshot(hub)
        self.assertEqual([{"id": i, "v": "V%d" % i, "n": i} for i in (10, 9, 8)], self.reads(hub, "t.public.a"))
        self.assertEqual([1], [r["id"] for r in self.reads(hub, "t.public.b")])

    def test_excluded_columns_are_not_needed_for_reading(self):
        self.make("CREATE TABLE a (id int PRIMARY KEY, secret text, v text); INSERT INTO a VALUES (1, 's', 'v'); "
                  "CREATE ROLE few%d LOGIN REPLICATION PASSWORD 'x'; GRANT SELECT (id, v) ON a TO few%d" % (id(self), id(self)))
        self.sql("CREATE PUBLICATION %s FOR ALL TABLES" % self.database)
        self.options.update(self.server.options(self.database, "few%d" % id(self)))
        hub = self.begin(column_exclude_list="public.a.secret")
        self.wait_snapshot(hub)
        self.assertEqual([{"id": 1, "v": "v"}], self.reads(hub, "t.public.a"))

    def test_notifications(self):
        self.make("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1), (2); CREATE TABLE b (id int PRIMARY KEY)")
        hub = self.begin(notification_enabled_channels="sink", notification_sink_topic_name="told")
        self.wait_snapshot(hub)
        wait_for("all of them", lambda: len(self.events(hub, "told")) >= 6)
        told = [(v["type"], v["additional_data"].get("scanned_collection") or
                 v["additional_data"].get("current_collection_in_progress"), v["additional_data"].get("total_rows_scanned"))
                for _, v in self.events(hub, "told")]
        self.assertEqual([("STARTED", None, None), ("IN_PROGRESS", "public.a", None),
                          ("TABLE_SCAN_COMPLETED", "public.a", "2"), ("IN_PROGRESS", "public.b", None),
                          ("TABLE_SCAN_COMPLETED", "public.b", "0"), ("COMPLETED", None, None)], told)


class Large(TableCase):
    ROWS = 60000

    def test_several_readers_read_each_row_once_and_in_order(self):
        self.make(BIG % self.ROWS + "CREATE TABLE small (id int PRIMARY KEY); INSERT INTO small VALUES (1)")
        hub = self.begin(snapshot_max_threads=4, snapshot_chunk_rows=1000, snapshot_buffer_bytes="1MiB")
        self.wait_snapshot(hub)
        self.assertEqual(list(range(1, self.ROWS + 1)), [r["id"] for r in self.reads(hub, "t.public.big")])
        self.assertEqual(["last"], self.markers(hub, "t.public.small"))
        self.assertEqual([], self.left_behind(hub))

    @staticmethod
    def left_behind(hub):
        """Positions of the snapshot's tables that are still stored."""
        latest = {r["key"]: r["value"] for r in hub.records("connect-offsets")}
        return [k for k, v in latest.items() if v and '"snapshot":"' in k]

    def test_changes_beside_the_snapshot(self):
        self.make(BIG % self.ROWS)
        hub = self.begin(snapshot_max_threads=2, snapshot_chunk_rows=2000)
        for i in range(20):
            self.sql("UPDATE big SET v = 'new %d' WHERE id %% 97 = %d; DELETE FROM big WHERE id %% 101 = %d; "
                     "INSERT INTO big VALUES (%d, 0, 'added')" % (i, i, i, 1000000 + i))
        self.wait_snapshot(hub)
        self.wait_equal(hub, "big", ["id"])

    # A topic that takes so little a second (of compressed batches) takes two minutes for the whole table: whoever is faster, the test is in the
    # middle.
    SLOW, FAST = "quota.produce.bytes.per.second=65536", "quota.produce.bytes.per.second=-1"

    def begin_slowly(self, **more):
        hub = self.begin(start=False, **more)
        hub.leat("topics", "create", "t.public.big", "--partitions", "1", "--config", self.SLOW)
        return hub

    def go_on_fast(self, hub):
        hub.leat("topics", "configure", "t.public.big", "--config", self.FAST)

    def kill_in_the_middle(self, hub, meanwhile):
        """Again and again; then it goes on to the end."""
        for n in range(1, 5):
            hub.start()
            wait_for("rows", lambda: hub.task("p")["records"] > 0)
            hub.kill()
            self.assertNotIn("snapshot: done", hub.log_text())
            meanwhile(n)
        hub.start()
        self.go_on_fast(hub)
        self.wait_snapshot(hub)

    def test_killed_in_the_middle_it_goes_on(self):
        self.server.needs(14, "reading by ranges of blocks: the table's rows come again")
        self.make(BIG % (4 * self.ROWS) + "CREATE TABLE z (id int PRIMARY KEY); INSERT INTO z VALUES (1)")
        hub = self.begin_slowly(snapshot_max_threads=2, snapshot_chunk_rows=5000)
        self.kill_in_the_middle(hub, lambda n: None)
        self.assertIn("goes on behind", hub.log_text())
        # Nobody changed anything, so that no row comes twice.
        self.assertEqual(list(range(1, 4 * self.ROWS + 1)), [r["id"] for r in self.reads(hub, "t.public.big")])
        markers = self.markers(hub, "t.public.big")
        self.assertEqual((1, 1, "first", "last_in_data_collection"),
                         (markers.count("first"), markers.count("last_in_data_collection"), markers[0], markers[-1]))
        self.assertEqual(["last"], self.markers(hub, "t.public.z"))

    def test_killed_while_rows_move(self):
        """Rows move from what was not read yet to what was, and large values are not sent with their changes."""
        self.make("CREATE TABLE big (id bigint PRIMARY KEY, a int, v text) WITH (autovacuum_enabled = false); "
                  "ALTER TABLE big ALTER v SET STORAGE EXTERNAL; "
                  "INSERT INTO big SELECT i, 0, CASE WHEN i % 10 = 0 THEN repeat('x', 3000) || i ELSE 'row ' || i END "
                  "FROM generate_series(1, 150000) i; ANALYZE big; DELETE FROM big WHERE id < 20000 AND id % 2 = 1; "
                  "VACUUM big")

        def meanwhile(n):
            self.sql("UPDATE big SET a = %d WHERE id %% 10 = 0 AND id > 75000 AND id %% 3 = %d; "
                     "UPDATE big SET id = id + 1000000 WHERE id %% 1000 = %d; DELETE FROM big WHERE id %% 1007 = %d; "
                     "INSERT INTO big VALUES (%d, 1, repeat('y', 4000))" % (n, n % 3, n * 10, n, 5000000 + n))
            if n == 2:
                self.sql("VACUUM FULL big")

        hub = self.begin_slowly(snapshot_chunk_rows=3000)
        self.kill_in_the_middle(hub, meanwhile)
        self.wait_equal(hub, "big", ["id"])

    def test_a_table_that_is_rewritten_meanwhile_is_read_all_the_same(self):
        self.make(BIG % (3 * self.ROWS) + "CREATE TABLE later (id int PRIMARY KEY, v int); "
                  "INSERT INTO later SELECT i, i FROM generate_series(1, 100) i")
        hub = self.begin(snapshot_chunk_rows=2000, snapshot_buffer_bytes="1MiB")
        wait_for("the snapshot to begin", lambda: "snapshot: 2 tables" in hub.log_text())
        self.sql("ALTER TABLE later ALTER v TYPE bigint")
        self.wait_snapshot(hub)
        self.wait_equal(hub, "later", ["id"])
        self.assertEqual(3 * self.ROWS, len({r["id"] for r in self.reads(hub, "t.public.big")}))

    def change_before_it_is_read(self, sql):
        """Of a table that comes behind one which takes long."""
        self.make(BIG % (4 * self.ROWS) + "CREATE TABLE later (id int PRIMARY KEY, v int); INSERT INTO later VALUES (1, 2)")
        hub = self.begin_slowly(snapshot_chunk_rows=2000).start()
        wait_for("rows", lambda: hub.task("p")["records"] > 0)
        self.sql(sql)
        self.assertNotIn("snapshot of public.big: done", hub.log_text())
        self.go_on_fast(hub)
        self.wait_snapshot(hub)
        self.assertIn("tries again", hub.log_text())
        return hub

    def test_a_table_that_loses_a_column_meanwhile_is_read_without(self):
        hub = self.change_before_it_is_read("ALTER TABLE later DROP v")
        self.assertEqual([{"id": 1}], self.reads(hub, "t.public.later"))

    def test_a_table_that_is_renamed_meanwhile_is_read_by_its_new_name(self):
        hub = self.change_before_it_is_read("ALTER TABLE later RENAME TO renamed")
        self.assertEqual([{"id": 1, "v": 2}], self.reads(hub, "t.public.renamed"))

    def test_the_server_killed_in_the_middle(self):
        self.make(BIG % (4 * self.ROWS))
        hub = self.begin(snapshot_max_threads=2, snapshot_chunk_rows=5000)
        for _ in range(3):
            before = hub.task("p")["records"]
            wait_for("rows", lambda: hub.task("p")["records"] > before or "snapshot: done" in hub.log_text())
            self.server.kill()
            self.server.start()
        self.wait_snapshot(hub)
        self.wait_change(hub, "INSERT INTO big VALUES (1000000, 0, 'x')", "t.public.big")
        self.assert_equal(hub, "big", ["id"])

    def test_a_short_statement_timeout_does_not_end_it(self):
        self.make("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)")
        self.server.psql("ALTER DATABASE %s SET statement_timeout = '1s'" % self.database)
        self.options["snapshot.select.statement.overrides.public.a"] = "SELECT id FROM a, pg_sleep(2)"
        hub = self.begin(snapshot_select_statement_overrides="public.a")
        self.wait_snapshot(hub)
        self.assertEqual([1], [r["id"] for r in self.reads(hub, "t.public.a")])

    def test_a_short_transaction_timeout_does_not_end_it(self):
        self.server.needs(17, "transaction_timeout")
        self.make("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)")
        self.server.psql("ALTER DATABASE %s SET transaction_timeout = '1s'" % self.database)
        self.options["snapshot.select.statement.overrides.public.a"] = "SELECT id FROM a, pg_sleep(2)"
        hub = self.begin(snapshot_select_statement_overrides="public.a")
        self.wait_snapshot(hub)
        self.assertEqual([1], [r["id"] for r in self.reads(hub, "t.public.a")])

    def test_no_lock_but_that_of_a_read(self):
        self.make(BIG % (3 * self.ROWS))
        hub = self.begin_slowly(snapshot_max_threads=2, snapshot_chunk_rows=2000).start()
        modes = set()

        def look():
            modes.update(self.sql("SELECT DISTINCT l.mode FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
                                  "WHERE l.relation = 'big'::regclass AND a.application_name LIKE 'leat%'").split())
            return modes and "snapshot: done" in hub.log_text()
        wait_for("a lock", lambda: look() or modes)
        self.go_on_fast(hub)
        wait_for("the snapshot", look)
        self.assertEqual({"AccessShareLock"}, modes)

    def test_it_makes_way_for_who_waits_for_it_and_holds_what_it_needs(self):
        """Somebody holds a table that comes later, and waits for one that was read. The server sees no deadlock in that: one
        of the snapshot's connections is waited for, and another one waits."""
        self.server.needs(14, "reading by ranges of blocks: the last table is looked at in the beginning")
        self.make("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1); " + BIG % (4 * self.ROWS) +
                  "CREATE TABLE z (id int PRIMARY KEY); INSERT INTO z VALUES (1)")
        hub = self.begin_slowly(snapshot_chunk_rows=2000, snapshot_lock_timeout_ms="1s", skipped_operations="none").start()
        wait_for("rows", lambda: hub.task("p")["records"] > 0)
        other = self.server.session(self.database)
        other.send("TRUNCATE z, a")
        wait_for("the other one to wait", lambda: self.sql(
            "SELECT count(*) FROM pg_locks WHERE relation = 'a'::regclass AND NOT granted").strip() == "1")
        self.assertNotIn("snapshot of public.big: done", hub.log_text())
        self.go_on_fast(hub)
        other.receive()
        other.close()
        self.wait_snapshot(hub)
        self.assertIn("canceling statement due to lock timeout", hub.log_text())
        self.sql("INSERT INTO a VALUES (2); INSERT INTO z VALUES (2)")
        for table in "a", "z":
            self.wait_equal(hub, table, ["id"])

    def begin_a_long_statement(self):
        """The snapshot's; the SQL that counts it."""
        self.make("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)")
        self.options["snapshot.select.statement.overrides.public.a"] = "SELECT id FROM a, pg_sleep(100000)"
        hub = self.begin(snapshot_select_statement_overrides="public.a")
        sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = '%s'" % self.database
        wait_for("the statement", lambda: self.sql(sleeping).strip() == "1")
        return hub, sleeping

    def test_it_stops_in_the_middle_of_a_statement(self):
        hub, sleeping = self.begin_a_long_statement()
        self.assertEqual(0, hub.stop())
        wait_for("the statement to end", lambda: self.sql(sleeping).strip() == "0")

    def test_it_stops_though_the_server_does_not_answer(self):
        hub, sleeping = self.begin_a_long_statement()
        with self.server.frozen():
            self.assertEqual(0, hub.stop())
        self.assertIn("a statement could not be cancelled: no answer in time", hub.log_text())
        self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
        wait_for("the statement to end", lambda: self.sql(sleeping).strip() == "0")


if __name__ == "__main__":
    unittest.main()
