"""A transaction is in the stream before other sessions see it: columns that it added are described as it left them."""
from leat import wait_for

from .pg import PgCase

LOOKS = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_locks%' AND pid <> pg_backend_pid()"


class Visible(PgCase):
    def commit_that_waits(self, hub, table):
        """Of a row for which its transaction has added a column: the events that came while others did not see it, and the event."""
        session = self.server.session(self.database)
        session.run("SET synchronous_commit = 'on'")
        with self.server.held_commits():
            session.send("BEGIN; ALTER TABLE %s ADD COLUMN d date NOT NULL DEFAULT '2020-01-01'; INSERT INTO %s VALUES (1); COMMIT" % (
                table, table))
            # The commit is in the log and waits; the source has its relation message and looks whether it is visible.
            wait_for("the source to look", lambda: self.server.psql(LOOKS).strip() != "0")
            early = self.events(hub, "t.public." + table)
        session.receive()
        session.close()
        [(_, value)] = self.wait_events(hub, "t.public." + table, 1)
        return early, value

    def test_columns_of_a_commit_that_waits_for_a_standby(self):
        tables = ["t%d" % n for n in range(5)]
        self.make(";".join("CREATE TABLE %s (id int PRIMARY KEY)" % t for t in tables))
        hub = self.run_hub(self.options(**{"value_converter": "org.apache.kafka.connect.json.JsonConverter"}))
        for n, table in enumerate(tables):
            early, value = self.commit_that_waits(hub, table)
            if hub.log_text().count("is not visible after") <= n:
                break  # else the machine took longer than the source waits, which it tells
        self.assertEqual([], early)
        after = [f for f in value["schema"]["fields"] if f["field"] == "after"][0]
        self.assertEqual({"type": "int32", "optional": False, "name": "io.debezium.time.Date", "version": 1,
                          "default": 18262, "field": "d"}, after["fields"][1])
        self.assertEqual({"id": 1, "d": 18262}, value["payload"]["after"])
