//! What a partition remembers of an idempotent producer, and Kafka's rules for the next batch of it (KIP-98;
//! ProducerAppendInfo and ProducerStateEntry in Kafka).

use super::batch::sequence_plus;
use crate::base::ProducerEpoch;

/// Batches that are remembered to recognise a retry; clients keep at most five in flight.
pub const BATCHES_KEPT: usize = 5;

/// The "none" of offsets.
const NO_OFFSET: i64 = -1;

/// A batch that was stored, as far as a retry of it must be recognised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchMark {
    pub first_sequence: i32,
    pub last_sequence: i32,
    pub base_offset: i64,
    /// Offset of the last record minus `base_offset`.
    pub last_offset_delta: i32,
    /// The batch's largest timestamp as stored; a recognised retry answers it whatever the timestamp type.
    pub timestamp: i64,
}

/// A producer's state in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerState {
    pub epoch: ProducerEpoch,
    /// Epoch of the transaction coordinator that wrote the last marker; -1 when none did.
    pub coordinator_epoch: i32,
    /// When the producer last wrote here, by this broker's clock.
    pub last_update_ms: i64,
    /// First offset of the open transaction; -1 when none is open.
    pub transaction_first_offset: i64,
    marks: [BatchMark; BATCHES_KEPT],
    marks_len: u8,
}

/// Why a batch of an idempotent producer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// OUT_OF_ORDER_SEQUENCE_NUMBER (45).
    #[error(
        "sequence {first_sequence} is out of order, expected {expected}; a batch before it was lost or refused"
    )]
    OutOfOrderSequence { first_sequence: i32, expected: i32 },
    /// INVALID_PRODUCER_EPOCH (47).
    #[error("producer epoch {} is older than the current {}; another producer took over", .epoch.0, .current.0)]
    InvalidProducerEpoch {
        epoch: ProducerEpoch,
        current: ProducerEpoch,
    },
    /// INVALID_TXN_STATE (48).
    #[error("batch and the producer's transaction do not fit; begin or end the transaction first")]
    InvalidTransactionState,
}

/// What to do with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the next one: store it.
    Next,
    /// It is stored already: answer what was answered then.
    Duplicate(BatchMark),
}

impl ProducerState {
    /// A producer that has stored nothing in this epoch.
    pub fn new(epoch: ProducerEpoch) -> Self {
        Self {
            epoch,
            coordinator_epoch: -1,
            last_update_ms: 0,
            transaction_first_offset: NO_OFFSET,
            marks: [BatchMark::default(); BATCHES_KEPT],
            marks_len: 0,
        }
    }

    /// The remembered batches, oldest first.
    pub fn marks(&self) -> &[BatchMark] {
        &self.marks[..usize::from(self.marks_len)]
    }

    pub(super) fn marks_len(&self) -> u8 {
        self.marks_len
    }

    /// Judges a batch by what is known of its producer; `None` = nothing is known (never seen, or expired), and any
    /// sequence will do.
    pub fn judge(
        state: Option<&Self>,
        epoch: ProducerEpoch,
        first_sequence: i32,
        last_sequence: i32,
    ) -> Result<Verdict, ProducerError> {
        let Some(state) = state else {
            return Ok(Verdict::Next);
        };
        if epoch < state.epoch {
            return Err(ProducerError::InvalidProducerEpoch {
                epoch,
                current: state.epoch,
            });
        }
        if epoch > state.epoch {
            return in_order(first_sequence, 0);
        }
        let same = |mark: &&BatchMark| {
            mark.first_sequence == first_sequence && mark.last_sequence == last_sequence
        };
        if let Some(mark) = state.marks().iter().find(same) {
            return Ok(Verdict::Duplicate(*mark));
        }
        let last = state.marks().last();
        in_order(
            first_sequence,
            last.map_or(0, |mark| sequence_plus(mark.last_sequence, 1)),
        )
    }

    /// Remembers a batch that was judged [`Verdict::Next`]. A new epoch forgets the batches of the old one.
    pub fn push(&mut self, epoch: ProducerEpoch, mark: BatchMark, now_ms: i64) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.marks = [BatchMark::default(); BATCHES_KEPT];
            self.marks_len = 0;
        }
        if self.marks().len() == BATCHES_KEPT {
            self.marks.rotate_left(1);
            self.marks_len -= 1;
        }
        self.marks[usize::from(self.marks_len)] = mark;
        self.marks_len += 1;
        self.last_update_ms = now_ms;
    }

    /// Whether the producer has been silent for `expiration_ms`; one with an open transaction never has.
    pub fn is_expired(&self, now_ms: i64, expiration_ms: i64) -> bool {
        self.transaction_first_offset == NO_OFFSET
            && now_ms.saturating_sub(self.last_update_ms) >= expiration_ms
    }
}

fn in_order(first_sequence: i32, expected: i32) -> Result<Verdict, ProducerError> {
    if first_sequence == expected {
        Ok(Verdict::Next)
    } else {
        Err(ProducerError::OutOfOrderSequence {
            first_sequence,
            expected,
        })
    }
}
