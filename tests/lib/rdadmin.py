"""As much of librdkafka's admin client as the tests need: topics, partitions, configurations."""
import ctypes

from rdkafka import lib

_VOID, _TEXT, _SIZE = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
_ARRAY = ctypes.POINTER(_VOID)
for _name, _result, _args in [
        ("rd_kafka_queue_new", _VOID, [_VOID]),
        ("rd_kafka_queue_destroy", None, [_VOID]),
        ("rd_kafka_queue_poll", _VOID, [_VOID, ctypes.c_int]),
        ("rd_kafka_event_error", ctypes.c_int, [_VOID]),
        ("rd_kafka_event_error_string", _TEXT, [_VOID]),
        ("rd_kafka_event_destroy", None, [_VOID]),
        ("rd_kafka_NewTopic_new", _VOID, [_TEXT, ctypes.c_int, ctypes.c_int, _TEXT, _SIZE]),
        ("rd_kafka_NewPartitions_new", _VOID, [_TEXT, _SIZE, _TEXT, _SIZE]),
        ("rd_kafka_DeleteTopic_new", _VOID, [_TEXT]),
        ("rd_kafka_ConfigResource_new", _VOID, [ctypes.c_int, _TEXT]),
        ("rd_kafka_ConfigResource_set_config", ctypes.c_int, [_VOID, _TEXT, _TEXT]),
        ("rd_kafka_ConfigResource_error", ctypes.c_int, [_VOID]),
        ("rd_kafka_ConfigResource_error_string", _TEXT, [_VOID]),
        ("rd_kafka_ConfigResource_configs", _ARRAY, [_VOID, ctypes.POINTER(_SIZE)]),
        ("rd_kafka_ConfigEntry_name", _TEXT, [_VOID]),
        ("rd_kafka_ConfigEntry_value", _TEXT, [_VOID]),
        ("rd_kafka_ConfigEntry_source", ctypes.c_int, [_VOID]),
        ("rd_kafka_topic_result_error", ctypes.c_int, [_VOID])]:
    _f = getattr(lib, _name)
    _f.restype, _f.argtypes = _result, _args

_PRODUCER, _LIMIT_MS = 0, 60000
TOPIC, BROKER = 2, 4
OF_TOPIC, OF_NODE, OF_CLUSTER, OF_FILE, DEFAULT = 1, 2, 3, 4, 5


class Refused(Exception):
    """Kafka's error code, and the text that came with it."""

    def __init__(self, code, text=None):
        super().__init__(code, text)
        self.code = code


class Admin:
    def __init__(self, bootstrap):
        conf, text = lib.rd_kafka_conf_new(), ctypes.create_string_buffer(512)
        lib.rd_kafka_conf_set(conf, b"log_level", b"0", text, len(text)) # hubs are killed
        if lib.rd_kafka_conf_set(conf, b"bootstrap.servers", bootstrap.encode(), text, len(text)) != 0:
            raise AssertionError(text.value.decode())
        self.handle = lib.rd_kafka_new(_PRODUCER, conf, text, len(text))
        self.queue = lib.rd_kafka_queue_new(self.handle)

    def close(self):
        lib.rd_kafka_queue_destroy(self.queue)
        lib.rd_kafka_destroy(self.handle)

    def _ask(self, api, item, results, look):
        """Asks about one item; what `look` makes of its result."""
        call = getattr(lib, "rd_kafka_" + api)
        call.restype, call.argtypes = None, [_VOID, _ARRAY, _SIZE, _VOID, _VOID]
        call(self.handle, (_VOID * 1)(item), 1, None, self.queue)
        event = lib.rd_kafka_queue_poll(self.queue, _LIMIT_MS)
        if not event:
            raise AssertionError("no answer to " + api)
        try:
            if lib.rd_kafka_event_error(event):
                raise Refused(lib.rd_kafka_event_error(event), lib.rd_kafka_event_error_string(event))
            result_of, all_of = getattr(lib, "rd_kafka_event_%s_result" % api), getattr(lib, "rd_kafka_%s_result_%s" % (api, results))
            result_of.restype, result_of.argtypes = _VOID, [_VOID]
            all_of.restype, all_of.argtypes = _ARRAY, [_VOID, ctypes.POINTER(_SIZE)]
            count = _SIZE()
            return look(all_of(result_of(event), ctypes.byref(count))[0])
        finally:
            lib.rd_kafka_event_destroy(event)

    @staticmethod
    def _topic(result):
        if lib.rd_kafka_topic_result_error(result):
            raise Refused(lib.rd_kafka_topic_result_error(result))

    @staticmethod
    def _configs(resource):
        if lib.rd_kafka_ConfigResource_error(resource):
            raise Refused(lib.rd_kafka_ConfigResource_error(resource), lib.rd_kafka_ConfigResource_error_string(resource))
        count, out = _SIZE(), {}
        entries = lib.rd_kafka_ConfigResource_configs(resource, ctypes.byref(count))
        for i in range(count.value):
            value = lib.rd_kafka_ConfigEntry_value(entries[i])
            out[lib.rd_kafka_ConfigEntry_name(entries[i]).decode()] = (value.decode() if value is not None else None,
                                                                        lib.rd_kafka_ConfigEntry_source(entries[i]))
        return out

    def create_topic(self, name, partitions):
        self._ask("CreateTopics", lib.rd_kafka_NewTopic_new(name.encode(), partitions, 1, None, 0), "topics", self._topic)

    def delete_topic(self, name):
        self._ask("DeleteTopics", lib.rd_kafka_DeleteTopic_new(name.encode()), "topics", self._topic)

    def create_partitions(self, topic, total):
        self._ask("CreatePartitions", lib.rd_kafka_NewPartitions_new(topic.encode(), total, None, 0), "topics", self._topic)

    def describe_configs(self, kind, name):
        """Name to value and source."""
        return self._ask("DescribeConfigs", lib.rd_kafka_ConfigResource_new(kind, name.encode()), "resources", self._configs)

    def alter_configs(self, kind, name, **settings):
        """All anew; a dot is written as two underscores."""
        resource = lib.rd_kafka_ConfigResource_new(kind, name.encode())
        for key, value in settings.items():
            lib.rd_kafka_ConfigResource_set_config(resource, key.replace("__", ".").encode(), str(value).encode())
        self._ask("AlterConfigs", resource, "resources", self._configs)
