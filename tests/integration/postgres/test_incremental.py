"""Incremental and blocking snapshots beside a stream that goes on: what a consumer has in the end is the table."""
import json
import threading
import unittest

from leat import wait_for
from .tables import TableCase

SIGNALS = "CREATE TABLE signals (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048));"
ROWS = "CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a SELECT i, 'row ' || i FROM generate_series(1, %d) i;"


BEHIND_BYTES = 256 << 10


class Workload:
    """Changes of a table by another session, until it is left; as fast as the source can follow, or there would be no end."""

    def __init__(self, case, statements):
        self.session = case.server.session(case.database)
        self.statements = statements  # of a round number
        self.end = threading.Event()
        self.failure = None
        self.thread = threading.Thread(target=self.run)

    def run(self):
        n = 0
        behind = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) FROM pg_replication_slots " \
                 "WHERE slot_name = current_database()"
        try:
            while not self.end.is_set():
                n += 1
                self.session.run(self.statements(n))
                while int(self.session.run(behind)) > BEHIND_BYTES and not self.end.wait(0.005):
                    pass
        except Exception as e:  # told where it is waited for
            self.failure = e

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()
        self.session.close()
        if self.failure:
            raise self.failure


class IncrementalCase(TableCase):
    def make(self, sql=""):
        super().make(SIGNALS + sql)
        self.options.update({"signal.data.collection": "public.signals", "snapshot.mode": "no_data",
                             "incremental.snapshot.chunk.size": 10, "notification.enabled.channels": "sink",
                             "notification.sink.topic.name": "told"})

    def start(self, **more):
        """A hub whose stream has begun."""
        hub = self.begin(**more)
        wait_for("the stream", lambda: self.failure(hub) or self.server.streams(self.database))
        return hub

    @staticmethod
    def insertion(name, kind, data=None):
        text = "NULL" if data is None else "'" + json.dumps(data).replace("'", "''") + "'"
        return "INSERT INTO signals VALUES ('%s', '%s', %s)" % (name, kind, text)

    def execution(self, name, collections, kind="INCREMENTAL", **more):
        return self.insertion(name, "execute-snapshot", dict({"type": kind, "data-collections": collections},
                                                             **{k.replace("_", "-"): v for k, v in more.items()}))

    def signal(self, name, kind, data=None):
        self.sql(self.insertion(name, kind, data))

    def execute(self, name, collections, kind="INCREMENTAL", **more):
        self.sql(self.execution(name, collections, kind, **more))

    def told(self, hub, name):
        """(type, additional data) of the signal's notifications."""
        return [(v["type"], v["additional_data"]) for _, v in self.events(hub, "told") if v["id"] == name]

    def wait_told(self, hub, name, kind="COMPLETED"):
        wait_for("%s of %s" % (kind, name), lambda: self.failure(hub) or
                 kind in [t for t, _ in self.told(hub, name)])
        self.assertIn(kind, [t for t, _ in self.told(hub, name)], hub.log_text()[-2000:])

    def statuses(self, hub, name):
        return {d["scanned_collection"]: (d["status"], int(d["total_rows_scanned"]))
                for t, d in self.told(hub, name) if t == "TABLE_SCAN_COMPLETED"}


