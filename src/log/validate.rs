//! What is checked before a batch is taken, in Kafka's order (ProduceRequest.validateRecords, then UnifiedLog.append
//! with its LogValidator), so that a batch with two faults gets the same code.
//!
//! Meant deviations: the records of a compressed batch are looked into only where the topic asks for it (compaction,
//! `message.timestamp.before.max.ms`, `compression.type`) or its header is suspect; Kafka decompresses every batch,
//! which is most of what producing costs it. Offsets inside a batch must be 0, 1, 2, ... (87); Kafka stores an
//! uncompressed batch as it is and rewrites a compressed one.

use bytes::Bytes;

use super::batch::{
    ATTRIBUTES_AT, Batch, BatchHeader, Codec, LENGTH_AT, LENGTH_OVERHEAD, MAGIC, MAGIC_AT,
    TimestampType,
};
use super::compression::CompressionError;
use super::deep::check_records;
use super::records::MalformedRecord;
use crate::base::crc32c;

/// The smallest length field that Kafka's reader takes for a record set of any magic.
const LENGTH_MIN: i32 = 14;
/// What a topic asks of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendRules {
    /// `max.message.bytes`: of the batch.
    pub message_size_max: usize,
    /// `segment.bytes`: a batch must fit.
    pub segment_size_max: usize,
    pub keys: Keys,
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    pub compression: TargetCompression,
    /// Bytes that the records of a compressed batch may have where they must be looked into.
    pub decompressed_size_max: usize,
}

/// Whether a record may lack a key: not in a compacted topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    Optional,
    Required,
}

/// `compression.type`: what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetCompression {
    /// What the producer sent (`producer`).
    Producer,
    /// This codec, at this level (`None` = the codec's default); a batch that has the codec already is kept.
    Codec { codec: Codec, level: Option<i32> },
}

/// Whether the request may carry zstd: Produce v7 and later (KIP-110).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZstdSupport {
    Allowed,
    Refused,
}

/// A record that is at fault: its index in the batch and what is wrong with it (KIP-467, Produce v8 and later).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord {
    pub index: i32,
    pub reason: &'static str,
}

/// Why a batch is refused, by the code that the client gets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// INVALID_RECORD (87).
    #[error("{reason}")]
    Invalid {
        reason: &'static str,
        records: Vec<BadRecord>,
    },
    /// INVALID_TIMESTAMP (32).
    #[error("one or more records have been rejected due to invalid timestamp")]
    InvalidTimestamp { records: Vec<BadRecord> },
    /// CORRUPT_MESSAGE (2).
    #[error("record batch is corrupt: {reason}")]
    Corrupt { reason: &'static str },
    /// MESSAGE_TOO_LARGE (10), which lets a producer send it again in smaller batches.
    #[error("batch has more than {size_max} bytes uncompressed")]
    TooLargeUncompressed { size_max: usize },
    /// UNSUPPORTED_COMPRESSION_TYPE (76).
    #[error("produce requests before version 7 must not use zstd")]
    UnsupportedCompression,
    /// MESSAGE_TOO_LARGE (10).
    #[error("batch of {size} bytes exceeds max.message.bytes {size_max}")]
    TooLarge { size: usize, size_max: usize },
    /// RECORD_LIST_TOO_LARGE (18).
    #[error("batch of {size} bytes exceeds segment.bytes {size_max}")]
    SegmentTooLarge { size: usize, size_max: usize },
}

impl RecordError {
    fn invalid(reason: &'static str) -> Self {
        Self::Invalid {
            reason,
            records: Vec::new(),
        }
    }
}

impl From<MalformedRecord> for RecordError {
    fn from(MalformedRecord(reason): MalformedRecord) -> Self {
        Self::invalid(reason)
    }
}

impl From<CompressionError> for RecordError {
    fn from(error: CompressionError) -> Self {
        match error {
            CompressionError::Malformed => Self::invalid("compressed records are malformed"),
            CompressionError::TooLarge { size_max } => Self::TooLargeUncompressed { size_max },
        }
    }
}

/// Checks the `records` field of one partition of a produce request, and makes of it what will be stored.
/// Costs one pass of CRC, and a second over the record framing of uncompressed batches; decompression only where the
/// rules make it needed. `now_ms` is this broker's clock.
pub fn validate(
    records: Option<&Bytes>,
    rules: &AppendRules,
    zstd: ZstdSupport,
    now_ms: i64,
) -> Result<Batch, RecordError> {
    let (bytes, header) = single_batch(records, zstd)?;
    check_batch(&bytes, &header, rules)?;
    let (bytes, header) = check_records(bytes, header, rules, now_ms)?;
    let batch = Batch::new(bytes, header, rules.timestamp_type);
    if batch.size() > rules.segment_size_max {
        return Err(RecordError::SegmentTooLarge {
            size: batch.size(),
            size_max: rules.segment_size_max,
        });
    }
    Ok(batch)
}

