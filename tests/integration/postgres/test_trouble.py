"""What can be wrong on the server: said with the statement that mends it, or mended where snapshot.mode allows it."""
import contextlib
import os
import unittest

from leat import leat, wait_for
from postgres import Postgres
from .pg import PgCase

TABLE = "CREATE TABLE t(id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'old')"


class Slots(PgCase):
    def fails(self, *words, **options):
        hub = self.run_hub(self.options(**options), wait=False)
        error = self.wait_failed(hub)
        for word in words:
            self.assertIn(word, error)
        return hub

    def test_one_of_another_plugin(self):
        self.make(TABLE)
        self.sql("SELECT pg_create_physical_replication_slot('%s')" % self.name)
        self.fails("a physical one", "pg_drop_replication_slot('%s')" % self.name)

    def test_one_of_another_database(self):
        self.make(TABLE)
        self.server.psql("SELECT pg_create_logical_replication_slot('%s', 'pgoutput')" % self.name)
        self.fails("is of the database postgres, not of " + self.database)

    def test_one_with_two_phases(self):
        self.server.needs(14, "slots with two phases")
        self.make(TABLE)
        self.sql("SELECT pg_create_logical_replication_slot('%s', 'pgoutput', false, true)" % self.name)
        self.fails("prepared transactions", "would not come again")

    def stream_one(self, **options):
        hub = self.run_hub(self.options(**options))
        self.sql("INSERT INTO t VALUES (2, 'streamed')")
        self.wait_events(hub, "t.public.t", 1 if options.get("snapshot_mode", "no_data") == "no_data" else 2)
        self.assertEqual(0, hub.stop())
        wait_for("the slot to be free", lambda: self.slot("active") == "f")
        return hub

    def test_one_that_is_gone(self):
        self.make(TABLE)
        hub = self.stream_one()
        self.sql("SELECT pg_drop_replication_slot('%s')" % self.name)
        hub.start()
        error = self.wait_failed(hub)
        self.assertIn("is gone: changes since", error)
        self.assertIn("when_needed", error)

    def test_one_that_is_gone_is_made_anew_when_needed(self):
        self.make(TABLE)
        hub = self.stream_one(snapshot_mode="when_needed")
        self.sql("SELECT pg_drop_replication_slot('%s'); INSERT INTO t VALUES (3, 'missed')" % self.name)
        hub.start()
        events = self.wait_events(hub, "t.public.t", 5)
        self.assertEqual(["r", "c", "r", "r", "r"], [v["op"] for _, v in events])

    def test_one_that_was_moved(self):
        self.make(TABLE)
        hub = self.stream_one()
        self.sql("INSERT INTO t VALUES (3, 'passed over')")
        self.sql("SELECT pg_replication_slot_advance('%s', pg_current_wal_lsn())" % self.name)
        hub.start()
        self.assertIn("changes between are lost", self.wait_failed(hub))

    def test_one_that_was_moved_is_trusted_if_told(self):
        self.make(TABLE)
        hub = self.stream_one(offset_mismatch_strategy="trust_slot")
        self.sql("INSERT INTO t VALUES (3, 'passed over')")
        self.sql("SELECT pg_replication_slot_advance('%s', pg_current_wal_lsn())" % self.name)
        self.sql("INSERT INTO t VALUES (4, 'seen')")
        hub.start()
        events = self.wait_events(hub, "t.public.t", 2)
        self.assertEqual([2, 4], [k["id"] for k, _ in events])
        self.assertIn("is not published", hub.log_text())

    def test_one_that_two_pipelines_want(self):
        self.make(TABLE)
        config = self.config(self.options()) + self.config(self.options(), name="q")
        hub = self.run_hub(config=config)
        wait_for("one of them to wait", lambda: "is being read by another connection" in hub.log_text() or
                 "is active for PID" in hub.log_text())
        self.sql("INSERT INTO t VALUES (2, 'once')")
        self.wait_events(hub, "t.public.t", 1)

    def test_one_that_standbys_keep(self):
        self.make(TABLE)
        if self.server.version < 17:
            self.fails("slot.failover needs PostgreSQL 17", slot_failover=True)
        else:
            self.stream_one(slot_failover=True)
            self.assertEqual("t", self.slot("failover"))

    def test_one_that_is_there_and_standbys_are_to_keep(self):
        self.make(TABLE)
        hub = self.stream_one()
        config = "pipelines:\n" + self.config(self.options(slot_failover=True))
        checked = leat("validate", "--connect", self.write("check.yaml", config), check=False)
        hub.write_config(config)
        hub.start()
        if self.server.version < 17:
            self.assertEqual(3, checked.returncode, checked.stderr)
            told = "slot.failover needs PostgreSQL 17, and this is %d" % self.server.version
            self.assertIn(told, checked.stderr)
            wait_for("it to be told", lambda: told in hub.log_text())
        else:
            self.assertEqual(0, checked.returncode, checked.stderr)
            wait_for("the slot to be altered", lambda: self.slot("failover") == "t")
        self.sql("INSERT INTO t VALUES (3, 'streamed')")
        self.wait_events(hub, "t.public.t", 2)

    def test_it_is_dropped_on_stop_if_told(self):
        self.make(TABLE)
        hub = self.run_hub(self.options(slot_drop_on_stop=True))
        self.assertEqual(0, hub.stop())
        for _ in range(4):  # a slow server is waited for, but not for long
            if "slot.drop.on.stop: " not in hub.log_text():
                break
            os.unlink(hub.log)
            hub.start()
            self.wait_streaming()
            self.assertEqual(0, hub.stop())
        self.assertEqual("", self.slot("slot_name"))


