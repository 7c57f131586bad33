"""What the tests of snapshots share: a server, hubs with one Postgres pipeline, and tables rebuilt from their topics."""
import json

from leat import Case, wait_for
from postgres import Postgres

PLACEHOLDER = "__debezium_unavailable_value"


class TableCase(Case):
    """One server for the whole class; each test has a database, slot and publication of its own."""
    SETTINGS = {}

    @classmethod
    def setUpClass(cls):
        cls.server = Postgres(cls.SETTINGS)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def make(self, sql=""):
        self.database = self.server.database(sql)
        self.options = dict(self.server.options(self.database), **{
            "type": "postgres", "topic.prefix": "t", "slot.name": self.database, "publication.name": self.database,
            "status.update.interval.ms": "100ms", "retry.backoff.ms": "20ms", "retry.backoff.max.ms": "100ms"})

    def tearDown(self):
        super().tearDown()
        self.server.drop_free_slots()

    def sql(self, text):
        return self.server.psql(text, self.database)

    # ---- the pipeline ----

    def config(self, **more):
        """Underscores in names stand for dots."""
        options = dict(self.options, **{k.replace("_", "."): v for k, v in more.items()})
        lines = ["pipelines:", "  - name: p", "    topic: rest", "    source:"]
        return "\n".join(lines + ["      %s: %s" % (k, json.dumps(v)) for k, v in options.items()]) + "\n"

    def begin(self, start=True, **more):
        return self.hub(self.config(**more), start=start)

    def wait_log(self, hub, text, times=1):
        wait_for('"%s" in the log' % text, lambda: hub.log_text().count(text) >= times or self.failure(hub))
        self.assertGreaterEqual(hub.log_text().count(text), times, hub.log_text()[-2000:])

    @staticmethod
    def failure(hub):
        """The error of a task that has failed for good."""
        task = hub.task("p")
        return task.get("error") if task["state"] == "FAILED" else None

    def wait_snapshot(self, hub, times=1):
        """It is done, and what came of it is stored: the stream behind it has begun."""
        self.wait_log(hub, "snapshot: done", times)
        self.sql("SELECT txid_current()")  # behind where the slot was made: that counts as confirmed from the first
        lsn = self.server.lsn()
        wait_for("the snapshot to be stored", lambda: self.failure(hub) or self.server.confirmed(self.database, lsn))

    def wait_change(self, hub, sql, topic, op="c"):
        """Runs a statement and waits until the last event of the topic is what came of it: all before it is there, too."""
        before = len(self.events(hub, topic))
        self.sql(sql)
        wait_for("the change", lambda: any(e["op"] == op for _, e in self.events(hub, topic)[before:] if e))

    # ---- what came ----

    @staticmethod
    def topics(hub):
        return {t["name"] for t in hub.json("topics", "list")}

    def events(self, hub, topic):
        """(key, value) of each record, decoded, in order."""
        if topic not in self.topics(hub):
            return []
        return [(json.loads(r["key"]) if r["key"] else None, json.loads(r["value"]) if r["value"] else None)
                for r in hub.records(topic)]

    @staticmethod
    def rebuild(events):
        """The rows that a consumer has in the end, by their key as text: what was not sent of a row stays as it was."""
        rows = {}
        for key, event in events:
            name = json.dumps(key)
            if event is None or event["op"] == "d":
                rows.pop(name, None)
            elif event["op"] == "t":
                rows.clear()
            else:
                old = rows.get(name, {})
                rows[name] = {c: old.get(c, v) if v == PLACEHOLDER else v for c, v in event["after"].items()}
        return rows

    def table(self, name, key):
        """The rows of the table by their key, likewise. `key`: the names of its columns."""
        rows = [json.loads(line) for line in self.sql("SELECT row_to_json(x) FROM %s x" % name).split("\n") if line]
        return {json.dumps({c: row[c] for c in key}): row for row in rows}

    def assert_equal(self, hub, name, key, topic=None):
        expected, found = self.table(name, key), self.rebuild(self.events(hub, topic or "t.public." + name))
        wrong = {k: (expected.get(k), found.get(k)) for k in expected.keys() | found.keys()
                 if expected.get(k) != found.get(k)}
        self.assertEqual({}, dict(list(wrong.items())[:5]), "%d of %d rows differ" % (len(wrong), len(expected)))

    def wait_equal(self, hub, name, key):
        """Of a table that nobody changes any more."""
        expected = self.table(name, key)
        wait_for(name + " to be rebuilt", lambda: self.failure(hub) or
                 self.rebuild(self.events(hub, "t.public." + name)) == expected)
        self.assert_equal(hub, name, key)

    def reads(self, hub, topic):
        """The rows that were read (op r), in order."""
        return [event["after"] for _, event in self.events(hub, topic) if event and event["op"] == "r"]

    def markers(self, hub, topic):
        return [event["source"]["snapshot"] for _, event in self.events(hub, topic) if event and event["op"] == "r"]
