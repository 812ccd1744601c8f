"""Topics, settings and groups, as an administrator."""

from confluent_kafka import (
    OFFSET_INVALID,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

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
    refused,
    same,
    scenario,
    settle,
    until,
    write,
)

# -- Topics, as an administrator


@scenario
def topics_are_created_and_deleted(name):
    create(name, 3, retention_ms="1000000")
    refused(KafkaError.TOPIC_ALREADY_EXISTS, ADMIN.create_topics, [NewTopic(name, 3, 1)])
    described = one(ADMIN.describe_topics(TopicCollection([name])))
    same((name, 3, False), (described.name, len(described.partitions), described.is_internal))
    first_id = str(described.topic_id)
    node = described.partitions[0].leader.id
    same([[node]] * 3, [[replica.id for replica in p.isr] for p in described.partitions])
    one(ADMIN.delete_topics([name]))
    until(lambda: name not in ADMIN.list_topics(timeout=LIMIT_SECONDS).topics, "the topic is gone")
    refused(KafkaError.UNKNOWN_TOPIC_OR_PART, ADMIN.delete_topics, [name])
    refused(KafkaError.UNKNOWN_TOPIC_OR_PART, ADMIN.describe_topics, TopicCollection([name]))
    create(name)
    assert first_id != str(one(ADMIN.describe_topics(TopicCollection([name]))).topic_id), "the new topic has the old id"


@scenario
def topics_that_cannot_be(name):
    for code, topic in [
        (KafkaError.TOPIC_EXCEPTION, NewTopic("not/a name", 1, 1)),
        (KafkaError.INVALID_PARTITIONS, NewTopic(name, 0, 1)),
        (KafkaError.INVALID_REPLICATION_FACTOR, NewTopic(name, 1, 3)),
        (KafkaError.INVALID_CONFIG, NewTopic(name, 1, 1, config={"no.such.key": "1"})),
        (KafkaError.INVALID_CONFIG, NewTopic(name, 1, 1, config={"retention.ms": "soon"})),
    ]:
        refused(code, ADMIN.create_topics, [topic])
    one(ADMIN.create_topics([NewTopic(name, 1, 1)], validate_only=True))
    assert name not in ADMIN.list_topics(timeout=LIMIT_SECONDS).topics, "validate_only made the topic"
    one(ADMIN.create_topics([NewTopic(name)]))
    has_partitions(name, 4)


@scenario
def partitions_are_added(name):
    create(name, 2)
    one(ADMIN.create_partitions([NewPartitions(name, 5)], validate_only=True))
    has_partitions(name, 2)
    one(ADMIN.create_partitions([NewPartitions(name, 5)]))
    has_partitions(name, 5)
    for count in (5, 3):
        refused(KafkaError.INVALID_PARTITIONS, ADMIN.create_partitions, [NewPartitions(name, count)])
    refused(KafkaError.UNKNOWN_TOPIC_OR_PART, ADMIN.create_partitions, [NewPartitions(f"{name}-not", 3)])
    same([0], [message.offset() for message in write(name, [b"x"], partition=4)])


def config_of(kind, name):
    return one(ADMIN.describe_configs([ConfigResource(kind, name)]))


def has_config(topic, key, value):
    until(lambda: config_of(ResourceType.TOPIC, topic)[key].value == value, f"{key} is {value}")


def alter(kind, name, key, value, operation, **options):
    entry = ConfigEntry(key, value, incremental_operation=operation)
    return ADMIN.incremental_alter_configs([ConfigResource(kind, name, incremental_configs=[entry])], **options)


