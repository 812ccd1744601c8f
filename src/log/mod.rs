//! Pure: validation, offset assignment, producer state, row formats of a partition log. In reading order: a batch and
//! its records; what is checked before it is taken; the rows; the decision of a commit; what reads need.

mod batch;
mod producer;
mod rows;
mod validate;

mod page;
mod partition;
mod sequence;

pub use batch::{BATCH_HEADER_SIZE, Batch, BatchHeader, Codec, STAMP_SIZE, TimestampType};
pub use page::{MarkerOutcome, Page, RUNS_PER_PAGE_MAX, RunEntry, RunKind};
pub use partition::{Change, OpenPage, PartitionLog};
pub use producer::{BATCHES_KEPT, BatchMark, ProducerError, ProducerState, Verdict};
pub use rows::{
    AbortedTransaction, Head, RowDamage, aborted_key, aborted_keys, head_key, page_key, page_keys,
    producer_key, producer_keys,
};
pub use sequence::{
    AppendError, Appended, PRODUCERS_PER_PARTITION_MAX, SequenceSettings, Sequencer,
};
pub use validate::{
    AppendRules, BAD_RECORDS_MAX, BadRecord, Keys, RecordError, TargetCompression, ZstdSupport,
    validate,
};
