"""aiokafka as a driver; README.md tells what each command does."""
import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

import driver


def raw(s):
    return s.encode() if s is not None else None


def text(b):
    return bytes(b).decode() if b is not None else None


async def write(address, topic, *codecs):
    records = driver.records()
    for codec in codecs:
        await write_one(address, topic + "-" + codec, codec, records)


async def write_one(address, topic, codec, records):
    async with AIOKafkaProducer(bootstrap_servers=address, compression_type=None if codec == "none" else codec,
                                enable_idempotence=True) as producer:
        sent = [await producer.send(topic, partition=r["partition"], key=raw(r["key"]), value=raw(r["value"]),
                                    timestamp_ms=r["timestamp"], headers=[(n, raw(v)) for n, v in r["headers"]])
                for r in records]
        await asyncio.gather(*sent)


def shown(r):
    driver.say({"topic": r.topic, "partition": r.partition, "offset": r.offset, "key": text(r.key), "value": text(r.value),
                "headers": [[n, text(v)] for n, v in r.headers], "timestamp": r.timestamp})


async def read(address, count, *topics):
    async with AIOKafkaConsumer(*topics, bootstrap_servers=address, auto_offset_reset="earliest",
                                isolation_level="read_committed") as consumer:
        for _ in range(int(count)):
            shown(await asyncio.wait_for(consumer.getone(), driver.LIMIT))


class Listener(ConsumerRebalanceListener):
    async def on_partitions_revoked(self, revoked):
        pass

    async def on_partitions_assigned(self, assigned):
        driver.say({"assigned": sorted(p.partition for p in assigned)})


async def group(address, name, topic):
    consumer = AIOKafkaConsumer(bootstrap_servers=address, group_id=name, auto_offset_reset="earliest", enable_auto_commit=False,
                                session_timeout_ms=45000, heartbeat_interval_ms=500)
    await consumer.start()
    consumer.subscribe([topic], listener=Listener())
    while not driver.told_to_stop():
        for partition, records in (await consumer.getmany(timeout_ms=50)).items():
            await consumer.commit({partition: records[-1].offset + 1})
            for r in records:
                shown(r)
    await consumer.stop()
    driver.say({"closed": True})


async def txn(address, out, name, source):
    async with AIOKafkaProducer(bootstrap_servers=address, transactional_id="aiokafka-" + out) as producer:
        for values, offset, commit in driver.TRANSACTIONS:
            await producer.begin_transaction()
            for v in values:
                await producer.send_and_wait(out, partition=0, value=v.encode())
            if offset is not None:
                await producer.send_offsets_to_transaction({TopicPartition(source, 0): offset}, name)
            await (producer.commit_transaction() if commit else producer.abort_transaction())


async def admin(address, topic, name, source):
    client = AIOKafkaAdminClient(bootstrap_servers=address)
    await client.start()
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)

    async def retention():
        answer = (await client.describe_configs([resource]))[0]
        return [c[1] for c in answer.resources[0][4] if c[0] == "retention.ms"][0]
    await client.create_topics([NewTopic(topic, 2, 1, topic_configs={"retention.ms": driver.RETENTION[0]})])
    found = {"retention": [await retention()]}
    await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": driver.RETENTION[1]})])
    found["retention"].append(await retention())
    await client.create_partitions({topic: NewPartitions(4)})
    found["partitions"] = len((await client.describe_topics([topic]))[0]["partitions"])
    found["low"] = (await client.delete_records({TopicPartition(source, 0): RecordsToDelete(before_offset=3)}))[TopicPartition(source, 0)]
    found["listed"] = name in [g[0] for g in await client.list_consumer_groups()]
    found["state"] = (await client.describe_consumer_groups([name]))[0].to_object()["groups"][0]["state"]
    offsets = await client.list_consumer_group_offsets(name)
    found["offsets"] = [[p.topic, p.partition, o.offset] for p, o in offsets.items()]
    await client.delete_topics([topic])
    found["left"] = topic in await client.list_topics()
    await client.close()
    driver.say(found)


def run(command):
    return lambda *args: asyncio.run(command(*args))


driver.run({"write": run(write), "read": run(read), "group": run(group), "txn": run(txn), "admin": run(admin)})
