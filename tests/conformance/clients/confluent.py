"""confluent-kafka (librdkafka) as a driver; README.md tells what each command does."""
from confluent_kafka import OFFSET_INVALID, Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic,
                                   ResourceType)

import driver


def write(address, topic, *codecs):
    records = driver.records()
    for codec in codecs:
        write_one(address, topic + "-" + codec, codec, records)


def write_one(address, topic, codec, records):
    producer = Producer({"bootstrap.servers": address, "compression.type": codec, "enable.idempotence": True})
    failed = []
    for r in records:
        producer.produce(topic, partition=r["partition"], key=r["key"], value=r["value"], timestamp=r["timestamp"],
                         headers=[(n, v.encode() if v is not None else None) for n, v in r["headers"]],
                         on_delivery=lambda error, _: error and failed.append(error))
    producer.flush()
    assert not failed, failed


def text(b):
    return b.decode() if b is not None else None


def shown(message):
    driver.say({"topic": message.topic(), "partition": message.partition(), "offset": message.offset(), "key": text(message.key()),
                "value": text(message.value()), "headers": [[n, text(v)] for n, v in message.headers() or []],
                "timestamp": message.timestamp()[1]})


def read(address, count, *topics):
    consumer = Consumer({"bootstrap.servers": address, "group.id": "none", "auto.offset.reset": "earliest"})
    partitions = []
    for topic in topics:
        found = consumer.list_topics(topic, 60).topics[topic].partitions
        partitions += [TopicPartition(topic, p, 0) for p in found]
    consumer.assign(partitions)
    for _ in range(int(count)):
        message = consumer.poll(driver.LIMIT)
        if message is None or message.error():
            raise KafkaException(message and message.error())
        shown(message)
    consumer.close()


def group(address, name, topic, protocol="classic"):
    settings = {"bootstrap.servers": address, "group.id": name, "auto.offset.reset": "earliest", "enable.auto.commit": False,
                "group.protocol": protocol}
    if protocol == "classic":
        settings["partition.assignment.strategy"] = "cooperative-sticky"
        settings["heartbeat.interval.ms"] = 500
    consumer = Consumer(settings)
    mine = set()

    def assigned(consumer, partitions):
        mine.update(p.partition for p in partitions)
        driver.say({"assigned": sorted(mine)})

    def revoked(consumer, partitions):
        mine.difference_update(p.partition for p in partitions)
    consumer.subscribe([topic], on_assign=assigned, on_revoke=revoked, on_lost=revoked)
    while not driver.told_to_stop():
        message = consumer.poll(0.05)
        if message is not None and not message.error():
            consumer.commit(message=message, asynchronous=False)
            shown(message)
    consumer.close()
    driver.say({"closed": True})


def txn(address, out, name, source):
    producer = Producer({"bootstrap.servers": address, "transactional.id": "confluent-" + out})
    consumer = Consumer({"bootstrap.servers": address, "group.id": name})
    producer.init_transactions()
    for values, offset, commit in driver.TRANSACTIONS:
        producer.begin_transaction()
        for v in values:
            producer.produce(out, partition=0, value=v)
        producer.flush()  # what was not sent would not have to be aborted
        if offset is not None:
            producer.send_offsets_to_transaction([TopicPartition(source, 0, offset)], consumer.consumer_group_metadata())
        producer.commit_transaction() if commit else producer.abort_transaction()
    consumer.close()


def admin(address, topic, name, source):
    client = AdminClient({"bootstrap.servers": address})

    def one(futures):
        return list(futures.values())[0].result()

    resource = ConfigResource(ResourceType.TOPIC, topic)

    def retention():
        return one(client.describe_configs([resource]))["retention.ms"].value

    one(client.create_topics([NewTopic(topic, 2, 1, config={"retention.ms": driver.RETENTION[0]})]))
    found = {"retention": [retention()]}
    resource.add_incremental_config(ConfigEntry("retention.ms", driver.RETENTION[1],
                                                incremental_operation=AlterConfigOpType.SET))
    one(client.incremental_alter_configs([resource]))
    found["retention"].append(retention())
    one(client.create_partitions([NewPartitions(topic, 4)]))
    found["partitions"] = len(client.list_topics(topic).topics[topic].partitions)
    found["low"] = one(client.delete_records([TopicPartition(source, 0, 3)])).low_watermark
    found["listed"] = name in [g.group_id for g in client.list_consumer_groups().result().valid]
    found["state"] = one(client.describe_consumer_groups([name])).state.name.capitalize()
    offsets = one(client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)])).topic_partitions
    found["offsets"] = [[p.topic, p.partition, p.offset] for p in offsets if p.offset != OFFSET_INVALID]
    one(client.delete_consumer_groups([name]))
    one(client.delete_topics([topic]))
    found["left"] = topic in client.list_topics().topics
    driver.say(found)


driver.run({"write": write, "read": read, "group": group, "txn": txn, "admin": admin})
