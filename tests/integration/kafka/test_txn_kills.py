"""Transactions of version 2 by raw requests, while the hub is killed: what was told stays, and nothing that comes late meets the next one."""
from leat import wait_for
from txn_scenarios import Scene

from .clients import KafkaCase


class Kills(KafkaCase):
    def kill(self, hub, s):
        hub.kill()
        hub.start()
        self.find(hub)
        s.wire.close()
        s.connect(self.address)

    def last(self, s):
        return list(s.notes[-1][1:])

    def test_kills_in_between(self):
        hub = self.serve()
        s = Scene(self.address, "x")
        self.addCleanup(lambda: s.wire.close())
        s.init("init", timeout=900000)  # it does not pass while the hub starts
        pid = s.pid
        for n in range(3):
            epoch = s.epoch
            s.produce("data", "a%d" % n, "b%d" % n)
            self.assertEqual(0, self.last(s)[0])
            s.commit_offset("offset", offset=n + 1)
            self.kill(hub, s)
            s.describe("after a kill")
            self.assertEqual("Ongoing", self.last(s)[1])
            s.produce("sent again", "a%d" % n, "b%d" % n)  # known again
            self.assertEqual(0, self.last(s)[0])
            s.produce("goes on", "c%d" % n, sequence=2)
            s.end("commit", True)
            self.assertEqual([0, "pid0", epoch + 1], self.last(s))
            self.kill(hub, s)
            s.end("asked again", True, epoch=epoch)
            self.assertEqual([0, "pid0", epoch + 1], self.last(s))
            s.produce("late", "late", sequence=3, epoch=epoch)
            self.assertEqual(47, self.last(s)[0])
            s.end("late", False, epoch=epoch)
            self.assertEqual(48, self.last(s)[0])
            s.committed_offset("offset")
            self.assertEqual([0, n + 1], self.last(s))
        self.assertEqual(pid, s.pid)
        s.produce("left open", "lost")
        self.kill(hub, s)
        s.init("a successor", timeout=900000)
        self.assertEqual([0, "pid0", 5], self.last(s))
        self.assertEqual(["%s%d" % (c, n) for n in range(3) for c in "abc"],
                         [line.split()[-1] for line in self.read(s.topic, "-p", "0", "-X", "isolation.level=read_committed")])

    def test_settings(self):
        hub = self.serve(**{"transaction.max.timeout.ms": "1s", "transactional.id.expiration.ms": "3s",
                            "transaction.remove.expired.transaction.cleanup.interval.ms": "1ms"})
        s = Scene(self.address, "y")
        self.addCleanup(lambda: s.wire.close())
        s.init("too long", timeout=1001)
        self.assertEqual(50, self.last(s)[0])
        s.init("init", timeout=50)
        s.produce("data", "a")
        s.settled()  # its time passes
        s.until(lambda: s.wire.ask("DescribeTransactions", 0, TransactionalIds=["y"])["TransactionStates"][0]["ErrorCode"] == 105)
        wait_for("the log to tell of it", lambda: "forgotten" in hub.log_text())
        s.produce("late", "b", sequence=1)
        self.assertEqual(49, self.last(s)[0])
