// KafkaJS, the client that most Node programs use: makes a topic, writes idempotently, shares the reading in a group, and
// asks what an administrator asks. The last line counts.
//
// Usage: node kafkajs.js HOST:PORT RUN, where RUN makes the names of topics and groups unique.
'use strict'
const assert = require('node:assert')
const { setTimeout: sleep } = require('node:timers/promises')
const { CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = require('kafkajs')

const [address, run] = process.argv.slice(2)
const topic = `node-${run}`
const groupId = `node-${run}`
const count = 300
const limitMs = 60_000

let passed = 0
let failed = 0

function same(name, expected, found) {
  try {
    assert.deepStrictEqual(found, expected)
    passed++
    console.log(`ok      kafkajs: ${name}`)
  } catch {
    failed++
    console.log(`FAILED  kafkajs: ${name}\n  expected: ${JSON.stringify(expected)}\n  found:    ${JSON.stringify(found)}`)
  }
}

async function until(condition) {
  while (!condition()) await sleep(20)
}

/** What a member has read by value, and how many partitions it holds. */
async function member(kafka, seen) {
  const consumer = kafka.consumer({ groupId, heartbeatInterval: 200, maxWaitTimeInMs: 200 })
  const held = { partitions: 0 }
  consumer.on(consumer.events.GROUP_JOIN, event => {
    held.partitions = (event.payload.memberAssignment[topic] ?? []).length
  })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ message }) => {
      const value = message.value.toString()
      seen.set(value, (seen.get(value) ?? 0) + 1)
    },
  })
  return { consumer, held }
}

async function play(kafka) {
  const admin = kafka.admin()
  await admin.connect()
  const topics = [{ topic, numPartitions: 4, configEntries: [{ name: 'retention.ms', value: '86400000' }] }]
  same('a topic is created', true, await admin.createTopics({ topics, waitForLeaders: true }))
  same('but once', false, await admin.createTopics({ topics }))
  const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: ['retention.ms'] }]
  const described = await admin.describeConfigs({ resources, includeSynonyms: true })
  same('its setting is described', '86400000', described.resources[0].configEntries[0].configValue)

  const seen = new Map()
  const members = [await member(kafka, seen), await member(kafka, seen)]
  await until(() => members.every(({ held }) => held.partitions === 2))
  same('two members have two partitions each', [2, 2], members.map(({ held }) => held.partitions))

  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  for (let n = 0; n < count; n += 100) {
    const messages = Array.from({ length: 100 }, (_, i) => ({ key: `${n + i}`, value: `value ${n + i}`, headers: { n: `${n}` } }))
    await producer.send({ topic, messages, compression: n === 0 ? CompressionTypes.None : CompressionTypes.GZIP })
  }
  await producer.disconnect()
  await until(() => seen.size === count)
  same('they read each record once', [], [...seen].filter(([, times]) => times !== 1))
  const groups = await admin.describeGroups([groupId])
  same('the group is stable', ['Stable', 2], [groups.groups[0].state, groups.groups[0].members.length])
  for (const { consumer } of members) await consumer.disconnect()

  const committed = async () => {
    const offsets = await admin.fetchOffsets({ groupId, topics: [topic], resolveOffsets: true })
    return offsets[0].partitions.reduce((sum, { offset }) => sum + Number(offset), 0)
  }
  same('leaving committed what was read', count, await committed())
  await admin.resetOffsets({ groupId, topic, earliest: true })
  same('an empty group can be set back', 0, await committed())
  await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
  same('a topic can grow', 5, (await admin.fetchTopicOffsets(topic)).length)
  const before = (await admin.fetchTopicOffsets(topic)).find(({ partition }) => partition === 0)
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '1' }] })
  const after = (await admin.fetchTopicOffsets(topic)).find(({ partition }) => partition === 0)
  same('records can be deleted', ['1', before.high], [after.low, after.high])
  same('the group is deleted', 0, (await admin.deleteGroups([groupId]))[0].errorCode)
  await admin.deleteTopics({ topics: [topic] })
  same('the topic is deleted', false, (await admin.listTopics()).includes(topic))
  await admin.disconnect()
}

function finish() {
  console.log(`${passed} passed, ${failed} failed, 0 skipped`)
  process.exit(failed === 0 ? 0 : 1)
}

function unfinished(reason) {
  same('the whole scenario', 'done', `${reason}`)
  finish()
}

setTimeout(() => unfinished(`not done after ${limitMs} ms`), limitMs).unref()
play(new Kafka({ clientId: 'compat', brokers: [address], logLevel: logLevel.NOTHING })).then(finish, unfinished)
