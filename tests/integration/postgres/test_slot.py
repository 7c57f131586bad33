"""Tables that are altered while the server makes the slot: a slot that is made by itself decodes what follows wrong, for good."""
import contextlib
import subprocess
import unittest

from leat import wait_for
from .pg import PgCase

TABLES = "CREATE TABLE b(id int PRIMARY KEY, v text); CREATE TABLE k(id int PRIMARY KEY); CREATE PUBLICATION %s FOR ALL TABLES"
INSERT = "INSERT INTO b VALUES (%d, 'v')"


class Making(PgCase):
    """
    The server makes a slot in phases, and waits in each for the transactions that run. One that commits in the first is not seen, and
    counts as not committed for what the second finds running, if that is older.
    """
    def begin(self):
        session = self.sessions.enter_context(contextlib.closing(self.server.session(self.database)))
        session.run("BEGIN")
        session.xid = session.run("SELECT pg_current_xact_id()").strip()
        return session

    def waits_for(self, session):
        wait_for("the slot to wait for %s" % session.xid, lambda: self.server.psql(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted AND transactionid = '%s'" % session.xid)
            == "1\n")

    def make_slot(self, start, alter, insert, helped):
        """`start` begins to make it. `alter` is what it does not see, `insert` the first that is decoded, after what is returned was
        called. `helped`: another slot is made before, and waits likewise."""
        old = self.begin()
        start()
        if helped:
            self.waits_for(old)
            second = self.begin()
            old.run("COMMIT")
            self.waits_for(second)
            old = self.begin()
            second.run("COMMIT")
        self.waits_for(old)
        hold = self.begin()
        self.sql(alter)
        old.run("COMMIT")
        self.waits_for(hold)
        writer = self.begin()
        writer.run(insert)
        hold.run("COMMIT")
        return lambda: writer.run("COMMIT")

    def setUp(self):
        super().setUp()
        self.sessions = contextlib.ExitStack()
        self.addCleanup(self.sessions.close)
        self.make(TABLES % self.name)

    def hub_makes_it(self, alter, insert, helped=True, **options):
        hubs = []
        commit = self.make_slot(lambda: hubs.append(self.run_hub(self.options(**options), wait=False)), alter, insert, helped)
        self.wait_streaming()
        commit()
        return hubs[0]

    def sql_makes_it(self):
        """By what others than Leat may do; with a transaction that can be decoded before the one that cannot."""
        making = []
        command = self.server.psql_command(self.database, "postgres")
        create = "SELECT pg_create_logical_replication_slot('%s', 'pgoutput')" % self.name
        commit = self.make_slot(lambda: making.append(subprocess.Popen(command + ["-c", create], env=self.server.environment(),
                                                                       stdout=subprocess.DEVNULL)),
                                "TRUNCATE b", INSERT % 1, False)
        self.assertEqual(0, making[0].wait(60))
        self.sql("INSERT INTO k VALUES (1)")
        commit()


class Helped(Making):
    def test_a_table_that_is_truncated(self):
        hub = self.hub_makes_it("TRUNCATE b", INSERT % 1)
        self.sql(INSERT % 2)
        self.assertEqual([1, 2], [k["id"] for k, _ in self.wait_events(hub, "t.public.b", 2)])

    def test_a_column_that_is_added(self):
        hub = self.hub_makes_it("ALTER TABLE b ADD c text", "INSERT INTO b VALUES (1, 'v', 'of c')")
        self.sql("INSERT INTO b VALUES (2, 'v', 'of c')")
        self.assertEqual([{"id": i, "v": "v", "c": "of c"} for i in (1, 2)],
                         [v["after"] for _, v in self.wait_events(hub, "t.public.b", 2)])

    def test_a_table_that_is_created(self):
        hub = self.hub_makes_it("CREATE TABLE n(id int PRIMARY KEY)", "INSERT INTO n VALUES (1)")
        self.sql("INSERT INTO n VALUES (2)")
        self.assertEqual([1, 2], [k["id"] for k, _ in self.wait_events(hub, "t.public.n", 2)])

    def test_the_rows_that_are_read_first_are_those_of_the_slots_beginning(self):
        """Its snapshot is there while the helper reads the log; a table without key would have a row twice."""
        self.sql("INSERT INTO b VALUES (0, 'before'); ALTER TABLE b DROP CONSTRAINT b_pkey")
        hub = self.hub_makes_it("ALTER TABLE b ADD c text", "INSERT INTO b VALUES (1, 'v', 'of c')", snapshot_mode="initial")
        self.sql("INSERT INTO b VALUES (2, 'v', 'of c')")
        self.assertEqual([("r", 0, None), ("c", 1, "of c"), ("c", 2, "of c")],
                         [(v["op"], v["after"]["id"], v["after"]["c"]) for _, v in self.wait_events(hub, "t.public.b", 3)])

    def test_the_helper_is_gone_afterwards(self):
        self.run_hub()
        self.assertEqual("1\n", self.server.psql("SELECT count(*) FROM pg_replication_slots"))
        self.assertEqual("1\n", self.server.psql("SELECT count(*) FROM pg_stat_replication"))

    def test_a_bad_one_is_told_and_what_is_before_stored(self):
        """At the first attempt, as there is no other way to decode."""
        self.sql_makes_it()
        hub = self.run_hub(self.options(stream_large_transactions=False), wait=False)
        error = self.wait_failed(hub)
        for word in ("could not map file", "was made while tables were being altered",
                     "SELECT pg_drop_replication_slot('%s')" % self.name, "snapshot.mode: when_needed"):
            self.assertIn(word, error)
        self.assertEqual([1], [k["id"] for k, _ in self.wait_events(hub, "t.public.k", 1)])
        self.assertNotIn("tries again", hub.log_text())

    def test_a_bad_one_is_told_where_transactions_come_in_progress(self):
        self.sql_makes_it()
        hub = self.run_hub(wait=False)
        self.assertIn("was made while tables were being altered", self.wait_failed(hub))
        self.wait_events(hub, "t.public.k", 1)

    def test_a_bad_one_is_told_where_parameters_ask_for_transactions_in_progress(self):
        self.server.needs(14, "streaming")
        self.sql_makes_it()
        hub = self.run_hub(self.options(stream_large_transactions=False, slot_stream_params="streaming=on"), wait=False)
        self.assertIn("was made while tables were being altered", self.wait_failed(hub))

    def test_a_bad_one_is_made_anew_when_needed(self):
        self.sql_makes_it()
        hub = self.run_hub(self.options(snapshot_mode="when_needed"), wait=False)
        wait_for("it to be dropped", lambda: "is dropped, and the tables are read again" in hub.log_text())
        self.wait_streaming()
        self.sql(INSERT % 2)
        events = self.wait_events(hub, "t.public.b", 3)
        self.assertEqual([("r", 1), ("r", 1), ("c", 2)], [(v["op"], v["after"]["id"]) for _, v in events])
        self.assertEqual("RUNNING", hub.task("p")["state"])


class Unhelped(Making):
    SETTINGS = {"max_replication_slots": "1"}

    def test_no_slot_is_free_for_the_helper(self):
        """It is told, and so is what comes of it; the other tests would be of nothing if that were not this."""
        hub = self.hub_makes_it("TRUNCATE b", INSERT % 1, helped=False)
        self.assertIn("was made while tables were being altered", self.wait_failed(hub))
        self.assertIn("is made without a second one", hub.log_text())
        self.assertIn("max_replication_slots", hub.log_text())

    def test_a_column_is_lost(self):
        """What the helper is for most of all: nobody tells of it."""
        hub = self.hub_makes_it("ALTER TABLE b ADD c text", "INSERT INTO b VALUES (1, 'v', 'of c')", helped=False)
        self.assertNotIn("c", self.wait_events(hub, "t.public.b", 1)[0][1]["after"])


if __name__ == "__main__":
    unittest.main()
