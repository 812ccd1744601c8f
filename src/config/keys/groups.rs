//! Broker keys: groups and committed offsets.

use crate::config::def::Check::{Any, AtLeast, Between, EachOf, OneOfIgnoringCase};
use crate::config::def::{Def, Effect, Key, Literal, Scope, Update, ValueType, declare};

declare! { GROUPS_KEYS: Broker;
    GROUP_CONSUMER_ASSIGNMENT_INTERVAL_MS: int "group.consumer.assignment.interval.ms" = 1000,
        AtLeast(0), ClusterWide, Later,
        "The shortest time between new assignments of a consumer group (KIP-848).";
    GROUP_CONSUMER_ASSIGNORS: list "group.consumer.assignors" = "uniform,range", Any, ReadOnly, Later,
        "Server-side assignors of consumer groups (KIP-848), the default at the front.";
    GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS: int "group.consumer.heartbeat.interval.ms" = 5000,
        AtLeast(1), ReadOnly, Later,
        "The heartbeat interval of consumer groups (KIP-848).";
    GROUP_CONSUMER_MAX_ASSIGNMENT_INTERVAL_MS: int "group.consumer.max.assignment.interval.ms" = 15_000,
        AtLeast(0), ReadOnly, Later,
        "The largest consumer.assignment.interval.ms of a group.";
    GROUP_CONSUMER_MAX_HEARTBEAT_INTERVAL_MS: int "group.consumer.max.heartbeat.interval.ms" = 15_000,
        AtLeast(1), ReadOnly, Later,
        "The largest consumer.heartbeat.interval.ms of a group.";
    GROUP_CONSUMER_MAX_SESSION_TIMEOUT_MS: int "group.consumer.max.session.timeout.ms" = 60_000,
        AtLeast(1), ReadOnly, Later,
        "The largest consumer.session.timeout.ms of a group.";
    GROUP_CONSUMER_MAX_SIZE: int "group.consumer.max.size" = 2_147_483_647, AtLeast(1), ReadOnly, Later,
        "The most members of a consumer group (KIP-848).";
    GROUP_CONSUMER_MIGRATION_POLICY: string "group.consumer.migration.policy" = "bidirectional",
        OneOfIgnoringCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]), ReadOnly, Later,
        "Whether groups with members may change between the classic and the consumer protocol.";
    GROUP_CONSUMER_MIN_ASSIGNMENT_INTERVAL_MS: int "group.consumer.min.assignment.interval.ms" = 0,
        AtLeast(0), ReadOnly, Later,
        "The smallest consumer.assignment.interval.ms of a group.";
    GROUP_CONSUMER_MIN_HEARTBEAT_INTERVAL_MS: int "group.consumer.min.heartbeat.interval.ms" = 5000,
        AtLeast(1), ReadOnly, Later,
        "The smallest consumer.heartbeat.interval.ms of a group.";
    GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS: int "group.consumer.min.session.timeout.ms" = 45_000,
        AtLeast(1), ReadOnly, Later,
        "The smallest consumer.session.timeout.ms of a group.";
    GROUP_CONSUMER_REGEX_REFRESH_INTERVAL_MS: int "group.consumer.regex.refresh.interval.ms" = 600_000,
        AtLeast(10_000), ReadOnly, Internal,
        "How often subscriptions by pattern are looked at again.";
    GROUP_CONSUMER_SESSION_TIMEOUT_MS: int "group.consumer.session.timeout.ms" = 45_000,
        AtLeast(1), ReadOnly, Later,
        "How long a member of a consumer group (KIP-848) may be silent.";
    GROUP_COORDINATOR_APPEND_LINGER_MS: int "group.coordinator.append.linger.ms" = -1,
        AtLeast(-1), ReadOnly, WithoutMeaning,
        "How long Kafka's group coordinator gathers writes.";
    GROUP_COORDINATOR_BACKGROUND_THREADS: int "group.coordinator.background.threads" = 2,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "Threads of the group coordinator's background work.";
    GROUP_COORDINATOR_CACHED_BUFFER_MAX_BYTES: int "group.coordinator.cached.buffer.max.bytes" = 1_048_588,
        AtLeast(524_288), ClusterWide, WithoutMeaning,
        "The largest buffer that Kafka's group coordinator keeps.";
    GROUP_COORDINATOR_REBALANCE_PROTOCOLS: list "group.coordinator.rebalance.protocols" = "classic,consumer,streams",
        EachOf(&["consumer", "classic", "share", "streams"]), ReadOnly, Later,
        "The group protocols that are served.";
    GROUP_COORDINATOR_THREADS: int "group.coordinator.threads" = 4, AtLeast(1), ReadOnly, WithoutMeaning,
        "Threads of Kafka's group coordinator.";
    GROUP_INITIAL_REBALANCE_DELAY_MS: int "group.initial.rebalance.delay.ms" = 0, Any, ReadOnly, Honoured,
        "How long an empty classic group waits for more members before its first assignment; 3000 in Kafka.";
    GROUP_MAX_SESSION_TIMEOUT_MS: int "group.max.session.timeout.ms" = 1_800_000, Any, ReadOnly, Honoured,
        "The largest session timeout that a classic member may ask for.";
    GROUP_MAX_SIZE: int "group.max.size" = 2_147_483_647, AtLeast(1), ReadOnly, Honoured,
        "The most members of a classic group.";
    GROUP_MIN_SESSION_TIMEOUT_MS: int "group.min.session.timeout.ms" = 6000, Any, ReadOnly, Honoured,
        "The smallest session timeout that a classic member may ask for.";
    GROUP_SHARE_ASSIGNMENT_INTERVAL_MS: int "group.share.assignment.interval.ms" = 1000,
        AtLeast(0), ClusterWide, Later,
        "The shortest time between new assignments of a share group.";
    GROUP_SHARE_ASSIGNORS: list "group.share.assignors" = "simple", Any, ReadOnly, Later,
        "The server-side assignor of share groups.";
    GROUP_SHARE_DELIVERY_COUNT_LIMIT: int "group.share.delivery.count.limit" = 5,
        Between(2, 10), ReadOnly, Later,
        "How often a record is delivered to a share group at most.";
    GROUP_SHARE_HEARTBEAT_INTERVAL_MS: int "group.share.heartbeat.interval.ms" = 5000,
        AtLeast(1), ReadOnly, Later,
        "The heartbeat interval of share groups.";
    GROUP_SHARE_INITIALIZE_RETRY_INTERVAL_MS: int "group.share.initialize.retry.interval.ms" = 30_000,
        AtLeast(1), ReadOnly, Internal,
        "The pause before Kafka initializes share state again.";
    GROUP_SHARE_MAX_ASSIGNMENT_INTERVAL_MS: int "group.share.max.assignment.interval.ms" = 15_000,
        AtLeast(0), ReadOnly, Later,
        "The largest share.assignment.interval.ms of a group.";
    GROUP_SHARE_MAX_DELIVERY_COUNT_LIMIT: int "group.share.max.delivery.count.limit" = 10,
        Between(5, 25), ReadOnly, Later,
        "The largest share.delivery.count.limit of a group.";
    GROUP_SHARE_MAX_HEARTBEAT_INTERVAL_MS: int "group.share.max.heartbeat.interval.ms" = 15_000,
        AtLeast(1), ReadOnly, Later,
        "The largest share.heartbeat.interval.ms of a group.";
    GROUP_SHARE_MAX_PARTITION_MAX_RECORD_LOCKS: int "group.share.max.partition.max.record.locks" = 4000,
        Between(2000, 10_000), ReadOnly, Later,
        "The largest share.partition.max.record.locks of a group.";
    GROUP_SHARE_MAX_RECORD_LOCK_DURATION_MS: int "group.share.max.record.lock.duration.ms" = 60_000,
        Between(30_000, 3_600_000), ReadOnly, Later,
        "The largest share.record.lock.duration.ms of a group.";
    GROUP_SHARE_MAX_SESSION_TIMEOUT_MS: int "group.share.max.session.timeout.ms" = 60_000,
        AtLeast(1), ReadOnly, Later,
        "The largest share.session.timeout.ms of a group.";
    GROUP_SHARE_MAX_SHARE_SESSIONS: int "group.share.max.share.sessions" = 2000, AtLeast(1), ReadOnly, Later,
        "The most share sessions of this broker.";
    GROUP_SHARE_MAX_SIZE: int "group.share.max.size" = 200, Between(1, 1000), ReadOnly, Later,
        "The most members of a share group.";
    GROUP_SHARE_MIN_ASSIGNMENT_INTERVAL_MS: int "group.share.min.assignment.interval.ms" = 0,
        AtLeast(0), ReadOnly, Later,
        "The smallest share.assignment.interval.ms of a group.";
    GROUP_SHARE_MIN_DELIVERY_COUNT_LIMIT: int "group.share.min.delivery.count.limit" = 2,
        Between(2, 5), ReadOnly, Later,
        "The smallest share.delivery.count.limit of a group.";
    GROUP_SHARE_MIN_HEARTBEAT_INTERVAL_MS: int "group.share.min.heartbeat.interval.ms" = 5000,
        AtLeast(1), ReadOnly, Later,
        "The smallest share.heartbeat.interval.ms of a group.";
    GROUP_SHARE_MIN_PARTITION_MAX_RECORD_LOCKS: int "group.share.min.partition.max.record.locks" = 100,
        Between(100, 2000), ReadOnly, Later,
        "The smallest share.partition.max.record.locks of a group.";
    GROUP_SHARE_MIN_RECORD_LOCK_DURATION_MS: int "group.share.min.record.lock.duration.ms" = 15_000,
        Between(1000, 30_000), ReadOnly, Later,
        "The smallest share.record.lock.duration.ms of a group.";
    GROUP_SHARE_MIN_SESSION_TIMEOUT_MS: int "group.share.min.session.timeout.ms" = 45_000,
        AtLeast(1), ReadOnly, Later,
        "The smallest share.session.timeout.ms of a group.";
    GROUP_SHARE_PARTITION_MAX_RECORD_LOCKS: int "group.share.partition.max.record.locks" = 2000,
        Between(100, 10_000), ReadOnly, Later,
        "The most records of a share partition that are locked at a time.";
    GROUP_SHARE_PERSISTER_CLASS_NAME: string "group.share.persister.class.name" = "org.apache.kafka.server.share.persister.DefaultStatePersister",
        Any, ReadOnly, Internal,
        "The Java class with which Kafka keeps share state.";
    GROUP_SHARE_RECORD_LOCK_DURATION_MS: int "group.share.record.lock.duration.ms" = 30_000,
        Between(1000, 3_600_000), ReadOnly, Later,
        "How long a record stays locked for the member that acquired it.";
    GROUP_SHARE_SESSION_TIMEOUT_MS: int "group.share.session.timeout.ms" = 45_000, AtLeast(1), ReadOnly, Later,
        "How long a member of a share group may be silent.";
    GROUP_STREAMS_ASSIGNMENT_INTERVAL_MS: int "group.streams.assignment.interval.ms" = 1000,
        AtLeast(0), ClusterWide, Later,
        "The shortest time between new assignments of a streams group.";
    GROUP_STREAMS_HEARTBEAT_INTERVAL_MS: int "group.streams.heartbeat.interval.ms" = 5000,
        AtLeast(1), ReadOnly, Later,
        "The heartbeat interval of streams groups (KIP-1071).";
    GROUP_STREAMS_INITIAL_REBALANCE_DELAY_MS: int "group.streams.initial.rebalance.delay.ms" = 3000,
        AtLeast(0), ReadOnly, Later,
        "How long an empty streams group waits for more members before its first assignment.";
    GROUP_STREAMS_MAX_ASSIGNMENT_INTERVAL_MS: int "group.streams.max.assignment.interval.ms" = 15_000,
        AtLeast(0), ReadOnly, Later,
        "The largest streams.assignment.interval.ms of a group.";
    GROUP_STREAMS_MAX_HEARTBEAT_INTERVAL_MS: int "group.streams.max.heartbeat.interval.ms" = 15_000,
        AtLeast(1), ReadOnly, Later,
        "The largest streams.heartbeat.interval.ms of a group.";
    GROUP_STREAMS_MAX_SESSION_TIMEOUT_MS: int "group.streams.max.session.timeout.ms" = 60_000,
        AtLeast(1), ReadOnly, Later,
        "The largest streams.session.timeout.ms of a group.";
    GROUP_STREAMS_MAX_SIZE: int "group.streams.max.size" = 2_147_483_647, AtLeast(1), ReadOnly, Later,
        "The most members of a streams group.";
    GROUP_STREAMS_MAX_STANDBY_REPLICAS: int "group.streams.max.standby.replicas" = 2,
        AtLeast(0), ReadOnly, Later,
        "The largest streams.num.standby.replicas of a group.";
    GROUP_STREAMS_MIN_ASSIGNMENT_INTERVAL_MS: int "group.streams.min.assignment.interval.ms" = 0,
        AtLeast(0), ReadOnly, Later,
        "The smallest streams.assignment.interval.ms of a group.";
    GROUP_STREAMS_MIN_HEARTBEAT_INTERVAL_MS: int "group.streams.min.heartbeat.interval.ms" = 5000,
        AtLeast(1), ReadOnly, Later,
        "The smallest streams.heartbeat.interval.ms of a group.";
    GROUP_STREAMS_MIN_SESSION_TIMEOUT_MS: int "group.streams.min.session.timeout.ms" = 45_000,
        AtLeast(1), ReadOnly, Later,
        "The smallest streams.session.timeout.ms of a group.";
    GROUP_STREAMS_NUM_STANDBY_REPLICAS: int "group.streams.num.standby.replicas" = 0,
        AtLeast(0), ReadOnly, Later,
        "Standby replicas of each task of a streams group.";
    GROUP_STREAMS_SESSION_TIMEOUT_MS: int "group.streams.session.timeout.ms" = 45_000,
        AtLeast(1), ReadOnly, Later,
        "How long a member of a streams group may be silent.";
    OFFSET_METADATA_MAX_BYTES: int "offset.metadata.max.bytes" = 4096, Any, ReadOnly, Honoured,
        "The longest text that may go with a committed offset.";
    OFFSETS_COMMIT_TIMEOUT_MS: int "offsets.commit.timeout.ms" = 5000, AtLeast(1), ReadOnly, Later,
        "How long a commit of offsets may wait.";
    OFFSETS_LOAD_BUFFER_SIZE: int "offsets.load.buffer.size" = 5_242_880, AtLeast(1), ReadOnly, WithoutMeaning,
        "The batch size with which Kafka loads committed offsets.";
    OFFSETS_RETENTION_CHECK_INTERVAL_MS: long "offsets.retention.check.interval.ms" = 600_000,
        AtLeast(1), ReadOnly, Honoured,
        "How often to look for committed offsets that may go.";
    OFFSETS_RETENTION_MINUTES: int "offsets.retention.minutes" = 10_080, AtLeast(1), ReadOnly, Honoured,
        "How long committed offsets outlive their group.";
    OFFSETS_TOPIC_COMPRESSION_CODEC: int "offsets.topic.compression.codec" = 0, Any, ReadOnly, WithoutMeaning,
        "The compression of __consumer_offsets; here offsets are rows, not a topic.";
    OFFSETS_TOPIC_NUM_PARTITIONS: int "offsets.topic.num.partitions" = 50, AtLeast(1), ReadOnly, Honoured,
        "Partitions of __consumer_offsets, which is shown as Kafka shows it and empty: here offsets are rows.";
    OFFSETS_TOPIC_REPLICATION_FACTOR: short "offsets.topic.replication.factor" = 3,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "Replicas of __consumer_offsets; here offsets are rows, not a topic.";
    OFFSETS_TOPIC_SEGMENT_BYTES: int "offsets.topic.segment.bytes" = 104_857_600,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "The segment size of __consumer_offsets; here offsets are rows, not a topic.";
    SHARE_COORDINATOR_APPEND_LINGER_MS: int "share.coordinator.append.linger.ms" = -1,
        AtLeast(-1), ReadOnly, WithoutMeaning,
        "How long Kafka's share coordinator gathers writes.";
    SHARE_COORDINATOR_CACHED_BUFFER_MAX_BYTES: int "share.coordinator.cached.buffer.max.bytes" = 1_048_588,
        AtLeast(524_288), ClusterWide, WithoutMeaning,
        "The largest buffer that Kafka's share coordinator keeps.";
    SHARE_COORDINATOR_COLD_PARTITION_SNAPSHOT_INTERVAL_MS: int "share.coordinator.cold.partition.snapshot.interval.ms" = 300_000,
        AtLeast(1), ReadOnly, Internal,
        "How often Kafka takes snapshots of idle share partitions.";
    SHARE_COORDINATOR_LOAD_BUFFER_SIZE: int "share.coordinator.load.buffer.size" = 5_242_880,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "The batch size with which Kafka loads share state.";
    SHARE_COORDINATOR_SNAPSHOT_UPDATE_RECORDS_PER_SNAPSHOT: int "share.coordinator.snapshot.update.records.per.snapshot" = 500,
        Between(0, 500), ReadOnly, WithoutMeaning,
        "Updates of share state between Kafka's snapshots.";
    SHARE_COORDINATOR_STATE_TOPIC_COMPRESSION_CODEC: int "share.coordinator.state.topic.compression.codec" = 0,
        Any, ReadOnly, WithoutMeaning,
        "The compression of __share_group_state; here share state is rows.";
    SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR: short "share.coordinator.state.topic.min.isr" = 2,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "In-sync replicas of __share_group_state; here share state is rows.";
    SHARE_COORDINATOR_STATE_TOPIC_NUM_PARTITIONS: int "share.coordinator.state.topic.num.partitions" = 50,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "Partitions of __share_group_state; here share state is rows.";
    SHARE_COORDINATOR_STATE_TOPIC_PRUNE_INTERVAL_MS: int "share.coordinator.state.topic.prune.interval.ms" = 300_000,
        AtLeast(1), ReadOnly, Internal,
        "How often Kafka prunes its share state.";
    SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR: short "share.coordinator.state.topic.replication.factor" = 3,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "Replicas of __share_group_state; here share state is rows.";
    SHARE_COORDINATOR_STATE_TOPIC_SEGMENT_BYTES: int "share.coordinator.state.topic.segment.bytes" = 104_857_600,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "The segment size of __share_group_state; here share state is rows.";
    SHARE_COORDINATOR_THREADS: int "share.coordinator.threads" = 1, AtLeast(1), ReadOnly, WithoutMeaning,
        "Threads of Kafka's share coordinator.";
    SHARE_COORDINATOR_WRITE_TIMEOUT_MS: int "share.coordinator.write.timeout.ms" = 5000,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "How long a write of share state may wait for replicas.";
}
