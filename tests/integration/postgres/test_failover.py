"""Failovers between real hosts: a primary and a streaming standby, each a server of its own. No change is passed over in silence,
whatever becomes of the slot, and a former primary that comes back is not read from."""
import os
import shutil
import unittest

from leat import leat, wait_for
from postgres import Postgres
from .pg import PgCase, SERVER

TABLE = "CREATE TABLE t(id int PRIMARY KEY, v text)"


class Failover(PgCase):
    @classmethod
    def setUpClass(cls):
        pass  # each test has its own two

    @classmethod
    def tearDownClass(cls):
        pass

    def setUp(self):
        super().setUp()
        # What a copied slot needs must be there still.
        self.server = Postgres(dict(SERVER, wal_keep_size="1GB", wal_log_hints="on"))
        self.addCleanup(self.server.close)
        self.make(TABLE)
        self.standby = Postgres(self.server.settings, standby_of=self.server)
        self.addCleanup(self.standby.close)

    def tearDown(self):
        super(PgCase, self).tearDown()

    def both(self, **more):
        """A list of two hosts, the primary first."""
        hosts = [self.server, self.standby]
        return self.options(**dict({"database_hostname": ",".join(h.directory for h in hosts),
                                    "database_port": ",".join(str(h.port) for h in hosts)}, **more))

    def insert(self, server, *ids):
        server.psql("INSERT INTO t VALUES " + ", ".join("(%d, 'x')" % i for i in ids), self.database)

    def ids(self, hub):
        return [k["id"] for k, _ in self.events(hub, "t.public.t")]

    def wait_ids(self, hub, *ids):
        wait_for("rows %s" % (ids,), lambda: len(self.ids(hub)) >= len(ids))
        self.assertEqual(list(ids), self.ids(hub))

    def slot_on(self, server, column):
        return server.psql("SELECT %s FROM pg_replication_slots WHERE slot_name = '%s'" % (column, self.name)).strip()

    def begin(self, **more):
        """Two rows are read from the primary, and the standby has them."""
        hub = self.run_hub(self.both(**more))
        self.insert(self.server, 1, 2)
        self.wait_ids(hub, 1, 2)
        self.standby.wait_replayed(self.server.lsn())
        return hub

    def fail_over(self):
        self.server.kill()
        self.standby.promote()

    # ---- the slot is not there ----

    def test_the_slot_stays_behind(self):
        hub = self.begin()
        self.fail_over()
        self.insert(self.standby, 3)
        error = self.wait_failed(hub)
        self.assertIn("the slot %s is gone: changes since" % self.name, error)
        lacking = "before PostgreSQL 17" if self.server.version < 17 else "but with slot.failover: true"
        self.assertIn("The server was promoted (timeline 2), and slots do not come along " + lacking, error)
        self.assertIn("SELECT pg_create_logical_replication_slot('%s', 'pgoutput')" % self.name, error)
        self.assertIn("snapshot.mode: when_needed", error)
        self.assertEqual([1, 2], self.ids(hub))

    def test_the_tables_are_read_again_when_needed(self):
        hub = self.begin(snapshot_mode="when_needed")
        self.server.kill()
        self.standby.promote()
        wait_for("the rows to be read", lambda: len(self.ids(hub)) >= 4)
        self.insert(self.standby, 3)
        self.wait_ids(hub, 1, 2, 1, 2, 3)
        self.assertEqual(["c", "c", "r", "r", "c"], [v["op"] for _, v in self.events(hub, "t.public.t")])

    # ---- the slot is made by hand ----

    def test_a_slot_that_was_made_after_the_promotion(self):
        hub = self.begin()
        self.assertEqual(0, hub.stop())
        self.fail_over()
        self.standby.psql("SELECT pg_create_logical_replication_slot('%s', 'pgoutput')" % self.name, self.database)
        self.insert(self.standby, 3)
        hub.start()
        error = self.wait_failed(hub)
        self.assertIn("but what is stored ends at", error)
        self.assertIn("changes between are lost", error)
        self.assertEqual([1, 2], self.ids(hub))
        # Who knows that nothing was written in between says so.
        self.assertEqual(0, hub.stop())
        hub.write_config("pipelines:\n" + self.config(self.both(offset_mismatch_strategy="trust_slot")))
        hub.start()
        self.wait_ids(hub, 1, 2, 3)
        self.assertIn("what is between is not published", hub.log_text())

    def test_a_slot_that_was_copied(self):
        hub = self.begin()
        self.assertEqual(0, hub.stop())
        self.insert(self.server, 3, 4)  # which only the log has
        self.standby.wait_replayed(self.server.lsn())
        self.standby.stop()
        slot = os.path.join("pg_replslot", self.name)
        self.server.psql("CHECKPOINT")
        self.server.kill()
        target = os.path.join(self.standby.data, slot)
        shutil.copytree(os.path.join(self.server.data, slot), target)
        if self.standby.account:
            for path in [target] + [os.path.join(target, f) for f in os.listdir(target)]:
                os.chown(path, self.standby.account.pw_uid, self.standby.account.pw_gid)
        self.standby.start()
        self.standby.promote()
        self.insert(self.standby, 5)
        hub.start()
        self.wait_ids(hub, 1, 2, 3, 4, 5)
        self.insert(self.standby, 6)
        self.wait_ids(hub, 1, 2, 3, 4, 5, 6)

    def test_a_slot_that_standbys_keep(self):
        """Nothing is done by hand."""
        self.server.needs(17, "slots that standbys keep")
        self.server.psql("SELECT pg_create_physical_replication_slot('of_the_standby', true)")
        self.standby.restart({"sync_replication_slots": "on", "hot_standby_feedback": "on", "primary_slot_name": "of_the_standby"})
        hub = self.begin(slot_failover=True)

        def kept():
            self.server.psql("SELECT pg_log_standby_snapshot()")  # an idle server's log does not get to where the standby can keep it
            return self.slot_on(self.standby, "synced AND NOT temporary") == "t"
        wait_for("the standby to have the slot", kept)
        self.fail_over()
        self.insert(self.standby, 3)
        self.wait_ids(hub, 1, 2, 3)
        hub.kill()
        hub.start()
        self.insert(self.standby, 4)
        self.wait_ids(hub, 1, 2, 3, 4)

    # ---- another history ----

    def promote_behind(self, hub):
        """Rows 3 and 4 are read from the primary and never come to the standby, which is promoted without them."""
        self.standby.stop()
        self.insert(self.server, 3, 4)
        self.wait_ids(hub, 1, 2, 3, 4)
        self.server.kill()
        self.standby.start()
        self.standby.promote()

    def write_more(self, server):
        """More log than was lost: where a log ends tells nothing any more."""
        server.psql("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(100, 2000) i", self.database)

    def test_a_standby_that_was_behind_and_wrote_on(self):
        hub = self.begin()
        self.promote_behind(hub)
        self.standby.psql("SELECT pg_create_logical_replication_slot('%s', 'pgoutput')" % self.name, self.database)
        self.write_more(self.standby)
        error = self.wait_failed(hub)
        self.assertIn("the server left timeline 1 at", error)
        self.assertIn("but what is stored ends at", error)
        self.assertIn("when_needed", error)
        self.assertEqual([1, 2, 3, 4], self.ids(hub))

    def test_it_is_read_again_when_needed(self):
        hub = self.begin(snapshot_mode="when_needed")
        self.promote_behind(hub)
        self.write_more(self.standby)
        wait_for("all rows of the other history", lambda: len(self.ids(hub)) >= 4 + 2 + 1901)
        self.assertEqual([1, 2, 3, 4, 1, 2] + list(range(100, 2001)), self.ids(hub))
        self.assertIn("the tables are read again: the server left timeline 1", hub.log_text())

    def test_a_former_primary_comes_back(self):
        hub = self.begin(snapshot_mode="when_needed")
        self.fail_over()
        self.wait_ids(hub, 1, 2, 1, 2)
        # It is the first of the list, writes, and has a slot of this name, at a point that looks fine.
        self.server.start()
        self.write_more(self.server)
        self.standby.kill()
        wait_for("it to be refused", lambda: "it is a former primary that came back" in hub.log_text())
        self.assertNotEqual("FAILED", hub.task("p")["state"])
        self.standby.start()
        self.insert(self.standby, 3)
        self.wait_ids(hub, 1, 2, 1, 2, 3)

    def test_a_former_primary_alone(self):
        hub = self.begin(snapshot_mode="when_needed")
        self.fail_over()
        self.wait_ids(hub, 1, 2, 1, 2)
        self.assertEqual(0, hub.stop())
        self.server.start()
        self.write_more(self.server)
        hub.write_config("pipelines:\n" + self.config(self.options()))
        hub.start()
        error = self.wait_failed(hub)
        self.assertIn("the server is on timeline 1, but what is stored", error)
        self.assertIn("pg_rewind", error)
        self.assertEqual([1, 2, 1, 2], self.ids(hub))

    # ---- a standby ----

    def test_a_standby_alone(self):
        """Which can be read from as of PostgreSQL 16."""
        if self.server.version >= 16:
            self.skipTest("PostgreSQL %d decodes on standbys" % self.server.version)
        config = "pipelines:\n" + self.config(dict(self.options(), **self.standby.options(self.database)))
        checked = leat("validate", "--connect", self.write("check.yaml", config), check=False)
        self.assertEqual(3, checked.returncode)
        error = self.wait_failed(self.hub(config))
        for text in error, checked.stderr:
            self.assertIn("the server is a standby, and changes can be read from one as of PostgreSQL 16", text)
            self.assertIn("name the primary in database.hostname", text)
        self.assertEqual("", self.slot_on(self.server, "slot_name"))

    def read_standby(self, **more):
        """A hub that reads from the standby. What has to be made on the primary is told."""
        self.standby.restart({"hot_standby_feedback": "on"})
        self.standby.wait_replayed(self.server.lsn())
        config = "pipelines:\n" + self.config(dict(self.options(**more), **self.standby.options(self.database)))
        checked = leat("validate", "--connect", self.write("check.yaml", config), check=False)
        self.assertIn("there is no publication %s, and none can be made on a standby: run on its primary CREATE PUBLICATION %s FOR ALL "
                      "TABLES" % (self.name, self.name), checked.stderr)
        hub = self.hub(config)
        told = 'run on the primary of this standby: CREATE PUBLICATION "%s" FOR ALL TABLES' % self.name
        wait_for("the publication to be wanted", lambda: told in hub.log_text())
        self.server.psql("CREATE PUBLICATION %s FOR ALL TABLES" % self.name, self.database)
        wait_for("the slot to be waited for", lambda: "SELECT pg_log_standby_snapshot() there" in hub.log_text())

        def streams():
            self.server.psql("SELECT pg_log_standby_snapshot()")  # which a slot on a standby is made at
            return self.standby.streams(self.name)
        wait_for("the standby to be read", streams)
        return hub

    def test_a_standby_that_is_read(self):
        """Its promotion changes nothing, as it has the slot."""
        self.server.needs(16, "decoding on standbys")
        self.insert(self.server, 1)
        hub = self.read_standby(snapshot_mode="initial")
        self.insert(self.server, 2)
        self.wait_ids(hub, 1, 2)
        hub.kill()
        hub.start()
        self.insert(self.server, 3)
        self.wait_ids(hub, 1, 2, 3)
        self.fail_over()
        self.insert(self.standby, 4)
        self.wait_ids(hub, 1, 2, 3, 4)

    def test_an_incremental_snapshot_of_a_standby(self):
        """Where no watermark can be written."""
        self.server.needs(16, "decoding on standbys")
        self.server.psql("CREATE TABLE signals (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048))", self.database)
        self.insert(self.server, *range(1, 31))
        hub = self.read_standby(signal_data_collection="public.signals", incremental_snapshot_chunk_size=10)
        self.server.psql("""INSERT INTO signals VALUES ('one', 'execute-snapshot', '{"type":"INCREMENTAL","data-collections":["public.t"]}')""",
                         self.database)
        self.server.psql("UPDATE t SET v = 'new' WHERE id % 3 = 0", self.database)
        want = {i: "x" if i % 3 else "new" for i in range(1, 31)}
        wait_for("the table", lambda: {k["id"]: v["after"]["v"] for k, v in self.events(hub, "t.public.t")} == want)
        self.assertEqual(20, sum(v["op"] == "r" for k, v in self.events(hub, "t.public.t") if k["id"] % 3))

    def test_no_host_that_writes(self):
        """Of several the one that can write is waited for."""
        hub = self.begin()
        self.server.kill()
        wait_for("both to have been tried", lambda: "session is read-only" in hub.log_text() or "standby" in hub.log_text())
        self.assertNotEqual("FAILED", hub.task("p")["state"])
        self.server.start()
        self.insert(self.server, 3)
        self.wait_ids(hub, 1, 2, 3)


if __name__ == "__main__":
    unittest.main()
