"""Producers, consumers and members of groups."""

import time
from collections import Counter

from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import NewPartitions

from kit import (
    ADDRESS,
    ADMIN,
    LIMIT_SECONDS,
    at,
    consumer,
    create,
    has_partitions,
    one,
    read,
    same,
    scenario,
    settle,
    until,
    write,
)

# -- Producing and consuming


@scenario
def every_codec_and_what_a_message_carries(name):
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        topic = create(f"{name}-{codec}")
        producer = Producer({"bootstrap.servers": ADDRESS, "compression.type": codec, "linger.ms": 20})
        headers = [("a", b"1"), ("a", b"2"), ("empty", b""), ("null", None)]
        for n in range(500):
            producer.produce(topic, b"value" * 20, b"key %d" % n, timestamp=1_700_000_000_000 + n, headers=headers)
        producer.produce(topic, None, b"")
        same(0, producer.flush(LIMIT_SECONDS))
        reader = at(topic)
        messages = read(reader, 501)
        same([(b"key %d" % n, b"value" * 20) for n in range(500)], [(m.key(), m.value()) for m in messages[:500]])
        same([(1, 1_700_000_000_000 + n) for n in range(500)], [m.timestamp() for m in messages[:500]])
        same(headers, messages[499].headers())
        same((b"", None), (messages[500].key(), messages[500].value()))
        reader.close()


@scenario
def acks_and_idempotence(name):
    topic = create(name)
    for config in [{"acks": "0"}, {"acks": "1"}, {"acks": "all"}, {"enable.idempotence": True}]:
        write(topic, [b"%d" % n for n in range(1000)], **config)
    reader = at(topic)
    same([b"%d" % n for n in range(1000)] * 4, [message.value() for message in read(reader, 4000)])
    reader.close()


@scenario
def a_topic_is_made_by_the_first_message(name):
    producer = Producer({"bootstrap.servers": ADDRESS})
    producer.produce(name, b"first")
    same(0, producer.flush(LIMIT_SECONDS))
    has_partitions(name, 4)


@scenario
def messages_that_are_too_large(name):
    topic = create(name, max_message_bytes="10000")
    errors = []
    producer = Producer({"bootstrap.servers": ADDRESS})
    producer.produce(topic, bytes(20_000), on_delivery=lambda error, _: errors.append(error.code()))
    producer.flush(LIMIT_SECONDS)
    same([KafkaError.MSG_SIZE_TOO_LARGE], errors)
    same([0], [message.offset() for message in write(topic, [bytes(9_000)])])


@scenario
def log_append_time(name):
    topic = create(name, message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000)
    producer = Producer({"bootstrap.servers": ADDRESS})
    producer.produce(topic, b"x", timestamp=1000)
    producer.flush(LIMIT_SECONDS)
    reader = at(topic)
    kind, timestamp = read(reader, 1)[0].timestamp()
    same(2, kind)
    assert before - 1000 <= timestamp <= time.time() * 1000 + 1000, timestamp
    reader.close()


@scenario
def seek_pause_resume_position(name):
    topic = create(name, 2)
    write(topic, [b"%d" % n for n in range(100)])
    reader = at(topic)
    read(reader, 10)
    reader.seek(TopicPartition(topic, 0, 90))
    same([b"%d" % n for n in range(90, 100)], [message.value() for message in read(reader, 10)])
    same(100, reader.position([TopicPartition(topic, 0)])[0].offset)
    reader.pause([TopicPartition(topic, 0)])
    write(topic, [b"while paused"])
    same(None, reader.poll(0.5))
    reader.resume([TopicPartition(topic, 0)])
    same(b"while paused", read(reader, 1)[0].value())
    reader.close()


@scenario
def watermarks_and_offsets_for_times(name):
    topic = create(name)
    producer = Producer({"bootstrap.servers": ADDRESS, "linger.ms": 50, "compression.type": "gzip"})
    for n in range(100):
        producer.produce(topic, b"%d" % n, partition=0, timestamp=1_700_000_000_000 + 10 * n)
    producer.flush(LIMIT_SECONDS)
    reader = consumer(f"{name}-reader")
    same((0, 100), reader.get_watermark_offsets(TopicPartition(topic, 0), LIMIT_SECONDS))
    for asked, found in [(1_700_000_000_000, 0), (1_700_000_000_495, 50), (1_700_000_000_990, 99)]:
        same(found, reader.offsets_for_times([TopicPartition(topic, 0, asked)], LIMIT_SECONDS)[0].offset)
    same(-1, reader.offsets_for_times([TopicPartition(topic, 0, 1_800_000_000_000)], LIMIT_SECONDS)[0].offset)
    reader.close()


@scenario
def offsets_out_of_range(name):
    topic = create(name)
    write(topic, [b"a", b"b"])
    reader = at(topic, offset=50)
    same(0, read(reader, 1)[0].offset())
    reader.close()
    reader = consumer(f"{name}-strict", auto_offset_reset="error")
    reader.assign([TopicPartition(topic, 0, 50)])
    message = reader.poll(LIMIT_SECONDS)
    same(KafkaError._AUTO_OFFSET_RESET, message.error().code())
    reader.close()


@scenario
def unknown_topics_and_partitions(name):
    reader = consumer(f"{name}-reader", allow_auto_create_topics=False)
    reader.subscribe([name])
    message = reader.poll(LIMIT_SECONDS)
    same(KafkaError.UNKNOWN_TOPIC_OR_PART, message.error().code())
    reader.close()
    topic = create(f"{name}-real")
    producer = Producer({"bootstrap.servers": ADDRESS})
    refused_with = []
    try:
        producer.produce(topic, b"x", partition=7, on_delivery=lambda error, _: refused_with.append(error.code()))
        producer.flush(LIMIT_SECONDS)
    except KafkaException as error:
        refused_with.append(error.args[0].code())
    same([KafkaError._UNKNOWN_PARTITION], refused_with)


