"""The private PostgreSQL that the other tests stand on: what is killed recovers, and nothing of it outlives its owner."""
import os
import signal
import subprocess
import sys
import unittest

from leat import ROOT, wait_for
from postgres import Postgres, SqlError, gone

SERVE = [sys.executable, os.path.join(ROOT, "tests/lib/postgres.py"), "serve"]


class Server(unittest.TestCase):
    def test_committed_rows_survive_a_kill_and_the_port_stays(self):
        with Postgres() as server:
            database = server.database("CREATE TABLE t (a int PRIMARY KEY, b text)")
            server.psql("INSERT INTO t VALUES (1, E'two\\nlines'), (2, NULL), (3, '')", database)
            session = server.session(database)
            session.run("BEGIN; INSERT INTO t VALUES (4, 'never committed')")
            port = server.port
            server.kill()
            with self.assertRaises(SqlError):
                session.run("COMMIT")
            session.close()
            server.start()
            self.assertEqual(port, server.port)
            self.assertEqual([["1", "two\nlines"], ["2", None], ["3", ""]],
                             server.rows("SELECT a, b FROM t ORDER BY a", database))

    def test_settings_hold_and_change_over_a_restart(self):
        with Postgres({"max_wal_senders": "3"}) as server:
            self.assertEqual("logical\n", server.psql("SHOW wal_level"))
            self.assertEqual("3\n", server.psql("SHOW max_wal_senders"))
            server.restart({"wal_level": "replica"})
            self.assertEqual("replica\n", server.psql("SHOW wal_level"))

    def test_a_failing_statement_says_why(self):
        with Postgres() as server:
            with self.assertRaisesRegex(SqlError, 'relation "nowhere" does not exist'):
                server.psql("SELECT * FROM nowhere")

    def test_nothing_outlives_an_owner_that_was_killed(self):
        owner = subprocess.Popen(SERVE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        word, directory = owner.stdout.readline().split()[:2]
        self.assertEqual("ready", word)
        with open(os.path.join(directory, "data", "postmaster.pid"), encoding="utf-8") as f:
            pid = int(f.readline())
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        owner.stdin.close()
        owner.stdout.close()
        wait_for("the server to end", lambda: gone(pid))
        wait_for("its directory to go", lambda: not os.path.exists(directory))
