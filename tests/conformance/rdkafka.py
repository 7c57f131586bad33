"""As much of librdkafka as the tests need: transactions that commit and abort. (Kafka's own tools cannot abort.)"""
import ctypes
import ctypes.util

_lib = ctypes.CDLL(ctypes.util.find_library("rdkafka") or "librdkafka.so.1")
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
        ("rd_kafka_destroy", None, [_VOID])]:
    _f = getattr(_lib, _name)
    _f.restype, _f.argtypes = _result, _args

_PRODUCER, _COPY = 0, 2
_LIMIT_MS = 60000


def _check(error):
    if error:
        raise AssertionError(_lib.rd_kafka_error_string(error).decode())


class Producer:
    """A transactional producer; `settings` are librdkafka's."""

    def __init__(self, bootstrap, transactional_id, **settings):
        conf, text = _lib.rd_kafka_conf_new(), ctypes.create_string_buffer(512)
        settings.update({"bootstrap.servers": bootstrap, "transactional.id": transactional_id})
        for name, value in settings.items():
            if _lib.rd_kafka_conf_set(conf, name.replace("_", ".").encode(), str(value).encode(), text, len(text)) != 0:
                raise AssertionError(text.value.decode())
        self.handle = _lib.rd_kafka_new(_PRODUCER, conf, text, len(text))
        if not self.handle:
            raise AssertionError(text.value.decode())
        _check(_lib.rd_kafka_init_transactions(self.handle, _LIMIT_MS))

    def begin(self):
        _check(_lib.rd_kafka_begin_transaction(self.handle))

    def produce(self, topic, partition, value, key=None):
        handle = _lib.rd_kafka_topic_new(self.handle, topic.encode(), None)
        key = key.encode() if key is not None else None
        if _lib.rd_kafka_produce(handle, partition, _COPY, value.encode(), len(value.encode()), key,
                                 len(key) if key else 0, None) != 0:
            raise AssertionError("librdkafka takes no more records")
        _lib.rd_kafka_topic_destroy(handle)

    def flush(self):
        if _lib.rd_kafka_flush(self.handle, _LIMIT_MS) != 0:
            raise AssertionError("the records were not delivered")

    def commit(self):
        _check(_lib.rd_kafka_commit_transaction(self.handle, _LIMIT_MS))

    def abort(self):
        _check(_lib.rd_kafka_abort_transaction(self.handle, _LIMIT_MS))

    def close(self):
        _lib.rd_kafka_destroy(self.handle)
