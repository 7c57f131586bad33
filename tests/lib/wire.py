"""Kafka's messages as dictionaries, by core/protocol/messages: raw requests to any broker, without a client's own mind.

    with Wire("127.0.0.1:9092") as w:
        w.ask("EndTxn", 5, TransactionalId="id", ProducerId=1, ProducerEpoch=0, Committed=True)["ErrorCode"]

Absent fields have their defaults. Records and ids are bytes. An implementation of its own: none of the C code is used.
"""
import os
import re
import socket
import struct

from leat import LIMIT, ROOT

MESSAGES = os.path.join(ROOT, "core", "protocol", "messages")
_FIXED = {"bool": ">?", "int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "int64": ">q", "float64": ">d"}


class Field:
    def __init__(self, line):
        m = re.match(r"(\w+)\s+(\[\])?(\w+)\s+(\S+)(.*)$", line)
        self.name, self.array, self.type = m[1], bool(m[2]), m[3]
        self.first, self.last = _versions(m[4])
        null = re.search(r"\bnull(?: (\d+)\+)?", m[5].split("=")[0])
        self.null = int(null[1] or 0) if null else None
        tag = re.search(r"\btag (\d+)", m[5])
        self.tag = int(tag[1]) if tag else None
        default = re.search(r"= (\S+)$", m[5])
        self.default = self.default_of(default[1] if default else None)
        self.fields = None

    def default_of(self, text):
        if text == "null":
            return None
        if self.array:
            return []
        if self.type in ("string", "bool"):
            return (text or "") if self.type == "string" else text == "true"
        if self.type in ("bytes", "records"):
            return b""
        if self.type == "uuid":
            return bytes(16)
        return int(text or 0) if self.type in _FIXED else {}

    def in_version(self, version):
        return self.first <= version <= self.last


def _versions(text):
    first, _, last = text.rstrip("+").partition("-")
    return int(first), int(last) if last else 99 if text.endswith("+") else int(first)


def _fields(lines):
    """Lines of (depth, text) to fields; structs that are named again have the fields of their first use."""
    top, stack, structs = [], [], {}
    for depth, text in lines:
        f = Field(text)
        del stack[depth:]
        (stack[-1].fields if stack else top).append(f)
        if f.type not in _FIXED and f.type not in ("string", "bytes", "records", "uuid"):
            f.fields = structs.setdefault(f.type, [])
        stack.append(f)
    return top


def _load():
    apis = {}
    for file in sorted(os.listdir(MESSAGES)):
        with open(os.path.join(MESSAGES, file), encoding="utf-8") as f:
            lines = [line.split("#")[0].rstrip() for line in f]
        head, sides = None, {}
        for line in lines:
            if line.startswith("api "):
                head = line.split()
            elif line in ("request", "response"):
                side = sides.setdefault(line, [])
            elif line and head:
                side.append(((len(line) - len(line.lstrip())) // 2 - 1, line.strip()))
        if head:
            flexible = int(head[5].rstrip("+")) if head[5] != "none" else 999
            apis[head[2]] = (int(head[1]), flexible, _fields(sides["request"]), _fields(sides["response"]))
    return apis


APIS = _load()


# ---- encoding -------------------------------------------------------------------------------------------------------

def uvarint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def varint(n):
    return uvarint((n << 1) ^ (n >> 63) if n < 0 else n << 1)


def _length(n, flexible, short):
    """Of -1 for null."""
    return uvarint(n + 1) if flexible else struct.pack(">h" if short else ">i", n)


def _put(f, value, version, flexible):
    if f.array:
        if value is None:
            return _length(-1, flexible, False)
        return _length(len(value), flexible, False) + b"".join(_put_one(f, v, version, flexible) for v in value)
    return _put_one(f, value, version, flexible)


def _put_one(f, value, version, flexible):
    if f.type in _FIXED:
        return struct.pack(_FIXED[f.type], value)
    if f.type == "uuid":
        return value
    if f.type in ("string", "bytes", "records"):
        data = value.encode() if isinstance(value, str) else value
        return _length(-1 if data is None else len(data), flexible, f.type == "string") + (data or b"")
    return encode(f.fields, value, version, flexible)


def encode(fields, values, version, flexible):
    unknown = set(values) - {f.name for f in fields}
    if unknown:
        raise KeyError(", ".join(unknown))
    out, tags = b"", []
    for f in fields:
        if not f.in_version(version):
            continue
        if f.tag is None:
            out += _put(f, values.get(f.name, f.default), version, flexible)
        elif f.name in values:
            data = _put(f, values[f.name], version, flexible)
            tags.append((f.tag, data))
    if flexible:
        out += uvarint(len(tags)) + b"".join(uvarint(t) + uvarint(len(d)) + d for t, d in sorted(tags))
    return out


# ---- decoding -------------------------------------------------------------------------------------------------------

class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise ValueError("the answer ends early")
        self.at += n
        return self.data[self.at - n:self.at]

    def fixed(self, fmt):
        return struct.unpack(fmt, self.take(struct.calcsize(fmt)))[0]

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def length(self, flexible, short):
        return self.uvarint() - 1 if flexible else self.fixed(">h" if short else ">i")

    def field(self, f, version, flexible):
        if not f.array:
            return self.one(f, version, flexible)
        n = self.length(flexible, False)
        return None if n < 0 else [self.one(f, version, flexible) for _ in range(n)]

    def one(self, f, version, flexible):
        if f.type in _FIXED:
            return self.fixed(_FIXED[f.type])
        if f.type == "uuid":
            return self.take(16)
        if f.type in ("string", "bytes", "records"):
            n = self.length(flexible, f.type == "string")
            data = None if n < 0 else self.take(n)
            return data.decode() if f.type == "string" and data is not None else data
        return self.struct(f.fields, version, flexible)

    def struct(self, fields, version, flexible):
        out = {f.name: f.default for f in fields if f.in_version(version)}
        for f in fields:
            if f.in_version(version) and f.tag is None:
                out[f.name] = self.field(f, version, flexible)
        for _ in range(self.uvarint() if flexible else 0):
            tag, n = self.uvarint(), self.uvarint()
            data = Reader(self.take(n))
            for f in fields:
                if f.tag == tag and f.in_version(version):
                    out[f.name] = data.field(f, version, flexible)
        return out


# ---- record batches -------------------------------------------------------------------------------------------------

def _crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


_CRC = _crc_table()


def crc32c(data):
    c = 0xFFFFFFFF
    for byte in data:
        c = _CRC[(c ^ byte) & 255] ^ c >> 8
    return c ^ 0xFFFFFFFF


def batch(*values, producer=(-1, -1, -1), transactional=False, timestamp=1700000000000, key=None):
    """A record batch, uncompressed; producer: its id, epoch and first sequence."""
    records = b""
    for i, value in enumerate(values):
        value = value.encode()
        k = varint(-1) if key is None else varint(len(key)) + key.encode()
        body = b"\0" + varint(0) + varint(i) + k + varint(len(value)) + value + varint(0)
        records += varint(len(body)) + body
    tail = struct.pack(">hiqqqhii", 16 if transactional else 0, len(values) - 1, timestamp, timestamp, *producer, len(values)) + records
    return struct.pack(">qiibI", 0, 9 + len(tail), -1, 2, crc32c(tail)) + tail


def values_of(records):
    """(offset, producer id, producer epoch, "data" or "commit" or "abort", value) of each record of uncompressed batches."""
    out, r = [], Reader(records)
    while r.at + 61 <= len(r.data):
        base, size = r.fixed(">q"), r.fixed(">i")
        b = Reader(r.take(size))
        b.take(9)
        attributes, _, _, _, producer, epoch, _, count = struct.unpack(">hiqqqhii", b.take(40))
        for _ in range(count):
            b.uvarint(), b.take(1), b.uvarint()
            offset = base + (b.uvarint() >> 1)
            key = _sized(b)
            value = _sized(b)
            kind = "data" if not attributes & 32 else "commit" if key[3] else "abort"
            out.append((offset, producer, epoch, kind, value.decode() if kind == "data" and value is not None else None))
            for _ in range(b.uvarint() >> 1):
                _sized(b), _sized(b)
    return out


def _sized(r):
    n = r.uvarint()
    return None if n == 1 else r.take(n >> 1)


# ---- a connection ---------------------------------------------------------------------------------------------------

class Wire:
    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), LIMIT)
        self.correlation = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, name, version, **body):
        """A request whose answer is taken later; requests may follow each other. What `answer` needs."""
        key, flexible, request, _ = APIS[name]
        flex = version >= flexible
        self.correlation += 1
        head = struct.pack(">hhih", key, version, self.correlation, 4) + b"test" + (b"\0" if flex else b"")
        frame = head + encode(request, body, version, flex)
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        return name, version, self.correlation

    def answer(self, sent):
        name, version, correlation = sent
        key, flexible, _, response = APIS[name]
        r = Reader(self.receive(struct.unpack(">i", self.receive(4))[0]))
        if r.fixed(">i") != correlation:
            raise AssertionError("an answer to something else")
        if version >= flexible and key != 18:
            r.take(r.uvarint())
        out = r.struct(response, version, version >= flexible)
        if r.at != len(r.data):
            raise AssertionError("%d bytes are left in the answer" % (len(r.data) - r.at))
        return out

    def ask(self, name, version, **body):
        return self.answer(self.send(name, version, **body))

    def receive(self, n):
        data = b""
        while len(data) < n:
            piece = self.socket.recv(n - len(data))
            if not piece:
                raise ConnectionError("the broker closed the connection")
            data += piece
        return data
