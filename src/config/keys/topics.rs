//! Broker keys: topics, what goes in and what comes out.

use crate::config::def::Check::{Any, AtLeast, Between, LevelOrDefault, OneOf};
use crate::config::def::{Def, Effect, Key, Literal, Scope, Update, ValueType, declare};

declare! { TOPICS_KEYS: Broker;
    ALTER_CONFIG_POLICY_CLASS_NAME: opt_class "alter.config.policy.class.name", Any, ReadOnly, WithoutMeaning,
        "A Java class that judges changes of settings.";
    AUTO_CREATE_TOPICS_ENABLE: boolean "auto.create.topics.enable" = true, Any, ReadOnly, Honoured,
        "Whether asking for or writing to a topic that does not exist creates it.";
    COMPRESSION_GZIP_LEVEL: int "compression.gzip.level" = -1, LevelOrDefault(1, 9), ClusterWide, Honoured,
        "The level when compression.type is gzip; -1 for the codec's own default.";
    COMPRESSION_LZ4_LEVEL: int "compression.lz4.level" = 9, Between(1, 17), ClusterWide, WithoutMeaning,
        "The level when compression.type is lz4; here LZ4 has one level.";
    COMPRESSION_TYPE: string "compression.type" = "producer",
        OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), ClusterWide, Honoured,
        "The compression of stored batches; producer keeps what the producer chose.";
    COMPRESSION_ZSTD_LEVEL: int "compression.zstd.level" = 3, Between(-131_072, 22), ClusterWide, Honoured,
        "The level when compression.type is zstd.";
    CREATE_TOPIC_POLICY_CLASS_NAME: opt_class "create.topic.policy.class.name", Any, ReadOnly, WithoutMeaning,
        "A Java class that judges new topics.";
    DEFAULT_REPLICATION_FACTOR: int "default.replication.factor" = 1, Any, ReadOnly, Honoured,
        "Replicas of a topic that is created without a count.";
    DELETE_TOPIC_ENABLE: boolean "delete.topic.enable" = true, Any, ReadOnly, Honoured,
        "Whether topics can be deleted.";
    FETCH_MAX_BYTES: int "fetch.max.bytes" = 57_671_680, AtLeast(1024), ReadOnly, Honoured,
        "The most bytes in one fetch answer; a first batch that is larger is still sent.";
    MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS: int "max.incremental.fetch.session.cache.slots" = 1000,
        AtLeast(0), ReadOnly, Honoured,
        "How many incremental fetch sessions are kept (KIP-227).";
    MAX_REQUEST_PARTITION_SIZE_LIMIT: int "max.request.partition.size.limit" = 2000,
        AtLeast(1), ReadOnly, Later,
        "The most partitions in one answer of DescribeTopicPartitions.";
    MESSAGE_MAX_BYTES: int "message.max.bytes" = 1_048_588, AtLeast(0), ClusterWide, Honoured,
        "The largest record batch, as compressed by the producer.";
    MIN_INSYNC_REPLICAS: int "min.insync.replicas" = 1, AtLeast(1), ClusterWide, WithoutMeaning,
        "In-sync replicas that a write with acks=all needs; here a write needs the store, which is one.";
    NUM_PARTITIONS: int "num.partitions" = 1, AtLeast(1), ReadOnly, Honoured,
        "Partitions of a topic that is created without a count.";
}
