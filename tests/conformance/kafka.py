"""Apache Kafka in private directories: one KRaft node at a time, and its command-line tools.

LEAT_KAFKA_JARS names the directory of the jars (tests/conformance/run sets it).
"""
import base64
import os
import signal
import socket
import subprocess
import unittest
import uuid

from leat import LIMIT, wait_for
from ports import free_port
from wire import Wire

JARS = os.environ["LEAT_KAFKA_JARS"]
if not os.path.exists(os.path.join(JARS, ".done")):
    raise unittest.SkipTest("there are no jars of Kafka's in " + JARS)
HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = {
    "topics": "org.apache.kafka.tools.TopicCommand",
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "storage": "kafka.tools.StorageTool",
    "configs": "kafka.admin.ConfigCommand",
    "groups": "org.apache.kafka.tools.GroupsCommand",
    "transactions": "org.apache.kafka.tools.TransactionsCommand",
    "acls": "org.apache.kafka.tools.AclCommand",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "features": "org.apache.kafka.tools.FeatureCommand",
    "cluster": "org.apache.kafka.tools.ClusterTool",
    "leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
    "verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
}


def java(*args, memory="256m"):
    # Small and short-lived: the first compiler is enough, and one collector thread.
    return ["java", "-Xmx" + memory, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
            "-Dlog4j2.configurationFile=" + os.path.join(HERE, "log4j2.xml"), "-cp", os.path.join(JARS, "*")] + list(args)


def tool(name, *args, stdin=None, check=True):
    """Runs one of Kafka's tools; its standard output."""
    done = subprocess.run(java(TOOLS[name], *args), input=stdin, capture_output=True, text=True, timeout=LIMIT)
    if check and done.returncode != 0:
        raise AssertionError("%s %s ended with %d:\n%s%s" % (name, " ".join(args), done.returncode, done.stdout,
                                                             done.stderr))
    return done.stdout


def dump_log(files, *options):
    """Lines of Kafka's dump of these files."""
    return tool("dump-log", "--files", ",".join(files), *options).splitlines()


KEPT = "log.retention.ms=-1", "log.cleaner.min.compaction.lag.ms=315360000000"


class Broker:
    """Broker and controller in one process, with its data in <directory>/data.

    `listeners`: names of further ones, each of the protocol of its name, or of TLS; at `address(name)`, by a name that a certificate may
    have. `scram`: users and their passwords; `keep`: what was written stays as it is while it is compared, also what is older than a week;
    `more`: lines of properties.
    """

    def __init__(self, directory, listeners=(), scram=None, keep=True, more=()):
        self.directory = directory
        self.data = os.path.join(directory, "data")
        self.process = None
        os.makedirs(directory)
        self.port, controller = free_port(), free_port()
        self.bootstrap = "127.0.0.1:%d" % self.port
        self.ports = {name: free_port() for name in listeners}
        told = ["%s://%s" % (name, self.address(name)) for name in listeners]
        self.properties = os.path.join(directory, "server.properties")
        with open(self.properties, "w", encoding="utf-8") as f:
            f.write("\n".join([
                "process.roles=broker,controller", "node.id=1",
                "controller.quorum.voters=1@127.0.0.1:%d" % controller,
                "listeners=" + ",".join(["PLAINTEXT://" + self.bootstrap, "CONTROLLER://127.0.0.1:%d" % controller] + told),
                "advertised.listeners=" + ",".join(["PLAINTEXT://" + self.bootstrap] + told),
                "controller.listener.names=CONTROLLER",
                "listener.security.protocol.map=" + ",".join(
                    ["PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT"] + ["%s:%s" % (n, n if n.startswith("SASL") else "SSL") for n in listeners]),
                "log.dirs=" + self.data, "offsets.topic.replication.factor=1", "offsets.topic.num.partitions=5",
                "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1",
                "transaction.state.log.num.partitions=5", "share.coordinator.state.topic.replication.factor=1",
                "share.coordinator.state.topic.min.isr=1", "group.initial.rebalance.delay.ms=0",
                "auto.create.topics.enable=false", "num.network.threads=1", "num.io.threads=2",
                # a slow machine is no error
                "controller.performance.always.log.threshold.ms=600000",
                "log.cleaner.dedupe.buffer.size=8000000", *(KEPT if keep else ()), *more, ""]))
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A", 1)
        users = [arg for user, password in (scram or {}).items() for bits in (256, 512)
                 for arg in ("--add-scram", "SCRAM-SHA-%d=[name=%s,password=%s]" % (bits, user, password))]
        tool("storage", "format", "-t", cluster, "-c", self.properties, *users)

    def address(self, listener):
        return "localhost:%d" % self.ports[listener]

    def start(self):
        with open(os.path.join(self.directory, "server.log"), "ab") as log:
            self.process = subprocess.Popen(java("kafka.Kafka", self.properties, memory="512m"), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        wait_for("Kafka to listen", self.listens)
        wait_for("Kafka to be one of its brokers", self.counts)
        return self

    def listens(self):
        if self.process.poll() is not None:
            raise AssertionError("Kafka ended with %s:\n%s" % (self.process.returncode, self.log()[-3000:]))
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def counts(self):
        """It takes requests before its controller lets it have partitions: a topic that is made until then finds no broker."""
        try:
            with Wire(self.bootstrap) as w:
                return w.ask("Metadata", 9, Topics=[])["Brokers"]
        except OSError:
            return False

    def log(self):
        with open(os.path.join(self.directory, "server.log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        self.process.terminate()
        self.process.wait(LIMIT)
        self.process = None

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def tool(self, name, *args, stdin=None):
        return tool(name, "--bootstrap-server", self.bootstrap, *args, stdin=stdin)

    def end_offsets(self):
        """{"topic:partition": end offset} of every topic, internal ones included."""
        lines = self.tool("get-offsets").split()
        return {line.rpartition(":")[0]: int(line.rpartition(":")[2]) for line in lines}

    def values(self, count, *args, isolation="read_committed"):
        """`count` values of the topics that the arguments choose, as the console consumer prints them."""
        out = self.tool("console-consumer", "--from-beginning", "--isolation-level", isolation, "--max-messages", str(count),
                        "--timeout-ms", "%d" % (1000 * LIMIT), *args)
        return out.splitlines()

    def offsets_of(self, group):
        """{(topic, partition): committed offset}"""
        rows = [line.split() for line in self.tool("consumer-groups", "--describe", "--group", group).splitlines()]
        return {(r[1], int(r[2])): int(r[3]) for r in rows if len(r) > 5 and r[0] == group}
