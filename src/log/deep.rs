//! The part of validation that looks at the records themselves, and at their compression (LogValidator in Kafka).

use bytes::{BufMut, Bytes, BytesMut};

use super::batch::{
    ATTRIBUTES_AT, BATCH_HEADER_SIZE, BatchHeader, CODEC_MASK, CRC_AT, Codec, LENGTH_AT,
    LENGTH_OVERHEAD, LOG_APPEND_TIME_FLAG, NO_TIMESTAMP, TimestampType, put, rewrite,
};
use super::compression::{compress, decompress};
use super::records::{Record, Records};
use super::validate::{AppendRules, BadRecord, Keys, RecordError, TargetCompression};
use crate::base::crc32c;

/// Records that are named at most in an answer, so that a bad batch of a million does not make an answer of 100 MB.
const BAD_RECORDS_MAX: usize = 1_000;

/// Checks the records as far as the rules ask for it, and gives the batch that is to be stored: as received, or with a
/// corrected header, or compressed again.
pub(super) fn check_records(
    bytes: Bytes,
    header: BatchHeader,
    rules: &AppendRules,
    now_ms: i64,
) -> Result<(Bytes, BatchHeader), RecordError> {
    let Some(codec) = header.codec() else {
        return Ok((bytes, header));
    };
    let target = target(codec, rules);
    let mut max_timestamp = header.max_timestamp;
    let section = &bytes[BATCH_HEADER_SIZE..];
    if codec == Codec::None {
        max_timestamp = walk(section, &header, rules, now_ms)?;
        if let Some(target) = target {
            return recompress(&header, max_timestamp, section, target, rules);
        }
    } else if target.is_some() || asks_for_records(&header, rules, now_ms) {
        let section = decompress(codec, section, rules.decompressed_size_max)?;
        max_timestamp = walk(&section, &header, rules, now_ms)?;
        if let Some(target) = target {
            return recompress(&header, max_timestamp, &section, target, rules);
        }
    }
    Ok(correct(bytes, header, max_timestamp, rules.timestamp_type))
}

/// Whether [`super::validate()`] will unpack these records, if they are whole: what takes many times the memory that
/// came over the wire.
pub fn must_unpack(records: &[u8], rules: &AppendRules, now_ms: i64) -> bool {
    let codec = BatchHeader::parse(records).map(|header| (header, header.codec()));
    match codec {
        None | Some((_, None | Some(Codec::None))) => false,
        Some((header, Some(codec))) => {
            target(codec, rules).is_some() || asks_for_records(&header, rules, now_ms)
        }
    }
}

/// What a batch with this codec is to be compressed with instead.
fn target(codec: Codec, rules: &AppendRules) -> Option<(Codec, Option<i32>)> {
    match rules.compression {
        TargetCompression::Codec {
            codec: target,
            level,
        } if target != codec => Some((target, level)),
        TargetCompression::Codec { .. } | TargetCompression::Producer => None,
    }
}

/// Whether a compressed batch must be unpacked to be judged.
fn asks_for_records(header: &BatchHeader, rules: &AppendRules, now_ms: i64) -> bool {
    rules.keys == Keys::Required
        || match rules.timestamp_type {
            TimestampType::CreateTime => {
                rules.timestamp_before_max_ms < i64::MAX
                    || is_out_of_range(header.max_timestamp, rules, now_ms)
            }
            TimestampType::LogAppendTime => header.timestamp_type() == TimestampType::LogAppendTime,
        }
}

/// Checks every record and gives the largest timestamp.
fn walk(
    section: &[u8],
    header: &BatchHeader,
    rules: &AppendRules,
    now_ms: i64,
) -> Result<i64, RecordError> {
    let mut max_timestamp = NO_TIMESTAMP;
    let mut faults = Faults::default();
    for (index, record) in (0..).zip(Records::new(section, header.record_count)) {
        let record = record?;
        let timestamp = timestamp_of(&record, header);
        max_timestamp = max_timestamp.max(timestamp);
        if record.offset_delta != index {
            faults.add(index, Fault::Offset);
        } else if rules.keys == Keys::Required && record.key.is_none() {
            faults.add(index, Fault::Key);
        } else if has_bad_timestamp(timestamp, header, rules, now_ms) {
            faults.add(index, Fault::Timestamp);
        }
    }
    faults.into_result().map(|()| max_timestamp)
}

/// A record's own timestamp, or the batch's where the log's clock had set it.
pub(super) fn timestamp_of(record: &Record<'_>, header: &BatchHeader) -> i64 {
    match header.timestamp_type() {
        TimestampType::CreateTime => header.base_timestamp.wrapping_add(record.timestamp_delta),
        TimestampType::LogAppendTime => header.max_timestamp,
    }
}

