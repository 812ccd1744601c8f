//! Pure: validation, offset assignment, producer state, row formats of a partition log. In reading order: a batch and
//! its records; what is checked before it is taken; the rows; the decision of a commit; what reads need.

mod batch;
mod compression;
mod control;
mod deep;
mod lookup;
mod page;
mod partition;
mod producer;
mod records;
mod rows;
mod sequence;
mod trim;
mod validate;

pub use batch::{BATCH_HEADER_SIZE, Batch, BatchHeader, Codec, TimestampType};
pub use compression::{CompressionError, compress, decompress};
pub use control::{CONTROL_BATCH_SIZE, control_batch};
pub use deep::must_unpack;
pub use lookup::{
    BatchAt, Check, FetchBudget, FirstBatch, RecordAt, RunDamage, RunPosition, RunWalk,
    first_record_since, largest_record_from,
};
pub use page::{MarkerOutcome, Page, RUNS_PER_PAGE_MAX, RunEntry, RunKind};
pub use partition::{Change, OpenPage, PartitionLog};
pub use producer::{BATCHES_KEPT, BatchMark, ProducerError, ProducerState, Verdict};
pub use records::{MalformedRecord, Record, Records};
pub use rows::{
    AbortedTransaction, Head, RowDamage, aborted_key, aborted_keys, head_key, page_key, page_keys,
    producer_key, producer_keys,
};
pub use sequence::{
    AppendError, Appended, PRODUCERS_PER_PARTITION_MAX, SequenceSettings, Sequencer,
};
pub use trim::{HIGH_WATERMARK, LogStartError, LogTrim, aborted_below, pages_below};
pub use validate::{
    AppendRules, BadRecord, Keys, RecordError, TargetCompression, ZstdSupport, validate,
};

#[cfg(test)]
mod batch_tests;
#[cfg(test)]
mod lookup_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod rows_tests;
#[cfg(test)]
mod sequence_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod testing_store;
#[cfg(test)]
mod validate_tests;
