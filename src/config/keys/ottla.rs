//! Broker keys of our own, `ottla.*`.

use crate::config::def::Check::{Any, AtLeast, OneOf};
use crate::config::def::{Def, Effect, Key, Literal, Scope, Update, ValueType, declare};

declare! { OTTLA_KEYS: Broker;
    OTTLA_CACHE_BYTES: long "ottla.cache.bytes" = 67_108_864, AtLeast(0), ReadOnly, Honoured,
        "Memory for record batches that were written or read lately.";
    OTTLA_CHECKPOINT_JOURNAL_BYTES: long "ottla.checkpoint.journal.bytes" = 134_217_728, AtLeast(4096), ReadOnly, Honoured,
        "Bytes of journal after which a checkpoint moves its rows to the row store.";
    OTTLA_CHECKPOINT_OVERLAY_BYTES: long "ottla.checkpoint.overlay.bytes" = 8_388_608, AtLeast(4096), ReadOnly, Honoured,
        "Bytes of rows in memory after which a checkpoint moves them to the row store.";
    OTTLA_CLUSTER_ID: opt_string "ottla.cluster.id", Any, ReadOnly, Honoured,
        "The cluster id that a new data folder gets; a random one when not set.";
    OTTLA_DURABILITY: string "ottla.durability" = "fsync", OneOf(&["fsync", "os"]), ReadOnly, Honoured,
        "When a write is acknowledged: fsync, once it is on stable storage; os, once the operating system has it.";
    OTTLA_JOURNAL_SEGMENT_BYTES: opt_long "ottla.journal.segment.bytes", AtLeast(1_048_576), ReadOnly, Honoured,
        "The size of a journal file in a new data folder; chosen from the file system's size when not set.";
    OTTLA_LOG_FILTER: string "ottla.log.filter" = "info", Any, ReadOnly, Honoured,
        "What goes to the log: a level, or module=level, comma separated.";
    OTTLA_LOG_FORMAT: string "ottla.log.format" = "text", OneOf(&["text", "json"]), ReadOnly, Honoured,
        "The form of log lines.";
    OTTLA_METRICS_LISTENER: opt_string "ottla.metrics.listener", Any, ReadOnly, Honoured,
        "Address (host:port) of /metrics for Prometheus, and of /ready and /live for probes; none when not set.";
    OTTLA_READY_FILE: opt_string "ottla.ready.file", Any, ReadOnly, Honoured,
        "A file that is written, with the addresses in it, once requests are answered.";
    OTTLA_READY_LINE: opt_string "ottla.ready.line", Any, ReadOnly, Honoured,
        "A line that is printed after Ottla's own once requests are answered, for those who wait for one of Kafka's.";
    OTTLA_REPLICATION_FACTOR: string "ottla.replication.factor" = "strict", OneOf(&["any", "strict"]), ReadOnly, Honoured,
        "Whether a topic may ask for more replicas than there are brokers: strict refuses as Kafka does, any accepts.";
    OTTLA_REQUEST_MEMORY_BYTES: long "ottla.request.memory.bytes" = 268_435_456, AtLeast(1_048_576), ReadOnly, Honoured,
        "Bytes of requests that may be in memory over all connections, when queued.max.request.bytes is -1.";
    OTTLA_SNAPSHOT_BYTES: long "ottla.snapshot.bytes" = 67_108_864, AtLeast(4096), ReadOnly, Honoured,
        "Bytes of row changes after which, at the least, a row snapshot is taken.";
    OTTLA_STORE: string "ottla.store" = "local", OneOf(&["local", "memory"]), ReadOnly, Honoured,
        "Where everything is kept: local, in the data folder; memory, nowhere.";
    OTTLA_STORE_CACHE_BYTES: long "ottla.store.cache.bytes" = 16_777_216, AtLeast(1_048_576), ReadOnly, Honoured,
        "Memory for the row store's cache.";
    OTTLA_SYNC_INTERVAL_MS: int "ottla.sync.interval.ms" = 50, AtLeast(1), ReadOnly, Honoured,
        "Time between syncs when ottla.durability is os.";
}
