//! Broker keys: quotas, metrics and telemetry.

use crate::config::def::Check::{Any, AtLeast};
use crate::config::def::{Def, Effect, Key, Literal, Scope, Update, ValueType, declare};

declare! { OPERATION_KEYS: Broker;
    CLIENT_QUOTA_CALLBACK_CLASS: opt_class "client.quota.callback.class", Any, ReadOnly, WithoutMeaning,
        "A Java class that decides quotas.";
    CONTROLLER_QUOTA_WINDOW_NUM: int "controller.quota.window.num" = 11, AtLeast(1), ReadOnly, Later,
        "Samples kept for quotas on changes of topics.";
    CONTROLLER_QUOTA_WINDOW_SIZE_SECONDS: int "controller.quota.window.size.seconds" = 1,
        AtLeast(1), ReadOnly, Later,
        "Length of a sample for quotas on changes of topics.";
    DELETE_RECORDS_PURGATORY_PURGE_INTERVAL_REQUESTS: int "delete.records.purgatory.purge.interval.requests" = 1,
        Any, ReadOnly, WithoutMeaning,
        "How often Kafka clears waiting DeleteRecords requests.";
    FETCH_PURGATORY_PURGE_INTERVAL_REQUESTS: int "fetch.purgatory.purge.interval.requests" = 1000,
        Any, ReadOnly, WithoutMeaning,
        "How often Kafka clears waiting fetches.";
    KAFKA_METRICS_POLLING_INTERVAL_SECS: int "kafka.metrics.polling.interval.secs" = 10,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "How often Kafka's metrics reporters run.";
    KAFKA_METRICS_REPORTERS: list "kafka.metrics.reporters" = "", Any, ReadOnly, WithoutMeaning,
        "Java classes that report Kafka's older metrics.";
    METRIC_REPORTERS: list "metric.reporters" = "org.apache.kafka.common.metrics.JmxReporter",
        Any, ClusterWide, WithoutMeaning,
        "Java classes that report metrics.";
    METRICS_NUM_SAMPLES: int "metrics.num.samples" = 2, AtLeast(1), ReadOnly, WithoutMeaning,
        "Samples kept for a metric.";
    METRICS_RECORDING_LEVEL: string "metrics.recording.level" = "INFO", Any, ReadOnly, WithoutMeaning,
        "How much Kafka measures.";
    METRICS_SAMPLE_WINDOW_MS: long "metrics.sample.window.ms" = 30_000, AtLeast(1), ReadOnly, WithoutMeaning,
        "Length of a sample of a metric.";
    PRODUCER_PURGATORY_PURGE_INTERVAL_REQUESTS: int "producer.purgatory.purge.interval.requests" = 1000,
        Any, ReadOnly, WithoutMeaning,
        "How often Kafka clears waiting produce requests.";
    QUOTA_WINDOW_NUM: int "quota.window.num" = 11, AtLeast(1), ReadOnly, Later,
        "Samples kept for client quotas.";
    QUOTA_WINDOW_SIZE_SECONDS: int "quota.window.size.seconds" = 1, AtLeast(1), ReadOnly, Later,
        "Length of a sample for client quotas.";
    SHARE_FETCH_PURGATORY_PURGE_INTERVAL_REQUESTS: int "share.fetch.purgatory.purge.interval.requests" = 1000,
        Any, ReadOnly, WithoutMeaning,
        "How often Kafka clears waiting share fetches.";
    TELEMETRY_MAX_BYTES: int "telemetry.max.bytes" = 1_048_576, AtLeast(1), ReadOnly, Later,
        "The largest push of client telemetry (KIP-714).";
}
