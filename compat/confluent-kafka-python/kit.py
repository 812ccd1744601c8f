"""What the scenarios share: the broker to talk to, comparing, waiting, writing, reading."""

import sys
import threading
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

ADDRESS, RUN, *WANTED = sys.argv[1:]
LIMIT_SECONDS = 30
SCENARIOS = []
OPEN = threading.local()
ADMIN = AdminClient({"bootstrap.servers": ADDRESS})


def scenario(play):
    SCENARIOS.append(play)
    return play


def same(expected, found):
    assert expected == found, f"expected {expected!r:.300}, found {found!r:.300}"


def refused(code, call, *args, **kwargs):
    """The call, or the one future that it gives, fails with this code."""
    try:
        done = call(*args, **kwargs)
        [future] = done.values()
        future.result(LIMIT_SECONDS)
    except KafkaException as error:
        same(code, error.args[0].code())
    else:
        raise AssertionError(f"expected error {code}, found success")


def results(futures):
    return {key: future.result(LIMIT_SECONDS) for key, future in futures.items()}


def one(futures):
    [result] = results(futures).values()
    return result


def until(done, what):
    end = time.monotonic() + LIMIT_SECONDS
    while not done():
        assert time.monotonic() < end, f"waited {LIMIT_SECONDS} s until {what}"
        time.sleep(0.02)


def create(name, partitions=1, **config):
    config = {key.replace("_", "."): value for key, value in config.items()}
    one(ADMIN.create_topics([NewTopic(name, partitions, 1, config=config)]))
    # Kafka's broker may hear of a change after the controller has answered it.
    until(lambda: name in ADMIN.list_topics(timeout=LIMIT_SECONDS).topics, "the topic is there")
    return name


def has_partitions(topic, count):
    until(lambda: len(ADMIN.list_topics(topic, LIMIT_SECONDS).topics[topic].partitions) == count, f"{count} partitions")


def write(topic, values, partition=0, **config):
    """Writes the values to one partition and gives back the messages that were delivered."""
    delivered = []

    def report(error, message):
        assert error is None, error
        delivered.append(message)

    producer = Producer({"bootstrap.servers": ADDRESS, "linger.ms": 5, **config})
    for value in values:
        producer.produce(topic, value, partition=partition, on_delivery=report)
    same(0, producer.flush(LIMIT_SECONDS))
    return delivered


def consumer(group, **config):
    config = {key.replace("_", "."): value for key, value in config.items()}
    made = Consumer(
        {
            "bootstrap.servers": ADDRESS,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "heartbeat.interval.ms": 200,
            "session.timeout.ms": 6000,
            **config,
        }
    )
    OPEN.consumers.append(made)
    return made


def read(reader, count):
    """So many messages; any error fails."""
    messages, end = [], time.monotonic() + LIMIT_SECONDS
    while len(messages) < count:
        assert time.monotonic() < end, f"read {len(messages)} of {count} in {LIMIT_SECONDS} s"
        message = reader.poll(0.1)
        if message is not None:
            assert message.error() is None, message.error()
            messages.append(message)
    return messages


def at(topic, partition=0, offset=OFFSET_BEGINNING):
    reader = consumer(f"{topic}-reader")
    reader.assign([TopicPartition(topic, partition, offset)])
    return reader


def settle(members, shares):
    """Polls the members until their shares of the partitions are these, smallest first."""

    def settled():
        for member in members:
            member.poll(0.02)
        return sorted(len(member.assignment()) for member in members) == shares

    until(settled, f"the shares are {shares}")
