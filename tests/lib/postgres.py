#!/usr/bin/env python3
"""A private PostgreSQL for tests, examples and benchmarks: in a directory of its own, on a Unix socket and a free port of
127.0.0.1, with logical replication on. Gone with everything it wrote when its owner closes it or dies, even by SIGKILL.

From Python: class Postgres. From elsewhere (tests/lib/postgres.c, deploy/run-example):

    postgres.py serve [name=value ...]     starts one with these settings and prints "ready SOCKETDIR PORT BINDIR DIRECTORY"

and then obeys lines of its standard input until that ends: start, stop, kill, and "sql DATABASE BYTES" followed by so many
bytes. Each is answered by "ok BYTES" or "error BYTES" and a text of that length.

Over the socket everybody is trusted; over TCP a role needs its password (postgres: "secret"). LEAT_PG_BIN names the
directory of another version's programs; LEAT_TEST_KEEP keeps the directory.
"""
import contextlib
import csv
import glob
import io
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from ports import free_port

LIMIT = float(os.environ.get("LEAT_TEST_LIMIT", "600"))
PASSWORD = "secret"  # of the superuser, over TCP

SETTINGS = {
    "wal_level": "logical",
    "max_replication_slots": "100",
    "max_wal_senders": "100",
    "max_connections": "200",
    "fsync": "off",  # a killed server loses nothing by it, only a killed machine does
    "full_page_writes": "off",
    "log_min_messages": "info",
    "log_line_prefix": "%m [%p] ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

HBA = """local all all trust
local replication all trust
host all all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
"""


class SqlError(Exception):
    """What psql said of a statement that failed."""


def programs():
    """The directory of PostgreSQL's programs: LEAT_PG_BIN, or the newest of Debian's."""
    named = os.environ.get("LEAT_PG_BIN")
    if named:
        return named
    found = [d for d in glob.glob("/usr/lib/postgresql/*/bin") if os.path.exists(os.path.join(d, "postgres"))]
    if not found:
        raise RuntimeError("PostgreSQL is not installed (apt-get install postgresql)")
    return max(found, key=lambda d: int(re.search(r"/(\d+)[^/]*/bin$", d).group(1)))


def version(directory, program="postgres"):
    """The major version of the server, or another program, among these."""
    told = subprocess.run([os.path.join(directory, program), "--version"], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"\) (\d+)", told).group(1))


def account():
    """Whom the server runs as: PostgreSQL refuses root. None: ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    raise RuntimeError("there is neither a user postgres nor nobody to run PostgreSQL as")


def children(pid):
    """Processes whose parent it is."""
    found = []
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(stat, encoding="latin-1") as f:
                text = f.read()
        except OSError:
            continue  # ended meanwhile
        if int(text.rpartition(")")[2].split()[1]) == pid:
            found.append(int(stat.split("/")[2]))
    return found


def gone(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="latin-1") as f:
            return f.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def signal_process(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def kill_server(pid):
    """SIGKILL to a postmaster and all that it started; returns when none of them runs any more."""
    signal_process(pid, signal.SIGSTOP)  # so that it starts nothing more
    pids = children(pid) + [pid]
    for p in pids:
        signal_process(p, signal.SIGKILL)
    wait_until("the killed server's processes to end", lambda: all(gone(p) for p in pids if p != pid))


def wait_until(what, condition):
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited in vain for " + what)
        time.sleep(0.005)


class Session:
    """A connection that stays: transactions over several calls. Not for two threads at once."""

    def __init__(self, server, database, user="postgres"):
        self.process = subprocess.Popen(
            server.psql_command(database, user) + ["-v", "ON_ERROR_STOP=0"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=server.environment(), start_new_session=True)
        self.calls = 0

    def run(self, sql):
        """The statements' output; SqlError with all of it if one failed."""
        self.send(sql)
        return self.receive()

    def send(self, sql):
        """Begins statements that may wait for a lock; receive() ends them."""
        self.calls += 1
        self.process.stdin.write(sql.rstrip().rstrip(";") + ";\n\\echo <end %d>\n" % self.calls)
        self.process.stdin.flush()

    def receive(self):
        lines, end = [], "<end %d>\n" % self.calls
        for line in self.process.stdout:
            if line == end:
                break
            lines.append(line)
        else:
            raise SqlError("the session ended: " + "".join(lines))
        text = "".join(lines)
        if re.search(r"^(psql:<stdin>:\d+: )?(ERROR|FATAL|PANIC):", text, re.M):
            raise SqlError(text)
        return text

    def close(self):
        self.process.stdin.close()
        self.process.wait(LIMIT)
        self.process.stdout.close()