class Invalidated(PgCase):
    SETTINGS = {"max_slot_wal_keep_size": "1MB", "max_wal_size": "32MB", "min_wal_size": "32MB"}

    def invalidate(self, **options):
        self.make(TABLE)
        hub = self.run_hub(self.options(**options))
        self.sql("INSERT INTO t VALUES (2, 'streamed')")
        self.wait_events(hub, "t.public.t", 1 if not options else 2)
        self.assertEqual(0, hub.stop())

        def lost():
            self.sql("SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000000)) FROM generate_series(1, 20); "
                     "SELECT pg_switch_wal(); CHECKPOINT")
            return self.slot("wal_status") == "lost"
        wait_for("the slot to be lost", lost)
        hub.start()
        return hub

    def test_it_is_said(self):
        error = self.wait_failed(self.invalidate())
        self.assertIn("was invalidated (it held more than max_slot_wal_keep_size)", error)

    def test_it_is_made_anew_when_needed(self):
        hub = self.invalidate(snapshot_mode="when_needed")
        events = self.wait_events(hub, "t.public.t", 4)
        self.assertEqual(["r", "c", "r", "r"], [v["op"] for _, v in events])


class Publications(PgCase):
    def tables(self):
        return self.sql("SELECT schemaname || '.' || tablename FROM pg_publication_tables WHERE pubname = '%s' ORDER BY 1"
                        % self.name).split()

    def test_filtered_has_what_is_captured_and_gains_what_comes(self):
        self.make(TABLE + "; CREATE TABLE a(id int PRIMARY KEY); CREATE TABLE not_this(id int)")
        options = self.options(publication_autocreate_mode="filtered", table_include_list="public.t,public.a.*")
        hub = self.run_hub(options)
        self.assertEqual(["public.a", "public.t"], self.tables())
        self.sql("CREATE TABLE a2(id int PRIMARY KEY)")
        self.assertEqual(0, hub.stop())
        hub.start()
        wait_for("the new table", lambda: self.tables() == ["public.a", "public.a2", "public.t"])
        self.sql("INSERT INTO a2 VALUES (5)")
        self.wait_events(hub, "t.public.a2", 1)

    def test_filtered_tells_what_is_captured_no_more(self):
        """It stays, as somebody else may want it."""
        self.make(TABLE + "; CREATE TABLE a(id int PRIMARY KEY); CREATE TABLE not_this(id int)")
        hub = self.run_hub(self.options(publication_autocreate_mode="filtered", table_include_list="public.t,public.a"))
        self.assertEqual(0, hub.stop())
        self.assertNotIn("are not captured", hub.log_text())
        hub.write_config("pipelines:\n" + self.config(self.options(publication_autocreate_mode="filtered", table_include_list="public.t")))
        hub.start()
        statement = 'ALTER PUBLICATION "%s" DROP TABLE "public"."a"' % self.name
        wait_for("it to be told", lambda: statement in hub.log_text())
        self.assertEqual(["public.a", "public.t"], self.tables())
        self.sql(statement)
        self.assertEqual(["public.t"], self.tables())

    def test_a_table_that_somebody_else_adds_at_that_moment(self):
        """Nothing is added of a statement that meets one."""
        self.make(TABLE + "; CREATE TABLE a(id int PRIMARY KEY); CREATE TABLE b(id int PRIMARY KEY); CREATE PUBLICATION %s "
                  "FOR TABLE t" % self.name)
        session = self.server.session(self.database)
        session.run("BEGIN; ALTER PUBLICATION %s ADD TABLE a" % self.name)
        hub = self.run_hub(self.options(publication_autocreate_mode="filtered"), wait=False)
        wait_for("ours to wait", lambda: self.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'leat' AND wait_event_type = 'Lock' AND query LIKE "
            "'ALTER PUBLICATION%'") == "1\n")
        session.run("COMMIT")
        session.close()
        self.wait_streaming()
        self.assertEqual(["public.a", "public.b", "public.t"], self.tables())
        self.sql("INSERT INTO b VALUES (5)")
        self.wait_events(hub, "t.public.b", 1)

    def test_disabled_says_what_to_run(self):
        self.make(TABLE)
        hub = self.run_hub(self.options(publication_autocreate_mode="disabled"), wait=False)
        self.assertIn("CREATE PUBLICATION %s" % self.name, self.wait_failed(hub))

    def test_one_that_is_younger_than_what_is_to_come(self):
        self.make(TABLE)
        hub = self.run_hub(self.options())
        self.assertEqual(0, hub.stop())
        self.sql("INSERT INTO t VALUES (2)")
        hub.write_config("pipelines:\n" + self.config(self.options(publication_name=self.name + "_2")))
        hub.start()
        self.assertIn("SELECT pg_drop_replication_slot('%s')" % self.name, self.wait_failed(hub))

    def test_a_captured_table_that_is_not_in_it_is_told(self):
        self.make(TABLE + "; CREATE PUBLICATION %s" % self.name)
        hub = self.run_hub()
        self.assertIn('ALTER PUBLICATION "%s" ADD TABLE "public"."t"' % self.name, hub.log_text())

    def test_no_right_to_read_a_table(self):
        role = "blind_" + self.name[-20:]
        self.make(TABLE + "; CREATE ROLE %s LOGIN REPLICATION; CREATE PUBLICATION %s FOR ALL TABLES" % (role, self.name))
        hub = self.run_hub(self.options(database_user=role, snapshot_mode="initial"), wait=False)
        self.assertIn('GRANT USAGE ON SCHEMA "public" TO "%s"; GRANT SELECT ON "public"."t" TO "%s"' % (role, role),
                      self.wait_failed(hub))

    def test_no_right_to_make_it(self):
        self.make(TABLE + "; CREATE ROLE poor_%s LOGIN REPLICATION" % self.name[-20:])
        hub = self.run_hub(self.options(database_user="poor_" + self.name[-20:]), wait=False)
        self.assertIn('CREATE PUBLICATION "%s" FOR ALL TABLES' % self.name, self.wait_failed(hub))

    def test_partitions_by_their_root(self):
        self.make("CREATE TABLE r(id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE r1 PARTITION OF r FOR VALUES "
                  "FROM (0) TO (10); CREATE TABLE r2 PARTITION OF r FOR VALUES FROM (10) TO (20)")
        hub = self.run_hub(self.options(publish_via_partition_root=True))
        self.sql("INSERT INTO r VALUES (1), (11)")
        self.wait_events(hub, "t.public.r", 2)

    def test_one_that_is_there_is_by_its_root_whatever_the_option_says(self):
        self.make("CREATE TABLE r(id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE r1 PARTITION OF r FOR VALUES "
                  "FROM (0) TO (10); CREATE PUBLICATION %s FOR TABLE r WITH (publish_via_partition_root)" % self.name)
        hub = self.run_hub(self.options(publication_autocreate_mode="filtered"))
        self.assertIn("says publish_via_partition_root = true, which counts", hub.log_text())
        self.assertEqual("r\n", self.sql("SELECT prrelid::regclass FROM pg_publication_rel"))