class Beside(IncrementalCase):
    """Under a workload that changes, deletes, moves and adds rows all the time."""

    @staticmethod
    def changes(n):
        """Of all rows but those whose id ends in 3: each chunk of ten has one that nothing but the snapshot tells of."""
        return ("BEGIN; UPDATE a SET v = 'new %(n)d' WHERE id %% 7 = %(m)d AND id %% 10 <> 3; "
                "DELETE FROM a WHERE id %% 41 = %(d)d AND id %% 10 <> 3; "
                "UPDATE a SET id = id + 1000 WHERE id %% 53 = %(d)d AND id < 400 AND id %% 10 <> 3; "
                "INSERT INTO a SELECT i, 'added' FROM (SELECT %(i)d i) x WHERE i %% 10 <> 3 "
                "ON CONFLICT (id) DO UPDATE SET v = 'again %(n)d'; COMMIT" %
                {"n": n, "m": n % 7, "d": n % 53, "i": n % 450})

    def read_beside_changes(self, **more):
        hub = self.start(**more)
        with Workload(self, self.changes):
            self.execute("one", ["public.a"])
            self.wait_told(hub, "one")
        self.wait_equal(hub, "a", ["id"])
        self.assertEqual(list(range(3, 400, 10)), [r["id"] for r in self.reads(hub, "t.public.a") if r["id"] % 10 == 3])
        return hub

    def test_insert_insert(self):
        self.make(ROWS % 400)
        hub = self.read_beside_changes()
        kinds = [e["after"]["type"] for _, e in self.events(hub, "t.public.signals") if e and e["op"] == "c"]
        self.assertEqual(kinds.count("snapshot-window-open"), kinds.count("snapshot-window-close"))

    def test_insert_delete(self):
        self.make(ROWS % 400)
        self.read_beside_changes(incremental_snapshot_watermarking_strategy="insert_delete")
        self.assertEqual("one\n", self.sql("SELECT id FROM signals"))

    def test_read_only(self):
        self.make(ROWS % 400)
        self.read_beside_changes(read_only=True)
        self.assertEqual("one\n", self.sql("SELECT id FROM signals"))

    def test_where_the_signal_table_may_not_be_written(self):
        role = "reader_" + self.id().split(".")[-1][:20]
        self.make(ROWS % 400 + "CREATE ROLE %s LOGIN REPLICATION PASSWORD 'x'; GRANT SELECT ON ALL TABLES IN SCHEMA public "
                  "TO %s" % (role, role))
        self.sql("CREATE PUBLICATION %s FOR ALL TABLES" % self.database)
        self.options.update(self.server.options(self.database, role))
        hub = self.read_beside_changes()
        self.assertIn("windows are read-only", hub.log_text())

    def test_killed_and_killed_again(self):
        self.make(ROWS % 400)
        hub = self.start()
        with Workload(self, self.changes):
            self.execute("one", ["public.a"])
            for _ in range(5):
                before = len(self.told(hub, "one"))
                wait_for("progress", lambda: len(self.told(hub, "one")) > before or
                         "COMPLETED" in [t for t, _ in self.told(hub, "one")])
                hub.kill()
                hub.start()
            self.wait_told(hub, "one")
        self.wait_equal(hub, "a", ["id"])
        self.assertEqual(1, [t for t, _ in self.told(hub, "one")].count("STARTED"))
        self.assertEqual(1, [t for t, _ in self.told(hub, "one")].count("COMPLETED"))

    def test_the_server_killed(self):
        self.make(ROWS % 400)
        hub = self.start()
        self.execute("one", ["public.a"])
        wait_for("progress", lambda: len(self.told(hub, "one")) > 3)
        self.server.kill()
        self.server.start()
        self.wait_told(hub, "one")
        self.wait_equal(hub, "a", ["id"])

    def test_a_commit_that_waits_for_a_standby(self):
        self.beside_a_waiting_commit(False)

    def test_a_commit_that_waits_for_a_standby_beyond_a_restart(self):
        self.beside_a_waiting_commit(True)

    def test_a_commit_that_waits_for_a_standby_and_a_blocking_snapshot(self):
        self.beside_a_waiting_commit(False, "BLOCKING")

    def beside_a_waiting_commit(self, restart, kind="INCREMENTAL"):
        """It is in the log and comes by the stream, and others do not see it: what they read is older than its event."""
        self.make(ROWS % 400)
        self.sql("ALTER DATABASE %s SET synchronous_commit = local" % self.database)
        hub = self.start()
        session = self.server.session(self.database)
        with self.server.held_commits():
            session.send("SET synchronous_commit = on; UPDATE a SET v = 'new' WHERE id = 3")
            wait_for("the change", lambda: any(e["after"]["v"] == "new" for _, e in self.events(hub, "t.public.a")))
            if restart:
                hub.stop()
                hub.start()
            self.execute("one", ["public.a"], kind)
            if kind == "BLOCKING":
                wait_for("the signal", lambda: self.events(hub, "t.public.signals"))
                for _ in range(10):
                    self.assertEqual([], self.reads(hub, "t.public.a"))
                self.sql("INSERT INTO a VALUES (500, 'beside')")
            else:
                wait_for("the signal", lambda: self.told(hub, "one"))
                self.wait_change(hub, "INSERT INTO a VALUES (500, 'beside')", "t.public.a")
            self.assertEqual("old\n", self.sql("SELECT CASE v WHEN 'row 3' THEN 'old' ELSE v END FROM a WHERE id = 3"))
        session.receive()
        session.close()
        if kind == "BLOCKING":
            wait_for("the rows", lambda: len(self.reads(hub, "t.public.a")) >= 400)
        else:
            self.wait_told(hub, "one")
        self.wait_equal(hub, "a", ["id"])
        self.assertGreaterEqual(len(self.reads(hub, "t.public.a")), 400)

    def test_columns_come_and_go(self):
        self.make(ROWS % 400)
        hub = self.start()

        def changes(n):
            return self.changes(n) + ("; ALTER TABLE a ADD COLUMN x int DEFAULT %d" % n if n % 10 == 5 else
                                      "; ALTER TABLE a DROP COLUMN IF EXISTS x" if n % 10 == 0 else "")
        with Workload(self, changes):
            self.execute("one", ["public.a"])
            self.wait_told(hub, "one")
        self.sql("ALTER TABLE a DROP COLUMN IF EXISTS x; UPDATE a SET v = v || '!'")
        self.wait_equal(hub, "a", ["id"])


