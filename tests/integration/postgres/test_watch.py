"""What the slot holds back on the server, and how long that can go on, is in `leat status` and /metrics."""
import unittest

from leat import wait_for
from .pg import PgCase


class Watch(PgCase):
    def test_without_a_limit(self):
        self.make("CREATE TABLE t(id int PRIMARY KEY)")
        hub = self.run_hub()
        wait_for("the slot's row", lambda: "slot" in hub.task("p")["status"])

        def told_alike():
            """The gauge is set before the row, and both every ten seconds."""
            task = hub.task("p")
            return task["status"]["slot"][self.name]["held_bytes"] == task["gauges"]["slot_held_bytes"] and task
        task = wait_for("row and gauge to be of one look", told_alike)
        row = task["status"]["slot"][self.name]
        self.assertEqual("reserved", row["state"])
        self.assertGreaterEqual(row["held_bytes"], row["behind_bytes"])
        self.assertNotIn("limit_bytes", row)
        self.assertNotIn("left_ms", row)
        self.assertEqual(-1, task["gauges"]["slot_left_ms"])
        self.assertRegex(hub.leat("status", "p").stdout, r"(?m)^SLOT +HELD +BEHIND +STATE$")


class Limited(PgCase):
    SETTINGS = {"max_slot_wal_keep_size": "256MB", "max_wal_size": "64MB", "min_wal_size": "64MB"}

    def test_with_a_limit_the_time_that_is_left(self):
        """A transaction that stays open holds the slot back while others write."""
        self.make("CREATE TABLE t(id int PRIMARY KEY, v text); CREATE TABLE others(id serial PRIMARY KEY, v text); "
                  "ALTER TABLE others ALTER v SET STORAGE EXTERNAL")
        hub = self.run_hub(self.options(table_include_list="public.t"))
        wait_for("the first look", lambda: "slot" in hub.task("p")["status"])
        row = hub.task("p")["status"]["slot"][self.name]
        self.assertEqual(256 << 20, row["limit_bytes"])
        self.assertGreater(row["safe_bytes"], 0)
        session = self.server.session(self.database)
        session.run("BEGIN; INSERT INTO t VALUES (0, '')")
        before = row["held_bytes"]
        self.sql("INSERT INTO others(v) SELECT repeat('x', 1000000) FROM generate_series(1, 30)")

        def grown():
            task = hub.task("p")
            row = task["status"]["slot"][self.name]
            return row["held_bytes"] > before + 20e6 and row["left_ms"] == task["gauges"]["slot_left_ms"] and row
        self.assertGreater(wait_for("the held log to grow", grown)["left_ms"], 0)
        session.run("ROLLBACK")
        session.close()


del PgCase

if __name__ == "__main__":
    unittest.main()
