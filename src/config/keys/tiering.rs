//! Broker keys: Kafka's tiered storage (KIP-405).

use crate::config::def::Check::{Any, AtLeast, NotEmpty, Ratio};
use crate::config::def::{Def, Effect, Key, Literal, Scope, Update, ValueType, declare};

declare! { TIERING_KEYS: Broker;
    LOG_LOCAL_RETENTION_BYTES: long "log.local.retention.bytes" = -2, AtLeast(-2), ClusterWide, WithoutMeaning,
        "Bytes of a partition to keep locally beside the remote tier; -2 for log.retention.bytes.";
    LOG_LOCAL_RETENTION_MS: long "log.local.retention.ms" = -2, AtLeast(-2), ClusterWide, WithoutMeaning,
        "How long to keep records locally beside the remote tier; -2 for log.retention.ms.";
    REMOTE_FETCH_MAX_WAIT_MS: int "remote.fetch.max.wait.ms" = 500, AtLeast(1), ClusterWide, WithoutMeaning,
        "How long a fetch may wait for the remote tier.";
    REMOTE_LIST_OFFSETS_REQUEST_TIMEOUT_MS: long "remote.list.offsets.request.timeout.ms" = 30_000,
        AtLeast(1), ClusterWide, WithoutMeaning,
        "How long ListOffsets may wait for the remote tier.";
    REMOTE_LOG_INDEX_FILE_CACHE_TOTAL_SIZE_BYTES: long "remote.log.index.file.cache.total.size.bytes" = 1_073_741_824,
        AtLeast(1), ClusterWide, WithoutMeaning,
        "Room for index files of the remote tier.";
    REMOTE_LOG_INDEX_FILE_CACHE_TTL_MS: long "remote.log.index.file.cache.ttl.ms" = 900_000,
        AtLeast(-1), ReadOnly, Internal,
        "How long an unused index file of the remote tier is kept.";
    REMOTE_LOG_MANAGER_COPIER_THREAD_POOL_SIZE: int "remote.log.manager.copier.thread.pool.size" = 10,
        AtLeast(1), ClusterWide, WithoutMeaning,
        "Threads that copy to the remote tier.";
    REMOTE_LOG_MANAGER_COPY_MAX_BYTES_PER_SECOND: long "remote.log.manager.copy.max.bytes.per.second" = 9_223_372_036_854_775_807,
        AtLeast(1), ClusterWide, WithoutMeaning,
        "The most that is copied to the remote tier.";
    REMOTE_LOG_MANAGER_COPY_QUOTA_WINDOW_NUM: int "remote.log.manager.copy.quota.window.num" = 11,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "Samples kept for the quota on copies to the remote tier.";
    REMOTE_LOG_MANAGER_COPY_QUOTA_WINDOW_SIZE_SECONDS: int "remote.log.manager.copy.quota.window.size.seconds" = 1,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "Length of a sample for the quota on copies to the remote tier.";
    REMOTE_LOG_MANAGER_EXPIRATION_THREAD_POOL_SIZE: int "remote.log.manager.expiration.thread.pool.size" = 10,
        AtLeast(1), ClusterWide, WithoutMeaning,
        "Threads that remove from the remote tier.";
    REMOTE_LOG_MANAGER_FETCH_MAX_BYTES_PER_SECOND: long "remote.log.manager.fetch.max.bytes.per.second" = 9_223_372_036_854_775_807,
        AtLeast(1), ClusterWide, WithoutMeaning,
        "The most that is read from the remote tier.";
    REMOTE_LOG_MANAGER_FETCH_QUOTA_WINDOW_NUM: int "remote.log.manager.fetch.quota.window.num" = 11,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "Samples kept for the quota on reads from the remote tier.";
    REMOTE_LOG_MANAGER_FETCH_QUOTA_WINDOW_SIZE_SECONDS: int "remote.log.manager.fetch.quota.window.size.seconds" = 1,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "Length of a sample for the quota on reads from the remote tier.";
    REMOTE_LOG_MANAGER_FOLLOWER_THREAD_POOL_SIZE: int "remote.log.manager.follower.thread.pool.size" = 2,
        AtLeast(1), ClusterWide, WithoutMeaning,
        "Threads with which followers watch the remote tier.";
    REMOTE_LOG_MANAGER_TASK_INTERVAL_MS: long "remote.log.manager.task.interval.ms" = 30_000,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "How often to look for work on the remote tier.";
    REMOTE_LOG_MANAGER_TASK_RETRY_BACKOFF_MAX_MS: long "remote.log.manager.task.retry.backoff.max.ms" = 30_000,
        AtLeast(1), ReadOnly, Internal,
        "The longest pause after a failed task on the remote tier.";
    REMOTE_LOG_MANAGER_TASK_RETRY_BACKOFF_MS: long "remote.log.manager.task.retry.backoff.ms" = 500,
        AtLeast(1), ReadOnly, Internal,
        "The first pause after a failed task on the remote tier.";
    REMOTE_LOG_MANAGER_TASK_RETRY_JITTER: double "remote.log.manager.task.retry.jitter" = 0.2,
        Ratio(0.0, 0.5), ReadOnly, Internal,
        "The random share of the pause after a failed task on the remote tier.";
    REMOTE_LOG_MANAGER_THREAD_POOL_SIZE: int "remote.log.manager.thread.pool.size" = 2,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "Threads that schedule work on the remote tier.";
    REMOTE_LOG_METADATA_CUSTOM_METADATA_MAX_BYTES: int "remote.log.metadata.custom.metadata.max.bytes" = 128,
        AtLeast(0), ReadOnly, WithoutMeaning,
        "The most bytes that a plug-in may add to a remote segment's metadata.";
    REMOTE_LOG_METADATA_MANAGER_CLASS_NAME: string "remote.log.metadata.manager.class.name" = "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager",
        NotEmpty, ReadOnly, WithoutMeaning,
        "The Java class that keeps the remote tier's metadata.";
    REMOTE_LOG_METADATA_MANAGER_CLASS_PATH: opt_string "remote.log.metadata.manager.class.path",
        Any, ReadOnly, WithoutMeaning,
        "Where that class is.";
    REMOTE_LOG_METADATA_MANAGER_IMPL_PREFIX: string "remote.log.metadata.manager.impl.prefix" = "rlmm.config.",
        NotEmpty, ReadOnly, WithoutMeaning,
        "The prefix of that class's own settings.";
    REMOTE_LOG_METADATA_MANAGER_LISTENER_NAME: opt_string "remote.log.metadata.manager.listener.name",
        NotEmpty, ReadOnly, WithoutMeaning,
        "The listener that class connects to.";
    REMOTE_LOG_READER_MAX_PENDING_TASKS: int "remote.log.reader.max.pending.tasks" = 100,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "Reads of the remote tier that may wait.";
    REMOTE_LOG_READER_THREADS: int "remote.log.reader.threads" = 10, AtLeast(1), ClusterWide, WithoutMeaning,
        "Threads that read from the remote tier.";
    REMOTE_LOG_STORAGE_MANAGER_CLASS_NAME: opt_string "remote.log.storage.manager.class.name",
        NotEmpty, ReadOnly, WithoutMeaning,
        "The Java class that stores remote segments.";
    REMOTE_LOG_STORAGE_MANAGER_CLASS_PATH: opt_string "remote.log.storage.manager.class.path",
        Any, ReadOnly, WithoutMeaning,
        "Where that class is.";
    REMOTE_LOG_STORAGE_MANAGER_IMPL_PREFIX: string "remote.log.storage.manager.impl.prefix" = "rsm.config.",
        NotEmpty, ReadOnly, WithoutMeaning,
        "The prefix of that class's own settings.";
    REMOTE_LOG_STORAGE_SYSTEM_ENABLE: boolean "remote.log.storage.system.enable" = false,
        Any, ReadOnly, WithoutMeaning,
        "Whether Kafka keeps old segments in a remote tier.";
}
