//! Broker keys: replicas.

use crate::config::def::Check::{Any, AtLeast, OneOf};
use crate::config::def::{Def, Effect, Key, Literal, Scope, Update, ValueType, declare};

declare! { REPLICATION_KEYS: Broker;
    ALTER_LOG_DIRS_REPLICATION_QUOTA_WINDOW_NUM: int "alter.log.dirs.replication.quota.window.num" = 11,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "Samples kept for the quota on moves between folders.";
    ALTER_LOG_DIRS_REPLICATION_QUOTA_WINDOW_SIZE_SECONDS: int "alter.log.dirs.replication.quota.window.size.seconds" = 1,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "Length of a sample for the quota on moves between folders.";
    AUTO_LEADER_REBALANCE_ENABLE: boolean "auto.leader.rebalance.enable" = true, Any, ReadOnly, WithoutMeaning,
        "Whether leadership goes back to the preferred replica by itself.";
    FOLLOWER_FETCH_LAST_TIERED_OFFSET_ENABLE: boolean "follower.fetch.last.tiered.offset.enable" = false,
        Any, ClusterWide, WithoutMeaning,
        "Whether an empty follower starts after what is in the remote tier.";
    FOLLOWER_REPLICATION_THROTTLED_RATE: long "follower.replication.throttled.rate" = 9_223_372_036_854_775_807,
        AtLeast(0), ClusterWide, Internal,
        "Bytes per second of a follower's throttled replicas; Kafka takes it at run time only.";
    INTER_BROKER_LISTENER_NAME: opt_string "inter.broker.listener.name", Any, ReadOnly, WithoutMeaning,
        "The listener that brokers use among themselves.";
    LEADER_IMBALANCE_CHECK_INTERVAL_SECONDS: long "leader.imbalance.check.interval.seconds" = 300,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "How often to look whether leadership is balanced.";
    LEADER_REPLICATION_THROTTLED_RATE: long "leader.replication.throttled.rate" = 9_223_372_036_854_775_807,
        AtLeast(0), ClusterWide, Internal,
        "Bytes per second of a leader's throttled replicas; Kafka takes it at run time only.";
    NUM_REPLICA_FETCHERS: int "num.replica.fetchers" = 1, AtLeast(1), ClusterWide, WithoutMeaning,
        "Threads with which a follower fetches.";
    REPLICA_ALTER_LOG_DIRS_IO_MAX_BYTES_PER_SECOND: long "replica.alter.log.dirs.io.max.bytes.per.second" = 9_223_372_036_854_775_807,
        AtLeast(0), ClusterWide, Internal,
        "Bytes per second of moves between folders; Kafka takes it at run time only.";
    REPLICA_FETCH_BACKOFF_MS: int "replica.fetch.backoff.ms" = 1000, AtLeast(0), ReadOnly, WithoutMeaning,
        "The pause of a follower after an error.";
    REPLICA_FETCH_MAX_BYTES: int "replica.fetch.max.bytes" = 1_048_576, AtLeast(0), ReadOnly, WithoutMeaning,
        "Bytes per partition that a follower asks for.";
    REPLICA_FETCH_MIN_BYTES: int "replica.fetch.min.bytes" = 1, Any, ReadOnly, WithoutMeaning,
        "Bytes that a follower waits for.";
    REPLICA_FETCH_RESPONSE_MAX_BYTES: int "replica.fetch.response.max.bytes" = 10_485_760,
        AtLeast(0), ReadOnly, WithoutMeaning,
        "Bytes per answer that a follower asks for.";
    REPLICA_FETCH_WAIT_MAX_MS: int "replica.fetch.wait.max.ms" = 500, Any, ReadOnly, WithoutMeaning,
        "How long a follower's fetch may wait.";
    REPLICA_HIGH_WATERMARK_CHECKPOINT_INTERVAL_MS: long "replica.high.watermark.checkpoint.interval.ms" = 5000,
        Any, ReadOnly, WithoutMeaning,
        "How often Kafka writes its high watermarks.";
    REPLICA_LAG_TIME_MAX_MS: long "replica.lag.time.max.ms" = 30_000, Any, ReadOnly, WithoutMeaning,
        "How far behind a follower may be and still count as in sync.";
    REPLICA_SELECTOR_CLASS: opt_string "replica.selector.class", Any, ReadOnly, WithoutMeaning,
        "A Java class that chooses the replica to read from.";
    REPLICA_SOCKET_RECEIVE_BUFFER_BYTES: int "replica.socket.receive.buffer.bytes" = 65_536,
        Any, ReadOnly, WithoutMeaning,
        "The receive buffer of a follower's socket.";
    REPLICA_SOCKET_TIMEOUT_MS: int "replica.socket.timeout.ms" = 30_000, Any, ReadOnly, WithoutMeaning,
        "How long a follower waits for its leader's answer.";
    REPLICATION_QUOTA_WINDOW_NUM: int "replication.quota.window.num" = 11, AtLeast(1), ReadOnly, WithoutMeaning,
        "Samples kept for replication quotas.";
    REPLICATION_QUOTA_WINDOW_SIZE_SECONDS: int "replication.quota.window.size.seconds" = 1,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "Length of a sample for replication quotas.";
    SECURITY_INTER_BROKER_PROTOCOL: string "security.inter.broker.protocol" = "PLAINTEXT",
        OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), ReadOnly, WithoutMeaning,
        "The security protocol that brokers use among themselves.";
    UNCLEAN_LEADER_ELECTION_ENABLE: boolean "unclean.leader.election.enable" = false,
        Any, ClusterWide, WithoutMeaning,
        "Whether a replica that is not in sync may become leader.";
    UNCLEAN_LEADER_ELECTION_INTERVAL_MS: long "unclean.leader.election.interval.ms" = 300_000,
        AtLeast(1), ReadOnly, Internal,
        "How often Kafka looks for partitions that need an unclean election.";
}
