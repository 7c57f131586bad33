"""Each recorded case of Debezium's events, run again: the same SQL in a real PostgreSQL, the same settings, and then every
record of every topic compared byte for byte with what Debezium wrote (recorded.py says what varies)."""
import json
import unittest

from leat import Case, wait_for
from postgres import Postgres

from . import recorded, versions

PLACES = {"${HOST}": "database.hostname", "${PORT}": "database.port", "${USER}": "database.user",
          "${PASSWORD}": "database.password"}


class Cases(Case):
    maxDiff = 3000
    PROTOCOL = 0  # stream.protocol.version

    @classmethod
    def setUpClass(cls):
        cls.server = Postgres()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    # ---- one case ----

    def pipeline(self, case):
        """The connector's settings as YAML; what is ours: a quick retry, and that the slot follows at once."""
        ours = self.server.options(case)
        lines = ["pipelines:", "  - name: %s" % case, "    source:"]
        for name, value in recorded.config(case).items():
            if name == "connector.class":
                name = "type"
            lines.append("      %s: %s" % (name, json.dumps(ours[PLACES[value]] if value in PLACES else value)))
        lines += ["      status.update.interval.ms: 50ms", "      stream.protocol.version: %d" % self.PROTOCOL]
        return "\n".join(lines) + "\n"

    def slot(self, case, column):
        return self.server.psql("SELECT %s FROM pg_replication_slots WHERE slot_name = '%s'" % (column, case)).strip()

    def wait_read(self, hub, case):
        """All that is committed now has been read and is stored."""
        lsn = self.server.lsn()

        def confirmed():
            self.assertNotIn("FAILED", [t["state"] for t in hub.tasks()], hub.tasks())
            return self.slot(case, "confirmed_flush_lsn >= '%s'" % lsn) == "t"
        wait_for("the slot to be confirmed up to " + lsn, confirmed)

    @staticmethod
    def topics(hub):
        return sorted(t["name"] for t in hub.json("topics", "list") if not t["name"].startswith("connect-"))

    def wait_done(self, hub, case, sql):
        """What the recordings wait for by time: all is read, and so is each snapshot that `sql` asked for beside the first."""
        told = recorded.config(case).get("notification.sink.topic.name")
        snapshots = 1 + sql.count("execute-snapshot")
        if told:
            wait_for("%d snapshots" % snapshots, lambda: told in self.topics(hub) and snapshots == sum(
                json.loads(r["value"])["type"] == "COMPLETED" for r in hub.records(told)))
        self.wait_read(hub, case)

    def run_case(self, case):
        """Every record of the case's topics, as the recordings have them: by topic, then by offset."""
        parts = recorded.sections(case, self.server.version)
        self.server.database(parts[0][2], case)
        hub = self.hub(self.pipeline(case))
        wait_for("the slot to be streamed", lambda: self.streams(hub, case))
        done = ""
        for what, _, sql in parts[1:]:
            if what == "wait":
                self.wait_done(hub, case, done)
            self.server.psql(sql, case)
            done += sql
        self.wait_done(hub, case, done)
        if case == "transactions":
            beats = "__debezium-heartbeat." + case
            wait_for("two heartbeats", lambda: beats in self.topics(hub) and len(hub.records(beats)) >= 2)
        found = []
        for topic in self.topics(hub):
            records = [recorded.Record(topic, r["key"], r["value"], self.headers(r)) for r in hub.records(topic)]
            found += records[:2] if "heartbeat" in topic else records
        self.assertEqual(0, hub.stop())
        return found

    @staticmethod
    def headers(record):
        return [(h["key"], h["value"]) for h in record["headers"]]

    def streams(self, hub, case):
        """The snapshot has ended: the slot's walsender does not only hold it."""
        self.assertNotIn("FAILED", [t["state"] for t in hub.tasks()], hub.tasks())
        return self.server.streams(case)

    def compare(self, case):
        version = self.server.version
        lacking = versions.lacks(case, version)
        if self.PROTOCOL > self.server.protocol():
            lacking = "PostgreSQL %d has no version %d of the protocol" % (version, self.PROTOCOL)
        if lacking:
            self.skipTest(lacking)
        want = recorded.comparable(case, version, recorded.expected(case, version))
        got = recorded.comparable(case, version, self.run_case(case))
        for i, (a, b) in enumerate(zip(want, got)):
            self.assertEqual(a, b, "record %d of %s" % (i, a[0]))
        self.assertEqual([r[:2] for r in want], [r[:2] for r in got])


def test_of(case):
    return lambda self: self.compare(case)


class Recorded(Cases):
    """All, by the newest version of the protocol."""


class Version1(Cases):
    """Those in which the stream matters, by older versions of the protocol."""
    PROTOCOL = 1


class Version2(Cases):
    PROTOCOL = 2


for _case in recorded.cases():
    setattr(Recorded, "test_" + _case, test_of(_case))
for _case in ("dml", "schema_change", "toast", "transactions"):
    setattr(Version1, "test_" + _case, test_of(_case))
    setattr(Version2, "test_" + _case, test_of(_case))

if __name__ == "__main__":
    unittest.main()