/// The log's clock may be claimed by a producer only where its claim is then checked like a timestamp of its own:
/// so does Kafka.
fn has_bad_timestamp(
    timestamp: i64,
    header: &BatchHeader,
    rules: &AppendRules,
    now_ms: i64,
) -> bool {
    match rules.timestamp_type {
        TimestampType::CreateTime if timestamp != NO_TIMESTAMP => {
            is_out_of_range(timestamp, rules, now_ms)
        }
        TimestampType::CreateTime | TimestampType::LogAppendTime => {
            header.timestamp_type() == TimestampType::LogAppendTime
        }
    }
}

fn is_out_of_range(timestamp: i64, rules: &AppendRules, now_ms: i64) -> bool {
    timestamp != NO_TIMESTAMP
        && (now_ms.saturating_sub(timestamp) > rules.timestamp_before_max_ms
            || timestamp.saturating_sub(now_ms) > rules.timestamp_after_max_ms)
}

/// A batch for a CreateTime topic keeps its bytes unless its header is wrong about the timestamps, which Kafka puts
/// right. With LogAppendTime the header is written anew when the batch gets its offset.
fn correct(
    bytes: Bytes,
    mut header: BatchHeader,
    max_timestamp: i64,
    timestamps: TimestampType,
) -> (Bytes, BatchHeader) {
    let attributes = header.attributes & !LOG_APPEND_TIME_FLAG;
    if timestamps == TimestampType::LogAppendTime
        || (attributes == header.attributes && max_timestamp == header.max_timestamp)
    {
        return (bytes, header);
    }
    let start = rewrite(&bytes, attributes, max_timestamp);
    if let Some(rewritten) = BatchHeader::parse(&start) {
        header = rewritten;
    }
    let mut corrected = BytesMut::with_capacity(bytes.len());
    corrected.put_slice(&start);
    corrected.put_slice(&bytes[BATCH_HEADER_SIZE..]);
    (corrected.freeze(), header)
}

/// The same records in another compression: `section` is theirs, uncompressed. The size limit is checked again.
fn recompress(
    header: &BatchHeader,
    max_timestamp: i64,
    section: &[u8],
    (codec, level): (Codec, Option<i32>),
    rules: &AppendRules,
) -> Result<(Bytes, BatchHeader), RecordError> {
    let packed = compress(codec, level, section)?;
    let size = BATCH_HEADER_SIZE + packed.len();
    let too_large = RecordError::TooLarge {
        size,
        size_max: rules.message_size_max,
    };
    let length = i32::try_from(size - LENGTH_OVERHEAD).map_err(|_| too_large.clone())?;
    if size > rules.message_size_max {
        return Err(too_large);
    }
    let attributes = header.attributes & !(CODEC_MASK | LOG_APPEND_TIME_FLAG) | codec as i16;
    let header = BatchHeader {
        batch_length: length,
        attributes,
        max_timestamp,
        ..*header
    };
    let mut bytes = BytesMut::with_capacity(size);
    header.encode_to(&mut bytes);
    bytes.put_slice(&packed);
    let crc = crc32c(&bytes[ATTRIBUTES_AT..]);
    put(&mut bytes, CRC_AT, crc.to_be_bytes());
    debug_assert_eq!(bytes[LENGTH_AT..LENGTH_AT + 4], length.to_be_bytes());
    Ok((bytes.freeze(), BatchHeader { crc, ..header }))
}

/// What can be wrong with a single record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Offset,
    Key,
    Timestamp,
}

/// The records at fault so far. One with a bad timestamp decides the code of the whole batch.
#[derive(Default)]
struct Faults {
    records: Vec<BadRecord>,
    timestamp: bool,
}

impl Faults {
    #[cold]
    fn add(&mut self, index: i32, fault: Fault) {
        self.timestamp |= fault == Fault::Timestamp;
        if self.records.len() < BAD_RECORDS_MAX {
            let reason = match fault {
                Fault::Offset => "offset of the record does not follow the one before",
                Fault::Key => "compacted topic cannot accept message without key",
                Fault::Timestamp => "timestamp of the record is out of range or of the wrong type",
            };
            self.records.push(BadRecord { index, reason });
        }
    }

    fn into_result(self) -> Result<(), RecordError> {
        let records = self.records;
        match records.is_empty() {
            true => Ok(()),
            false if self.timestamp => Err(RecordError::InvalidTimestamp { records }),
            false => Err(RecordError::Invalid {
                reason: "one or more records have been rejected",
                records,
            }),
        }
    }
}
