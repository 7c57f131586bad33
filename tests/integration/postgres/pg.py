"""What the tests of the Postgres source share: a server of their own, a hub with one pipeline, its events."""
import json

from leat import Case, wait_for
from postgres import Postgres

SERVER = {"logical_decoding_work_mem": "64kB", "wal_sender_timeout": "10s"}


class PgCase(Case):
    """A server for the whole class (SETTINGS beside SERVER); each test has a database, slot and publication by its name."""
    SETTINGS = {}

    @classmethod
    def setUpClass(cls):
        cls.server = Postgres(dict(SERVER, **cls.SETTINGS))

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        super().setUp()
        self.name = self.id().split(".")[-1].lower()[:50]
        self.database = None

    def tearDown(self):
        super().tearDown()
        self.server.drop_free_slots()

    def sql(self, text):
        return self.server.psql(text, self.database)

    def make(self, sql=""):
        self.database = self.server.database(sql)
        return self.database

    def options(self, **more):
        options = dict(self.server.options(self.database), **{
            "type": "postgres", "topic.prefix": "t", "slot.name": self.name, "publication.name": self.name,
            "snapshot.mode": "no_data", "status.update.interval.ms": "100ms", "retry.backoff.ms": "20ms",
            "retry.backoff.max.ms": "100ms"})
        options.update({k.replace("_", "."): v for k, v in more.items()})
        return options

    def config(self, options, name="p"):
        lines = ["  - name: %s" % name, "    topic: rest-%s" % name, "    source:"]
        lines += ["      %s: %s" % (k, json.dumps(v)) for k, v in options.items()]
        return "\n".join(lines) + "\n"

    def run_hub(self, options=None, config=None, wait=True):
        hub = self.hub("pipelines:\n" + (config or self.config(options or self.options())))
        if wait:
            self.wait_streaming()
        return hub

    def slot(self, column, name=None):
        return self.server.psql("SELECT %s FROM pg_replication_slots WHERE slot_name = '%s'" % (column, name or self.name)).strip()

    def wait_streaming(self):
        wait_for("the slot to be read", lambda: self.server.streams(self.name))

    @staticmethod
    def events(hub, topic):
        """(key, value) of each record, decoded; a tombstone's value is None."""
        if hub.leat("topics", "describe", topic, check=False).returncode != 0:
            return []
        return [(r["key"] and json.loads(r["key"]), r["value"] and json.loads(r["value"])) for r in hub.records(topic)]

    def wait_events(self, hub, topic, n):
        events = []

        def enough():
            events[:] = self.events(hub, topic)
            return len(events) >= n
        wait_for("%d events in %s" % (n, topic), enough)
        self.assertEqual(n, len(events), events[-3:])
        return events

    @staticmethod
    def wait_failed(hub, connector="p"):
        wait_for("the task to fail", lambda: hub.task(connector)["state"] == "FAILED")
        return hub.task(connector)["error"]