class Postgres:
    """
    One server. `settings` go beside, or over, SETTINGS. `standby_of`: a copy of that one, which follows it. `environment`: variables
    of the server's process beside ours. Use it in `with`, or call close().
    """

    def __init__(self, settings=None, start=True, standby_of=None, environment=None):
        self.bin = programs()
        self.version = version(self.bin)
        self.account = account()
        self.settings = dict(SETTINGS, **(settings or {}))
        self.added_environment = environment or {}
        self.directory = tempfile.mkdtemp(prefix="leat-pg-")  # short: a socket's path is at most 107 bytes long
        self.data = os.path.join(self.directory, "data")
        self.log = os.path.join(self.directory, "server.log")
        self.port = free_port()
        self.process = None
        self.databases = 0
        self.guard = subprocess.Popen([sys.executable, os.path.abspath(__file__), "guard", self.directory],
                                      stdin=subprocess.PIPE, start_new_session=True)
        try:
            if standby_of:
                self._copy(standby_of)
            else:
                self._init()
            if start:
                self.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- the server ----

    def _init(self):
        if self.account:
            os.chown(self.directory, self.account.pw_uid, self.account.pw_gid)
        secret = os.path.join(self.directory, "password")
        with open(secret, "w", encoding="utf-8") as f:
            f.write(PASSWORD)
        if self.account:
            os.chown(secret, self.account.pw_uid, self.account.pw_gid)
        done = subprocess.run([os.path.join(self.bin, "initdb"), "-D", self.data, "-U", "postgres", "-E", "UTF8",
                               "--locale=C.UTF-8", "--no-sync", "--pwfile", secret, "-A", "scram-sha-256"],
                              capture_output=True, text=True, cwd="/", **self._as())
        if done.returncode != 0:
            raise RuntimeError("initdb failed:\n" + done.stdout + done.stderr)
        with open(os.path.join(self.data, "pg_hba.conf"), "w", encoding="utf-8") as f:
            f.write(HBA)

    def _copy(self, primary):
        """A copy of a server that runs, which follows it until promote()."""
        if self.account:
            os.chown(self.directory, self.account.pw_uid, self.account.pw_gid)
        if version(self.bin, "pg_basebackup") < self.version:  # of another version than the server, which it does not copy then
            self._copy_files(primary)
        else:
            done = subprocess.run([os.path.join(self.bin, "pg_basebackup"), "-D", self.data, "-h", primary.directory, "-p",
                                   str(primary.port), "-U", "postgres", "-X", "stream", "-c", "fast", "--no-sync"],
                                  capture_output=True, text=True, cwd="/", **self._as())
            if done.returncode != 0:
                raise RuntimeError("pg_basebackup failed:\n" + done.stdout + done.stderr)
        # Not by -R: the option that a newer pg_basebackup writes may be unknown to the server. The database is for slots (17 on).
        self.settings["primary_conninfo"] = "host=%s port=%d user=postgres dbname=postgres" % (primary.directory, primary.port)
        self._write("standby.signal", "")

    def _copy_files(self, primary):
        """As pg_basebackup does (PostgreSQL 15 on); the log comes from the primary later, which has to keep it."""
        empty = ("pg_wal", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans")
        session = primary.session()
        session.run("SELECT pg_backup_start('copy', true)")
        for there, _, files in os.walk(primary.data):
            name = os.path.relpath(there, primary.data)
            here = os.path.normpath(os.path.join(self.data, name))
            os.mkdir(here, 0o700)
            for file in [] if name.split("/")[0] in empty else files:
                if file.startswith(("postmaster.", "pgsql_tmp")):
                    continue
                with contextlib.suppress(FileNotFoundError):  # it went meanwhile, which the log tells
                    shutil.copyfile(os.path.join(there, file), os.path.join(here, file))
        label = session.run("SELECT labelfile FROM pg_backup_stop(false)")
        session.close()
        self._write("backup_label", label.strip() + "\n")
        for there, _, files in os.walk(self.data):
            for path in [there] + [os.path.join(there, file) for file in files]:
                self._give(path)

    def _give(self, path):
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def _write(self, name, text):
        path = os.path.join(self.data, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        self._give(path)

    def promote(self):
        """A standby becomes a primary, on a timeline of its own."""
        self.psql("SELECT pg_promote(true, %d)" % LIMIT)

    def wait_replayed(self, lsn):
        wait_until("the standby to replay " + lsn,
                   lambda: self.psql("SELECT pg_last_wal_replay_lsn() >= '%s'" % lsn) == "t\n")

    def _as(self):
        if not self.account:
            return {}
        return {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}

    def start(self):
        """Starts it and waits until it answers. The port stays the same over restarts, once it was bound."""
        for last in (False, False, False, True):
            try:
                return self._start()
            except RuntimeError:  # somebody else may have taken the port meanwhile
                if last or "could not bind" not in self.log_text() or self.databases:
                    raise
                self.port = free_port()

    def _start(self):
        command = [os.path.join(self.bin, "postgres"), "-D", self.data, "-p", str(self.port), "-k", self.directory,
                   "-c", "listen_addresses=127.0.0.1"]
        for name, value in self.settings.items():
            command += ["-c", "%s=%s" % (name, value)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                            start_new_session=True, env=dict(os.environ, **self.added_environment), **self._as())
        wait_until("PostgreSQL to answer", self._answers)
        return self

    def _answers(self):
        if self.process.poll() is not None:
            self.process = None
            raise RuntimeError("PostgreSQL did not start:\n" + self.log_text()[-4000:])
        ready = subprocess.run([os.path.join(self.bin, "pg_isready"), "-q", "-h", self.directory, "-p", str(self.port)],
                               check=False)
        return ready.returncode == 0

    def stop(self, how=signal.SIGINT):
        """Ends it in order: SIGINT disconnects everybody (fast), SIGTERM waits for them (smart), SIGQUIT as a crash."""
        if self.process:
            self.process.send_signal(how)
            self.process.wait(LIMIT)
            self.process = None

    def kill(self):
        """SIGKILL to all of its processes, as if the machine's memory were lost; start() recovers."""
        if self.process:
            kill_server(self.process.pid)
            self.process.wait(LIMIT)
            self.process = None

    @contextlib.contextmanager
    def frozen(self):
        """None of its processes runs: connections are taken by the kernel, and nothing is answered."""
        pids = []
        try:
            signal_process(self.process.pid, signal.SIGSTOP)  # so that it starts nothing more
            pids = children(self.process.pid)
            for pid in pids:
                signal_process(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in pids + [self.process.pid]:
                signal_process(pid, signal.SIGCONT)

    def restart(self, settings=None):
        self.settings.update(settings or {})
        self.stop()
        return self.start()

    def log_text(self):
        if not os.path.exists(self.log):
            return ""
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def close(self):
        self.kill()
        if self.guard:
            if "LEAT_TEST_KEEP" in os.environ:
                print("kept", self.directory, file=sys.stderr)
                self.guard.kill()
            self.guard.stdin.close()  # which lets it remove the directory
            self.guard.wait(LIMIT)
            self.guard = None

    # ---- statements ----

    def environment(self):
        return dict({k: v for k, v in os.environ.items() if not k.startswith("PG")}, PGAPPNAME="test",
                    PGOPTIONS="-c client_min_messages=warning")

    def psql_command(self, database, user):
        return [os.path.join(self.bin, "psql"), "-X", "-q", "-A", "-t", "-h", self.directory, "-p", str(self.port),
                "-U", user, "-d", database]

    def psql(self, sql, database="postgres", user="postgres", single=False):
        """Output of the statements, one line a row, columns separated by |. SqlError says what failed."""
        command = self.psql_command(database, user) + ["-v", "ON_ERROR_STOP=1"] + (["-1"] if single else [])
        done = subprocess.run(command, input=sql, capture_output=True, text=True, env=self.environment(),
                              timeout=LIMIT, check=False)
        if done.returncode != 0:
            raise SqlError(done.stderr.strip() or "psql ended with %d" % done.returncode)
        return done.stdout

    def rows(self, sql, database="postgres"):
        """Rows of one SELECT as lists of texts; None for null. Any text, line breaks too."""
        command = self.psql_command(database, "postgres") + ["-v", "ON_ERROR_STOP=1", "--csv", "-P", "null=\x01"]
        done = subprocess.run(command, input=sql, capture_output=True, text=True, env=self.environment(),
                              timeout=LIMIT, check=False)
        if done.returncode != 0:
            raise SqlError(done.stderr.strip())
        return [[None if field == "\x01" else field for field in row] or [""]
                for row in csv.reader(io.StringIO(done.stdout, newline=""))]

    def session(self, database="postgres", user="postgres"):
        return Session(self, database, user)

    def database(self, sql="", name=None, options=""):
        """A new database, its name; `sql` runs in it. `options`: of CREATE DATABASE."""
        self.databases += 1
        name = name or "db%d" % self.databases
        self.psql('CREATE DATABASE "%s" %s' % (name, options))
        if sql:
            self.psql(sql, name)
        return name

    def lsn(self):
        return self.psql("SELECT pg_current_wal_insert_lsn()").strip()

    def needs(self, major, what):
        """Ends a test as skipped where the server is older."""
        if self.version < major:
            raise unittest.SkipTest("PostgreSQL %d has no %s" % (self.version, what))

    # ---- replication ----

    def protocol(self):
        """The newest version of pgoutput's protocol that it has."""
        return {13: 1, 14: 2, 15: 3}.get(self.version, 4)

    def streams(self, slot):
        """The slot is read, from its beginning on. (It is active for a moment while it is made, too: what is committed then may
        be before its beginning.)"""
        return self.psql("SELECT count(*) FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid "
                         "WHERE s.slot_name = '%s' AND r.state = 'streaming'" % slot) == "1\n"

    def confirmed(self, slot, lsn):
        """Whoever reads the slot has stored all before."""
        return self.psql("SELECT confirmed_flush_lsn >= '%s' FROM pg_replication_slots WHERE slot_name = '%s'" %
                         (lsn, slot)) == "t\n"

    def drop_free_slots(self):
        """Those that nobody reads; the connection of a killed reader may still be about to."""
        self.psql("DO $$ DECLARE s name; BEGIN FOR s IN SELECT slot_name FROM pg_replication_slots WHERE NOT active LOOP "
                  "BEGIN PERFORM pg_drop_replication_slot(s); EXCEPTION WHEN object_in_use OR undefined_object THEN NULL; END; "
                  "END LOOP; END $$")

    def _synchronous(self, standbys):
        self.psql("ALTER SYSTEM SET synchronous_standby_names = '%s'" % standbys)
        self.psql("SELECT pg_reload_conf()")

    @contextlib.contextmanager
    def held_commits(self):
        """Commits with synchronous_commit = on are in the log and wait, unseen, for a standby that does not come. Not before a
        commit of our own waits does the whole server know of the setting."""
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%held_commits%'"
        probe = None
        self._synchronous("nobody")
        try:
            while self.psql(waits) != "1\n":
                if probe is None or probe.poll() is not None:
                    probe = subprocess.Popen(
                        self.psql_command("postgres", "postgres") + [
                            "-c", "SET synchronous_commit = on",
                            "-c", "SELECT pg_logical_emit_message(true, 'held_commits', '')"],
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environment())
            yield
        finally:
            self._synchronous("")
            if probe:
                probe.wait(LIMIT)

    def options(self, database, user="postgres", host=None):
        """database.* settings of a source for this server; `host` None: the Unix socket."""
        return {"database.hostname": host or self.directory, "database.port": str(self.port), "database.user": user,
                "database.password": PASSWORD, "database.dbname": database}


def guard(directory):
    """Waits until the owner's end of the pipe is closed, then ends the server and removes its directory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdin.buffer.read()
    try:
        with open(os.path.join(directory, "data", "postmaster.pid"), encoding="utf-8") as f:
            kill_server(int(f.readline()))
    except (OSError, ValueError):
        pass  # it does not run
    shutil.rmtree(directory, ignore_errors=True)


def answer(word, text):
    data = text.encode()
    sys.stdout.buffer.write(b"%s %d\n" % (word.encode(), len(data)) + data)
    sys.stdout.buffer.flush()


def obey(server, words):
    if words[0] == "sql":
        text = sys.stdin.buffer.read(int(words[2])).decode()
        return server.psql(text, words[1])
    getattr(server, {"start": "start", "stop": "stop", "kill": "kill"}[words[0]])()
    return ""


def serve(settings):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever reads us, who then closes the pipe
    with Postgres(dict(s.split("=", 1) for s in settings)) as server:
        print("ready", server.directory, server.port, server.bin, server.directory, flush=True)
        for line in sys.stdin.buffer:
            try:
                answer("ok", obey(server, line.decode().split()))
            except Exception as e:  # told to whoever asked
                answer("error", "%s: %s" % (type(e).__name__, e))


if __name__ == "__main__":
    if sys.argv[1:2] == ["guard"] and len(sys.argv) == 3:
        guard(sys.argv[2])
    elif sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2:])
    else:
        sys.exit(__doc__)
