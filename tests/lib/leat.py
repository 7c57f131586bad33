"""Runs the real program in private directories, for integration and crash tests.

LEAT_BUILD names the build directory (default: build). Nothing here sleeps for luck: what is waited for is asked for
until it is true, with a generous limit that only a hang can reach.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("LEAT_BUILD", "build"))
LEAT = os.path.join(BUILD, "leat")
LIMIT = float(os.environ.get("LEAT_TEST_LIMIT", "600"))


def wait_for(what, condition, limit=LIMIT):
    """Asks until it is true; the limit is there for hangs only."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited in vain for " + what)
        time.sleep(0.01)


class Hub:
    """A `leat run` in a private directory."""

    def __init__(self, directory, config, args=()):
        self.directory = directory
        self.data = os.path.join(directory, "data")
        self.config = os.path.join(directory, "leat.yaml")
        self.log = os.path.join(directory, "hub.log")
        self.args = list(args)
        self.process = None
        self.write_config(config)

    def write_config(self, text):
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(text)

    def start(self, wait=True, env=None):
        log = open(self.log, "ab")
        self.process = subprocess.Popen(
            [LEAT, "run", self.config, "--data-dir", self.data] + self.args,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory, env=dict(os.environ, **(env or {})))
        log.close()
        if wait:
            wait_for("the hub to answer", self.answers)
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError("the hub ended with %s:\n%s" % (self.process.returncode, self.log_text()[-4000:]))
        return self.leat("status", check=False).returncode == 0

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def stop(self):
        """SIGTERM and a clean end; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(LIMIT)
        self.process = None
        return code

    def leat(self, *args, check=True, stdin=None):
        return leat(*args, "--data-dir", self.data, check=check, stdin=stdin, cwd=self.directory)

    def json(self, *args):
        return json.loads(self.leat(*args, "--output", "json").stdout)

    def tasks(self):
        return self.json("status")["tasks"]

    def task(self, connector):
        return [t for t in self.tasks() if t["connector"] == connector][0]

    def values(self, topic):
        """Every committed value of the topic, in offset order per partition."""
        return self.leat("consume", topic, "--exit-at-end").stdout.splitlines()

    def records(self, topic):
        out = self.leat("consume", topic, "--exit-at-end", "--format", "json").stdout
        # Not splitlines: a value may hold a line separator of Unicode's.
        return [json.loads(line) for line in out.split("\n") if line]

    def wait_caught_up(self, connector):
        wait_for(connector + " to catch up", lambda: self.task(connector)["lag"] == 0)


def leat(*args, check=True, stdin=None, cwd=None, env=None):
    done = subprocess.run([LEAT] + list(args), input=stdin, capture_output=True, text=True, cwd=cwd,
                          env=dict(os.environ, **(env or {})), timeout=LIMIT)
    if check and done.returncode != 0:
        raise AssertionError("leat %s ended with %d:\n%s" % (" ".join(args), done.returncode, done.stderr))
    return done


def build_test_plugins(*names):
    """Builds plugins of plugins/test in the variant that is tested; the directory to name in plugin.path."""
    directory = os.path.join(BUILD, "test-plugins")
    variant = re.search(r"build-(address|thread)$", BUILD)
    made = ["make", "-s", "BUILD=" + os.path.relpath(BUILD, ROOT)]
    made += ["SANITIZE=" + variant.group(1)] if variant else []
    made += [os.path.relpath(directory, ROOT) + "/%s.so" % name for name in names]
    subprocess.run(made, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return directory


def remove(directory):
    if "LEAT_TEST_KEEP" in os.environ:
        print("kept", directory)
    else:
        shutil.rmtree(directory, ignore_errors=True)


class Case(unittest.TestCase):
    """A test with a private directory; hubs made with self.hub() are killed after it. LEAT_TEST_KEEP=1 keeps the directory."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="leat-test-")
        self.hubs = []

    def tearDown(self):
        for hub in self.hubs:
            if hub.process:
                hub.kill()
        if self.failed():
            for log in sorted({hub.log for hub in self.hubs if os.path.exists(hub.log)}):
                with open(log, encoding="utf-8", errors="replace") as f:
                    print("---- %s, %s, its end:\n%s" % (self.id(), log, f.read()[-6000:]), file=sys.stderr)
        remove(self.directory)

    def failed(self):
        result = self._outcome.result
        return any(test is self for test, _ in result.failures + result.errors)

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def write(self, name, text, mode="w"):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, mode, encoding="utf-8") as f:
            f.write(text)
        return path

    def hub(self, config, args=(), start=True):
        hub = Hub(self.directory, config.replace("@DIR@", self.directory), args)
        self.hubs.append(hub)
        return hub.start() if start else hub


def complete_files(directory):
    """Paths of the files that a reader of a sink's directory sees, in name order."""
    found = []
    for top, dirs, names in os.walk(directory):
        dirs[:] = [d for d in dirs if not d.startswith(".")]
        found += [os.path.join(top, n) for n in names if not n.startswith(".")]
    return sorted(found)
