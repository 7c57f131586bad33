"""Who is measured by the benchmarks of Kafka's protocol: Leat, Apache Kafka of the peers kit, and the floor program; and how they are.

Kafka runs twice where PEER=1 asks for it: with its defaults, which do not sync, and with log.flush.interval.messages=1, which does. Its JIT needs some ten
seconds of load before its figures mean anything, so it gets WARM_SECONDS of it first.
"""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from leat import Hub, ROOT, leat

PEERS = os.path.join(os.environ.get("PEERS_KIT", os.path.join(ROOT, "..", "shared", "peers")), "kafka")
MIB = 1 << 20
SECONDS = int(os.environ.get("BENCH_SECONDS", "4"))  # of each load
WARM_SECONDS = 10
TICKS = os.sysconf("SC_CLK_TCK")


def processor_seconds(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(pid, what):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return int(re.search(what + r":\s+(\d+)", f.read()).group(1)) / 1024


def load_command(program, port, kind, options):
    return [program, str(port), kind, *("%s=%s" % o for o in options.items())]


def figures(text, cpu_seconds):
    """What bench_kafka prints; with rates, and the processor's seconds that the server took for each GiB of records."""
    got = json.loads(text)
    got["cpu"] = cpu_seconds / max(got["all_bytes"] / (1 << 30), 1e-9)
    got["mib"] = got["bytes"] / MIB / got["seconds"]
    got["rate"] = got["requests"] / got["seconds"]
    return got


class Load:
    """bench_kafka, begun; figures() waits for its end."""

    def __init__(self, program, server, kind, **options):
        self.server = server
        self.before = processor_seconds(server.pid)
        self.process = subprocess.Popen(load_command(program, server.port, kind, options), stdout=subprocess.PIPE, text=True)

    def figures(self):
        out = self.process.communicate()[0]
        if self.process.returncode:
            raise AssertionError("%s failed" % " ".join(self.process.args))
        got = figures(out, processor_seconds(self.server.pid) - self.before)
        print("  %s: %s: %.0f/s, %.0f MiB/s" % (self.server.name, " ".join(self.process.args[2:]), got["rate"], got["mib"]), file=sys.stderr)
        return got


def measure(program, server, kind, **options):
    return Load(program, server, kind, **options).figures()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    except OSError:
        return False


class Leat:
    name = "Leat"
    warm = False
    partitions_max = 10000

    def __init__(self, directory):
        self.port = free_port()
        self.address = "127.0.0.1:%d" % self.port
        self.hub = Hub(directory, "hub: {listeners: 'PLAINTEXT://%s'}\n" % self.address, ["--log-level", "info"])
        self.start()

    def start(self):
        """Seconds until clients can connect."""
        start = time.monotonic()
        self.hub.start(wait=False)
        while not listens(self.port):
            if self.hub.process.poll() is not None:
                raise AssertionError("the hub ended:\n" + self.hub.log_text()[-2000:])
            time.sleep(0.0005)
        self.pid = self.hub.process.pid
        self.started_in = time.monotonic() - start
        return self.started_in

    def topic(self, name, partitions):
        topic("create", self.address, name, "--partitions", str(partitions))

    def wait_until_led(self, name, partitions):
        """Once it listens all of them are."""

    def wait_until_it_coordinates(self, name):
        """It does."""

    def forget(self, name):
        topic("delete", self.address, name)

    def kill(self):
        self.hub.kill()

    def stop(self):
        if self.hub.process:
            self.hub.stop()

    def logs(self):
        return os.path.join(self.hub.data, "logs")

    def remove(self):
        shutil.rmtree(self.hub.directory)


def kit(*args):
    """What the kit's script prints."""
    done = subprocess.run([PEERS, *args], capture_output=True, text=True)
    if done.returncode:
        raise AssertionError("%s: %s" % (" ".join(args), done.stderr[-2000:]))
    return done.stdout


class Kafka:
    warm = True
    partitions_max = 1000  # its controller takes no 10,000 at once

    def __init__(self, directory, name="Kafka, no sync", settings=()):
        self.name = name
        self.settings = list(settings)
        self.directory = directory
        self.start()

    def start(self):
        start = time.monotonic()
        out = kit("start", self.directory, *self.settings)
        self.started_in = time.monotonic() - start
        self.address = re.search(r"bootstrap=(\S+)", out).group(1)
        self.port = int(self.address.rsplit(":", 1)[1])
        self.pid = int(kit("pid", self.directory))
        return self.started_in

    def topic(self, name, partitions):
        """Made, and led: Kafka answers before that, and then refuses records for a moment."""
        topic("create", self.address, name, "--partitions", str(partitions))
        self.wait_until_led(name, partitions)

    def wait_until_led(self, name, partitions):
        """Also after a start, which is over before all partitions have their leader."""
        while len(kit("get-offsets", "--topic", name, "--bootstrap-server", self.address).splitlines()) < partitions:
            pass

    def wait_until_it_coordinates(self, name):
        """Groups: their topic is made for the first of them, and its 50 partitions are loaded."""
        kit("console-consumer", "--topic", name, "--group", "first", "--timeout-ms", "2000", "--bootstrap-server", self.address)
        self.wait_until_led("__consumer_offsets", 50)

    forget = Leat.forget

    def kill(self):
        os.kill(self.pid, 9)
        while os.path.exists("/proc/%d" % self.pid) and " Z " not in open("/proc/%d/stat" % self.pid, encoding="ascii").read():
            time.sleep(0.01)

    def stop(self):
        subprocess.run([PEERS, "stop", self.directory], check=False, capture_output=True)  # 1 where it stopped in time

    def logs(self):
        return os.path.join(self.directory, "data")

    def remove(self):
        shutil.rmtree(self.directory)


class KafkaSynced(Kafka):
    def __init__(self, directory):
        super().__init__(directory, "Kafka, flush=1", ["log.flush.interval.messages=1"])


def topic(verb, address, name, *args):
    leat("topics", verb, name, *args, "-b", address)


def sides(asked=False):
    """Those that are measured, Leat first; `asked`: Kafka also without PEER=1."""
    if not asked and not os.environ.get("PEER"):
        return [Leat]
    if not os.path.exists(PEERS):
        print("there is no peers kit at %s: Apache Kafka is not measured" % PEERS, file=sys.stderr)
        return [Leat]
    return [Leat, Kafka, KafkaSynced]


def warm_up(program, server):
    server.topic("warm", 1)
    for kind in ("produce", "fetch"):
        measure(program, server, kind, topic="warm", connections=4 if kind == "fetch" else 1, in_flight=1 if kind == "fetch" else 8, seconds=WARM_SECONDS // 2)
    server.forget("warm")


class Floor:
    """bench_kafka_floor: with no MiB it only receives and answers."""

    def __init__(self, program, directory, mib):
        self.name = "floor, synced" if mib else "sockets alone"
        self.path = os.path.join(directory, "floor")
        self.process = subprocess.Popen([program, self.path, str(mib)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.pid = self.process.pid
        self.port = int(self.process.stdout.readline())

    def stop(self):
        self.process.kill()
        self.process.communicate()
        os.unlink(self.path)


def on_each_side(directory, program, measure_one, asked=False):
    """{side's name: what measure_one(server) returns}, one after another, each in a directory of its own."""
    got = {}
    for side in sides(asked):
        private = tempfile.mkdtemp(dir=directory)
        server = side(private)
        try:
            if server.warm:
                warm_up(program, server)
            got[server.name] = measure_one(server)
        finally:
            server.stop()
            server.remove()
    return got
