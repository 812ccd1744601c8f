//! Broker keys: where records are and how long they stay.

use crate::config::def::Check::{Any, AtLeast, EachOf, OneOf, Ratio};
use crate::config::def::{Def, Effect, Key, Literal, Scope, Update, ValueType, declare};

declare! { LOG_KEYS: Broker;
    CORDONED_LOG_DIRS: list "cordoned.log.dirs" = "", Any, PerBroker, WithoutMeaning,
        "Folders that take no new partitions.";
    LOG_CLEANER_BACKOFF_MS: long "log.cleaner.backoff.ms" = 15_000, AtLeast(0), ClusterWide, Later,
        "How long compaction rests when there is nothing to do.";
    LOG_CLEANER_DEDUPE_BUFFER_SIZE: long "log.cleaner.dedupe.buffer.size" = 134_217_728,
        Any, ClusterWide, Later,
        "Memory for the keys of a compaction.";
    LOG_CLEANER_DELETE_RETENTION_MS: long "log.cleaner.delete.retention.ms" = 86_400_000,
        AtLeast(0), ClusterWide, Later,
        "How long a tombstone stays in a compacted topic.";
    LOG_CLEANER_ENABLE: boolean "log.cleaner.enable" = true, Any, ReadOnly, WithoutMeaning,
        "Kafka 4 ignores it: compacted topics are always compacted.";
    LOG_CLEANER_IO_BUFFER_LOAD_FACTOR: double "log.cleaner.io.buffer.load.factor" = 0.9,
        Any, ClusterWide, WithoutMeaning,
        "How full Kafka's compaction buffer may get.";
    LOG_CLEANER_IO_BUFFER_SIZE: int "log.cleaner.io.buffer.size" = 524_288,
        AtLeast(0), ClusterWide, WithoutMeaning,
        "Memory for the reads and writes of Kafka's compaction.";
    LOG_CLEANER_IO_MAX_BYTES_PER_SECOND: double "log.cleaner.io.max.bytes.per.second" = 1.7976931348623157e308,
        Any, ClusterWide, Later,
        "The most that compaction reads and writes together.";
    LOG_CLEANER_MAX_COMPACTION_LAG_MS: long "log.cleaner.max.compaction.lag.ms" = 9_223_372_036_854_775_807,
        AtLeast(1), ClusterWide, Later,
        "The longest time that a record may stay uncompacted.";
    LOG_CLEANER_MIN_CLEANABLE_RATIO: double "log.cleaner.min.cleanable.ratio" = 0.5,
        Ratio(0.0, 1.0), ClusterWide, Later,
        "The uncompacted share of a log from which compaction is worth it.";
    LOG_CLEANER_MIN_COMPACTION_LAG_MS: long "log.cleaner.min.compaction.lag.ms" = 0,
        AtLeast(0), ClusterWide, Later,
        "The shortest time that a record stays uncompacted.";
    LOG_CLEANER_THREADS: int "log.cleaner.threads" = 1, AtLeast(0), ClusterWide, WithoutMeaning,
        "Threads of Kafka's compaction.";
    LOG_CLEANUP_POLICY: list "log.cleanup.policy" = "delete",
        EachOf(&["compact", "delete"]), ClusterWide, Later,
        "What happens to old records: delete, compact, both, or none when empty.";
    LOG_DIR: list "log.dir" = "ottla-data", Any, ReadOnly, Honoured,
        "The data folder, when log.dirs is not set.";
    LOG_DIR_FAILURE_TIMEOUT_MS: long "log.dir.failure.timeout.ms" = 30_000,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "When a broker with a failed folder stops if it cannot report it.";
    LOG_DIRS: opt_list "log.dirs", Any, ReadOnly, Honoured,
        "The data folder; one only.";
    LOG_FLUSH_INTERVAL_MESSAGES: long "log.flush.interval.messages" = 9_223_372_036_854_775_807,
        AtLeast(1), ClusterWide, WithoutMeaning,
        "Records between syncs; here ottla.durability says when to sync.";
    LOG_FLUSH_INTERVAL_MS: opt_long "log.flush.interval.ms", Any, ClusterWide, WithoutMeaning,
        "Time between syncs; here ottla.durability says when to sync.";
    LOG_FLUSH_OFFSET_CHECKPOINT_INTERVAL_MS: int "log.flush.offset.checkpoint.interval.ms" = 60_000,
        AtLeast(0), ReadOnly, WithoutMeaning,
        "How often Kafka writes its recovery point.";
    LOG_FLUSH_SCHEDULER_INTERVAL_MS: long "log.flush.scheduler.interval.ms" = 9_223_372_036_854_775_807,
        Any, ReadOnly, WithoutMeaning,
        "How often Kafka looks for logs to sync.";
    LOG_FLUSH_START_OFFSET_CHECKPOINT_INTERVAL_MS: int "log.flush.start.offset.checkpoint.interval.ms" = 60_000,
        AtLeast(0), ReadOnly, WithoutMeaning,
        "How often Kafka writes its log start offsets.";
    LOG_INDEX_INTERVAL_BYTES: int "log.index.interval.bytes" = 4096, AtLeast(0), ClusterWide, WithoutMeaning,
        "Bytes between entries of Kafka's index files; there are none here.";
    LOG_INDEX_SIZE_MAX_BYTES: int "log.index.size.max.bytes" = 10_485_760,
        AtLeast(4), ClusterWide, WithoutMeaning,
        "Size of Kafka's index files; there are none here.";
    LOG_INITIAL_TASK_DELAY_MS: long "log.initial.task.delay.ms" = 30_000, AtLeast(0), ReadOnly, Internal,
        "The pause before Kafka's first background work on logs.";
    LOG_MESSAGE_TIMESTAMP_AFTER_MAX_MS: long "log.message.timestamp.after.max.ms" = 3_600_000,
        AtLeast(0), ClusterWide, Honoured,
        "How far a record's timestamp may be ahead of the broker's clock.";
    LOG_MESSAGE_TIMESTAMP_BEFORE_MAX_MS: long "log.message.timestamp.before.max.ms" = 9_223_372_036_854_775_807,
        AtLeast(0), ClusterWide, Honoured,
        "How far a record's timestamp may be behind the broker's clock.";
    LOG_MESSAGE_TIMESTAMP_TYPE: string "log.message.timestamp.type" = "CreateTime",
        OneOf(&["CreateTime", "LogAppendTime"]), ClusterWide, Honoured,
        "Whether records keep their producer's timestamp or get the broker's.";
    LOG_PREALLOCATE: boolean "log.preallocate" = false, Any, ClusterWide, WithoutMeaning,
        "Whether Kafka allocates its segment files ahead.";
    LOG_RETENTION_BYTES: long "log.retention.bytes" = -1, Any, ClusterWide, Later,
        "Bytes of a partition beyond which old records go; -1 for no limit.";
    LOG_RETENTION_CHECK_INTERVAL_MS: long "log.retention.check.interval.ms" = 300_000,
        AtLeast(1), ReadOnly, Later,
        "How often to look for records that may go.";
    LOG_RETENTION_HOURS: int "log.retention.hours" = 168, Any, ReadOnly, Later,
        "How long records are kept, when log.retention.minutes is not set; -1 for ever.";
    LOG_RETENTION_MINUTES: opt_int "log.retention.minutes", Any, ReadOnly, Later,
        "How long records are kept, when log.retention.ms is not set; -1 for ever.";
    LOG_RETENTION_MS: opt_long "log.retention.ms", Any, ClusterWide, Later,
        "How long records are kept; -1 for ever.";
    LOG_ROLL_HOURS: int "log.roll.hours" = 168, AtLeast(1), ReadOnly, Later,
        "The longest span of time of one segment, when log.roll.ms is not set.";
    LOG_ROLL_JITTER_HOURS: int "log.roll.jitter.hours" = 0, AtLeast(0), ReadOnly, WithoutMeaning,
        "The random share taken off log.roll.hours, when log.roll.jitter.ms is not set.";
    LOG_ROLL_JITTER_MS: opt_long "log.roll.jitter.ms", Any, ClusterWide, WithoutMeaning,
        "The random share taken off log.roll.ms.";
    LOG_ROLL_MS: opt_long "log.roll.ms", Any, ClusterWide, Later,
        "The longest span of time of one segment.";
    LOG_SEGMENT_BYTES: int "log.segment.bytes" = 1_073_741_824, AtLeast(1_048_576), ClusterWide, Later,
        "The unit in which old records of a partition go.";
    LOG_SEGMENT_DELETE_DELAY_MS: long "log.segment.delete.delay.ms" = 60_000,
        AtLeast(0), ClusterWide, WithoutMeaning,
        "How long Kafka keeps a removed file.";
    NUM_RECOVERY_THREADS_PER_DATA_DIR: int "num.recovery.threads.per.data.dir" = 2,
        AtLeast(1), ClusterWide, WithoutMeaning,
        "Threads with which Kafka reads logs at start and syncs them at stop.";
    NUM_REPLICA_ALTER_LOG_DIRS_THREADS: opt_int "num.replica.alter.log.dirs.threads",
        Any, ReadOnly, WithoutMeaning,
        "Threads that move replicas between folders.";
}
