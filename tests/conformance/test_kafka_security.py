"""TLS and SASL, which librdkafka does: every command and a pipeline over listeners of Apache Kafka that want them, and what is said where they do not fit."""
import ctypes
import ctypes.util
import glob
import json
import os
import subprocess

import clients
import kafka
from certificates import Authority
from leat import LEAT, LIMIT, Case, Hub, complete_files, wait_for

LISTENERS = ("SSL", "MTLS", "SASL_PLAINTEXT", "SASL_SSL")
PLAIN = ("listener.name.%s.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required "
         'username="leat" password="secret" user_leat="secret";')
SCRAM = "listener.name.%s.scram-sha-%d.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;"

CONFIG = """
hub:
  client: kafka
  bootstrap.servers: %s
%s
pipelines:
- name: lines
  topic: {name: lines, partitions: 1}
  source: {type: file, paths: %s, retry.backoff.ms: 100ms}
  sinks:
  - {name: files, type: file, directory: %s, format: raw, flush.size: 10}
"""


def read(name):
    with open(name, encoding="ascii") as f:
        return f.read()


def installed():
    """The version of the librdkafka that `leat` loads by itself."""
    return ctypes.CDLL(ctypes.util.find_library("rdkafka")).rd_kafka_version()


class Security(Case):
    def setUp(self):
        super().setUp()
        authority = Authority(self.path("certificates"))
        certificate, key = authority.sign("broker", "broker", ["localhost"])
        store = self.write("certificates/broker.pem", "".join(map(read, (key, certificate, authority.certificate))))
        self.authority, self.user = authority.certificate, authority.sign("user", "leat")
        self.stranger = Authority(self.path("certificates"), "stranger").certificate
        self.broker = kafka.Broker(self.path("kafka"), listeners=LISTENERS, scram={"leat": "secret"}, more=[
            "ssl.keystore.type=PEM", "ssl.keystore.location=" + store,
            "ssl.truststore.type=PEM", "ssl.truststore.location=" + self.authority,
            "listener.name.mtls.ssl.client.auth=required", "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "listener.name.sasl_plaintext.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256"] + [
                line for name in ("sasl_plaintext", "sasl_ssl") for line in (PLAIN % name, SCRAM % (name, 256), SCRAM % (name, 512))]).start()

        self.env = {}

    def tearDown(self):
        if self.broker.process:
            self.broker.kill()
        super().tearDown()

    def tls(self, **more):
        return dict({"security.protocol": "SSL", "ssl.ca.location": self.authority}, **more)

    def sasl(self, protocol, mechanism, password="secret", **more):
        return dict({"security.protocol": protocol, "ssl.ca.location": self.authority, "sasl.mechanism": mechanism, "sasl.username": "leat",
                     "sasl.password": password}, **more)

    def newer(self):
        """A directory with a librdkafka that does SCRAM as Kafka wants it, before the system's; confluent-kafka brings it."""
        found = glob.glob(os.path.join(clients.CACHE, "python", "confluent_kafka.libs", "librdkafka-*.so.1"))
        if not found:
            self.skipTest("there is no confluent-kafka in %s, whose librdkafka does SCRAM" % clients.CACHE)
        os.makedirs(self.path("newer"), exist_ok=True)
        os.symlink(found[0], self.path("newer/librdkafka.so.1"))
        return {"LD_LIBRARY_PATH": self.path("newer")}

    def leat(self, listener, properties, *args, stdin=None):
        config = self.write("client.properties", "".join("%s=%s\n" % p for p in properties.items()))
        return subprocess.run([LEAT] + list(args) + ["-b", self.broker.address(listener), "--command-config", config], input=stdin,
                              capture_output=True, text=True, timeout=LIMIT, env=dict(os.environ, **self.env))

    def good(self, *args, stdin=None):
        done = self.leat(*args, stdin=stdin)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        return done.stdout

    def refused(self, text, *args):
        done = self.leat(*args, "topics", "list")
        self.assertEqual((1, ""), (done.returncode, done.stdout), done.stderr)
        self.assertRegex(done.stderr, text)

    def everything(self, listener, properties):
        topic = "t-" + listener
        self.good(listener, properties, "topics", "create", topic, "--partitions", "2")
        self.good(listener, properties, "produce", topic, "-p", "1", stdin="1\n2\n3\n")
        self.assertEqual("1\n2\n3\n", self.good(listener, properties, "consume", topic, "-e"))
        self.good(listener, properties, "groups", "reset", "g", "--topic", topic, "--to", "beginning")
        group = json.loads(self.good(listener, properties, "groups", "describe", "g", "-o", "json"))
        self.assertEqual(3, sum(o["lag"] for o in group["offsets"]))
        self.good(listener, properties, "groups", "delete", "g")
        self.good(listener, properties, "topics", "delete", topic)

    def test_commands(self):
        certificate, key = self.user
        self.everything("SSL", self.tls())
        self.everything("MTLS", self.tls(**{"ssl.certificate.location": certificate, "ssl.key.location": key}))
        self.everything("SASL_PLAINTEXT", self.sasl("SASL_PLAINTEXT", "PLAIN"))
        self.everything("SASL_SSL", self.sasl("SASL_SSL", "PLAIN"))

    def test_scram(self):
        if installed() < 0x02060100:
            self.refused("Authentication failed.*librdkafka 2.* cannot do SCRAM with newer brokers, 2.6.1 can", "SASL_SSL",
                         self.sasl("SASL_SSL", "SCRAM-SHA-512"))
        self.env = self.newer()
        self.everything("SASL_PLAINTEXT", self.sasl("SASL_PLAINTEXT", "SCRAM-SHA-256"))
        self.everything("SASL_SSL", self.sasl("SASL_SSL", "SCRAM-SHA-512"))
        self.refused("Authentication failed.*$", "SASL_SSL", self.sasl("SASL_SSL", "SCRAM-SHA-512", "wrong"))

    def test_what_does_not_fit_is_told(self):
        for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
            self.refused("(?i)authentication failed", "SASL_SSL", self.sasl("SASL_SSL", mechanism, "wrong"))
        self.refused("(?i)mechanism", "SASL_PLAINTEXT", self.sasl("SASL_PLAINTEXT", "SCRAM-SHA-512"))
        self.refused("certificate verify failed", "SSL", self.tls(**{"ssl.ca.location": self.stranger}))
        self.refused("certificate verify failed", "SASL_SSL", self.sasl("SASL_SSL", "PLAIN", **{"ssl.ca.location": self.stranger}))
        self.refused("(?i)certificate", "MTLS", self.tls())
        self.refused("security.protocol", "SSL", {"security.protocol": "PLAINTEXT"})
        self.refused("(?i)ssl", "SASL_PLAINTEXT", self.tls())

    def test_a_pipeline(self):
        lines, out = self.write("in/lines.txt", "".join("%d\n" % i for i in range(100))), self.path("out")
        os.makedirs(self.path("hub"))

        def config(password):
            properties = "".join("  kafka.%s: %s\n" % p for p in self.sasl("SASL_SSL", "PLAIN", password).items())
            return CONFIG % (self.broker.address("SASL_SSL"), properties, lines, out)
        hub = Hub(self.path("hub"), config("wrong"))
        self.hubs.append(hub)
        hub.start(wait=False)
        self.assertEqual(1, hub.process.wait(LIMIT))
        hub.process = None
        self.assertRegex(hub.log_text(), "(?i)cannot reach .*authentication failed")
        hub.write_config(config("secret"))
        hub.start()
        wait_for("all lines", lambda: len(self.in_files(out)) >= 100)
        self.assertEqual(list(range(100)), sorted(self.in_files(out)))
        self.assertEqual([str(i) for i in range(100)], self.broker.values(100, "--topic", "lines"))

    def in_files(self, out):
        found = []
        for name in complete_files(out) if os.path.isdir(out) else []:
            with open(name, encoding="utf-8") as f:
                found += map(int, f.read().split())
        return found
