"""librdkafka for tests that run many clients side by side: reports of delivery, transactions with offsets, errors that say what may be done.

rdkafka.py has the few calls that most tests need.
"""
import ctypes
import ctypes.util

lib = ctypes.CDLL(ctypes.util.find_library("rdkafka") or "librdkafka.so.1")
_VOID, _INT, _TEXT, _I32, _I64, _SIZE = (ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int32, ctypes.c_int64,
                                         ctypes.c_size_t)


class _Message(ctypes.Structure):
    _fields_ = [("err", _INT), ("topic", _VOID), ("partition", _I32), ("payload", _VOID), ("size", _SIZE), ("key", _VOID),
                ("key_size", _SIZE), ("offset", _I64), ("private", _VOID)]


class _Partition(ctypes.Structure):
    _fields_ = [("topic", _TEXT), ("partition", _I32), ("offset", _I64), ("metadata", _VOID), ("metadata_size", _SIZE),
                ("opaque", _VOID), ("err", _INT), ("private", _VOID)]


class _Partitions(ctypes.Structure):
    _fields_ = [("count", _INT), ("size", _INT), ("items", ctypes.POINTER(_Partition))]


_MESSAGE, _LIST = ctypes.POINTER(_Message), ctypes.POINTER(_Partitions)
_DELIVERED = ctypes.CFUNCTYPE(None, _VOID, _MESSAGE, _VOID)
_REBALANCED = ctypes.CFUNCTYPE(None, _VOID, _INT, _LIST, _VOID)
for _name, _result, _args in [
        ("rd_kafka_conf_new", _VOID, []),
        ("rd_kafka_conf_set", _INT, [_VOID, _TEXT, _TEXT, _TEXT, _SIZE]),
        ("rd_kafka_conf_set_dr_msg_cb", None, [_VOID, _DELIVERED]),
        ("rd_kafka_conf_set_rebalance_cb", None, [_VOID, _REBALANCED]),
        ("rd_kafka_new", _VOID, [_INT, _VOID, _TEXT, _SIZE]),
        ("rd_kafka_destroy", None, [_VOID]),
        ("rd_kafka_poll", _INT, [_VOID, _INT]),
        ("rd_kafka_err2name", _TEXT, [_INT]),
        ("rd_kafka_last_error", _INT, []),
        ("rd_kafka_fatal_error", _INT, [_VOID, _TEXT, _SIZE]),
        ("rd_kafka_topic_new", _VOID, [_VOID, _TEXT, _VOID]),
        ("rd_kafka_topic_destroy", None, [_VOID]),
        ("rd_kafka_topic_name", _TEXT, [_VOID]),
        ("rd_kafka_produce", _INT, [_VOID, _I32, _INT, _TEXT, _SIZE, _TEXT, _SIZE, _VOID]),
        ("rd_kafka_flush", _INT, [_VOID, _INT]),
        ("rd_kafka_purge", _INT, [_VOID, _INT]),
        ("rd_kafka_init_transactions", _VOID, [_VOID, _INT]),
        ("rd_kafka_begin_transaction", _VOID, [_VOID]),
        ("rd_kafka_commit_transaction", _VOID, [_VOID, _INT]),
        ("rd_kafka_abort_transaction", _VOID, [_VOID, _INT]),
        ("rd_kafka_send_offsets_to_transaction", _VOID, [_VOID, _LIST, _VOID, _INT]),
        ("rd_kafka_error_string", _TEXT, [_VOID]),
        ("rd_kafka_error_code", _INT, [_VOID]),
        ("rd_kafka_error_is_fatal", _INT, [_VOID]),
        ("rd_kafka_error_is_retriable", _INT, [_VOID]),
        ("rd_kafka_error_txn_requires_abort", _INT, [_VOID]),
        ("rd_kafka_error_destroy", None, [_VOID]),
        ("rd_kafka_poll_set_consumer", _INT, [_VOID]),
        ("rd_kafka_subscribe", _INT, [_VOID, _LIST]),
        ("rd_kafka_assign", _INT, [_VOID, _LIST]),
        ("rd_kafka_consumer_poll", _MESSAGE, [_VOID, _INT]),
        ("rd_kafka_consumer_close", _INT, [_VOID]),
        ("rd_kafka_consumer_group_metadata", _VOID, [_VOID]),
        ("rd_kafka_consumer_group_metadata_destroy", None, [_VOID]),
        ("rd_kafka_message_destroy", None, [_MESSAGE]),
        ("rd_kafka_commit", _INT, [_VOID, _LIST, _INT]),
        ("rd_kafka_committed", _INT, [_VOID, _LIST, _INT]),
        ("rd_kafka_topic_partition_list_new", _LIST, [_INT]),
        ("rd_kafka_topic_partition_list_add", ctypes.POINTER(_Partition), [_LIST, _TEXT, _I32]),
        ("rd_kafka_topic_partition_list_destroy", None, [_LIST])]:
    _f = getattr(lib, _name)
    _f.restype, _f.argtypes = _result, _args

