"""Kafka's clients, each behind the same commands (clients/README.md).

What clients/fetch could not bring is missing; the tests say so by name and pass it over.
"""
import json
import os
import shutil
import subprocess
import threading

from leat import BUILD, LIMIT, wait_for

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients")
CACHE = os.environ.get("LEAT_KAFKA_CLIENTS", os.path.expanduser("~/.cache/leat/clients"))
JARS = os.environ.get("LEAT_KAFKA_JARS", "")


def lines(records):
    return "".join(json.dumps(r) + "\n" for r in records)


class Member:
    """A running member of a group: what it has been assigned, and what it read."""

    def __init__(self, case, command, env):
        self.assigned, self.records, self.closed = [], [], False
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        self.errors = []
        self.readers = [threading.Thread(target=self.listen, daemon=True),
                        threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True)]
        for r in self.readers:
            r.start()
        case.addCleanup(self.end)

    def listen(self):
        for line in self.process.stdout:
            said = json.loads(line)
            if "assigned" in said:
                self.assigned = said["assigned"]
            elif "closed" in said:
                self.closed = True
            else:
                self.records.append(said)

    def wait_for(self, condition):
        def fine():
            if self.process.poll() is not None:
                raise AssertionError("the member ended with %s:\n%s" % (self.process.returncode, "".join(self.errors)[-3000:]))
            return condition(self)
        wait_for("the member to be as it should (has %s, read %d)" % (self.assigned, len(self.records)), fine)

    def stop(self):
        self.process.stdin.close()
        self.process.wait(LIMIT)
        for r in self.readers:
            r.join(LIMIT)
        if self.process.returncode != 0 or not self.closed:
            raise AssertionError("the member ended with %s:\n%s" % (self.process.returncode, "".join(self.errors)[-3000:]))

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for r in self.readers:
            r.join(LIMIT)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()


class Client:
    """A driver program; `cannot` names what the client itself is not able to."""

    def __init__(self, name, command, needs, can=("write", "read", "group", "txn", "admin"), cannot=(), env=None):
        self.name, self.command, self.needs, self.can, self.cannot = name, command, needs, can, cannot
        self.env = dict(os.environ, **(env or {}))

    def has(self, what):
        return what in self.can

    def missing(self):
        """Why it cannot run here, or nothing."""
        absent = [n for n in self.needs if not (os.path.exists(n) or shutil.which(n))]
        return "%s: there is no %s" % (self.name, ", ".join(absent)) if absent else None

    def need(self, case):
        if self.missing():
            case.skipTest(self.missing())

    def run(self, args, stdin=None):
        done = subprocess.run(self.command + list(args), input=stdin if stdin is not None else "", capture_output=True, text=True,
                              timeout=LIMIT, env=self.env)
        if done.returncode != 0:
            raise AssertionError("%s %s ended with %d:\n%s" % (self.name, " ".join(args)[:300], done.returncode, done.stderr[-3000:]))
        return [json.loads(line) for line in done.stdout.split("\n") if line]

    def can_write(self, record):
        return "null headers" not in self.cannot or all(v is not None for _, v in record["headers"])

    def write(self, address, name, codecs, records, hub):
        self.run(["write", address, name] + codecs, stdin=lines(records))

    def read(self, address, count, topics, hub):
        return self.run(["read", address, str(count)] + topics)

    def member(self, case, address, group, topic, *more):
        return Member(case, self.command + ["group", address, group, topic] + list(more), self.env)


class Kcat(Client):
    """kcat has no way to say times and headers a record; null and empty are told apart a run."""

    def can_write(self, record):
        return all(v is not None for _, v in record["headers"])

    def write(self, address, name, codecs, records, hub):
        for codec in codecs:
            for r in records:
                command = ["kcat", "-b", address, "-P", "-t", name + "-" + codec, "-p", str(r["partition"]), "-K", "\t", "-z", codec]
                for n, v in r["headers"]:
                    command += ["-H", n + "=" + v]
                if r["key"] is None or r["value"] is None:
                    command.append("-Z")
                line = "%s\t%s\n" % (r["key"] or "", r["value"] or "")
                subprocess.run(command, input=line, text=True, check=True, timeout=LIMIT)

    def read(self, address, count, topics, hub):
        found = []
        for topic in topics:
            done = subprocess.run(["kcat", "-m", "300", "-b", address, "-C", "-q", "-e", "-J", "-t", topic], capture_output=True, text=True, check=True,
                                  timeout=LIMIT)
            for line in done.stdout.split("\n"):
                if line:
                    r = json.loads(line)
                    headers = r.get("headers") or []
                    found.append({"topic": r["topic"], "partition": r["partition"], "offset": r["offset"], "key": r["key"],
                                  "value": r["payload"], "headers": [list(h) for h in zip(headers[::2], headers[1::2])], "timestamp": r["ts"]})
        return found


class Leat(Client):
    """The hub's own commands: the other front of the same store."""

    def write(self, address, name, codecs, records, hub):
        for codec in codecs:
            shaped = [dict(r, headers=[{"key": n, "value": v} for n, v in r["headers"]]) for r in records]
            hub.leat("produce", name + "-" + codec, "--format", "json", "--compression", codec, stdin=lines(shaped))

    def read(self, address, count, topics, hub):
        def shown(topic, r):
            return {"topic": topic, "partition": r["partition"], "offset": r["offset"], "key": r["key"], "value": r["value"],
                    "headers": [[h["key"], h["value"]] for h in r.get("headers", [])], "timestamp": r["timestamp"]}
        return [shown(topic, r) for topic in topics for r in hub.records(topic)]


EVERYTHING = ("write", "read", "group", "consumer", "txn", "admin")  # consumer: the group protocol of KIP-848


def python(name, program, packages, **more):
    path = os.path.join(CACHE, packages)
    return Client(name, ["python3", os.path.join(HERE, program)], ["python3", path], env={"PYTHONPATH": path + ":" + HERE}, **more)


def java():
    command = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
               "-Dlog4j2.configurationFile=" + os.path.join(HERE, "..", "log4j2.xml"),
               "-cp", os.path.join(JARS, "*"), os.path.join(HERE, "Driver.java")]
    return Client("java", command, ["javac", os.path.join(JARS, ".done")], can=EVERYTHING)


def compiled(name, *path, **more):
    program = os.path.join(*path)
    return Client(name, [program], [program], **more)


ALL = [
    Kcat("kcat", ["kcat"], ["kcat"], can=("write", "read")),
    compiled("librdkafka", BUILD, "tests/conformance/rdkafka", can=("write", "read", "group", "txn")),
    python("confluent-kafka", "confluent.py", "python", can=EVERYTHING),
    python("kafka-python", "kafka_python.py", "python", cannot=("null headers",)),
    python("kafka-python-2.0", "kafka_python.py", "python-old", can=("write", "read", "group", "admin"), cannot=("null headers", "low")),
    python("aiokafka", "aio.py", "python"),
    java(),
    compiled("franz-go", CACHE, "go", "franz", can=EVERYTHING),
    compiled("sarama", CACHE, "go", "sarama"),
    Client("kafkajs", ["node", os.path.join(CACHE, "node", "kafkajs.js")], ["node", os.path.join(CACHE, "node")],
           cannot=("null headers",)),
    Leat("leat", ["leat"], [], can=("write", "read")),
]


def named(name):
    return next((c for c in ALL if c.name == name and not c.missing()), None)


def present(case):
    """Those that are here; the others are told."""
    for c in ALL:
        if c.missing():
            print("SKIPPED: " + c.missing())
    return [c for c in ALL if not c.missing()]