@scenario
def topic_configs_are_described_and_altered(name):
    create(name, retention_ms="1000000")
    source = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    found = config_of(ResourceType.TOPIC, name)
    same(("1000000", source), (found["retention.ms"].value, found["retention.ms"].source))
    same(("delete", True), (found["cleanup.policy"].value, found["cleanup.policy"].is_default))
    for operation, value, expected in [
        (AlterConfigOpType.SET, "2000000", "2000000"),
        (AlterConfigOpType.DELETE, None, "604800000"),
    ]:
        one(alter(ResourceType.TOPIC, name, "retention.ms", value, operation))
        has_config(name, "retention.ms", expected)
    one(alter(ResourceType.TOPIC, name, "cleanup.policy", "compact", AlterConfigOpType.APPEND))
    has_config(name, "cleanup.policy", "delete,compact")
    one(alter(ResourceType.TOPIC, name, "cleanup.policy", "compact", AlterConfigOpType.SUBTRACT))
    has_config(name, "cleanup.policy", "delete")
    one(alter(ResourceType.TOPIC, name, "retention.ms", "5", AlterConfigOpType.SET, validate_only=True))
    has_config(name, "retention.ms", "604800000")
    refused(KafkaError.INVALID_CONFIG, alter, ResourceType.TOPIC, name, "no.such.key", "1", AlterConfigOpType.SET)
    refused(KafkaError.UNKNOWN_TOPIC_OR_PART, alter, ResourceType.TOPIC, f"{name}-not", "retention.ms", "1", AlterConfigOpType.SET)
    refused(KafkaError.UNKNOWN_TOPIC_OR_PART, ADMIN.describe_configs, [ConfigResource(ResourceType.TOPIC, f"{name}-not")])


@scenario
def replaced_topic_configs_forget_the_others(name):
    create(name, retention_ms="1000000")
    one(ADMIN.alter_configs([ConfigResource(ResourceType.TOPIC, name, set_config={"max.message.bytes": "50000"})]))
    has_config(name, "max.message.bytes", "50000")
    has_config(name, "retention.ms", "604800000")


@scenario
def broker_configs_are_described(_):
    [node] = ADMIN.list_topics(timeout=LIMIT_SECONDS).brokers
    found = config_of(ResourceType.BROKER, str(node))
    same(("4", str(node)), (found["num.partitions"].value, found["node.id"].value))
    assert found["node.id"].is_read_only and not found["log.retention.ms"].is_read_only


@scenario
def the_cluster_is_described(_):
    cluster = ADMIN.describe_cluster().result(LIMIT_SECONDS)
    [node] = cluster.nodes
    same((ADDRESS, node.id), (f"{node.host}:{node.port}", cluster.controller.id))
    same(cluster.cluster_id, ADMIN.list_topics(timeout=LIMIT_SECONDS).cluster_id)


@scenario
def records_are_deleted(name):
    topic = create(name)
    write(topic, [b"%d" % n for n in range(100)])
    same(40, one(ADMIN.delete_records([TopicPartition(topic, 0, 40)])).low_watermark)
    reader = at(topic)
    same(40, read(reader, 1)[0].offset())
    same((40, 100), reader.get_watermark_offsets(TopicPartition(topic, 0), LIMIT_SECONDS))
    reader.close()
    refused(KafkaError.OFFSET_OUT_OF_RANGE, ADMIN.delete_records, [TopicPartition(topic, 0, 101)])
    refused(KafkaError._NOENT, ADMIN.delete_records, [TopicPartition(f"{name}-not", 0, 1)], request_timeout=5)
    same(100, one(ADMIN.delete_records([TopicPartition(topic, 0, -1)])).low_watermark)


@scenario
def offsets_are_listed(name):
    topic = create(name)
    producer = Producer({"bootstrap.servers": ADDRESS, "linger.ms": 50})
    for n, timestamp in enumerate([1_700_000_000_000, 1_700_000_000_900, 1_700_000_000_500]):
        producer.produce(topic, b"%d" % n, partition=0, timestamp=timestamp)
    producer.flush(LIMIT_SECONDS)
    for spec, expected in [
        (OffsetSpec.earliest(), 0),
        (OffsetSpec.latest(), 3),
        (OffsetSpec.max_timestamp(), 1),
        (OffsetSpec.for_timestamp(1_700_000_000_400), 1),
        (OffsetSpec.for_timestamp(1_800_000_000_000), -1),
    ]:
        for level in (IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED):
            found = one(ADMIN.list_offsets({TopicPartition(topic, 0): spec}, isolation_level=level))
            same((spec, expected), (spec, found.offset))


