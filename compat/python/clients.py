"""The two Kafka clients in plain Python, aiokafka and kafka-python, against one broker. The last line counts.

Usage: clients.py HOST:PORT RUN, where RUN makes the names of topics and groups unique.
"""

import asyncio
import sys
import threading
import time
from collections import Counter

import aiokafka
import aiokafka.admin
import kafka
import kafka.admin

ADDRESS, RUN = sys.argv[1:3]
COUNT = 300
LIMIT_SECONDS = 60
VALUES = Counter(b"value %d" % n for n in range(COUNT))

counts = Counter()


def same(client, name, expected, found):
    if expected == found:
        counts["passed"] += 1
        print(f"ok      {client}: {name}")
    else:
        counts["failed"] += 1
        print(f"FAILED  {client}: {name}\n  expected: {expected!r:.500}\n  found:    {found!r:.500}")


async def play_aiokafka():
    """Two members that read what an idempotent producer writes, then one that comes later."""
    topic = group = f"aiokafka-{RUN}"
    admin = aiokafka.admin.AIOKafkaAdminClient(bootstrap_servers=ADDRESS)
    await admin.start()
    created = await admin.create_topics([aiokafka.admin.NewTopic(topic, 4, 1)])
    same("aiokafka", "a topic is created", [(topic, 0, None)], created.topic_errors)

    async def join():
        member = aiokafka.AIOKafkaConsumer(
            topic,
            bootstrap_servers=ADDRESS,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            heartbeat_interval_ms=200,
        )
        await member.start()
        return member

    members = await asyncio.gather(join(), join())
    while sorted(len(member.assignment()) for member in members) != [2, 2]:
        await asyncio.sleep(0.05)
    same("aiokafka", "two members have two partitions each", [2, 2], [len(member.assignment()) for member in members])

    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=ADDRESS, enable_idempotence=True, compression_type="gzip")
    await producer.start()
    for n, value in enumerate(VALUES):
        await producer.send(topic, value, key=b"%d" % n, headers=[("n", b"%d" % n)])
    await producer.stop()
    seen = Counter()
    while seen.total() < COUNT:
        for member in members:
            for records in (await member.getmany(timeout_ms=100)).values():
                seen.update(record.value for record in records)
    same("aiokafka", "they read each record once", VALUES, seen)
    for member in members:
        await member.commit()
        await member.stop()
    offsets = await admin.list_consumer_group_offsets(group)
    same("aiokafka", "what was read is committed", COUNT, sum(offset.offset for offset in offsets.values()))

    late = await join()
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=ADDRESS)
    await producer.start()
    await producer.send_and_wait(topic, b"late")
    await producer.stop()
    same("aiokafka", "who comes later goes on where they stopped", b"late", (await late.getone()).value)
    await late.stop()
    deleted = await admin.delete_topics([topic])
    same("aiokafka", "the topic is deleted", [(topic, 0)], deleted.topic_error_codes)
    await admin.close()


class Member(threading.Thread):
    """A member of a group in a thread of its own, as kafka-python wants it: reads until it is told to leave."""

    def __init__(self, topic, group):
        super().__init__(daemon=True)
        self.consumer = kafka.KafkaConsumer(
            topic,
            bootstrap_servers=ADDRESS,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            heartbeat_interval_ms=200,
        )
        self.seen, self.partitions, self.leaving = Counter(), 0, False
        self.start()

    def run(self):
        while not self.leaving:
            for records in self.consumer.poll(timeout_ms=100).values():
                self.seen.update(record.value for record in records)
            self.partitions = len(self.consumer.assignment())
        self.consumer.commit()
        self.consumer.close()

    def leave(self):
        self.leaving = True
        self.join(LIMIT_SECONDS)


def wait(until):
    end = time.monotonic() + LIMIT_SECONDS
    while not until() and time.monotonic() < end:
        time.sleep(0.02)


def play_kafka_python():
    """The same with the client that polls, and more of what an administrator asks."""
    topic = group = f"kafka-python-{RUN}"
    admin = kafka.KafkaAdminClient(bootstrap_servers=ADDRESS)
    admin.create_topics({topic: {"num_partitions": 4, "replication_factor": 1}})
    same("kafka-python", "a topic is created", True, topic in admin.list_topics())
    members = [Member(topic, group) for _ in range(2)]
    wait(lambda: [member.partitions for member in members] == [2, 2])
    same("kafka-python", "two members have two partitions each", [2, 2], [member.partitions for member in members])
    for codec in ["gzip", None]:
        producer = kafka.KafkaProducer(bootstrap_servers=ADDRESS, compression_type=codec)
        for n, value in enumerate(VALUES):
            if (n % 2 == 0) == (codec is None):
                producer.send(topic, value, key=b"%d" % n, headers=[("n", b"%d" % n)])
        producer.close()
    wait(lambda: sum(member.seen.total() for member in members) >= COUNT)
    for member in members:
        member.leave()
    same("kafka-python", "they read each record once", VALUES, members[0].seen + members[1].seen)
    offsets = admin.list_group_offsets(group)[group]
    same("kafka-python", "what was read is committed", COUNT, sum(offset.offset for offset in offsets.values()))
    admin.create_partitions({topic: 6})
    same("kafka-python", "a topic can grow", 6, len(admin.describe_topics([topic])[0]["partitions"]))
    admin.delete_groups([group])
    same("kafka-python", "the group is deleted", False, group in str(admin.list_groups()))
    admin.delete_topics([topic])
    same("kafka-python", "the topic is deleted", False, topic in admin.list_topics())
    admin.close()


def play(client, scenario):
    try:
        scenario()
    except Exception as error:  # Whatever a client throws is a failed check.
        same(client, "the whole scenario", "done", f"{type(error).__name__}: {error}")


play("aiokafka", lambda: asyncio.run(asyncio.wait_for(play_aiokafka(), LIMIT_SECONDS)))
play("kafka-python", play_kafka_python)
print(f"{counts['passed']} passed, {counts['failed']} failed, 0 skipped")
sys.exit(counts["failed"] > 0)