_PRODUCER, _CONSUMER, _COPY = 0, 1, 2
_PURGE = 1 | 2  # what waits and what is under way
_LIMIT_MS = 60000
END = -191  # a partition has no more records
_ASSIGN = -175


class RdError(AssertionError):
    """What librdkafka says went wrong, and what its user may do: go on with the same, abort, or only begin anew."""

    def __init__(self, text, code=0, fatal=False, retriable=False, abort=False):
        super().__init__(text)
        self.code, self.fatal, self.retriable, self.abort = code, fatal, retriable, abort


def _check(error):
    if error:
        e = RdError(lib.rd_kafka_error_string(error).decode(), lib.rd_kafka_error_code(error), bool(lib.rd_kafka_error_is_fatal(error)),
                    bool(lib.rd_kafka_error_is_retriable(error)), bool(lib.rd_kafka_error_txn_requires_abort(error)))
        lib.rd_kafka_error_destroy(error)
        raise e


def _check_code(code):
    if code:
        raise RdError(lib.rd_kafka_err2name(code).decode(), code)


def _new(kind, settings, delivered=None, rebalanced=None):
    conf, text = lib.rd_kafka_conf_new(), ctypes.create_string_buffer(512)
    for name, value in settings.items():
        name = name if name == "log_level" else name.replace("_", ".")
        if lib.rd_kafka_conf_set(conf, name.encode(), str(value).encode(), text, len(text)) != 0:
            raise AssertionError(text.value.decode())
    if delivered:
        lib.rd_kafka_conf_set_dr_msg_cb(conf, delivered)
    if rebalanced:
        lib.rd_kafka_conf_set_rebalance_cb(conf, rebalanced)
    handle = lib.rd_kafka_new(kind, conf, text, len(text))
    if not handle:
        raise AssertionError(text.value.decode())
    return handle


class Producer:
    """`settings` are librdkafka's. With an id it is transactional. on_delivery(number, error code, offset) is told of what `produce`
    was given a number for, in the thread that polls or flushes."""

    def __init__(self, bootstrap, transactional_id=None, on_delivery=None, **settings):
        settings["bootstrap.servers"] = bootstrap
        if transactional_id:
            settings["transactional.id"] = transactional_id
        self.report = _DELIVERED(lambda _, m, __: on_delivery(m.contents.private, m.contents.err, m.contents.offset)) if on_delivery else None
        self.topics = {}
        self.handle = _new(_PRODUCER, settings, self.report)
        if transactional_id:
            try:
                _check(lib.rd_kafka_init_transactions(self.handle, _LIMIT_MS))
            except RdError:
                self.close()
                raise

    def begin(self):
        _check(lib.rd_kafka_begin_transaction(self.handle))

    def produce(self, topic, partition, value, key=None, number=None):
        if topic not in self.topics:
            self.topics[topic] = lib.rd_kafka_topic_new(self.handle, topic.encode(), None)
        key = key.encode() if key is not None else None
        if lib.rd_kafka_produce(self.topics[topic], partition, _COPY, value.encode(), len(value.encode()), key,
                                 len(key) if key else 0, number) != 0:
            raise RdError("librdkafka takes no more records", lib.rd_kafka_last_error())

    def poll(self, ms=0):
        lib.rd_kafka_poll(self.handle, ms)

    def fatal(self):
        """What went wrong for good, or nothing."""
        text = ctypes.create_string_buffer(512)
        return text.value.decode() if lib.rd_kafka_fatal_error(self.handle, text, len(text)) else None

    def flush(self, ms=_LIMIT_MS):
        if lib.rd_kafka_flush(self.handle, ms) != 0:
            raise RdError("the records were not delivered")

    def send_offsets(self, membership, offsets):
        """{(topic, partition): the next to be read}, on behalf of a consumer's group (Consumer.membership)."""
        listed = _listed(offsets)
        try:
            _check(lib.rd_kafka_send_offsets_to_transaction(self.handle, listed, membership.handle, _LIMIT_MS))
        finally:
            lib.rd_kafka_topic_partition_list_destroy(listed)

    def commit(self):
        _check(lib.rd_kafka_commit_transaction(self.handle, _LIMIT_MS))

    def abort(self):
        _check(lib.rd_kafka_abort_transaction(self.handle, _LIMIT_MS))

    def close(self):
        for topic in self.topics.values():
            lib.rd_kafka_topic_destroy(topic)
        self.topics = {}
        lib.rd_kafka_purge(self.handle, _PURGE)
        lib.rd_kafka_destroy(self.handle)