class Tables(IncrementalCase):
    def test_each_row_once_where_nothing_changes(self):
        self.make(ROWS % 95)
        hub = self.start()
        self.execute("one", ["public.a"])
        self.wait_told(hub, "one")
        self.assertEqual(list(range(1, 96)), [r["id"] for r in self.reads(hub, "t.public.a")])
        self.assertEqual({"incremental"}, set(self.markers(hub, "t.public.a")))
        self.assertEqual({"public.a": ("SUCCEEDED", 95)}, self.statuses(hub, "one"))
        source = [e["source"] for _, e in self.events(hub, "t.public.a")][0]
        self.assertEqual((None, None), (source["txId"], source["lsn"]))

    def test_keys(self):
        self.make("CREATE TABLE two (b text, a int, v text, PRIMARY KEY (a, b)); "
                  "INSERT INTO two SELECT 'k' || i %% 13, i / 13, repeat('v', i) FROM generate_series(1, 120) i; "
                  "CREATE TABLE words (w text PRIMARY KEY); INSERT INTO words VALUES ('a'), ('B'), ('\u00e4'), (''), "
                  "('it''s'), (E'back\\\\slash'), (E'tab\\there'), (E'new\\nline'), ('z z'), ('\u6f22'), ('(1,2)'), ('{}'), ('NULL'); "
                  "CREATE TABLE uu (u uuid PRIMARY KEY); INSERT INTO uu SELECT gen_random_uuid() FROM generate_series(1, 35); "
                  "CREATE TABLE tt (t timestamptz, n numeric, PRIMARY KEY (t, n)); "
                  "INSERT INTO tt SELECT '2024-05-06 07:08:09.123456+02'::timestamptz + i * interval '1 day', i / 7.0 "
                  "FROM generate_series(1, 35) i; "
                  "CREATE TABLE uniq (u int NOT NULL UNIQUE, v int); INSERT INTO uniq SELECT i, i FROM generate_series(1, 25) i"
                  .replace("%%", "%"))
        hub = self.start()
        self.execute("one", ["public.two", "public.words", "public.uu", "public.tt", "public.uniq"])
        self.wait_told(hub, "one")
        self.assert_equal(hub, "two", ["a", "b"])
        self.assert_equal(hub, "words", ["w"])
        self.assert_equal(hub, "uu", ["u"])
        self.assert_equal(hub, "uniq", ["u"])
        self.assertEqual(35, len({k["t"] for k, _ in self.events(hub, "t.public.tt")}))
        self.assertEqual([120, 13, 35, 35, 25], [rows for _, rows in self.statuses(hub, "one").values()])

    def test_conditions_expressions_and_tables_that_cannot_be_read(self):
        self.make(ROWS % 30 + "CREATE TABLE ab (id int PRIMARY KEY, v text); INSERT INTO ab VALUES (1, 'x'); "
                  "CREATE TABLE empty (id int PRIMARY KEY); CREATE TABLE nokey (v text); INSERT INTO nokey VALUES ('x'); "
                  "CREATE TABLE maybe (u int UNIQUE); INSERT INTO maybe VALUES (1), (NULL)")
        hub = self.start()
        self.execute("one", ["public.a.*", "public.empty", "public.nokey", "public.maybe", "public.nowhere"],
                     additional_conditions=[{"data-collection": "public.a", "filter": "id % 3 = 0 OR id = 1"}])
        self.wait_told(hub, "one")
        self.assertEqual([1] + list(range(3, 31, 3)), [r["id"] for r in self.reads(hub, "t.public.a")])
        self.assertEqual({"public.a": ("SUCCEEDED", 11), "public.ab": ("SUCCEEDED", 1), "public.empty": ("EMPTY", 0),
                          "public.nokey": ("NO_PRIMARY_KEY", 0), "public.maybe": ("NO_PRIMARY_KEY", 0),
                          "public.nowhere": ("UNKNOWN_SCHEMA", 0)}, self.statuses(hub, "one"))
        self.execute("two", ["public.a", "public.ab"],
                     additional_conditions=[{"data-collection": "public.a", "filter": "no such column"}])
        self.wait_told(hub, "two")
        self.assertEqual({"public.a": ("SQL_EXCEPTION", 0), "public.ab": ("SUCCEEDED", 1)}, self.statuses(hub, "two"))

    def test_a_surrogate_key_whose_values_are_not_unique(self):
        self.make("CREATE TABLE nokey (s int, v int); INSERT INTO nokey SELECT i / 7, i FROM generate_series(1, 100) i")
        hub = self.start()
        self.execute("one", ["public.nokey"], surrogate_key="s")
        self.wait_told(hub, "one")
        self.assertEqual(list(range(1, 101)), sorted(r["v"] for r in self.reads(hub, "t.public.nokey")))
        self.assertIn('rows whose surrogate key "s" is NULL are not read', hub.log_text())

    def test_large_rows_make_small_chunks(self):
        self.make("CREATE TABLE wide (id int PRIMARY KEY, v text); ALTER TABLE wide ALTER v SET STORAGE EXTERNAL; "
                  "INSERT INTO wide SELECT i, repeat('x', 400000) FROM generate_series(1, 20) i")
        hub = self.start(snapshot_buffer_bytes="1MiB")
        self.execute("one", ["public.wide"])
        self.wait_told(hub, "one")
        self.assertEqual(list(range(1, 21)), [r["id"] for r in self.reads(hub, "t.public.wide")])
        self.assertGreaterEqual(len([t for t, _ in self.told(hub, "one") if t == "IN_PROGRESS"]), 10)

    def test_an_added_table_is_read_alone(self):
        self.make(ROWS % 30 + "CREATE TABLE b (id int PRIMARY KEY, v text); INSERT INTO b SELECT i, 'b' FROM generate_series(1, 30) i")
        hub = self.start(table_include_list="public.a", snapshot_mode="initial")
        self.wait_snapshot(hub)
        hub.stop()
        hub.write_config(self.config(table_include_list="public.a,public.b", snapshot_mode="initial"))
        hub.start()
        self.execute("add", ["public.b"])
        self.wait_told(hub, "add")
        self.wait_change(hub, "INSERT INTO b VALUES (31, 'more')", "t.public.b")
        self.assert_equal(hub, "b", ["id"])
        self.assertEqual(30, len(self.reads(hub, "t.public.a")))


