"""One of the two that are asked: its connection, what it offers, and what it said so far.

Frames come from our own schemas: tests/conformance/frames.c does the encoding and decoding, for both sides.
"""
import json
import os
import socket
import struct
import subprocess

from leat import BUILD, wait_for

FRAMES = os.path.join(BUILD, "tests/conformance/frames")
SESSION_MS = 300000  # no member is gone because the machine is slow
PATIENCE_S = float(os.environ.get("ANSWERS_PATIENCE_S", "60"))  # only a hang takes so long
CLOSED, SILENT = "closed the connection", "no answer"
NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"


class Codec:
    """The program that knows the messages."""

    def __init__(self):
        self.process = subprocess.Popen([FRAMES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
        self.apis = self.call(do="apis")
        self.names = {key: name for name, (key, _, _) in self.apis.items()}

    def call(self, **question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise ValueError("%s: %s" % (json.dumps(question)[:300], answer["error"]))
        return answer

    def request(self, api, version, body, correlation=1, client="answers"):
        key = self.apis[api][0]
        return bytes.fromhex(self.call(do="request", key=key, version=version, body=body, correlation=correlation,
                                       client=client)["bytes"])

    def response(self, api, version, data):
        answer = self.call(do="response", key=self.apis[api][0], version=version, bytes=data.hex())
        if answer["left"]:
            raise ValueError("%s %d: %d bytes are left over" % (api, version, answer["left"]))
        return answer

    def batch(self, *values, **more):
        return self.call(do="batch", values=list(values), **more)["bytes"]

    def seal(self, batch):
        return self.call(do="seal", bytes=batch)["bytes"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def framed(data):
    return struct.pack(">i", len(data)) + data


class Side:
    def __init__(self, name, codec, port):
        self.name, self.codec, self.port = name, codec, port
        self.socket = None
        self.said = []    # of the case: (what was asked, what came)
        self.known = {}   # ids that stand for something: value -> name
        self.unique = ""  # part of names that this case makes
        self.topics = {}  # name -> id
        answer = self.ask("ApiVersions", 0, {})
        self.offers = {self.codec.names[a["apiKey"]]: (a["minVersion"], a["maxVersion"])
                       for a in answer["apiKeys"] if a["apiKey"] in self.codec.names}

    # ---- bytes ----

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def drop(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def send(self, data, to=None):
        if to is None and self.socket is None:
            self.socket = self.connect()
        try:
            (to or self.socket).sendall(data)
        except OSError:
            pass  # what was read tells

    def receive(self, source=None):
        """The next frame's bytes; None: the connection was closed."""
        try:
            size = self.exactly(source or self.socket, 4)
            return size and self.exactly(source or self.socket, struct.unpack(">i", size)[0])
        except ConnectionError:
            return None

    @staticmethod
    def exactly(source, n):
        data = b""
        while len(data) < n:
            piece = source.recv(n - len(data))
            if not piece:
                return None
            data += piece
        return data

    # ---- questions ----

    def decoded(self, api, version, data):
        return self.codec.response(api, version, data)["body"]

    def ask(self, api, version, body, note="", mend=lambda data: data, silent=False):
        """The answer, which is remembered for the comparison. `mend` may spoil the bytes; `silent`: perhaps there is no answer,
        so something is asked behind it whose answer shows it."""
        self.send(framed(mend(self.codec.request(api, version, body))))
        if silent:
            self.send(framed(self.codec.request("ApiVersions", 0, {}, correlation=2)))
        data = self.receive()
        if data is None:
            self.drop()
            answer = CLOSED
        elif silent and data[:4] == b"\0\0\0\2":
            answer = SILENT
        else:
            answer = self.decoded(api, version, data)
            if silent:
                self.receive()
        self.said.append(("%s %d%s" % (api, version, note and ", " + note), answer))
        return answer

    def quietly(self, api, version, body):
        """Asks, and forgets that it did: what comes before the case."""
        answer = self.ask(api, version, body)
        self.said.pop()
        return answer

    def hold(self, api, version, body):
        """Asks on a connection of its own what will not be answered yet; `held` waits for it."""
        connection = self.connect()
        self.send(framed(self.codec.request(api, version, body)), connection)
        return api, version, connection

    def held(self, question, note=""):
        api, version, connection = question
        with connection:
            data = self.receive(connection)
        answer = CLOSED if data is None else self.decoded(api, version, data)
        self.said.append(("%s %d, held%s" % (api, version, note and ", " + note), answer))
        return answer

    def raw(self, data, note):
        """Bytes of no api's; only what becomes of the connection is compared."""
        self.send(data)
        answer = self.receive()
        self.said.append((note, CLOSED if answer is None else answer[4:].hex()))
        self.drop()

    # ---- what cases need ----

    def topic(self, name, partitions=1, **configs):
        """A topic that is there; its name."""
        answer = self.quietly("CreateTopics", 7, {"topics": [{
            "name": name, "numPartitions": partitions, "replicationFactor": 1,
            "configs": [{"name": n.replace("_", "."), "value": str(v)} for n, v in configs.items()]}], "timeoutMs": 30000})
        code = answer["topics"][0]["errorCode"]
        if code not in (0, 36):
            raise AssertionError("%s: topic %s: %s" % (self.name, name, answer))
        if code == 0:
            self.topics[name] = answer["topics"][0]["topicId"]
            wait_for("topic %s of %s" % (name, self.name), lambda: self.serves(name, partitions))
        return name

    def serves(self, name, partitions):
        """Kafka answers before its partitions have a leader."""
        answer = self.quietly("ListOffsets", 4, {"topics": [{"name": name, "partitions": [
            {"partitionIndex": p, "timestamp": -1} for p in range(partitions)]}]})
        by_id = self.quietly("Fetch", 13, {"sessionEpoch": -1, "topics": [{"topicId": self.topics[name], "partitions": [
            {"partition": p} for p in range(partitions)]}]})
        return all(p["errorCode"] == 0 for p in answer["topics"][0]["partitions"] + by_id["responses"][0]["partitions"])

    def id(self, name):
        return self.topics.get(name, "QUJDREVGR0hJSktMTU5PUA")

    def call_it(self, value, name):
        self.known[str(value)] = name
        return value

    def join(self, group, version=5, protocols=("range",), type_="consumer", instance=None, member="", session=SESSION_MS):
        """A member of the group with a generation, as the last who joins: its id and generation."""
        body = {"groupId": group, "sessionTimeoutMs": session, "rebalanceTimeoutMs": 60000, "memberId": member,
                "groupInstanceId": instance, "protocolType": type_,
                "protocols": [{"name": p, "metadata": ""} for p in protocols]}
        answer = self.quietly("JoinGroup", version, body)
        if answer["errorCode"] == 79:
            body["memberId"] = answer["memberId"]
            answer = self.quietly("JoinGroup", version, body)
        if answer["errorCode"] != 0:
            raise AssertionError("%s: join of %s: %s" % (self.name, group, answer))
        return self.call_it(answer["memberId"], "the member"), answer["generationId"]

    def stable(self, group, **more):
        """The same, with an assignment."""
        member, generation = self.join(group, **more)
        self.quietly("SyncGroup", 3, {"groupId": group, "generationId": generation, "memberId": member,
                                      "groupInstanceId": more.get("instance"),
                                      "assignments": [{"memberId": member, "assignment": "00"}]})
        return member, generation

    def producer(self, transactional=None, timeout=60000):
        body, answer = {"transactionalId": transactional, "transactionTimeoutMs": timeout}, {"errorCode": 51}
        while answer["errorCode"] == 51:  # the transaction before is being ended
            answer = self.quietly("InitProducerId", 4, body)
        if answer["errorCode"] != 0:
            raise AssertionError("%s: producer %s: %s" % (self.name, transactional, answer))
        return self.call_it(answer["producerId"], "the producer"), answer["producerEpoch"]
