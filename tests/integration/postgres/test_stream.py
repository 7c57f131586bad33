"""The stream of changes against a real server: each change once and in order, whatever is killed, cut, stalled or large."""
import json
import random
import time
import unittest

from leat import wait_for
from pgchanges import lsn
from proxy import Proxy
from .pg import PgCase

TABLE = "CREATE TABLE t(id int PRIMARY KEY, v text)"


def ops(events):
    return [v["op"] for _, v in events if v]


class Changes(PgCase):
    def test_each_kind_of_change(self):
        self.make(TABLE)
        hub = self.run_hub(self.options(skipped_operations="none"))
        self.sql("INSERT INTO t VALUES (1, 'a'), (2, 'b'); UPDATE t SET v = 'c' WHERE id = 1; UPDATE t SET id = 3 WHERE id = 2; "
                 "DELETE FROM t WHERE id = 3; TRUNCATE t")
        events = self.wait_events(hub, "t.public.t", 9)
        self.assertEqual([({"id": 1}, "c"), ({"id": 2}, "c"), ({"id": 1}, "u"), ({"id": 2}, "d"), ({"id": 2}, None),
                          ({"id": 3}, "c"), ({"id": 3}, "d"), ({"id": 3}, None), (None, "t")],
                         [(k, v and v["op"]) for k, v in events])
        self.assertEqual({"id": 1, "v": "c"}, events[2][1]["after"])

    def test_messages_transactional_and_not(self):
        self.server.needs(14, "logical messages by pgoutput")
        self.make(TABLE)
        hub = self.run_hub(self.options(message_prefix_exclude_list="hid.*"))
        self.sql("BEGIN; SELECT pg_logical_emit_message(true, 'rolled', 'back'); ROLLBACK; "
                 "SELECT pg_logical_emit_message(false, 'now', 'x'); SELECT pg_logical_emit_message(true, 'hidden', 'x'); "
                 "BEGIN; INSERT INTO t VALUES (1, 'a'); SELECT pg_logical_emit_message(true, 'in', 'y'); COMMIT")
        events = self.wait_events(hub, "t.message", 2)
        self.assertEqual(["now", "in"], [v["message"]["prefix"] for _, v in events])
        self.assertEqual([None], [v["source"]["txId"] for _, v in events[:1]])
        hub.kill()
        hub.start()
        self.sql("SELECT pg_logical_emit_message(false, 'later', 'x')")
        self.wait_events(hub, "t.message", 3)

    def test_a_message_whose_prefix_is_long(self):
        self.server.needs(14, "logical messages by pgoutput")
        self.make(TABLE)
        hub = self.run_hub(self.options(message_prefix_include_list="(?:a|b)+"))
        self.sql("SELECT pg_logical_emit_message(true, repeat('ab', 10000) || end_of, '') FROM (VALUES ('x'), ('')) v(end_of)")
        self.assertEqual("ab" * 10000, self.wait_events(hub, "t.message", 1)[0][1]["message"]["prefix"])

    def test_tables_that_are_filtered_out_make_nothing(self):
        self.make(TABLE + "; CREATE TABLE other(id int PRIMARY KEY)")
        hub = self.run_hub(self.options(table_include_list="public.t"))
        self.sql("INSERT INTO other VALUES (1); INSERT INTO t VALUES (1, 'a')")
        self.wait_events(hub, "t.public.t", 1)
        self.assertEqual([], self.events(hub, "t.public.other"))

    def test_a_table_that_changes_its_shape(self):
        self.make(TABLE)
        hub = self.run_hub()
        self.sql("INSERT INTO t VALUES (1, 'a'); ALTER TABLE t ADD w int DEFAULT 7; INSERT INTO t VALUES (2, 'b'); "
                 "BEGIN; INSERT INTO t VALUES (3, 'c', 8); ALTER TABLE t DROP v; INSERT INTO t VALUES (4, 9); COMMIT; "
                 "ALTER TABLE t RENAME w TO x; INSERT INTO t VALUES (5, 10)")
        events = self.wait_events(hub, "t.public.t", 5)
        self.assertEqual([{"id": 1, "v": "a"}, {"id": 2, "v": "b", "w": 7}, {"id": 3, "v": "c", "w": 8}, {"id": 4, "w": 9},
                          {"id": 5, "x": 10}], [v["after"] for _, v in events])

    def test_changes_from_elsewhere_are_left_out_if_told(self):
        self.make(TABLE + "; SELECT pg_replication_origin_create('other_%s')" % self.name)
        hub = self.run_hub(self.options(stream_origin="none"))
        self.sql("SELECT pg_replication_origin_session_setup('other_%s'); INSERT INTO t VALUES (1, 'far'); "
                 "SELECT pg_replication_origin_session_reset(); INSERT INTO t VALUES (2, 'near')" % self.name)
        events = self.wait_events(hub, "t.public.t", 1)
        self.assertEqual("near", events[0][1]["after"]["v"])

    def test_heartbeats_and_their_statement(self):
        self.make(TABLE + "; CREATE TABLE beats(at timestamptz)")
        hub = self.run_hub(self.options(heartbeat_interval_ms="50ms", table_include_list="public.t",
                                        heartbeat_action_query="INSERT INTO beats VALUES (now())"))
        wait_for("beats", lambda: int(self.sql("SELECT count(*) FROM beats")) >= 3)
        wait_for("heartbeat records", lambda: len(self.events(hub, "__debezium-heartbeat.t")) >= 3)

    def test_a_heartbeats_statement_that_waits_holds_nothing_up(self):
        self.make(TABLE + "; CREATE TABLE beats(at timestamptz)")
        hub = self.run_hub(self.options(heartbeat_interval_ms="50ms", table_include_list="public.t",
                                        heartbeat_action_query="INSERT INTO beats VALUES (now())"))
        session = self.server.session(self.database)
        session.run("BEGIN; LOCK TABLE beats")
        wait_for("the statement to wait", lambda: self.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO beats%'") == "1\n")
        self.sql("INSERT INTO t VALUES (1, 'a')")
        self.wait_events(hub, "t.public.t", 1)
        session.run("DROP TABLE beats; COMMIT")
        session.close()
        wait_for("the error to be told", lambda: 'heartbeat.action.query: relation "beats" does not exist' in hub.log_text())
        self.sql("CREATE TABLE beats(at timestamptz)")
        wait_for("beats", lambda: int(self.sql("SELECT count(*) FROM beats")) >= 2)

    # A COPY's result comes again and again until its rows are sent or read, and nobody does that.

    def each_copy(self):
        for i, statement in enumerate(("COPY t FROM STDIN", "COPY t TO STDOUT")):
            self.make(TABLE)
            self.name = "copy_%d" % i
            yield statement
            super().tearDown()
            super().setUp()

    def test_a_copy_as_a_heartbeats_statement(self):
        for statement in self.each_copy():
            hub = self.run_hub(self.options(heartbeat_interval_ms="50ms", heartbeat_action_query=statement))
            wait_for("it to be told", lambda: "heartbeat.action.query: a COPY to or from the client" in hub.log_text())
            self.sql("INSERT INTO t VALUES (1, 'a')")
            self.wait_events(hub, "t.public.t", 1)

    def test_a_copy_among_initial_statements(self):
        for statement in self.each_copy():
            options = self.options(database_initial_statements="SET lock_timeout = '5s'; " + statement)
            self.assertIn("database.initial.statements: ", self.wait_failed(self.run_hub(options, wait=False)))

    def test_initial_statements(self):
        self.make(TABLE)
        self.run_hub(self.options(database_initial_statements="SET application_name = 'told'; SET lock_timeout = '5s';"))
        self.assertEqual("told\n", self.sql("SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = '%s' AND "
                                            "backend_type = 'walsender'" % self.database))

    def test_a_key_that_is_large_and_does_not_change(self):
        """It is stored out of line, and so not sent with the new row: the event's key has it all the same."""
        self.make("CREATE TABLE t(id text PRIMARY KEY, n int); ALTER TABLE t ALTER id SET STORAGE EXTERNAL")
        hub = self.run_hub()
        self.sql("INSERT INTO t VALUES (repeat('k', 2500), 1); UPDATE t SET n = 2; DELETE FROM t")
        events = self.wait_events(hub, "t.public.t", 4)
        self.assertEqual(["c", "u", "d"], ops(events))
        self.assertEqual([{"id": "k" * 2500}] * 4, [k for k, _ in events])

    def test_a_type_that_was_dropped_is_told(self):
        self.make("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE t(id int PRIMARY KEY, m mood)")
        hub = self.run_hub()
        self.assertEqual(0, hub.stop())
        self.sql("INSERT INTO t VALUES (1, 'sad'); ALTER TABLE t ALTER m TYPE text; DROP TYPE mood; INSERT INTO t VALUES (2, 'ok')")
        hub.start()
        events = self.wait_events(hub, "t.public.t", 2)
        self.assertEqual([{"id": 1}, {"id": 2, "m": "ok"}], [v["after"] for _, v in events])
        self.assertEqual(1, hub.log_text().count("table public.t: the type of the column m (oid "))

    def test_a_limit_of_idle_sessions_is_none_of_ours(self):
        self.server.needs(14, "idle_session_timeout")
        self.make(TABLE)
        self.server.psql("ALTER DATABASE %s SET idle_session_timeout = '100ms'" % self.database)
        hub = self.run_hub()
        wait_for("a session to be idle for longer", lambda: self.server.psql(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '%s' AND application_name = 'leat' AND backend_type = "
            "'client backend' AND state = 'idle' AND now() - state_change > '1s'" % self.database) != "0\n")
        self.server.psql("ALTER DATABASE %s RESET idle_session_timeout" % self.database)
        self.sql("INSERT INTO t VALUES (1, 'a')")
        self.wait_events(hub, "t.public.t", 1)


class Once(PgCase):
    def rebuilt(self, hub):
        rows = {}
        for key, v in self.events(hub, "t.public.t"):
            if v is None or v["op"] == "d":
                rows.pop(key["id"], None)
            else:
                rows[v["after"]["id"]] = v["after"]["v"]
        return rows

    def test_kills_at_any_moment(self):
        self.make(TABLE)
        r = random.Random(11)
        hub = self.run_hub()
        for i in range(60):
            self.sql("BEGIN; INSERT INTO t VALUES (%d, 'new'); UPDATE t SET v = v || '.' WHERE id %% 3 = %d; COMMIT"
                     % (i, i % 3))
            if i % 12 == 5:
                hub.kill()
                hub.start(wait=False)
            elif i % 12 == 11:
                self.server.kill()
                self.server.start()
        wait_for("the hub to answer", hub.answers)
        want = {int(i): v for i, v in self.server.rows("SELECT id, v FROM t", self.database)}
        wait_for("the last changes", lambda: self.rebuilt(hub) == want)
        changes = [(v["source"]["txId"], v["source"]["lsn"]) for _, v in self.events(hub, "t.public.t")]
        self.assertEqual(len(changes), len(set(changes)))
        self.assertEqual(sorted(changes, key=lambda c: c[1]), changes)
        self.assertEqual(60 + sum(len(v) - 3 for v in want.values()), len(changes), r)

    def large(self):
        """A transaction of 200,000 rows, half of them in a subtransaction that rolls back."""
        self.sql("BEGIN; INSERT INTO t SELECT i, 'kept ' || i FROM generate_series(1, 100000) i; SAVEPOINT s; "
                 "INSERT INTO t SELECT i, 'gone' FROM generate_series(100001, 200000) i; ROLLBACK TO s; "
                 "INSERT INTO t SELECT i, 'last' FROM generate_series(200001, 300000) i; COMMIT")

    def check_large(self, hub):
        wait_for("the transaction", lambda: self.count(hub) >= 200000)
        ids = [json.loads(k)["id"] for k in (r["key"] for r in hub.records("t.public.t"))]
        self.assertEqual(list(range(1, 100001)) + list(range(200001, 300001)), ids)

    def count(self, hub):
        out = hub.leat("consume", "t.public.t", "--exit-at-end", "--from", "0", "--format", "key-value", check=False).stdout
        return out.count("\n")

    def test_a_large_transaction_within_bounds(self):
        self.make(TABLE)
        hub = self.run_hub()
        self.large()
        self.check_large(hub)
        with open("/proc/%d/status" % hub.process.pid, encoding="ascii") as f:
            peak = [int(line.split()[1]) for line in f if line.startswith("VmHWM")][0]
        self.assertLess(peak, 64 << 10)

    def test_a_restart_in_the_middle_of_one(self):
        self.make(TABLE)
        hub = self.run_hub()
        self.large()
        for _ in range(4):
            before = self.count(hub)
            wait_for("more of it", lambda: self.count(hub) > before or self.count(hub) >= 200000)
            hub.kill()
            hub.start()
        self.check_large(hub)

    def test_it_is_the_same_without_streaming(self):
        self.make(TABLE)
        hub = self.run_hub(self.options(stream_large_transactions=False))
        self.large()
        self.check_large(hub)


class Connections(PgCase):
    SETTINGS = {"wal_sender_timeout": "2s"}

    def proxied(self, proxy, **more):
        options = self.options(stream_timeout_ms="2s", **more)
        options.update({"database.hostname": "127.0.0.1", "database.port": str(proxy.port), "database.password": "secret"})
        return options

    def test_cuts_and_stalls(self):
        self.make(TABLE)
        with Proxy(("127.0.0.1", self.server.port)) as proxy:
            hub = self.run_hub(self.proxied(proxy))
            for i in range(6):
                self.sql("INSERT INTO t VALUES (%d, 'a')" % i)
                if i % 2:
                    proxy.cut()
                else:
                    proxy.stall()
                    self.sql("INSERT INTO t VALUES (%d, 'b')" % (i + 100))
                    proxy.resume()
            self.wait_events(hub, "t.public.t", 9)

    def test_a_stall_that_does_not_end_is_noticed(self):
        self.make(TABLE)
        with Proxy(("127.0.0.1", self.server.port)) as proxy:
            hub = self.run_hub(self.proxied(proxy, database_connect_timeout_ms="5s"))
            before, told = proxy.accepted, len(hub.log_text())
            proxy.stall()
            wait_for("the connection to count as lost", lambda: "counts as lost" in hub.log_text()[told:] or
                     "cannot connect" in hub.log_text()[told:])
            proxy.resume()
            self.sql("INSERT INTO t VALUES (1, 'after')")
            self.wait_events(hub, "t.public.t", 1)
            self.assertGreater(proxy.accepted, before)

    def test_an_idle_connection_outlives_the_servers_timeout(self):
        self.make(TABLE)
        hub = self.run_hub(self.options(status_update_interval_ms="1m"))
        seen = {"pid": self.slot("active_pid"), "since": time.monotonic()}

        def outlived():
            """More than twice wal_sender_timeout: that time passes is what is tested. A hub that the machine lets wait for longer
            than that loses a connection, and one that never answers loses each."""
            pid = self.slot("active_pid")
            if pid != seen["pid"]:
                seen.update(pid=pid, since=time.monotonic())
            return time.monotonic() - seen["since"] > 5
        wait_for("a connection to outlive the time-out", outlived)
        self.sql("INSERT INTO t VALUES (1, 'still there')")
        self.wait_events(hub, "t.public.t", 1)

    def test_the_next_host_is_taken(self):
        self.make(TABLE)
        with Proxy(("127.0.0.1", self.server.port)) as a, Proxy(("127.0.0.1", self.server.port)) as b:
            options = self.proxied(a)
            options["database.hostname"] = "127.0.0.1,127.0.0.1"
            options["database.port"] = "%d,%d" % (a.port, b.port)
            hub = self.run_hub(options)
            self.assertEqual(0, b.accepted)
            a.refuse()
            a.cut()
            self.sql("INSERT INTO t VALUES (1, 'by the other')")
            self.wait_events(hub, "t.public.t", 1)
            self.assertGreater(b.accepted, 0)

    def test_a_stop_ends_a_wait(self):
        self.make(TABLE)
        with Proxy(("127.0.0.1", self.server.port)) as proxy:
            proxy.stall()
            hub = self.run_hub(self.proxied(proxy, database_connect_timeout_ms="1h"), wait=False)
            wait_for("a connection", lambda: hub.tasks())
            self.assertEqual(0, hub.stop())  # which waits for less than an hour


class Idle(PgCase):
    def test_a_database_in_which_nothing_happens_holds_no_log(self):
        self.make(TABLE)
        self.run_hub()
        other = self.server.database("CREATE TABLE busy(v text)")
        self.server.psql("INSERT INTO busy SELECT repeat('x', 500) FROM generate_series(1, 20000)", other)
        end = lsn(self.server.lsn())
        wait_for("the slot to follow", lambda: lsn(self.slot("confirmed_flush_lsn")) >= end)
        self.server.psql("SELECT pg_switch_wal(); CHECKPOINT", other)

    def test_what_is_confirmed_is_stored(self):
        self.make(TABLE)
        hub = self.run_hub()
        for i in range(20):
            self.sql("INSERT INTO t VALUES (%d, 'a')" % i)
            confirmed = lsn(self.slot("confirmed_flush_lsn"))
            offsets = [json.loads(r["value"]) for r in hub.records("connect-offsets") if "server" in r["key"]]
            self.assertGreaterEqual(max([o["lsn_commit"] for o in offsets] or [confirmed]), confirmed)


if __name__ == "__main__":
    unittest.main()