/// The one batch of magic 2 that there must be. Like Kafka, cuts off a rest that is too short for another batch.
fn single_batch(
    records: Option<&Bytes>,
    zstd: ZstdSupport,
) -> Result<(Bytes, BatchHeader), RecordError> {
    let bytes = records.map_or(&[][..], |bytes| &bytes[..]);
    let Some((size, magic)) = next_batch(bytes)? else {
        return Err(RecordError::invalid("no whole record batch in the request"));
    };
    if magic != MAGIC {
        return Err(RecordError::invalid(
            "only record batches with magic version 2 are allowed",
        ));
    }
    let header = BatchHeader::parse(&bytes[..size]).ok_or(RecordError::Corrupt {
        reason: "its size is smaller than its header",
    })?;
    if zstd == ZstdSupport::Refused && header.codec() == Some(Codec::Zstd) {
        return Err(RecordError::UnsupportedCompression);
    }
    if next_batch(&bytes[size..])?.is_some() {
        return Err(RecordError::invalid(
            "exactly one record batch per partition is allowed",
        ));
    }
    let batch = records.map_or_else(Bytes::new, |bytes| bytes.slice(..size));
    Ok((batch, header))
}

/// Size and magic of the whole batch (or record set of magic 0 or 1) at the start of `bytes`; `None` when there is
/// none or it is torn (ByteBufferLogInputStream in Kafka).
fn next_batch(bytes: &[u8]) -> Result<Option<(usize, i8)>, RecordError> {
    let Some(length) = bytes.get(LENGTH_AT..).and_then(<[u8]>::first_chunk) else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*length);
    if length < LENGTH_MIN {
        return Err(RecordError::Corrupt {
            reason: "its length is below the smallest there is",
        });
    }
    let Some(magic) = bytes.get(MAGIC_AT) else {
        return Ok(None);
    };
    let magic = i8::from_be_bytes([*magic]);
    if !(0..=MAGIC).contains(&magic) {
        return Err(RecordError::Corrupt {
            reason: "its magic is unknown",
        });
    }
    let size = usize::try_from(length).map_or(usize::MAX, |length| length + LENGTH_OVERHEAD);
    Ok((size <= bytes.len()).then_some((size, magic)))
}

/// The checks of the header, and the CRC.
fn check_batch(bytes: &[u8], header: &BatchHeader, rules: &AppendRules) -> Result<(), RecordError> {
    if header.base_offset != 0 {
        return Err(RecordError::invalid("base offset of the batch must be 0"));
    }
    if bytes.len() > rules.message_size_max {
        return Err(RecordError::TooLarge {
            size: bytes.len(),
            size_max: rules.message_size_max,
        });
    }
    if crc32c(&bytes[ATTRIBUTES_AT..]) != header.crc {
        return Err(RecordError::Corrupt {
            reason: "its CRC does not match",
        });
    }
    if header.codec().is_none() {
        return Err(RecordError::invalid(
            "compression type of the batch is unknown",
        ));
    }
    if header.last_offset_delta < 0 {
        return Err(RecordError::invalid("batch has an invalid offset range"));
    }
    if header.record_count <= 0 {
        return Err(RecordError::invalid(
            "batch has an invalid count of records",
        ));
    }
    if i64::from(header.record_count) != i64::from(header.last_offset_delta) + 1 {
        return Err(RecordError::invalid(
            "offset range of the batch and its count of records do not agree",
        ));
    }
    if header.is_control() {
        return Err(RecordError::invalid(
            "clients are not allowed to write control records",
        ));
    }
    check_producer(header)
}

/// Producer id, epoch, sequence and the transactional flag must make sense together.
fn check_producer(header: &BatchHeader) -> Result<(), RecordError> {
    if header.producer().is_none() {
        return if header.is_transactional() {
            Err(RecordError::invalid(
                "transactional batch has no producer id",
            ))
        } else {
            Ok(())
        };
    }
    if header.base_sequence < 0 {
        return Err(RecordError::invalid(
            "batch of an idempotent producer has an invalid sequence",
        ));
    }
    if header.producer_epoch < 0 {
        return Err(RecordError::invalid(
            "batch of an idempotent producer has an invalid epoch",
        ));
    }
    Ok(())
}