class Identities(PgCase):
    """replica.identity.autoset.values"""

    def identities(self):
        return dict(line.split("|") for line in self.sql("SELECT relname, relreplident FROM pg_class WHERE relkind = 'r' AND "
                                                         "relnamespace = 'public'::regnamespace").splitlines())

    def test_they_are_set_and_stay(self):
        self.make("CREATE TABLE a1(v int); CREATE TABLE a2(id int PRIMARY KEY, v int NOT NULL); "
                  'CREATE UNIQUE INDEX "By v" ON a2(v); CREATE TABLE "B c"(id int PRIMARY KEY); '
                  'ALTER TABLE "B c" REPLICA IDENTITY FULL; CREATE TABLE other(id int PRIMARY KEY)')
        options = self.options(table_exclude_list="public.other")
        options["replica.identity.autoset.values"] = "public.a1:FULL, public.other:full,public.B.c:Default"
        hub = self.run_hub(options)
        self.assertEqual({"a1": "f", "a2": "d", "B c": "d", "other": "d"}, self.identities())
        self.assertEqual(2, hub.log_text().count("replica.identity.autoset.values: ALTER TABLE"))
        self.sql("INSERT INTO a1 VALUES (1); UPDATE a1 SET v = 2")
        self.assertEqual({"v": 1}, self.wait_events(hub, "t.public.a1", 2)[1][1]["before"])
        self.assertEqual(0, hub.stop())
        hub.start()
        self.wait_streaming()
        self.assertEqual(2, hub.log_text().count("replica.identity.autoset.values: ALTER TABLE"))

    def test_an_index(self):
        self.make("CREATE TABLE a(id int PRIMARY KEY, v int NOT NULL); CREATE UNIQUE INDEX by_v ON a(v)")
        hub = self.run_hub(self.options(replica_identity_autoset_values="public.a:INDEX by_v"))
        self.assertEqual({"a": "i"}, self.identities())
        self.assertIn('ALTER TABLE "public"."a" REPLICA IDENTITY USING INDEX "by_v"', hub.log_text())

    def test_what_cannot_be(self):
        self.make(TABLE + "; CREATE TABLE u(id int PRIMARY KEY)")
        hub = self.run_hub(self.options(replica_identity_autoset_values="public.t:INDEX nowhere,public.u:NOTHING"))
        self.assertIn('index "nowhere" for table "t" does not exist', hub.log_text())
        self.assertIn('let somebody who may do it run: ALTER TABLE "public"."t" REPLICA IDENTITY USING INDEX "nowhere"',
                      hub.log_text())
        self.assertEqual({"t": "d", "u": "n"}, self.identities())

    def test_two_that_match_are_refused(self):
        self.make(TABLE)
        hub = self.run_hub(self.options(replica_identity_autoset_values="public.t:FULL,public..*:NOTHING"), wait=False)
        self.assertIn("more than one expression matches public.t", self.wait_failed(hub))
        self.assertEqual({"t": "d"}, self.identities())

    def test_nonsense_is_refused(self):
        self.make(TABLE)
        for wrong in ("public.t", "public.t:ALL", ":FULL", "public.t:INDEX ", "public.t:INDEX a b", "public.(t:FULL"):
            options = self.options(replica_identity_autoset_values=wrong)
            done = leat("validate", self.write("wrong.yaml", "pipelines:\n" + self.config(options)), check=False)
            self.assertEqual(3, done.returncode, wrong)
            self.assertIn("replica.identity.autoset.values", done.stderr)


