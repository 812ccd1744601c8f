//! Broker keys: Kafka's controllers and their metadata log.

use crate::config::def::Check::{Any, AtLeast};
use crate::config::def::{Def, Effect, Key, Literal, Scope, Update, ValueType, declare};

declare! { METADATA_KEYS: Broker;
    BROKER_HEARTBEAT_INTERVAL_MS: int "broker.heartbeat.interval.ms" = 2000, Any, ReadOnly, WithoutMeaning,
        "How often a Kafka broker reports to its controller.";
    BROKER_SESSION_TIMEOUT_MS: int "broker.session.timeout.ms" = 9000, Any, ReadOnly, WithoutMeaning,
        "How long a Kafka controller waits for a broker's report.";
    CONTROLLER_LISTENER_NAMES: list "controller.listener.names" = "", Any, ReadOnly, Honoured,
        "Listeners of Kafka's controllers: none are opened here.";
    CONTROLLER_PERFORMANCE_ALWAYS_LOG_THRESHOLD_MS: long "controller.performance.always.log.threshold.ms" = 2000,
        AtLeast(0), ReadOnly, Internal,
        "From which duration on Kafka logs a controller event.";
    CONTROLLER_PERFORMANCE_SAMPLE_PERIOD_MS: long "controller.performance.sample.period.ms" = 60_000,
        AtLeast(100), ReadOnly, Internal,
        "How often Kafka logs how fast its controller is.";
    CONTROLLER_QUORUM_APPEND_LINGER_MS: int "controller.quorum.append.linger.ms" = 25,
        AtLeast(0), ReadOnly, WithoutMeaning,
        "How long the quorum's leader gathers writes.";
    CONTROLLER_QUORUM_AUTO_JOIN_ENABLE: boolean "controller.quorum.auto.join.enable" = false,
        Any, ReadOnly, WithoutMeaning,
        "Whether a controller joins the quorum by itself.";
    CONTROLLER_QUORUM_BOOTSTRAP_SERVERS: list "controller.quorum.bootstrap.servers" = "",
        Any, ReadOnly, WithoutMeaning,
        "Addresses at which to find the quorum.";
    CONTROLLER_QUORUM_ELECTION_BACKOFF_MAX_MS: int "controller.quorum.election.backoff.max.ms" = 1000,
        AtLeast(0), ReadOnly, WithoutMeaning,
        "The longest pause between elections of the quorum.";
    CONTROLLER_QUORUM_ELECTION_TIMEOUT_MS: int "controller.quorum.election.timeout.ms" = 1000,
        AtLeast(0), ReadOnly, WithoutMeaning,
        "How long without a leader before the quorum elects one.";
    CONTROLLER_QUORUM_FETCH_MAX_BYTES: int "controller.quorum.fetch.max.bytes" = 1_048_576,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "The most bytes in one fetch of the quorum.";
    CONTROLLER_QUORUM_FETCH_SNAPSHOT_MAX_BYTES: int "controller.quorum.fetch.snapshot.max.bytes" = 1_048_576,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "The most bytes in one part of a quorum snapshot.";
    CONTROLLER_QUORUM_FETCH_TIMEOUT_MS: int "controller.quorum.fetch.timeout.ms" = 2000,
        AtLeast(0), ReadOnly, WithoutMeaning,
        "How long without a fetch before the quorum elects a leader.";
    CONTROLLER_QUORUM_REQUEST_TIMEOUT_MS: int "controller.quorum.request.timeout.ms" = 2000,
        AtLeast(0), ReadOnly, WithoutMeaning,
        "How long the quorum waits for an answer.";
    CONTROLLER_QUORUM_RETRY_BACKOFF_MS: int "controller.quorum.retry.backoff.ms" = 20,
        AtLeast(0), ReadOnly, WithoutMeaning,
        "The pause before the quorum tries a request again.";
    CONTROLLER_QUORUM_VOTERS: list "controller.quorum.voters" = "", Any, ReadOnly, WithoutMeaning,
        "The quorum's voters, id@host:port.";
    CONTROLLER_SOCKET_TIMEOUT_MS: int "controller.socket.timeout.ms" = 30_000, Any, ReadOnly, WithoutMeaning,
        "How long a controller waits for a broker's answer.";
    INITIAL_BROKER_REGISTRATION_TIMEOUT_MS: int "initial.broker.registration.timeout.ms" = 60_000,
        Any, ReadOnly, WithoutMeaning,
        "How long a Kafka broker waits to be registered at start.";
    INTERNAL_METADATA_DELETE_DELAY_MILLIS: long "internal.metadata.delete.delay.millis" = 60_000,
        Any, ReadOnly, Internal,
        "How long Kafka keeps removed files of its metadata log.";
    INTERNAL_METADATA_LOG_SEGMENT_BYTES: opt_int "internal.metadata.log.segment.bytes", Any, ReadOnly, Internal,
        "The segment size of Kafka's metadata log in tests.";
    INTERNAL_METADATA_MAX_BATCH_SIZE_IN_BYTES: int "internal.metadata.max.batch.size.in.bytes" = 8_388_608,
        Any, ReadOnly, Internal,
        "The batch size of Kafka's metadata log.";
    METADATA_LOG_DIR: opt_string "metadata.log.dir", Any, ReadOnly, WithoutMeaning,
        "The folder of Kafka's metadata log; here it is part of the data folder.";
    METADATA_LOG_MAX_RECORD_BYTES_BETWEEN_SNAPSHOTS: long "metadata.log.max.record.bytes.between.snapshots" = 20_971_520,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "Bytes after which Kafka takes a snapshot of its metadata.";
    METADATA_LOG_MAX_SNAPSHOT_INTERVAL_MS: long "metadata.log.max.snapshot.interval.ms" = 3_600_000,
        AtLeast(0), ReadOnly, WithoutMeaning,
        "Time after which Kafka takes a snapshot of its metadata.";
    METADATA_LOG_SEGMENT_BYTES: int "metadata.log.segment.bytes" = 1_073_741_824,
        AtLeast(8_388_608), ReadOnly, WithoutMeaning,
        "The segment size of Kafka's metadata log.";
    METADATA_LOG_SEGMENT_MS: long "metadata.log.segment.ms" = 604_800_000, Any, ReadOnly, WithoutMeaning,
        "The longest span of time of a segment of Kafka's metadata log.";
    METADATA_MAX_IDLE_INTERVAL_MS: int "metadata.max.idle.interval.ms" = 500,
        AtLeast(0), ReadOnly, WithoutMeaning,
        "How often Kafka writes to an idle metadata log.";
    METADATA_MAX_RETENTION_BYTES: long "metadata.max.retention.bytes" = 104_857_600,
        Any, ReadOnly, WithoutMeaning,
        "How much of its metadata log Kafka keeps.";
    METADATA_MAX_RETENTION_MS: long "metadata.max.retention.ms" = 604_800_000, Any, ReadOnly, WithoutMeaning,
        "How long Kafka keeps its metadata log.";
}