class Control(IncrementalCase):
    def test_pause_outlives_a_restart(self):
        self.make(ROWS % 2000)
        hub = self.start(incremental_snapshot_chunk_size=2)
        # In one transaction, so that the snapshot cannot end before the pause comes.
        self.sql("BEGIN; %s; %s; COMMIT" % (self.execution("one", ["public.a"]), self.insertion("two", "pause-snapshot")))
        self.wait_told(hub, "one", "PAUSED")
        hub.kill()
        hub.start()
        self.wait_change(hub, "INSERT INTO a VALUES (100000, 'x')", "t.public.a")
        self.assertNotIn("COMPLETED", [t for t, _ in self.told(hub, "one")])
        self.signal("three", "resume-snapshot")
        self.wait_told(hub, "one", "RESUMED")
        self.wait_told(hub, "one")
        self.assert_equal(hub, "a", ["id"])

    def test_stop_some_and_all(self):
        # So many chunks of two rows take minutes if nothing stops them.
        self.make(ROWS % 300000 + "CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b VALUES (1)")
        hub = self.start(incremental_snapshot_chunk_size=2)
        self.execute("one", ["public.a", "public.b"])
        wait_for("progress", lambda: len(self.told(hub, "one")) > 3)
        self.signal("two", "stop-snapshot", {"type": "INCREMENTAL", "data-collections": ["public.a"]})
        self.wait_told(hub, "one")
        self.assertEqual([("ABORTED", "public.a")], [(t, d["data_collections"]) for t, d in self.told(hub, "one")
                                                     if t == "ABORTED"])
        self.assertEqual({"public.b": ("SUCCEEDED", 1)}, self.statuses(hub, "one"))
        self.execute("three", ["public.a"])
        wait_for("progress", lambda: len(self.told(hub, "three")) > 3)
        self.signal("four", "stop-snapshot", {"type": "INCREMENTAL"})
        self.wait_told(hub, "three", "ABORTED")
        self.execute("five", ["public.b"])
        self.wait_told(hub, "five")
        self.assertNotIn("COMPLETED", [t for t, _ in self.told(hub, "three")])

    def test_one_after_the_other(self):
        self.make(ROWS % 50 + "CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b SELECT generate_series(1, 50)")
        hub = self.start()
        self.execute("one", ["public.a"])
        self.execute("two", ["public.b"])
        self.execute("three", ["public.a"])
        self.wait_told(hub, "three")
        self.assertEqual(["one", "two", "three"], [v["id"] for _, v in self.events(hub, "told") if v["type"] == "COMPLETED"])
        self.assertEqual(2 * list(range(1, 51)), [r["id"] for r in self.reads(hub, "t.public.a")])

    def test_signals_that_make_no_sense_are_told_and_passed_by(self):
        self.make(ROWS % 5)
        hub = self.start()
        self.signal("one", "execute-snapshot", {"type": "NONE", "data-collections": ["public.a"]})
        self.signal("two", "dance")
        self.execute("three", ["public.(a"])
        self.sql("INSERT INTO signals VALUES ('four', 'execute-snapshot', '{')")
        self.signal("five", "log", {"message": "here is {} of it"})
        self.execute("six", ["public.a"])
        self.wait_told(hub, "six")
        log = hub.log_text()
        for name in ("one", "two", "three", "four"):
            self.assertIn("signal %s is left out" % name, log)
        self.assertRegex(log, r"here is [0-9A-F]+/[0-9A-F]+ of it")

    def test_a_signal_table_that_is_not_published(self):
        self.make(ROWS % 5)
        self.sql("CREATE PUBLICATION %s FOR TABLE a, signals" % self.database)
        hub = self.start(publication_autocreate_mode="disabled")
        # The signal itself is published, what comes behind it in the table is not.
        self.sql("BEGIN; INSERT INTO signals VALUES ('one', 'execute-snapshot', '{\"data-collections\":[\"public.a\"]}'); "
                 "ALTER PUBLICATION %s DROP TABLE signals; COMMIT" % self.database)
        self.wait_told(hub, "one")
        self.assert_equal(hub, "a", ["id"])
        self.assertIn("ALTER PUBLICATION %s ADD TABLE public.signals" % self.database, hub.log_text())