def _listed(offsets):
    listed = lib.rd_kafka_topic_partition_list_new(max(1, len(offsets)))
    for (topic, partition), offset in offsets.items():
        lib.rd_kafka_topic_partition_list_add(listed, topic.encode(), partition).contents.offset = offset
    return listed


def _offsets(listed):
    items = [listed.contents.items[i] for i in range(listed.contents.count)]
    return {(p.topic.decode(), p.partition): p.offset for p in items}


class Membership:
    """In which generation of its group a consumer is, as of now. For `with`."""

    def __init__(self, consumer):
        self.handle = lib.rd_kafka_consumer_group_metadata(consumer.handle)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        lib.rd_kafka_consumer_group_metadata_destroy(self.handle)


class Consumer:
    """Of a group, by `subscribe`; or of none, by `assign`. on_revoked() is called, in `poll` or `close`, when partitions go: between
    two polls a member stays in its generation, or its commits are refused."""

    def __init__(self, bootstrap, group, on_revoked=None, **settings):
        self.on_revoked = on_revoked
        self.rebalance = _REBALANCED(self._rebalanced) if on_revoked else None
        self.handle = _new(_CONSUMER, dict({"bootstrap.servers": bootstrap, "group.id": group}, **settings), rebalanced=self.rebalance)
        lib.rd_kafka_poll_set_consumer(self.handle)

    def _rebalanced(self, handle, code, partitions, _):
        if code != _ASSIGN:
            self.on_revoked()
        lib.rd_kafka_assign(handle, partitions if code == _ASSIGN else None)

    def _with(self, call, offsets, *more):
        listed = _listed(offsets)
        try:
            _check_code(call(self.handle, listed, *more))
            return _offsets(listed)
        finally:
            lib.rd_kafka_topic_partition_list_destroy(listed)

    def subscribe(self, *topics):
        self._with(lib.rd_kafka_subscribe, {(t, -1): 0 for t in topics})

    def assign(self, offsets):
        self._with(lib.rd_kafka_assign, offsets)

    def poll(self, ms):
        """(error code, topic, partition, offset, value), or nothing."""
        message = lib.rd_kafka_consumer_poll(self.handle, ms)
        if not message:
            return None
        m = message.contents
        topic = lib.rd_kafka_topic_name(m.topic).decode() if m.topic else None
        value = ctypes.string_at(m.payload, m.size).decode(errors="replace") if m.payload else None
        found = (m.err, topic, m.partition, m.offset, value)
        lib.rd_kafka_message_destroy(message)
        return found

    def commit(self, offsets):
        """Waits for the answer."""
        self._with(lib.rd_kafka_commit, offsets, 0)

    def committed(self, *partitions, ms=_LIMIT_MS):
        return self._with(lib.rd_kafka_committed, {p: 0 for p in partitions}, ms)

    def close(self):
        lib.rd_kafka_consumer_close(self.handle)
        lib.rd_kafka_destroy(self.handle)
