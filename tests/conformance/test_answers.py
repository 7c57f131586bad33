"""The same requests to Apache Kafka and to us, mostly bad ones, and the answers compared field by field.

What varies by nature: answers/compare.py. What differs on purpose: answers/different.py. By hand, for some of the cases:

    LEAT_KAFKA_JARS=... PYTHONPATH=tests/lib:tests/conformance ANSWERS='Produce*' python3 tests/conformance/test_answers.py
"""
import fnmatch
import os
import re
import time
import unittest

from kafka import Broker
from leat import Case, wait_for

from answers import cases, cases_admin, cases_frames, cases_groups, cases_records, cases_txns  # noqa: F401  (they fill CASES)
from answers.compare import common, differences
from answers.different import DIFFERENT, OWED
from answers.side import Codec, Side


HUB = """
hub:
  listeners: PLAINTEXT://127.0.0.1:0
  auto.create.topics.enable: false
  group.initial.rebalance.delay.ms: 0
"""


STOPPED = "the case cannot go on"


class Answers(Case):
    def setUp(self):
        super().setUp()
        self.codec = Codec()
        self.kafka = Broker(self.path("kafka"), keep=False)
        self.sides = []

    def tearDown(self):
        for s in self.sides:
            s.drop()
        if self.kafka.process:
            self.kafka.kill()
        self.codec.close()
        super().tearDown()

    def begin(self):
        self.kafka.start()
        hub = self.hub(HUB)
        port = int(re.findall(r"clients connect to 127.0.0.1:(\d+)", hub.log_text())[-1])
        self.sides = [Side("Kafka", self.codec, self.kafka.port), Side("Leat", self.codec, port)]
        for s in self.sides:
            # Its coordinators come when they are first asked for.
            for type_ in (0, 1):
                wait_for("coordinators of " + s.name, lambda s=s, t=type_: s.quietly(
                    "FindCoordinator", 4, {"keyType": t, "coordinatorKeys": ["x"]})["coordinators"][0]["errorCode"] == 0)
            wait_for("groups of " + s.name, lambda s=s: s.quietly("DescribeGroups", 5, {"groups": ["x"]})["groups"][0]["errorCode"] == 0)
            wait_for("transactions of " + s.name, lambda s=s: s.quietly(
                "InitProducerId", 4, {"transactionalId": "x", "transactionTimeoutMs": 1000})["errorCode"] == 0)
            s.topic("t", 2, retention_ms=-1)  # records have old times, and Kafka looks for such 30 s after its start
            s.quietly("OffsetCommit", 2, {"groupId": "x", "generationIdOrMemberEpoch": -1, "memberId": "", "topics": [
                {"name": "t", "partitions": [{"partitionIndex": 0, "committedOffset": 0}]}]})  # makes the topic of offsets
            s.topic("a.b")
            s.topic("compacted", cleanup_policy="compact")
            s.topic("small", max_message_bytes=1000)

    def one(self, case, version, number):
        """Lines about what differs."""
        name, start = "%s v%d" % (case.name, version), time.monotonic()
        for s in self.sides:
            s.said, s.known, s.unique = [], {}, "-%d" % number
            try:
                case.run(s, version)
            except (KeyError, TypeError, ValueError, AssertionError, OSError) as e:
                s.said.append((STOPPED, "%s: %s" % (type(e).__name__, e)))
                s.drop()
        if "ANSWERS" in os.environ:
            print("  %s, %d questions, %.2f s" % (name, len(self.sides[1].said), time.monotonic() - start), flush=True)
        self.asked += len(self.sides[1].said)
        found = []
        theirs, ours = ([(q, common(a, s.known)) for q, a in s.said] for s in self.sides)
        found += ["%s | %s | %s" % (name, q, a) for q, a in theirs + ours if q == STOPPED]  # also where both do
        for (question, a), (_, b) in zip(theirs, ours):
            lines = differences(a, b)
            if lines and not self.excused(name, question):
                found += ["%s | %s | %s" % (name, question, line) for line in lines]
        return found

    def excused(self, name, question):
        for i, (pattern, of, _) in enumerate(DIFFERENT):
            if fnmatch.fnmatchcase(name, pattern) and fnmatch.fnmatchcase(question, of):
                self.used.add(i)
                return True
        owed = "%s | %s" % (name.rpartition(" v")[0], question)
        self.owed.add(owed)
        return owed in OWED

    def test_answers(self):
        self.begin()
        sides = self.sides
        for api, (low, high) in sides[1].offers.items():
            self.assertEqual(sides[0].offers[api][0], low, api)
            self.assertLessEqual(high, sides[0].offers[api][1], api)
        wanted, found, number, self.asked, self.used, self.owed = os.environ.get("ANSWERS", "*"), [], 0, 0, set(), set()
        for case in list(cases.CASES) + list(cases_frames.every_api(sides[1])):
            if case.api not in sides[1].offers or not fnmatch.fnmatchcase(case.name, wanted):
                continue
            low, high = (f(x) for f, x in zip((max, min), zip(*(s.offers[case.api] for s in sides))))
            low = max(low, self.codec.apis[case.api][1])  # Produce is offered from 0 on and taken from 3 on
            for version in case.each(low, high):
                number += 1
                found += self.one(case, version, number)
        print("  answers  %d cases, %d questions to each side" % (number, self.asked))
        if found:
            self.fail("\n" + "\n".join(found))
        if wanted == "*":
            self.assertGreater(number, 200)
            print("  answers  %d questions are owed; no more to be owed: %s" % (len(OWED), sorted(OWED - self.owed) or "none"))
            self.assertFalse([DIFFERENT[i] for i in range(len(DIFFERENT)) if i not in self.used], "these do not differ any more")


if __name__ == "__main__":
    unittest.main()
