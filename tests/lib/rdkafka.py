"""As much of librdkafka as the tests need: transactions that commit and abort (Kafka's own tools cannot abort), consumers in groups."""
import ctypes
import ctypes.util

lib = ctypes.CDLL(ctypes.util.find_library("rdkafka") or "librdkafka.so.1")
_VOID = ctypes.c_void_p
for _name, _result, _args in [
        ("rd_kafka_conf_new", _VOID, []),
        ("rd_kafka_conf_set", ctypes.c_int, [_VOID, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]),
        ("rd_kafka_new", _VOID, [ctypes.c_int, _VOID, ctypes.c_char_p, ctypes.c_size_t]),
        ("rd_kafka_init_transactions", _VOID, [_VOID, ctypes.c_int]),
        ("rd_kafka_begin_transaction", _VOID, [_VOID]),
        ("rd_kafka_commit_transaction", _VOID, [_VOID, ctypes.c_int]),
        ("rd_kafka_abort_transaction", _VOID, [_VOID, ctypes.c_int]),
        ("rd_kafka_error_string", ctypes.c_char_p, [_VOID]),
        ("rd_kafka_topic_new", _VOID, [_VOID, ctypes.c_char_p, _VOID]),
        ("rd_kafka_topic_destroy", None, [_VOID]),
        ("rd_kafka_produce", ctypes.c_int, [_VOID, ctypes.c_int32, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t,
                                            ctypes.c_char_p, ctypes.c_size_t, _VOID]),
        ("rd_kafka_flush", ctypes.c_int, [_VOID, ctypes.c_int]),
        ("rd_kafka_conf_set_rebalance_cb", None, [_VOID, _VOID]),
        ("rd_kafka_poll_set_consumer", ctypes.c_int, [_VOID]),
        ("rd_kafka_topic_partition_list_new", _VOID, [ctypes.c_int]),
        ("rd_kafka_topic_partition_list_add", _VOID, [_VOID, ctypes.c_char_p, ctypes.c_int32]),
        ("rd_kafka_topic_partition_list_destroy", None, [_VOID]),
        ("rd_kafka_subscribe", ctypes.c_int, [_VOID, _VOID]),
        ("rd_kafka_assign", ctypes.c_int, [_VOID, _VOID]),
        ("rd_kafka_consumer_poll", _VOID, [_VOID, ctypes.c_int]),
        ("rd_kafka_message_destroy", None, [_VOID]),
        ("rd_kafka_commit", ctypes.c_int, [_VOID, _VOID, ctypes.c_int]),
        ("rd_kafka_memberid", _VOID, [_VOID]),
        ("rd_kafka_mem_free", None, [_VOID, _VOID]),
        ("rd_kafka_consumer_close", ctypes.c_int, [_VOID]),
        ("rd_kafka_err2str", ctypes.c_char_p, [ctypes.c_int]),
        ("rd_kafka_destroy", None, [_VOID])]:
    _f = getattr(lib, _name)
    _f.restype, _f.argtypes = _result, _args

_PRODUCER, _COPY = 0, 2
_LIMIT_MS = 60000


_CONSUMER = 1
_ASSIGN = -175
_NO_OFFSET = -168
_REBALANCE = ctypes.CFUNCTYPE(None, _VOID, ctypes.c_int, _VOID, _VOID)


class _Message(ctypes.Structure):
    _fields_ = [("err", ctypes.c_int), ("rkt", _VOID), ("partition", ctypes.c_int32), ("payload", _VOID),
                ("len", ctypes.c_size_t), ("key", _VOID), ("key_len", ctypes.c_size_t), ("offset", ctypes.c_int64)]


def _named(settings):
    """librdkafka's names of settings that were given as Python's."""
    return {name.replace("_", "."): value for name, value in settings.items()}


def _configure(settings):
    conf, text = lib.rd_kafka_conf_new(), ctypes.create_string_buffer(512)
    for name, value in settings.items():
        if lib.rd_kafka_conf_set(conf, name.encode(), str(value).encode(), text, len(text)) != 0:
            raise AssertionError(text.value.decode())
    return conf