# -- Groups, as an administrator


@scenario
def groups_are_listed_and_described(name):
    topic = create(name, 2)
    member = consumer(name, client_id="a-client")
    member.subscribe([topic])
    settle([member], [2])
    found = one(ADMIN.describe_consumer_groups([name]))
    same((name, ConsumerGroupState.STABLE, "range"), (found.group_id, found.state, found.partition_assignor))
    same("a-client", found.members[0].client_id)
    same({0, 1}, {p.partition for p in found.members[0].assignment.topic_partitions})

    def listed(*states):
        done = ADMIN.list_consumer_groups(states=set(states)).result(LIMIT_SECONDS)
        same([], done.errors)
        return {group.group_id: group.state for group in done.valid}

    same(ConsumerGroupState.STABLE, listed()[name])
    assert name in listed(ConsumerGroupState.STABLE) and name not in listed(ConsumerGroupState.EMPTY)
    member.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
    refused(KafkaError.NON_EMPTY_GROUP, ADMIN.delete_consumer_groups, [name])
    member.close()
    until(lambda: listed()[name] == ConsumerGroupState.EMPTY, "the group is empty")
    same([], one(ADMIN.describe_consumer_groups([name])).members)


@scenario
def groups_are_deleted(name):
    topic = create(name)
    member = consumer(name)
    member.commit(offsets=[TopicPartition(topic, 0, 5)], asynchronous=False)
    one(ADMIN.delete_consumer_groups([name]))
    same(OFFSET_INVALID, member.committed([TopicPartition(topic, 0)], LIMIT_SECONDS)[0].offset)
    member.close()
    refused(KafkaError.GROUP_ID_NOT_FOUND, ADMIN.delete_consumer_groups, [name])


def offsets_of(group, *partitions):
    asked = ConsumerGroupTopicPartitions(group, list(partitions) or None)
    return {p.partition: p.offset for p in one(ADMIN.list_consumer_group_offsets([asked])).topic_partitions}


@scenario
def group_offsets_are_listed_and_altered(name):
    topic = create(name, 3)
    member = consumer(name)
    member.commit(offsets=[TopicPartition(topic, 0, 5), TopicPartition(topic, 1, 6)], asynchronous=False)
    same({0: 5, 1: 6}, offsets_of(name))
    same({1: 6, 2: OFFSET_INVALID}, offsets_of(name, TopicPartition(topic, 1), TopicPartition(topic, 2)))
    same({}, offsets_of(f"{name}-not"))
    wanted = ConsumerGroupTopicPartitions(name, [TopicPartition(topic, 1, 2), TopicPartition(topic, 2, 3)])
    one(ADMIN.alter_consumer_group_offsets([wanted]))
    same({0: 5, 1: 2, 2: 3}, offsets_of(name))
    member.subscribe([topic])
    settle([member], [3])
    altered = one(ADMIN.alter_consumer_group_offsets([wanted])).topic_partitions
    same([KafkaError.UNKNOWN_MEMBER_ID] * 2, [partition.error.code() for partition in altered])
    member.close()


@scenario
def a_deleted_topic_takes_its_commits_along(name):
    topic = create(name)
    member = consumer(name)
    member.commit(offsets=[TopicPartition(topic, 0, 5)], asynchronous=False)
    one(ADMIN.delete_topics([topic]))
    until(lambda: offsets_of(name) == {}, "the commit is gone")
    create(name)
    same({}, offsets_of(name))
    member.close()
