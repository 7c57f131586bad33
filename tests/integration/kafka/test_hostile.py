"""Clients that mean harm, many at a time: others are served meanwhile, and the hub's memory stays within bounds."""
import os
import resource
import socket
import struct
import unittest

from leat import wait_for
from wire import Wire, batch

from .clients import KafkaCase

MEMORY_KIB = 192 << 10  # what any of these may add to the hub
IDLE = 10000


def produce_frame(records):
    """A Produce of version 3 without its length, acks -1."""
    topic = struct.pack(">ih", 1, 1) + b"t" + struct.pack(">iii", 1, 0, len(records)) + records
    return struct.pack(">hhihhhi", 0, 3, 1, -1, -1, -1, 30000) + topic


def framed(data):
    return struct.pack(">i", len(data)) + data


FETCH = struct.pack(">hhihiiiib", 1, 4, 1, -1, -1, 500, 1, 50 << 20, 0) + struct.pack(">ih", 1, 1) + b"t" + struct.pack(
    ">iiqi", 1, 0, 0, 50 << 20)
METADATA = struct.pack(">hhihi", 3, 1, 1, -1, -1)


class Hostile(KafkaCase):
    def setUp(self):
        super().setUp()
        self.sockets = []
        self.hub_ = self.serve(**{"auto.create.topics.enable": False})
        self.hub_.leat("topics", "create", "t", "--partitions", "1")
        self.before = self.memory()

    def tearDown(self):
        for s in self.sockets:
            s.close()
        super().tearDown()

    def memory(self):
        with open("/proc/%d/status" % self.hub_.process.pid, encoding="ascii") as f:
            return int([line for line in f if line.startswith("VmRSS")][0].split()[1])

    def connect(self, data=b""):
        host, _, port = self.address.rpartition(":")
        s = socket.create_connection((host, int(port)))
        self.sockets.append(s)
        if data:
            s.sendall(data)
        return s

    def push(self, s, data, most):
        """As much as the hub takes without being read from; no more than `most` bytes."""
        s.settimeout(0.5)
        sent = 0
        try:
            while sent < most:
                sent += s.send(data)
        except OSError:
            pass  # it is not read any more, or closed
        return sent

    def others_are_served(self):
        with Wire(self.address) as w:
            done = w.ask("Produce", 9, Acks=-1, TimeoutMs=30000, TopicData=[
                {"Name": "t", "PartitionData": [{"Index": 0, "Records": batch("served")}]}])
            self.assertEqual(0, done["Responses"][0]["PartitionResponses"][0]["ErrorCode"])
            self.assertEqual(0, w.ask("Metadata", 9, Topics=[{"Name": "t"}])["Topics"][0]["ErrorCode"])
        self.assertLess(self.memory() - self.before, MEMORY_KIB)

    def test_lengths_that_promise_much(self):
        for n in (0x7fffffff, -1, 0, -0x80000000, 104857601):
            s = self.connect(struct.pack(">i", n) + b"\0" * 100)
            s.settimeout(60)
            self.assertEqual(b"", s.recv(1), n)
        for _ in range(500):  # allowed, and never coming
            self.connect(struct.pack(">i", 100 << 20) + METADATA[:6])
        self.others_are_served()

    def test_requests_that_stop_half_way(self):
        whole = framed(produce_frame(batch("x" * 500000)))
        for i in range(60):
            s = self.connect()
            s.setblocking(False)
            try:
                s.send(whole[:400000 + i])
            except BlockingIOError:
                pass
        self.others_are_served()

    def test_beginnings_that_take_a_small_memory(self):
        """They do not fill it; where others do, whoever does not go on gives it back."""
        self.hub_.stop()
        self.hub_ = self.serve(**{"auto.create.topics.enable": False, "queued.max.request.bytes": "4MiB"})
        self.before = self.memory()
        for _ in range(500):
            self.connect(struct.pack(">i", 100 << 20) + METADATA[:6])
        self.others_are_served()
        self.assertNotIn("memory for requests is short", self.hub_.log_text())
        for _ in range(100):
            self.push(self.connect(), struct.pack(">i", 100 << 20) + b"x" * 100000, 100004)
        self.others_are_served()
        wait_for("the hub to tell", lambda: "memory for requests is short" in self.hub_.log_text())

    def test_a_request_in_single_bytes(self):
        s = self.connect()
        for byte in framed(METADATA):
            s.sendall(bytes([byte]))
        self.assertEqual(4, len(s.recv(4)))
        self.others_are_served()

    def test_floods_that_nobody_reads_the_answers_of(self):
        for _ in range(5):
            s = self.connect()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self.push(s, framed(METADATA) * 1000, 8 << 20)
        self.others_are_served()

    def test_fetchers_that_never_read(self):
        with Wire(self.address) as w:
            for _ in range(40):
                w.ask("Produce", 9, Acks=-1, TimeoutMs=30000, TopicData=[
                    {"Name": "t", "PartitionData": [{"Index": 0, "Records": batch("v" * 500000)}]}])
        self.before = self.memory()
        for _ in range(100):  # each asks for 20 MiB again and again
            self.connect(framed(FETCH) * 50)
        self.others_are_served()

    def test_waiting_fetchers(self):
        waits = struct.pack(">hhihiiiib", 1, 4, 1, -1, -1, 2147483647, 2147483647, 1, 0) + FETCH[-21:]
        for _ in range(300):
            self.connect(framed(waits) * 20)
        self.others_are_served()
        for s in self.sockets:
            s.close()
        self.others_are_served()

    def test_what_is_no_kafka(self):
        for data in (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xab" * 600,
                     b"SSH-2.0-OpenSSH_9.0\r\n"):
            s = self.connect(data)
            s.settimeout(60)
            try:
                self.assertEqual(b"", s.recv(1))
            except ConnectionResetError:
                pass
        self.others_are_served()

    def test_ten_thousand_idle_connections(self):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most[1] < IDLE + 2000:
            self.skipTest("a process may have %d files open here, %d are needed" % (most[1], IDLE + 2000))
        resource.setrlimit(resource.RLIMIT_NOFILE, (most[1], most[1]))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, most)
        for i in range(IDLE):
            self.connect(framed(METADATA)[:i % 12])  # some say nothing, some begin to
        self.others_are_served()
        for s in self.sockets:
            s.close()
        wait_for("the hub to let them go", lambda: len(self.open_files()) < 2000)
        self.others_are_served()

    def open_files(self):
        return os.listdir("/proc/%d/fd" % self.hub_.process.pid)


if __name__ == "__main__":
    unittest.main()
