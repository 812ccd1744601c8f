//! The wire codes of errors that several APIs meet: exhaustive, so that a new kind of error asks for its code.

use kafka_protocol::ResponseError;

use crate::broker::fetch::LeaderEpochError;
use crate::broker::partitions::LoadError;
use crate::broker::reader::ReadError;
use crate::store::StoreError;

/// What a client should do about the store: retry, except where its records are damaged.
pub(super) fn of_store(error: &StoreError) -> ResponseError {
    match error {
        StoreError::Unavailable { .. }
        | StoreError::Unknown { .. }
        | StoreError::Full { .. }
        | StoreError::Poisoned { .. } => ResponseError::KafkaStorageError,
        StoreError::Corrupt { .. } => ResponseError::CorruptMessage,
        // The rows that pointed there are gone, and with them the records: the client asks where the log begins.
        StoreError::Missing(_) => ResponseError::OffsetOutOfRange,
        StoreError::Fenced { .. } | StoreError::Closed => ResponseError::NotLeaderOrFollower,
    }
}

pub(super) fn of_load(error: &LoadError) -> ResponseError {
    match error {
        LoadError::Store(error) => of_store(error),
        LoadError::Damage(_) => ResponseError::KafkaStorageError,
    }
}

pub(super) fn of_read(error: &ReadError) -> ResponseError {
    match error {
        ReadError::OutOfRange { .. } => ResponseError::OffsetOutOfRange,
        ReadError::Load(error) => of_load(error),
        ReadError::Store(error) => of_store(error),
        ReadError::Damage { .. } | ReadError::Records { .. } => ResponseError::CorruptMessage,
        ReadError::Row { .. } => ResponseError::KafkaStorageError,
    }
}

pub(super) fn of_leader_epoch(error: LeaderEpochError) -> ResponseError {
    match error {
        LeaderEpochError::Fenced => ResponseError::FencedLeaderEpoch,
        LeaderEpochError::Unknown => ResponseError::UnknownLeaderEpoch,
    }
}
