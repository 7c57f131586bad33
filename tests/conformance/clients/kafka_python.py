"""kafka-python, 2.0.2 and 3, as a driver; README.md tells what each command does."""
import kafka
from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic

import driver

OLD = kafka.__version__.startswith("2.")
# 2.0.2 knows brokers up to 2.5, and waits for a probe's time-out when it has to find out
COMMON = {"api_version": (2, 5, 0), "api_version_auto_timeout_ms": 300000} if OLD else {}


def offset_and_metadata(offset):
    return OffsetAndMetadata(offset, "") if OLD else OffsetAndMetadata(offset, "", -1)


def write(address, topic, *codecs):
    records = driver.records()
    for codec in codecs:
        write_one(address, topic + "-" + codec, codec, records)


def raw(s):
    return s.encode() if s is not None else None


def write_one(address, topic, codec, records):
    producer = KafkaProducer(bootstrap_servers=address, compression_type=None if codec == "none" else codec, **COMMON)
    sent = [producer.send(topic, partition=r["partition"], key=raw(r["key"]), value=raw(r["value"]), timestamp_ms=r["timestamp"],
                          headers=[(n, raw(v)) for n, v in r["headers"]])
            for r in records]
    for future in sent:
        future.get(driver.LIMIT)
    producer.close()


def text(b):
    return bytes(b).decode() if b is not None else None


def shown(r):
    driver.say({"topic": r.topic, "partition": r.partition, "offset": r.offset, "key": text(r.key), "value": text(r.value),
                "headers": [[n, text(v)] for n, v in r.headers], "timestamp": r.timestamp})


def read(address, count, *topics):
    consumer = KafkaConsumer(bootstrap_servers=address, group_id=None, auto_offset_reset="earliest",
                             isolation_level="read_committed", **COMMON) if not OLD else \
        KafkaConsumer(bootstrap_servers=address, group_id=None, auto_offset_reset="earliest", **COMMON)
    consumer.assign([TopicPartition(t, p) for t in topics for p in consumer.partitions_for_topic(t)])
    for _ in range(int(count)):
        shown(next(consumer))
    consumer.close()


class Listener(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, assigned):
        driver.say({"assigned": sorted(p.partition for p in assigned)})


def group(address, name, topic):
    consumer = KafkaConsumer(bootstrap_servers=address, group_id=name, auto_offset_reset="earliest", enable_auto_commit=False,
                             session_timeout_ms=45000, heartbeat_interval_ms=500, **COMMON)
    consumer.subscribe([topic], listener=Listener())
    while not driver.told_to_stop():
        # With 50 ms, which may end while it joins, 3.0.12 sometimes waits for ever for what was answered long ago: the group has no member then.
        for partition, records in consumer.poll(1000).items():
            consumer.commit({partition: offset_and_metadata(records[-1].offset + 1)})
            for r in records:
                shown(r)
    consumer.close()
    driver.say({"closed": True})


def txn(address, out, name, source):
    producer = KafkaProducer(bootstrap_servers=address, transactional_id="kafka-python-" + out)
    producer.init_transactions()
    for values, offset, commit in driver.TRANSACTIONS:
        producer.begin_transaction()
        for v in values:
            producer.send(out, partition=0, value=v.encode())
        producer.flush()  # what was not sent would not have to be aborted
        if offset is not None:
            producer.send_offsets_to_transaction({TopicPartition(source, 0): offset_and_metadata(offset)}, name)
        producer.commit_transaction() if commit else producer.abort_transaction()
    producer.close()


def old_admin(client, topic, name, source):
    """What 2.0.2 can do and says."""
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)

    def retention():
        answer = client.describe_configs([resource])[0]
        return [c[1] for c in answer.resources[0][4] if c[0] == "retention.ms"][0]
    client.create_topics([NewTopic(topic, 2, 1, topic_configs={"retention.ms": driver.RETENTION[0]})])
    found = {"retention": [retention()]}
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": driver.RETENTION[1]})])
    found["retention"].append(retention())
    client.create_partitions({topic: NewPartitions(4)})
    found["partitions"] = len(client.describe_topics([topic])[0]["partitions"])
    found["listed"] = name in [g[0] for g in client.list_consumer_groups()]
    found["state"] = client.describe_consumer_groups([name])[0].state
    found["offsets"] = [[p.topic, p.partition, o.offset] for p, o in client.list_consumer_group_offsets(name).items()]
    client.delete_consumer_groups([name])
    client.delete_topics([topic])
    found["left"] = topic in client.list_topics()
    return found


def new_admin(client, topic, name, source):
    def retention():
        answer = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        return answer["topic"][topic]["retention.ms"]["value"]
    client.create_topics([NewTopic(topic, 2, 1, topic_configs={"retention.ms": driver.RETENTION[0]})])
    found = {"retention": [retention()]}
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": driver.RETENTION[1]})])
    found["retention"].append(retention())
    client.create_partitions({topic: NewPartitions(4)})
    found["partitions"] = len(client.describe_topics([topic])[0]["partitions"])
    deleted = client.delete_records({TopicPartition(source, 0): 3})
    found["low"] = list(deleted.values())[0]["low_watermark"]
    found["listed"] = name in [g["group_id"] for g in client.list_groups()]
    found["state"] = client.describe_groups([name])[name]["group_state"]
    found["offsets"] = [[p.topic, p.partition, o.offset] for p, o in client.list_group_offsets({name: None})[name].items()]
    client.delete_groups([name])
    client.delete_topics([topic])
    found["left"] = topic in client.list_topics()
    return found


def admin(address, topic, name, source):
    client = KafkaAdminClient(bootstrap_servers=address, **COMMON)
    driver.say((old_admin if OLD else new_admin)(client, topic, name, source))
    client.close()


driver.run({"write": write, "read": read, "group": group, "txn": txn, "admin": admin})
