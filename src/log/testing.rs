//! Batches for the tests of this module, built by hand so that each field can be wrong.

use bytes::{BufMut, Bytes, BytesMut};

use super::batch::{ATTRIBUTES_AT, BatchHeader, CRC_AT, Codec, LENGTH_OVERHEAD, MAGIC, put};
use super::compression::compress;
use super::validate::{AppendRules, Keys, TargetCompression, ZstdSupport, validate};
use super::{Batch, TimestampType};
use crate::base::crc32c;

/// The clock of the tests.
pub(super) const NOW_MS: i64 = 1_700_000_000_000;

/// A record: key, value, timestamp.
pub(super) type TestRecord = (Option<&'static str>, Option<&'static str>, i64);

/// A batch to be; [`TestBatch::of`] makes a right one, and tests change what they want wrong.
#[derive(Clone)]
pub(super) struct TestBatch {
    pub(super) header: BatchHeader,
    /// Uncompressed.
    pub(super) section: Vec<u8>,
}

impl TestBatch {
    pub(super) fn of(records: &[TestRecord]) -> Self {
        let count = i32::try_from(records.len()).unwrap();
        let base_timestamp = records.first().map_or(-1, |record| record.2);
        let mut section = Vec::new();
        for (index, (key, value, timestamp)) in (0..).zip(records) {
            let mut body = vec![0];
            put_varint(&mut body, timestamp - base_timestamp);
            put_varint(&mut body, index);
            for field in [key, value] {
                put_varint(&mut body, field.map_or(-1, |field| field.len() as i64));
                body.extend(field.unwrap_or_default().as_bytes());
            }
            put_varint(&mut body, 0);
            put_varint(&mut section, body.len() as i64);
            section.extend(body);
        }
        let max_timestamp = records.iter().map(|record| record.2).max().unwrap_or(-1);
        let header = BatchHeader {
            base_offset: 0,
            batch_length: 0,
            partition_leader_epoch: -1,
            magic: MAGIC,
            crc: 0,
            attributes: 0,
            last_offset_delta: count - 1,
            base_timestamp,
            max_timestamp,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: count,
        };
        Self { header, section }
    }

    /// `count` records with values, from now.
    pub(super) fn plain(count: usize) -> Self {
        Self::of(&vec![(Some("key"), Some("some value"), NOW_MS); count])
    }

    pub(super) fn producer(mut self, id: i64, epoch: i16, sequence: i32) -> Self {
        self.header.producer_id = id;
        self.header.producer_epoch = epoch;
        self.header.base_sequence = sequence;
        self
    }

    pub(super) fn codec(mut self, codec: Codec) -> Self {
        self.header.attributes = self.header.attributes & !7 | codec as i16;
        self
    }

    /// The whole batch: length and CRC are right whatever else is not.
    pub(super) fn bytes(&self) -> Bytes {
        let codec = self.header.codec().unwrap_or(Codec::None);
        let section = compress(codec, None, &self.section).unwrap();
        let mut bytes = BytesMut::new();
        let mut header = self.header;
        header.batch_length = i32::try_from(61 - LENGTH_OVERHEAD + section.len()).unwrap();
        header.encode_to(&mut bytes);
        bytes.put_slice(&section);
        let crc = crc32c(&bytes[ATTRIBUTES_AT..]);
        put(&mut bytes, CRC_AT, crc.to_be_bytes());
        bytes.freeze()
    }

    /// The batch as validation passes it.
    pub(super) fn valid(&self, rules: &AppendRules) -> Batch {
        validate(Some(&self.bytes()), rules, ZstdSupport::Allowed, NOW_MS).unwrap()
    }
}

/// Kafka's defaults.
pub(super) const RULES: AppendRules = AppendRules {
    message_size_max: 1_048_588,
    segment_size_max: 1 << 30,
    keys: Keys::Optional,
    timestamp_type: TimestampType::CreateTime,
    timestamp_before_max_ms: i64::MAX,
    timestamp_after_max_ms: 3_600_000,
    compression: TargetCompression::Producer,
    decompressed_size_max: 10_000_000,
};

/// The whole of a stored batch: what was stamped, and the rest.
pub(super) fn stored(batch: &Batch, base_offset: i64, now_ms: i64) -> Bytes {
    let mut bytes = BytesMut::new();
    let rest = batch.stamp(base_offset, crate::base::LeaderEpoch(7), now_ms, &mut bytes);
    bytes.put_slice(&rest);
    bytes.freeze()
}

fn put_varint(out: &mut Vec<u8>, value: i64) {
    let mut raw = (value << 1 ^ value >> 63).cast_unsigned();
    while raw >= 0x80 {
        out.push(u8::try_from(raw & 0x7f).unwrap() | 0x80);
        raw >>= 7;
    }
    out.push(u8::try_from(raw).unwrap());
}
