"""As much of librdkafka as reads everything that a broker has: keys, values and headers as the very bytes."""
import ctypes
import ctypes.util

from rdkafka import lib

_P, _S, _SIZE = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
_CONSUMER, _PARTITION_EOF, _BEGINNING = 1, -191, -2


class _Message(ctypes.Structure):  # rd_kafka_message_t
    _fields_ = [("err", ctypes.c_int), ("rkt", _P), ("partition", ctypes.c_int32), ("payload", _P), ("len", _SIZE), ("key", _P),
                ("key_len", _SIZE), ("offset", ctypes.c_int64), ("private", _P)]


class _Topic(ctypes.Structure):  # rd_kafka_metadata_topic
    _fields_ = [("topic", _S), ("partition_count", ctypes.c_int), ("partitions", _P), ("err", ctypes.c_int)]


class _Metadata(ctypes.Structure):  # rd_kafka_metadata
    _fields_ = [("broker_count", ctypes.c_int), ("brokers", _P), ("topic_count", ctypes.c_int), ("topics", ctypes.POINTER(_Topic))]


for _name, _result, _args in [
        ("rd_kafka_conf_new", _P, []), ("rd_kafka_conf_set", ctypes.c_int, [_P, _S, _S, _S, _SIZE]),
        ("rd_kafka_new", _P, [ctypes.c_int, _P, _S, _SIZE]),
        ("rd_kafka_metadata", ctypes.c_int, [_P, ctypes.c_int, _P, ctypes.POINTER(ctypes.POINTER(_Metadata)), ctypes.c_int]),
        ("rd_kafka_metadata_destroy", None, [ctypes.POINTER(_Metadata)]),
        ("rd_kafka_topic_partition_list_new", _P, [ctypes.c_int]),
        ("rd_kafka_topic_partition_list_add", _P, [_P, _S, ctypes.c_int32]),
        ("rd_kafka_topic_partition_list_destroy", None, [_P]),
        ("rd_kafka_topic_partition_list_set_offset", ctypes.c_int, [_P, _S, ctypes.c_int32, ctypes.c_int64]),
        ("rd_kafka_incremental_assign", _P, [_P, _P]), ("rd_kafka_error_string", _S, [_P]),
        ("rd_kafka_poll_set_consumer", ctypes.c_int, [_P]),
        ("rd_kafka_consumer_poll", ctypes.POINTER(_Message), [_P, ctypes.c_int]),
        ("rd_kafka_message_destroy", None, [ctypes.POINTER(_Message)]), ("rd_kafka_topic_name", _S, [_P]),
        ("rd_kafka_message_headers", ctypes.c_int, [ctypes.POINTER(_Message), ctypes.POINTER(_P)]),
        ("rd_kafka_header_get_all", ctypes.c_int, [_P, _SIZE, ctypes.POINTER(_S), ctypes.POINTER(_P), ctypes.POINTER(_SIZE)]),
        ("rd_kafka_err2str", _S, [ctypes.c_int]), ("rd_kafka_consumer_close", ctypes.c_int, [_P]), ("rd_kafka_destroy", None, [_P])]:
    _f = getattr(lib, _name)
    _f.restype, _f.argtypes = _result, _args


def _text(at, size):
    return ctypes.string_at(at, size).decode() if at else None


class Consumer:
    """Reads every topic whose name begins with one of `prefixes` from its beginning, as they appear. One thread."""

    def __init__(self, bootstrap, prefixes):
        conf, text = lib.rd_kafka_conf_new(), ctypes.create_string_buffer(512)
        for name, value in {"bootstrap.servers": bootstrap, "group.id": "compare", "enable.auto.commit": "false",
                            "fetch.wait.max.ms": "20"}.items():
            if lib.rd_kafka_conf_set(conf, name.encode(), value.encode(), text, len(text)) != 0:
                raise AssertionError(text.value.decode())
        self.handle = lib.rd_kafka_new(_CONSUMER, conf, text, len(text))
        if not self.handle:
            raise AssertionError(text.value.decode())
        lib.rd_kafka_poll_set_consumer(self.handle)
        self.prefixes = tuple(prefixes)
        self.known = set()

    def topics(self):
        """{name: partitions} of the broker."""
        found = ctypes.POINTER(_Metadata)()
        self._check(lib.rd_kafka_metadata(self.handle, 1, None, ctypes.byref(found), 30000))
        topics = [found.contents.topics[i] for i in range(found.contents.topic_count)]
        names = {t.topic.decode(): t.partition_count for t in topics}
        lib.rd_kafka_metadata_destroy(found)
        return names

    def _assign(self):
        new = {n: c for n, c in self.topics().items() if n.startswith(self.prefixes) and n not in self.known and c > 0}
        if not new:
            return
        partitions = lib.rd_kafka_topic_partition_list_new(len(new))
        for name, count in new.items():
            assert count == 1, "%s has %d partitions" % (name, count)
            lib.rd_kafka_topic_partition_list_add(partitions, name.encode(), 0)
            lib.rd_kafka_topic_partition_list_set_offset(partitions, name.encode(), 0, _BEGINNING)
        error = lib.rd_kafka_incremental_assign(self.handle, partitions)
        lib.rd_kafka_topic_partition_list_destroy(partitions)
        if error:
            raise AssertionError(lib.rd_kafka_error_string(error).decode())
        self.known |= set(new)

    def read(self):
        """What is there now: (topic, key, value, headers) of each record, in the order of each topic."""
        self._assign()
        found = []
        while True:
            m = lib.rd_kafka_consumer_poll(self.handle, 100)
            if not m:
                return found
            try:
                if m.contents.err == 0:
                    found.append(self._record(m))
                elif m.contents.err != _PARTITION_EOF:
                    self._check(m.contents.err)
            finally:
                lib.rd_kafka_message_destroy(m)

    @staticmethod
    def _record(m):
        headers, list_ = [], _P()
        if lib.rd_kafka_message_headers(m, ctypes.byref(list_)) == 0:
            name, value, size = _S(), _P(), _SIZE()
            while lib.rd_kafka_header_get_all(list_, len(headers), ctypes.byref(name), ctypes.byref(value), ctypes.byref(size)) == 0:
                headers.append((name.value.decode(), _text(value.value, size.value)))
        c = m.contents
        return lib.rd_kafka_topic_name(c.rkt).decode(), _text(c.key, c.key_len), _text(c.payload, c.len), headers

    @staticmethod
    def _check(code):
        if code:
            raise AssertionError(lib.rd_kafka_err2str(code).decode())

    def close(self):
        lib.rd_kafka_consumer_close(self.handle)
        lib.rd_kafka_destroy(self.handle)