class Channels(IncrementalCase):
    """Signals that do not come by the signal table."""
    DATA = json.dumps({"type": "INCREMENTAL", "data-collections": ["public.a"]})

    def test_command(self):
        self.make(ROWS % 30)
        hub = self.start()
        hub.leat("signal", "p", "execute-snapshot", self.DATA, "--id", "mine", "--timeout", "600")
        self.wait_told(hub, "mine")
        self.assertEqual(list(range(1, 31)), [r["id"] for r in self.reads(hub, "t.public.a")])

    def test_command_and_a_kill(self):
        """What was answered is done, each once."""
        self.make(ROWS % 30)
        hub = self.start()
        for name in ("one", "two", "three"):
            hub.leat("signal", "p", "execute-snapshot", self.DATA, "--id", name, "--timeout", "600")
            hub.kill()
            hub.start()
        self.wait_told(hub, "three")
        told = [(v["id"], v["type"]) for _, v in self.events(hub, "told") if v["type"] in ("STARTED", "COMPLETED")]
        self.assertEqual([(name, kind) for name in ("one", "two", "three") for kind in ("STARTED", "COMPLETED")], told)

    def test_command_without_a_signal_table(self):
        self.make(ROWS % 30)
        del self.options["signal.data.collection"]
        hub = self.start()
        hub.leat("signal", "p", "execute-snapshot", self.DATA, "--id", "mine", "--timeout", "600")
        self.wait_told(hub, "mine")
        self.assertEqual(list(range(1, 31)), [r["id"] for r in self.reads(hub, "t.public.a")])

    def test_topic(self):
        self.make(ROWS % 30)
        hub = self.start(signal_enabled_channels="kafka")
        hub.leat("produce", "t-signal", "--key-separator", "=", stdin='other={"id":"no","type":"execute-snapshot","data":%s}\n'
                 't={"id":"mine","type":"execute-snapshot","data":%s}\n' % (self.DATA, self.DATA))
        self.wait_told(hub, "mine")
        self.assertEqual([], self.told(hub, "no"))
        self.assertEqual(list(range(1, 31)), [r["id"] for r in self.reads(hub, "t.public.a")])
        # The table is no channel then.
        self.execute("table", ["public.a"])
        self.wait_change(hub, "INSERT INTO a VALUES (31, 'x')", "t.public.a")
        self.assertEqual([], self.told(hub, "table"))

    def test_file(self):
        self.make(ROWS % 30)
        path = self.write("signals.txt", "")
        hub = self.start(signal_enabled_channels="source,file", signal_file=path, signal_poll_interval_ms="20ms")
        with open(path, "a", encoding="utf-8") as f:
            f.write('nonsense\n\n{"id":"mine","type":"execute-snapshot","data":%s}\n' % self.DATA)
        self.wait_told(hub, "mine")
        with open(path, encoding="utf-8") as f:
            self.assertEqual("", f.read())
        self.assertIn("a line is left out", hub.log_text())

    def test_an_unknown_channel_is_refused(self):
        self.make(ROWS % 30)
        hub = self.begin(signal_enabled_channels="source,pigeon")
        wait_for("the failure", lambda: self.failure(hub))
        self.assertIn("pigeon", self.failure(hub))

    def test_progress_is_in_the_status(self):
        self.make(ROWS % 30 + "ANALYZE a")
        hub = self.start(snapshot_mode="initial")
        self.wait_snapshot(hub)
        self.assertRegex(hub.leat("status", "p").stdout, r"public\.a +done +30")