# -- Groups


def share_of_three(name, strategy):
    topic = create(name, 6)
    members = [consumer(name, partition_assignment_strategy=strategy) for _ in range(3)]
    for member in members:
        member.subscribe([topic])
    settle(members, [2, 2, 2])
    for partition in range(6):
        write(topic, [b"%d %d" % (partition, n) for n in range(50)], partition)
    seen, end = Counter(), time.monotonic() + LIMIT_SECONDS
    while len(seen) < 300:
        assert time.monotonic() < end, f"read {len(seen)} of 300 in {LIMIT_SECONDS} s"
        for member in members:
            message = member.poll(0.02)
            if message is not None:
                assert message.error() is None, message.error()
                seen[message.value()] += 1
                member.commit(message, asynchronous=False)
    same({1}, set(seen.values()))
    owned = [(p.topic, p.partition) for member in members for p in member.assignment()]
    same(6, len(set(owned)))
    members.pop().close()
    settle(members, [3, 3])
    committed = members[0].committed([TopicPartition(topic, p) for p in range(6)], LIMIT_SECONDS)
    same([50] * 6, [partition.offset for partition in committed])
    for member in members:
        member.close()


@scenario
def three_members_share_with_range(name):
    share_of_three(name, "range")


@scenario
def three_members_share_with_roundrobin(name):
    share_of_three(name, "roundrobin")


@scenario
def three_members_share_cooperatively(name):
    share_of_three(name, "cooperative-sticky")


@scenario
def cooperative_members_keep_what_they_have(name):
    topic = create(name, 4)
    revoked = []
    first = consumer(name, partition_assignment_strategy="cooperative-sticky")
    first.subscribe([topic], on_revoke=lambda _, partitions: revoked.append(len(partitions)))
    settle([first], [4])
    second = consumer(name, partition_assignment_strategy="cooperative-sticky")
    second.subscribe([topic])
    settle([first, second], [2, 2])
    same([2], revoked)
    second.close()
    settle([first], [4])
    same([2], revoked)
    first.close()


@scenario
def a_static_member_returns_to_what_it_had(name):
    topic = create(name, 4)
    events = []

    def join(n):
        member = consumer(name, group_instance_id=f"{name}-{n}", session_timeout_ms=20_000)
        member.subscribe([topic], on_assign=lambda _, partitions: events.append((n, len(partitions))))
        return member

    first, second = join(1), join(2)
    settle([first, second], [2, 2])
    had = sorted(p.partition for p in second.assignment())
    same(["1", "2"], sorted(m.group_instance_id[-1] for m in one(ADMIN.describe_consumer_groups([name])).members))
    events.clear()
    second.close()
    second = join(2)
    settle([first, second], [2, 2])
    same(had, sorted(p.partition for p in second.assignment()))
    same([(2, 2)], events)
    third = join(2)

    def fenced():
        third.poll(0.02)
        first.poll(0.02)
        message = second.poll(0.02)
        return message is not None and message.error() and message.error().code() == KafkaError._FATAL

    until(fenced, "the older of two members with one name is fenced")
    for member in (first, second, third):
        member.close()


@scenario
def a_member_that_stops_polling_loses_its_partitions(name):
    topic = create(name, 2)
    first, second = (consumer(name, max_poll_interval_ms=6000) for _ in range(2))
    for member in (first, second):
        member.subscribe([topic])
    settle([first, second], [1, 1])
    settle([second], [2])
    first.close()
    second.close()


@scenario
def commits_carry_metadata_and_survive_the_member(name):
    topic = create(name, 2)
    writer = consumer(name)
    writer.commit(offsets=[TopicPartition(topic, 0, 7, "what I was doing")], asynchronous=False)
    writer.close()
    reader = consumer(name)
    found = reader.committed([TopicPartition(topic, 0), TopicPartition(topic, 1)], LIMIT_SECONDS)
    same([(7, "what I was doing"), (OFFSET_INVALID, None)], [(p.offset, p.metadata or None) for p in found])
    try:
        reader.commit(offsets=[TopicPartition(topic, 0, 7, "m" * 5000)], asynchronous=False)
        raise AssertionError("5,000 characters of metadata were taken")
    except KafkaException as error:
        same(KafkaError.OFFSET_METADATA_TOO_LARGE, error.args[0].code())
    reader.close()


@scenario
def automatic_commits_on_close(name):
    topic = create(name)
    write(topic, [b"%d" % n for n in range(20)])
    for expected in [range(20), range(20, 40)]:
        reader = consumer(name, enable_auto_commit=True)
        reader.subscribe([topic])
        same([b"%d" % n for n in expected], [message.value() for message in read(reader, 20)])
        reader.close()
        write(topic, [b"%d" % n for n in range(20, 40)])


@scenario
def a_pattern_finds_topics_that_come_later(name):
    create(f"{name}-1")
    reader = consumer(name, topic_metadata_refresh_interval_ms=500)
    reader.subscribe([f"^{name}-[0-9]+"])
    settle([reader], [1])
    create(f"{name}-2")
    create(f"{name}-other")
    settle([reader], [2])
    same({f"{name}-1", f"{name}-2"}, {p.topic for p in reader.assignment()})
    reader.close()


@scenario
def members_see_that_a_topic_grows(name):
    topic = create(name, 1)
    reader = consumer(name, topic_metadata_refresh_interval_ms=500)
    reader.subscribe([topic])
    settle([reader], [1])
    one(ADMIN.create_partitions([NewPartitions(topic, 3)]))
    settle([reader], [3])
    reader.close()
