"""Unchanged large values filled in from the last known ones: a hub that is killed, a server that is killed, and what the hub says."""
import random

from leat import leat, wait_for
from .pg import PgCase

PLACEHOLDER = "__debezium_unavailable_value"
TABLE = "CREATE TABLE t(id int PRIMARY KEY, n int, tag text, big text)"
# Does not compress, and begins with what the row's tag says.
BIG = "(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, %d) i)"


def write(r, row):
    tag = "tag%d" % r.randrange(10 ** 9)
    return "INSERT INTO t VALUES (%d, 0, '%s', '%s:' || %s) ON CONFLICT (id) DO UPDATE SET tag = excluded.tag, big = excluded.big" % (
        row, tag, tag, BIG % r.choice([1, 120, 400]))


def step(r):
    row = r.randint(1, 30)
    return r.choice([
        write(r, row), "UPDATE t SET n = n + 1 WHERE id %% 3 = %d" % (row % 3), "UPDATE t SET n = n + 1",
        "UPDATE t SET id = %d WHERE id = %d AND NOT EXISTS (SELECT FROM t WHERE id = %d)" % (row + 30, row, row + 30),
        "DELETE FROM t WHERE id = %d" % row,
        "BEGIN; UPDATE t SET n = -1; SAVEPOINT s; %s; ROLLBACK TO s; UPDATE t SET n = n + 1; COMMIT" % write(r, row)])


class Filled(PgCase):
    def fill(self, **more):
        return self.options(**dict({"unavailable.value.fill": "last_known"}, **more))

    def rebuilt(self, hub):
        """Each event's value is the one of its row at that change; (rows, values that were left)."""
        rows, left = {}, 0
        for key, v in self.events(hub, "t.public.t"):
            after = v and v["after"]
            if not after:
                rows.pop(key["id"], None)
                continue
            if after["big"] == PLACEHOLDER:
                left += 1
            else:
                self.assertEqual(after["tag"], after["big"].split(":")[0], (key, v["source"]))
            rows[key["id"]] = (after["n"], after["tag"], after["big"])
        return rows, left

    def table(self):
        return {int(i): (int(n), tag, big) for i, n, tag, big in self.server.rows("SELECT id, n, tag, big FROM t", self.database)}

    def test_kills_at_any_moment(self):
        self.make(TABLE)
        r = random.Random(5)
        self.sql("; ".join(write(r, i) for i in range(1, 31)))
        hub = self.run_hub(self.fill(snapshot_mode="initial"))
        for i in range(60):
            self.sql(step(r))
            if i % 12 == 5:
                hub.kill()
                hub.start(wait=False)
            elif i % 12 == 11:
                self.server.kill()
                self.server.start()
        wait_for("the hub to answer", hub.answers)
        # Whatever is not known by now (of a snapshot that went on after a kill, of a row that came to be read late) is from here on.
        self.sql("UPDATE t SET big = big || ''; UPDATE t SET n = n + 1")
        want = self.table()
        wait_for("the last changes", lambda: self.rebuilt(hub)[0] == want)
        rows, left = self.rebuilt(hub)
        self.assertGreater(len(self.events(hub, "t.public.t")), 2 * left, rows)

    def test_status_and_restart(self):
        self.make(TABLE)
        hub = self.run_hub(self.fill())
        r = random.Random(6)
        self.sql(write(r, 1).replace(BIG % 1, BIG % 200) + "; UPDATE t SET n = 1")
        self.wait_events(hub, "t.public.t", 2)
        self.sql("UPDATE t SET n = 2")
        self.wait_events(hub, "t.public.t", 3)
        wait_for("figures", lambda: hub.task("p")["status"].get("unchanged", {}).get("t", {}).get("filled") == 2)
        self.assertRegex(hub.leat("status", "p").stdout, r"(?m)^UNCHANGED +FILLED +PLACEHOLDERS +VALUES +LOG ")
        hub.stop()
        hub.start()
        self.sql("UPDATE t SET n = 3")
        self.wait_events(hub, "t.public.t", 4)
        self.assertEqual(0, self.rebuilt(hub)[1])

    def test_what_validate_refuses(self):
        self.make(TABLE)
        for more, wanted in (({"unavailable.value.fill": "guess"}, "last_known"),
                             ({"unavailable.value.fill.disk.bytes": "1KiB"}, "unavailable.value.fill.disk.bytes"),
                             ({"unavailable.value.fill.memory.bytes": "0"}, "unavailable.value.fill.memory.bytes"),
                             ({"stream.origin": "none"}, "stream.origin: none")):
            out = leat("validate", self.write("refused.yaml", "pipelines:\n" + self.config(dict(self.fill(), **more))), check=False)
            self.assertNotEqual(0, out.returncode)
            self.assertIn(wanted, out.stdout + out.stderr)
