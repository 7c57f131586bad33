"""What a server says happened, for comparison: the changes of a slot, decoded by these few lines and none of Leat's.

changes(server, database, slot, publication) gives one Change after another, in the order of the commits.
"""
import collections
import struct
import subprocess

Change = collections.namedtuple("Change", "lsn commit xid table op old new prefix")


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return values if len(values) > 1 else values[0]

    def text(self):
        end = self.data.index(b"\0", self.at)
        value = self.data[self.at:end].decode()
        self.at = end + 1
        return value

    def row(self, columns):
        values = {}
        for name in columns[:self.take("H")]:
            kind = self.take("c")
            if kind == b"t":
                n = self.take("I")
                values[name] = self.data[self.at:self.at + n].decode()
                self.at += n
            elif kind == b"n":
                values[name] = None
            else:
                values[name] = Ellipsis  # unchanged, not sent
        return values


def lsn(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def rows_of(server, database, slot, publication):
    """Lines of psql, read as they come: there may be millions."""
    sql = "SELECT lsn, encode(data, 'hex') FROM pg_logical_slot_get_binary_changes('%s', NULL, NULL, 'proto_version', '1', " \
          "'publication_names', '%s', 'messages', 'true')" % (slot, publication)
    command = server.psql_command(database, "postgres") + ["-v", "FETCH_COUNT=1000", "-c", sql]
    psql = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=server.environment())
    with psql.stdout:
        yield from psql.stdout
    if psql.wait() != 0:
        raise AssertionError("psql ended with %d" % psql.returncode)


def changes(server, database, slot, publication):
    """Takes them off the slot, one by one, in the order of the commits."""
    tables, xid, commit = {}, None, None
    for line in rows_of(server, database, slot, publication):
        at, _, data = line.rstrip("\n").partition("|")
        at, r = lsn(at), Reader(bytes.fromhex(data))
        kind = r.take("c")
        if kind == b"B":
            commit, _, xid = r.take("QqI")
        elif kind == b"R":
            oid = r.take("I")
            name = r.text() + "." + r.text()
            r.take("c")
            columns = []
            for _ in range(r.take("H")):
                r.take("B")
                columns.append(r.text())
                r.take("Ii")
            tables[oid] = (name, columns)
        elif kind in b"IUD":
            name, columns = tables[r.take("I")]
            old = new = None
            part = r.take("c")
            if part in b"KO":
                old = r.row(columns)
                part = r.take("c") if kind == b"U" else b""
            if part == b"N":
                new = r.row(columns)
            yield Change(at, commit, xid, name, {b"I": "c", b"U": "u", b"D": "d"}[kind], old, new, None)
        elif kind == b"T":
            n, _ = r.take("IB")
            for _ in range(n):
                yield Change(at, commit, xid, tables[r.take("I")][0], "t", None, None, None)
        elif kind == b"M":
            transactional, _ = r.take("BQ")
            yield Change(at, commit if transactional else at, xid if transactional else None, None, "m", None, None, r.text())