class Blocking(IncrementalCase):
    def test_all_and_a_select(self):
        self.make(ROWS % 30 + "CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b VALUES (1)")
        hub = self.start()
        self.execute("one", ["public.a", "public.b"], "BLOCKING",
                     additional_conditions=[{"data-collection": "public.a", "filter": "SELECT * FROM public.a WHERE id > 27"}])
        self.wait_snapshot(hub)
        wait_for("the rows", lambda: len(self.reads(hub, "t.public.b")) == 1)
        self.assertEqual([28, 29, 30], [r["id"] for r in self.reads(hub, "t.public.a")])
        self.assertEqual(["first", "true", "last_in_data_collection"], self.markers(hub, "t.public.a"))
        self.wait_change(hub, "INSERT INTO a VALUES (31, 'x')", "t.public.a")

    def test_killed_in_the_middle_it_goes_on(self):
        self.server.needs(14, "reading by ranges of blocks: the table's rows come again")
        self.make(ROWS % 300000 + "ANALYZE a")
        hub = self.start(snapshot_chunk_rows=5000)
        before = hub.task("p")["records"]
        self.execute("one", ["public.a"], "BLOCKING")
        wait_for("rows", lambda: hub.task("p")["records"] > before + 1000)
        hub.kill()
        hub.start()
        self.wait_snapshot(hub)
        self.wait_change(hub, "INSERT INTO a VALUES (300001, 'x')", "t.public.a")
        self.assert_equal(hub, "a", ["id"])
        self.assertEqual(300000, len(self.reads(hub, "t.public.a")))


if __name__ == "__main__":
    unittest.main()
