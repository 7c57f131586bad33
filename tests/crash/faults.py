#!/usr/bin/env python3
"""Lets the n-th allocation, write, sync, read or change of names of a running hub fail, for n = 1, 2, 3, ...

    tests/crash/faults.py [--each 25]

A hub with a fault armed (LEAT_FAULT) moves records from a generator through a topic into files, then is stopped or has
stopped itself; a second run without fault goes on in the same directory. Whatever failed: at the end every record is in
the topic and in the files exactly once, in order, and nothing that was acknowledged is gone. Early passes are tried one
by one, later ones at growing distances, until a run meets no fault any more.
"""
import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from leat import Hub, complete_files, wait_for, LIMIT  # noqa: E402

RECORDS = 3000
CONFIG = """
hub:
  journal.file.bytes: 1MiB
pipelines:
  - name: made
    source:
      type: datagen
      rate: 0
      count: %d
      retry.backoff.ms: 10ms
      retry.backoff.max.ms: 20ms
    topic:
      name: made
      config: {segment.bytes: 1MiB}
    sinks:
      - name: files
        type: file
        directory: @DIR@/files
        format: raw
        flush.size: 500
        retry.backoff.ms: 10ms
        retry.backoff.max.ms: 20ms
""" % RECORDS


def settled(hub):
    """The hub has ended, or its source has completed or failed, or every wish was tried for long enough."""
    if hub.process.poll() is not None:
        return True
    done = hub.leat("status", "--output", "json", check=False)
    if done.returncode != 0:
        return False
    states = {t["connector"]: t for t in json.loads(done.stdout)["tasks"]}
    source = states["made"]
    return source["state"] in ("COMPLETED", "FAILED") or source["restarts"] > 20


def acknowledged(hub):
    """Records that the source's task counts as committed, of a hub that still answers."""
    done = hub.leat("status", "--output", "json", check=False)
    if done.returncode != 0:
        return 0
    return max([t["records"] for t in json.loads(done.stdout)["tasks"] if t["connector"] == "made"] or [0])


def number(line):
    return int(line.split(":")[0].split(" ")[1])


def check(hub, acked):
    values = [number(v) for v in hub.values("made")]
    if values != list(range(RECORDS)):
        raise AssertionError("the topic has %d records, not each of %d once and in order" % (len(values), RECORDS))
    if len(values) < acked:
        raise AssertionError("%d records were acknowledged, %d are there" % (acked, len(values)))
    lines = []
    for path in complete_files(os.path.join(hub.directory, "files")):
        with open(path, encoding="ascii") as f:
            lines += [number(line) for line in f.read().splitlines()]
    if lines != list(range(RECORDS // 500 * 500)):
        raise AssertionError("the files have %d lines, not each record once and in order" % len(lines))


def once(directory, fault):
    """One faulty run and one that mends. True if the fault was met (the hub or a task complained)."""
    hub = Hub(directory, CONFIG.replace("@DIR@", directory), ["--log-level", "warn"])
    try:
        return faulty_and_mended(hub, fault)
    finally:
        if hub.process and hub.process.poll() is None:
            hub.kill()


def faulty_and_mended(hub, fault):
    hub.start(wait=False, env={"LEAT_FAULT": fault})
    wait_for("the faulty hub to settle", lambda: settled(hub))
    acked = 0
    if hub.process.poll() is None:
        acked = acknowledged(hub)
        hub.process.send_signal(signal.SIGTERM)
        hub.process.wait(LIMIT)
    if hub.process.returncode < 0:
        raise AssertionError("the hub died of signal %d:\n%s" % (-hub.process.returncode, hub.log_text()[-3000:]))
    met = hub.log_text().strip() != ""
    hub.process = None
    hub.start()
    wait_for("everything to be delivered", lambda: hub.task("made")["state"] == "COMPLETED"
             and hub.task("made-files")["lag"] == 0 and
             len(complete_files(os.path.join(hub.directory, "files"))) == RECORDS // 500)
    if hub.stop() != 0:
        raise AssertionError("the second run did not stop cleanly:\n" + hub.log_text()[-3000:])
    check(hub, acked)
    return met


def passes(each):
    """1, 2, 3, ... each, then at growing distances."""
    nth, step = 1, 1
    while True:
        yield nth
        if nth >= each:
            step = max(step + 1, int(step * 1.3))
        nth += step


def run(point, suffix, each, directory):
    runs = met = quiet = 0
    for nth in passes(each):
        shutil.rmtree(directory, ignore_errors=True)
        os.mkdir(directory)
        fault = "%s:%d%s" % (point, nth, suffix)
        try:
            hit = once(directory, fault)
        except AssertionError as e:
            raise AssertionError("LEAT_FAULT=%s: %s" % (fault, e)) from e
        runs += 1
        met += hit
        quiet = 0 if hit else quiet + 1
        if quiet >= 6 or runs >= each * 3:
            break
    print("  faults  %-14s %d runs, %d complained; nothing lost, nothing twice" % (point + suffix, runs, met))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--each", type=int, default=12, help="how many of the first passes are tried one by one")
    given = options.parse_args()
    top = tempfile.mkdtemp(prefix="leat-faults-")
    start = time.monotonic()
    try:
        for point, suffix in (("sync", ""), ("write", ":EIO"), ("write", ":ENOSPC"), ("write", ":ENOSPC:sticky"),
                              ("meta", ":EIO"), ("read", ":EIO"), ("alloc", ":ENOMEM")):
            run(point, suffix, given.each, os.path.join(top, "run"))
    except AssertionError as e:
        print("FAIL faults (kept in %s): %s" % (top, e))
        return 1
    shutil.rmtree(top)
    print("faults: 1 passed, 0 failed (%d s)" % (time.monotonic() - start))
    return 0


sys.exit(main())
