"""Transactions of librdkafka: what is committed is read, what is aborted is not; a hub that is killed; a producer that is fenced."""
from rdkafka import Producer

from .clients import KafkaCase


class Transactions(KafkaCase):
    def values(self, isolation):
        return [line.split()[-1] for line in self.read("t", "-p", "0", "-X", "isolation.level=" + isolation)]

    def test_commits_and_aborts(self):
        hub = self.serve()
        hub.leat("topics", "create", "t")
        producer = Producer(self.address, "id")
        for n in range(6):
            producer.begin()
            for i in range(10):
                producer.produce("t", 0, "%d-%d" % (n, i))
            producer.flush()
            (producer.abort if n % 2 else producer.commit)()
        self.assertEqual(["%d-%d" % (n, i) for n in (0, 2, 4) for i in range(10)], self.values("read_committed"))
        self.assertEqual(60, len(self.values("read_uncommitted")))
        producer.close()

    def test_a_transaction_that_a_kill_left_open(self):
        hub = self.serve()
        hub.leat("topics", "create", "t")
        first = Producer(self.address, "id")
        first.begin()
        first.produce("t", 0, "committed")
        first.commit()
        first.begin()
        first.produce("t", 0, "open")
        first.flush()
        hub.kill()
        hub.start()
        self.find(hub)
        self.assertEqual(["committed"], self.values("read_committed"))
        second = Producer(self.address, "id")  # aborts what the first left
        second.begin()
        second.produce("t", 0, "after")
        second.commit()
        self.assertEqual(["committed", "after"], self.values("read_committed"))
        second.close()
        first.close()

    def test_a_producer_that_is_fenced(self):
        hub = self.serve()
        hub.leat("topics", "create", "t")
        first = Producer(self.address, "id")
        first.begin()
        first.produce("t", 0, "lost")
        first.flush()
        second = Producer(self.address, "id")
        with self.assertRaisesRegex(AssertionError, "fenced"):
            first.commit()
        second.begin()
        second.produce("t", 0, "kept")
        second.commit()
        self.assertEqual(["kept"], self.values("read_committed"))
        first.close()
        second.close()