class Params(PgCase):
    """slot.stream.params"""

    def test_what_the_source_cannot_handle_is_refused(self):
        self.make(TABLE)
        for params, why in (("binary=true", "'binary=true' cannot be given: the source reads values as text only"),
                            ("x=1; Binary = ON", "'Binary=ON' cannot be given"), ("two_phase=true", "'two_phase=true'"),
                            ("proto_version=1", "stream.protocol.version"), ("publication_names=x", "publication.name"),
                            ("messages=true", "message.prefix.include.list"), ("streaming=on", "stream.large.transactions"),
                            ("x=1;y=2; x=3", "'x' is given twice"), ("binary", "'binary' is not name=value"),
                            ("=true", "'=true' is not name=value")):
            options = self.options(slot_stream_params=params)
            done = leat("validate", self.write("wrong.yaml", "pipelines:\n" + self.config(options)), check=False)
            self.assertEqual(3, done.returncode, params)
            self.assertIn("wrong.yaml:5: source p (postgres): slot.stream.params: ", done.stderr)
            self.assertIn(why, done.stderr)
        options = self.options(slot_stream_params="origin=any", stream_origin="none")
        done = leat("validate", self.write("wrong.yaml", "pipelines:\n" + self.config(options)), check=False)
        self.assertIn("slot.stream.params: 'origin=any' cannot be given: stream.origin: none says it", done.stderr)

    def test_others_go_to_the_server(self):
        self.server.needs(14, "streaming")
        self.make(TABLE)
        hub = self.run_hub(self.options(slot_stream_params=" streaming = on ; binary=off;", stream_large_transactions=False))
        self.sql("INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(2, 3000) i")
        self.wait_events(hub, "t.public.t", 2999)
        wait_for("the server to tell that it streamed", lambda: self.sql(
            "SELECT stream_txns > 0 FROM pg_stat_replication_slots WHERE slot_name = '%s'" % self.name) == "t\n")

    def test_one_that_the_server_does_not_know(self):
        self.make(TABLE)
        hub = self.run_hub(self.options(slot_stream_params="shape=round"), wait=False)
        error = self.wait_failed(hub)
        self.assertIn("slot.stream.params: 'shape=round': ", error)
        self.assertIn("unrecognized pgoutput option: shape", error)

    def test_a_value_that_the_server_does_not_take(self):
        self.server.needs(14, "streaming")
        self.make(TABLE)
        hub = self.run_hub(self.options(slot_stream_params="streaming=often", stream_large_transactions=False), wait=False)
        self.assertIn("slot.stream.params: 'streaming=often': ", self.wait_failed(hub))


