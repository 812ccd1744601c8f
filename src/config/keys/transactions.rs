//! Broker keys: producers and transactions.

use crate::config::def::Check::{Any, AtLeast};
use crate::config::def::{Def, Effect, Key, Literal, Scope, Update, ValueType, declare};

declare! { TRANSACTIONS_KEYS: Broker;
    ADD_PARTITIONS_TO_TXN_RETRY_BACKOFF_MAX_MS: int "add.partitions.to.txn.retry.backoff.max.ms" = 100,
        AtLeast(0), ReadOnly, WithoutMeaning,
        "The longest time that Kafka tries to add a partition to a transaction.";
    ADD_PARTITIONS_TO_TXN_RETRY_BACKOFF_MS: int "add.partitions.to.txn.retry.backoff.ms" = 20,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "The pause before Kafka tries again to add a partition to a transaction.";
    PRODUCER_ID_EXPIRATION_CHECK_INTERVAL_MS: int "producer.id.expiration.check.interval.ms" = 600_000,
        AtLeast(1), ReadOnly, Internal,
        "How often Kafka looks for producers that may be forgotten.";
    PRODUCER_ID_EXPIRATION_MS: int "producer.id.expiration.ms" = 86_400_000, AtLeast(1), ClusterWide, Honoured,
        "How long an idle producer's sequence numbers are remembered.";
    TRANSACTION_ABORT_TIMED_OUT_TRANSACTION_CLEANUP_INTERVAL_MS: int "transaction.abort.timed.out.transaction.cleanup.interval.ms" = 10_000,
        AtLeast(1), ReadOnly, Later,
        "How often to look for transactions that ran out of time.";
    TRANSACTION_MAX_TIMEOUT_MS: int "transaction.max.timeout.ms" = 900_000, AtLeast(1), ReadOnly, Later,
        "The longest transaction timeout that a producer may ask for.";
    TRANSACTION_PARTITION_VERIFICATION_ENABLE: boolean "transaction.partition.verification.enable" = true,
        Any, ClusterWide, Later,
        "Whether a transactional write is checked against its transaction.";
    TRANSACTION_REMOVE_EXPIRED_TRANSACTION_CLEANUP_INTERVAL_MS: int "transaction.remove.expired.transaction.cleanup.interval.ms" = 3_600_000,
        AtLeast(1), ReadOnly, Later,
        "How often to look for transactional ids that may go.";
    TRANSACTION_STATE_LOG_LOAD_BUFFER_SIZE: int "transaction.state.log.load.buffer.size" = 5_242_880,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "The batch size with which Kafka loads transactions.";
    TRANSACTION_STATE_LOG_MIN_ISR: int "transaction.state.log.min.isr" = 2,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "In-sync replicas of __transaction_state; here transactions are rows.";
    TRANSACTION_STATE_LOG_NUM_PARTITIONS: int "transaction.state.log.num.partitions" = 50,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "Partitions of __transaction_state; here transactions are rows.";
    TRANSACTION_STATE_LOG_REPLICATION_FACTOR: short "transaction.state.log.replication.factor" = 3,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "Replicas of __transaction_state; here transactions are rows.";
    TRANSACTION_STATE_LOG_SEGMENT_BYTES: int "transaction.state.log.segment.bytes" = 104_857_600,
        AtLeast(1), ReadOnly, WithoutMeaning,
        "The segment size of __transaction_state; here transactions are rows.";
    TRANSACTION_TWO_PHASE_COMMIT_ENABLE: boolean "transaction.two.phase.commit.enable" = false,
        Any, ReadOnly, Later,
        "Whether producers may take part in two-phase commits (KIP-939).";
    TRANSACTIONAL_ID_EXPIRATION_MS: int "transactional.id.expiration.ms" = 604_800_000,
        AtLeast(1), ReadOnly, Later,
        "How long an idle transactional id is remembered.";
}
