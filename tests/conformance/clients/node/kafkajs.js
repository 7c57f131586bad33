// kafkajs as a driver; ../README.md tells what each command does.
'use strict'
const fs = require('fs')
const { CompressionTypes, CompressionCodecs, ConfigResourceTypes, Kafka, logLevel, PartitionAssigners } = require('kafkajs')
const snappy = require('snappyjs')
const lz4 = require('lz4-napi')
const zstd = require('@bokuweb/zstd-wasm')

const RETENTION = ['86400000', '3600000']
const many = what => Array.from({ length: 10 }, (_, i) => `${what} ${i}`)
// values to write, the offset to commit with them, whether the transaction is committed
const TRANSACTIONS = [[many('aborted'), null, false], [many('kept'), 5, true], [many('aborted again'), 9, false],
  [['kept too'], null, true]]
const XERIAL = Buffer.from([130, 83, 78, 65, 80, 80, 89, 0])

// Java's and others' snappy comes in blocks behind a header of 16 bytes.
function unsnap(buffer) {
  if (!buffer.subarray(0, 8).equals(XERIAL)) return Buffer.from(snappy.uncompress(buffer))
  const blocks = []
  for (let at = 16; at < buffer.length;) {
    const length = buffer.readInt32BE(at)
    blocks.push(Buffer.from(snappy.uncompress(buffer.subarray(at + 4, at + 4 + length))))
    at += 4 + length
  }
  return Buffer.concat(blocks)
}

const codec = (compress, decompress) => () => ({ compress: async e => Buffer.from(compress(e.buffer)), decompress: async b => Buffer.from(decompress(b)) })
CompressionCodecs[CompressionTypes.Snappy] = codec(snappy.compress, unsnap)
CompressionCodecs[CompressionTypes.LZ4] = codec(lz4.compressFrameSync, lz4.decompressFrameSync)
CompressionCodecs[CompressionTypes.ZSTD] = codec(zstd.compress, zstd.decompress)

const say = what => fs.writeSync(1, JSON.stringify(what) + '\n')
const text = b => (b == null ? null : b.toString())
const connect = address => new Kafka({ brokers: [address], clientId: 'kafkajs', logLevel: logLevel.ERROR, retry: { retries: 20 } })

async function write(address, topic, ...names) {
  const types = { none: 'None', gzip: 'GZIP', snappy: 'Snappy', lz4: 'LZ4', zstd: 'ZSTD' }
  const producer = connect(address).producer({ idempotent: true })
  await producer.connect()
  const messages = fs.readFileSync(0, 'utf8').split('\n').filter(Boolean).map(line => {
    const r = JSON.parse(line)
    const headers = {}
    for (const [n, v] of r.headers) headers[n] = n in headers ? [].concat(headers[n], v) : v
    return { partition: r.partition, key: r.key, value: r.value, timestamp: String(r.timestamp), headers }
  })
  for (const name of names) await producer.send({ topic: topic + '-' + name, compression: CompressionTypes[types[name]], messages })
  await producer.disconnect()
}

function show(topic, partition, m) {
  const headers = []
  for (const [n, v] of Object.entries(m.headers || {})) for (const one of Array.isArray(v) ? v : [v]) headers.push([n, text(one)])
  say({ topic, partition, offset: Number(m.offset), key: text(m.key), value: text(m.value), headers, timestamp: Number(m.timestamp) })
}

async function read(address, count, ...topics) {
  const consumer = connect(address).consumer({ groupId: 'kafkajs-read-' + process.pid })
  await consumer.connect()
  await consumer.subscribe({ topics, fromBeginning: true })
  let left = Number(count)
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, e => reject(e.payload.error))
    consumer.run({
      autoCommit: false,
      eachMessage: async ({ topic, partition, message }) => {
        if (left-- > 0) show(topic, partition, message)
        if (left === 0) resolve()
      }
    }).catch(reject)
  })
  await consumer.disconnect()
}

async function group(address, name, topic) {
  const consumer = connect(address).consumer({
    groupId: name, sessionTimeout: 45000, heartbeatInterval: 500, maxWaitTimeInMs: 200, partitionAssigners: [PartitionAssigners.roundRobin]
  })
  consumer.on(consumer.events.GROUP_JOIN, e => say({ assigned: (e.payload.memberAssignment[topic] || []).sort((a, b) => a - b) }))
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      await consumer.commitOffsets([{ topic, partition, offset: String(Number(message.offset) + 1) }])
      show(topic, partition, message)
    }
  })
  await new Promise(resolve => process.stdin.on('end', resolve).resume())
  await consumer.disconnect()
  say({ closed: true })
}

async function txn(address, out, name, source) {
  const producer = connect(address).producer({ transactionalId: 'kafkajs-' + out, maxInFlightRequests: 1, idempotent: true })
  await producer.connect()
  for (const [values, offset, commit] of TRANSACTIONS) {
    const transaction = await producer.transaction()
    await transaction.send({ topic: out, messages: values.map(value => ({ partition: 0, value })) })
    if (offset !== null) {
      const topics = [{ topic: source, partitions: [{ partition: 0, offset: String(offset) }] }]
      await transaction.sendOffsets({ consumerGroupId: name, topics })
    }
    await (commit ? transaction.commit() : transaction.abort())
  }
  await producer.disconnect()
}

async function admin(address, topic, name, source) {
  const client = connect(address).admin()
  await client.connect()
  const found = { retention: [] }
  const type = ConfigResourceTypes.TOPIC
  const retention = async () => {
    const answer = await client.describeConfigs({ resources: [{ type, name: topic, configNames: ['retention.ms'] }] })
    found.retention.push(answer.resources[0].configEntries.find(c => c.configName === 'retention.ms').configValue)
  }
  const configEntries = [{ name: 'retention.ms', value: RETENTION[0] }]
  await client.createTopics({ topics: [{ topic, numPartitions: 2, replicationFactor: 1, configEntries }] })
  await retention()
  await client.alterConfigs({ resources: [{ type, name: topic, configEntries: [{ name: 'retention.ms', value: RETENTION[1] }] }] })
  await retention()
  await client.createPartitions({ topicPartitions: [{ topic, count: 4 }] })
  found.partitions = (await client.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length
  await client.fetchTopicOffsets(source) // kafkajs trims only what it has looked at before
  await client.deleteTopicRecords({ topic: source, partitions: [{ partition: 0, offset: '3' }] })
  found.low = Number((await client.fetchTopicOffsets(source)).find(p => p.partition === 0).low)
  found.listed = (await client.listGroups()).groups.some(g => g.groupId === name)
  found.state = (await client.describeGroups([name])).groups[0].state
  found.offsets = (await client.fetchOffsets({ groupId: name, topics: [source] }))
    .flatMap(t => t.partitions.filter(p => p.offset !== '-1').map(p => [t.topic, p.partition, Number(p.offset)]))
  await client.deleteGroups([name])
  await client.deleteTopics({ topics: [topic] })
  found.left = (await client.listTopics()).includes(topic)
  await client.disconnect()
  say(found)
}

async function main() {
  await zstd.init()
  await { write, read, group, txn, admin }[process.argv[2]](...process.argv.slice(3))
}

main().then(() => process.exit(0), e => {
  console.error(e)
  process.exit(1)
})
