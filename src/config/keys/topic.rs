//! Topic keys (`LogConfig`).

use crate::config::def::Check::{
    Any, AtLeast, Between, EachOf, LevelOrDefault, OneOf, Ratio, ThrottledReplicas,
};
use crate::config::def::{
    Def, Effect, Key, Literal, Scope, Update, ValueType, declare, hours, minutes, same,
};

declare! { TOPIC_KEYS: Topic;
    CLEANUP_POLICY: list "cleanup.policy" = "delete", EachOf(&["compact", "delete"]), ClusterWide, Later,
        from [same("log.cleanup.policy")],
        "What happens to old records: delete, compact, both, or none when empty.";
    COMPRESSION_GZIP_LEVEL: int "compression.gzip.level" = -1, LevelOrDefault(1, 9), ClusterWide, Honoured,
        from [same("compression.gzip.level")],
        "The level when compression.type is gzip; -1 for the codec's own default.";
    COMPRESSION_LZ4_LEVEL: int "compression.lz4.level" = 9, Between(1, 17), ClusterWide, WithoutMeaning,
        from [same("compression.lz4.level")],
        "The level when compression.type is lz4; here LZ4 has one level.";
    COMPRESSION_TYPE: string "compression.type" = "producer", OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), ClusterWide, Honoured,
        from [same("compression.type")],
        "The compression of stored batches; producer keeps what the producer chose.";
    COMPRESSION_ZSTD_LEVEL: int "compression.zstd.level" = 3, Between(-131_072, 22), ClusterWide, Honoured,
        from [same("compression.zstd.level")],
        "The level when compression.type is zstd.";
    DELETE_RETENTION_MS: long "delete.retention.ms" = 86_400_000, AtLeast(0), ClusterWide, Later,
        from [same("log.cleaner.delete.retention.ms")],
        "How long a tombstone stays in a compacted topic.";
    FILE_DELETE_DELAY_MS: long "file.delete.delay.ms" = 60_000, AtLeast(0), ClusterWide, WithoutMeaning,
        from [same("log.segment.delete.delay.ms")],
        "How long Kafka keeps a removed file.";
    FLUSH_MESSAGES: long "flush.messages" = 9_223_372_036_854_775_807, AtLeast(1), ClusterWide, WithoutMeaning,
        from [same("log.flush.interval.messages")],
        "Records between syncs; here ottla.durability says when to sync.";
    FLUSH_MS: long "flush.ms" = 9_223_372_036_854_775_807, AtLeast(0), ClusterWide, WithoutMeaning,
        from [same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")],
        "Time between syncs; here ottla.durability says when to sync.";
    FOLLOWER_REPLICATION_THROTTLED_REPLICAS: list "follower.replication.throttled.replicas" = "",
        ThrottledReplicas, ClusterWide, WithoutMeaning,
        "Followers whose replication is slowed down, partition:broker, or *.";
    INDEX_INTERVAL_BYTES: int "index.interval.bytes" = 4096, AtLeast(0), ClusterWide, WithoutMeaning,
        from [same("log.index.interval.bytes")],
        "Bytes between entries of Kafka's index files; there are none here.";
    INTERNAL_SEGMENT_BYTES: opt_int "internal.segment.bytes", Any, ClusterWide, Internal,
        "The segment size in Kafka's own tests.";
    LEADER_REPLICATION_THROTTLED_REPLICAS: list "leader.replication.throttled.replicas" = "",
        ThrottledReplicas, ClusterWide, WithoutMeaning,
        "Leaders whose replication is slowed down, partition:broker, or *.";
    LOCAL_RETENTION_BYTES: long "local.retention.bytes" = -2, AtLeast(-2), ClusterWide, WithoutMeaning,
        from [same("log.local.retention.bytes")],
        "Bytes of a partition to keep locally beside the remote tier; -2 for retention.bytes.";
    LOCAL_RETENTION_MS: long "local.retention.ms" = -2, AtLeast(-2), ClusterWide, WithoutMeaning,
        from [same("log.local.retention.ms")],
        "How long to keep records locally beside the remote tier; -2 for retention.ms.";
    MAX_COMPACTION_LAG_MS: long "max.compaction.lag.ms" = 9_223_372_036_854_775_807, AtLeast(1), ClusterWide, Later,
        from [same("log.cleaner.max.compaction.lag.ms")],
        "The longest time that a record may stay uncompacted.";
    MAX_MESSAGE_BYTES: int "max.message.bytes" = 1_048_588, AtLeast(0), ClusterWide, Honoured,
        from [same("message.max.bytes")],
        "The largest record batch, as compressed by the producer.";
    MESSAGE_TIMESTAMP_AFTER_MAX_MS: long "message.timestamp.after.max.ms" = 3_600_000, AtLeast(0), ClusterWide, Honoured,
        from [same("log.message.timestamp.after.max.ms")],
        "How far a record's timestamp may be ahead of the broker's clock.";
    MESSAGE_TIMESTAMP_BEFORE_MAX_MS: long "message.timestamp.before.max.ms" = 9_223_372_036_854_775_807, AtLeast(0), ClusterWide, Honoured,
        from [same("log.message.timestamp.before.max.ms")],
        "How far a record's timestamp may be behind the broker's clock.";
    MESSAGE_TIMESTAMP_TYPE: string "message.timestamp.type" = "CreateTime", OneOf(&["CreateTime", "LogAppendTime"]), ClusterWide, Honoured,
        from [same("log.message.timestamp.type")],
        "Whether records keep their producer's timestamp or get the broker's.";
    MIN_CLEANABLE_DIRTY_RATIO: double "min.cleanable.dirty.ratio" = 0.5, Ratio(0.0, 1.0), ClusterWide, Later,
        from [same("log.cleaner.min.cleanable.ratio")],
        "The uncompacted share of a log from which compaction is worth it.";
    MIN_COMPACTION_LAG_MS: long "min.compaction.lag.ms" = 0, AtLeast(0), ClusterWide, Later,
        from [same("log.cleaner.min.compaction.lag.ms")],
        "The shortest time that a record stays uncompacted.";
    MIN_INSYNC_REPLICAS: int "min.insync.replicas" = 1, AtLeast(1), ClusterWide, WithoutMeaning,
        from [same("min.insync.replicas")],
        "In-sync replicas that a write with acks=all needs; here a write needs the store, which is one.";
    PREALLOCATE: boolean "preallocate" = false, Any, ClusterWide, WithoutMeaning,
        from [same("log.preallocate")],
        "Whether Kafka allocates its segment files ahead.";
    REMOTE_LOG_COPY_DISABLE: boolean "remote.log.copy.disable" = false, Any, ClusterWide, WithoutMeaning,
        "Whether copies to the remote tier have ended.";
    REMOTE_LOG_DELETE_ON_DISABLE: boolean "remote.log.delete.on.disable" = false,
        Any, ClusterWide, WithoutMeaning,
        "Whether leaving the remote tier deletes what is in it.";
    REMOTE_STORAGE_ENABLE: boolean "remote.storage.enable" = false, Any, ClusterWide, WithoutMeaning,
        "Whether old records go to a remote tier; there is none here, so true is refused.";
    RETENTION_BYTES: long "retention.bytes" = -1, Any, ClusterWide, Later, from [same("log.retention.bytes")],
        "Bytes of a partition beyond which old records go; -1 for no limit.";
    RETENTION_MS: long "retention.ms" = 604_800_000, AtLeast(-1), ClusterWide, Later,
        from [same("log.retention.ms"), minutes("log.retention.minutes"), hours("log.retention.hours")],
        "How long records are kept; -1 for ever.";
    SEGMENT_BYTES: int "segment.bytes" = 1_073_741_824, AtLeast(1_048_576), ClusterWide, Later,
        from [same("log.segment.bytes")],
        "The unit in which old records of a partition go.";
    SEGMENT_INDEX_BYTES: int "segment.index.bytes" = 10_485_760, AtLeast(4), ClusterWide, WithoutMeaning,
        from [same("log.index.size.max.bytes")],
        "Size of Kafka's index files; there are none here.";
    SEGMENT_JITTER_MS: long "segment.jitter.ms" = 0, AtLeast(0), ClusterWide, WithoutMeaning,
        from [same("log.roll.jitter.ms"), hours("log.roll.jitter.hours")],
        "The random share taken off segment.ms.";
    SEGMENT_MS: long "segment.ms" = 604_800_000, AtLeast(1), ClusterWide, Later,
        from [same("log.roll.ms"), hours("log.roll.hours")],
        "The longest span of time of one segment.";
    UNCLEAN_LEADER_ELECTION_ENABLE: boolean "unclean.leader.election.enable" = false, Any, ClusterWide, WithoutMeaning,
        from [same("unclean.leader.election.enable")],
        "Whether a replica that is not in sync may become leader.";
}