class Servers(PgCase):
    @contextlib.contextmanager
    def other_server(self, **settings):
        """In place of the class's."""
        with Postgres(settings) as server:
            kept, type(self).server = type(self).server, server
            try:
                yield
            finally:
                type(self).server = kept

    def test_it_logs_too_little(self):
        with self.other_server(wal_level="replica"):
            self.make(TABLE)
            hub = self.run_hub(wait=False)
            self.assertIn("ALTER SYSTEM SET wal_level = 'logical'", self.wait_failed(hub))

    def test_a_wrong_password_is_not_tried_for_ever_and_not_shown(self):
        self.make(TABLE)
        options = self.options(database_hostname="127.0.0.1", database_password="not-the-secret")
        hub = self.run_hub(options, wait=False)
        error = self.wait_failed(hub)
        self.assertIn("28P01", error)
        self.assertNotIn("not-the-secret", hub.log_text())

    def test_no_such_database(self):
        self.make(TABLE)
        hub = self.run_hub(self.options(database_dbname="nowhere"), wait=False)
        self.assertIn("3D000", self.wait_failed(hub))

    def test_no_right_to_replicate(self):
        self.make(TABLE + "; CREATE ROLE plain LOGIN")
        hub = self.run_hub(self.options(database_user="plain"), wait=False)
        error = self.wait_failed(hub)
        self.assertIn("42501", error)

    def test_no_slot_is_free(self):
        with self.other_server(max_replication_slots="1"):
            self.make(TABLE)
            self.sql("SELECT pg_create_logical_replication_slot('taken', 'pgoutput')")
            hub = self.run_hub(wait=False)
            wait_for("the reason", lambda: "max_replication_slots" in hub.log_text())

    def test_read_once_and_done(self):
        self.make(TABLE)
        hub = self.run_hub(self.options(snapshot_mode="initial_only"), wait=False)
        wait_for("the task to complete", lambda: hub.task("p")["state"] == "COMPLETED")
        self.wait_events(hub, "t.public.t", 1)
        self.assertEqual("", self.slot("slot_name"))


if __name__ == "__main__":
    unittest.main()