def _new(kind, conf):
    text = ctypes.create_string_buffer(512)
    handle = lib.rd_kafka_new(kind, conf, text, len(text))
    if not handle:
        raise AssertionError(text.value.decode())
    return handle


def _check(error):
    if error:
        raise AssertionError(lib.rd_kafka_error_string(error).decode())


class Producer:
    """A transactional producer; `settings` are librdkafka's."""

    def __init__(self, bootstrap, transactional_id, **settings):
        settings = dict(_named(settings), **{"bootstrap.servers": bootstrap, "transactional.id": transactional_id})
        self.handle = _new(_PRODUCER, _configure(settings))
        _check(lib.rd_kafka_init_transactions(self.handle, _LIMIT_MS))

    def begin(self):
        _check(lib.rd_kafka_begin_transaction(self.handle))

    def produce(self, topic, partition, value, key=None):
        handle = lib.rd_kafka_topic_new(self.handle, topic.encode(), None)
        key = key.encode() if key is not None else None
        if lib.rd_kafka_produce(handle, partition, _COPY, value.encode(), len(value.encode()), key,
                                 len(key) if key else 0, None) != 0:
            raise AssertionError("librdkafka takes no more records")
        lib.rd_kafka_topic_destroy(handle)

    def flush(self):
        if lib.rd_kafka_flush(self.handle, _LIMIT_MS) != 0:
            raise AssertionError("the records were not delivered")

    def commit(self):
        _check(lib.rd_kafka_commit_transaction(self.handle, _LIMIT_MS))

    def abort(self):
        _check(lib.rd_kafka_abort_transaction(self.handle, _LIMIT_MS))

    def close(self):
        lib.rd_kafka_destroy(self.handle)


class Consumer:
    """A member of a group that commits when it is told to. `assigned` counts the generations that it was assigned something in."""

    def __init__(self, bootstrap, group, topics, **settings):
        settings = dict({"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
                         "enable.auto.commit": "false", "log_level": 0}, **_named(settings))
        conf = _configure(settings)
        self.assigned = 0
        self._rebalance = _REBALANCE(self._on_rebalance)
        lib.rd_kafka_conf_set_rebalance_cb(conf, self._rebalance)
        self.handle = _new(_CONSUMER, conf)
        lib.rd_kafka_poll_set_consumer(self.handle)
        names = lib.rd_kafka_topic_partition_list_new(len(topics))
        for topic in topics:
            lib.rd_kafka_topic_partition_list_add(names, topic.encode(), -1)
        self._check(lib.rd_kafka_subscribe(self.handle, names))
        lib.rd_kafka_topic_partition_list_destroy(names)

    @staticmethod
    def _check(code):
        if code != 0:
            raise AssertionError(lib.rd_kafka_err2str(code).decode())

    def _on_rebalance(self, handle, code, partitions, _):
        self.assigned += code == _ASSIGN
        lib.rd_kafka_assign(handle, partitions if code == _ASSIGN else None)

    def poll(self, ms=100):
        """(partition, offset, value) of the next record, or None."""
        message = lib.rd_kafka_consumer_poll(self.handle, ms)
        if not message:
            return None
        m = ctypes.cast(message, ctypes.POINTER(_Message)).contents
        found = (m.partition, m.offset, ctypes.string_at(m.payload, m.len).decode()) if m.err == 0 else None
        lib.rd_kafka_message_destroy(message)
        return found

    def commit(self):
        """What was polled so far. An error's number, 0 for none."""
        code = lib.rd_kafka_commit(self.handle, None, 0)
        return 0 if code == _NO_OFFSET else code

    def member(self):
        text = lib.rd_kafka_memberid(self.handle)
        name = ctypes.string_at(text).decode() if text else ""
        lib.rd_kafka_mem_free(self.handle, text)
        return name

    def close(self, leave=True):
        if leave:
            lib.rd_kafka_consumer_close(self.handle)
        lib.rd_kafka_destroy(self.handle)
