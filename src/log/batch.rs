//! A record batch of magic 2 (KIP-98): its 61-byte header, parsed by hand, and the bytes exactly as they came.
//!
//! The CRC covers everything from the attributes on. Base offset, length, leader epoch, magic and the CRC itself lie
//! before them, so that the offset and the epoch can be stamped without touching the rest.

use bytes::{BufMut, Bytes, BytesMut};

use crate::base::{LeaderEpoch, ProducerEpoch, ProducerId, crc32c, crc32c_append};

/// Bytes of a batch header; the record section follows.
pub const BATCH_HEADER_SIZE: usize = 61;
/// Bytes of base offset, length and leader epoch: what is stamped, outside the CRC.
const STAMP_SIZE: usize = 16;
/// The magic of the only format that is stored.
pub(super) const MAGIC: i8 = 2;
/// Bytes of base offset and length, which the length does not count.
pub(super) const LENGTH_OVERHEAD: usize = 12;
pub(super) const LENGTH_AT: usize = 8;
pub(super) const LEADER_EPOCH_AT: usize = 12;
pub(super) const MAGIC_AT: usize = 16;
pub(super) const CRC_AT: usize = 17;
/// Where the part that the CRC covers begins.
pub(super) const ATTRIBUTES_AT: usize = 21;
pub(super) const LAST_OFFSET_DELTA_AT: usize = 23;
pub(super) const BASE_TIMESTAMP_AT: usize = 27;
pub(super) const MAX_TIMESTAMP_AT: usize = 35;
pub(super) const PRODUCER_ID_AT: usize = 43;
pub(super) const PRODUCER_EPOCH_AT: usize = 51;
pub(super) const BASE_SEQUENCE_AT: usize = 53;
pub(super) const RECORD_COUNT_AT: usize = 57;

pub(super) const CODEC_MASK: i16 = 0x07;
pub(super) const LOG_APPEND_TIME_FLAG: i16 = 0x08;
pub(super) const TRANSACTIONAL_FLAG: i16 = 0x10;
pub(super) const CONTROL_FLAG: i16 = 0x20;

/// The "none" of timestamps on the wire.
pub(super) const NO_TIMESTAMP: i64 = -1;

/// How the record section is compressed: the low three attribute bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

/// Whose clock a timestamp is (`message.timestamp.type`): attribute bit 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimestampType {
    CreateTime,
    LogAppendTime,
}

/// All fields of a batch header, none of them checked against another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: i64,
    /// Bytes of the batch after this field.
    pub batch_length: i32,
    pub partition_leader_epoch: i32,
    pub magic: i8,
    pub crc: u32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the first 61 bytes; `None` when there are fewer.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<BATCH_HEADER_SIZE>()?;
        Some(Self {
            base_offset: i64::from_be_bytes(field(header, 0)),
            batch_length: i32::from_be_bytes(field(header, LENGTH_AT)),
            partition_leader_epoch: i32::from_be_bytes(field(header, LEADER_EPOCH_AT)),
            magic: i8::from_be_bytes(field(header, MAGIC_AT)),
            crc: u32::from_be_bytes(field(header, CRC_AT)),
            attributes: i16::from_be_bytes(field(header, ATTRIBUTES_AT)),
            last_offset_delta: i32::from_be_bytes(field(header, LAST_OFFSET_DELTA_AT)),
            base_timestamp: i64::from_be_bytes(field(header, BASE_TIMESTAMP_AT)),
            max_timestamp: i64::from_be_bytes(field(header, MAX_TIMESTAMP_AT)),
            producer_id: i64::from_be_bytes(field(header, PRODUCER_ID_AT)),
            producer_epoch: i16::from_be_bytes(field(header, PRODUCER_EPOCH_AT)),
            base_sequence: i32::from_be_bytes(field(header, BASE_SEQUENCE_AT)),
            record_count: i32::from_be_bytes(field(header, RECORD_COUNT_AT)),
        })
    }

    /// Writes the 61 bytes, the inverse of [`BatchHeader::parse`].
    pub fn encode_to(&self, out: &mut BytesMut) {
        out.put_i64(self.base_offset);
        out.put_i32(self.batch_length);
        out.put_i32(self.partition_leader_epoch);
        out.put_i8(self.magic);
        out.put_u32(self.crc);
        out.put_i16(self.attributes);
        out.put_i32(self.last_offset_delta);
        out.put_i64(self.base_timestamp);
        out.put_i64(self.max_timestamp);
        out.put_i64(self.producer_id);
        out.put_i16(self.producer_epoch);
        out.put_i32(self.base_sequence);
        out.put_i32(self.record_count);
    }

    /// Bytes of the whole batch as the length field tells it; `None` when that is less than a header.
    pub fn size(&self) -> Option<usize> {
        let size = usize::try_from(self.batch_length).ok()?;
        let size = size.checked_add(LENGTH_OVERHEAD)?;
        (size >= BATCH_HEADER_SIZE).then_some(size)
    }

    /// The offset of the last record; saturates, so that a damaged header cannot overflow.
    pub fn last_offset(&self) -> i64 {
        self.base_offset
            .saturating_add(i64::from(self.last_offset_delta))
    }

    /// The offset of the batch after this one; saturates.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// The sequence of the last record: sequences wrap from 2147483647 to 0.
    pub fn last_sequence(&self) -> i32 {
        sequence_plus(self.base_sequence, self.last_offset_delta)
    }

    /// `None` for the codec numbers 5 to 7, which nothing uses.
    pub fn codec(&self) -> Option<Codec> {
        match self.attributes & CODEC_MASK {
            0 => Some(Codec::None),
            1 => Some(Codec::Gzip),
            2 => Some(Codec::Snappy),
            3 => Some(Codec::Lz4),
            4 => Some(Codec::Zstd),
            _ => None,
        }
    }

    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & LOG_APPEND_TIME_FLAG == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_FLAG != 0
    }

    /// Transaction markers and the like: never from clients.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_FLAG != 0
    }

    /// The idempotent producer that sent the batch, if one did.
    pub fn producer(&self) -> Option<(ProducerId, ProducerEpoch)> {
        (self.producer_id >= 0).then_some((
            ProducerId(self.producer_id),
            ProducerEpoch(self.producer_epoch),
        ))
    }
}

/// `sequence + delta`, wrapping from 2147483647 to 0 as Kafka's sequences do.
pub(super) fn sequence_plus(sequence: i32, delta: i32) -> i32 {
    let sum = (i64::from(sequence) + i64::from(delta)).rem_euclid(i64::from(i32::MAX) + 1);
    i32::try_from(sum).unwrap_or(0)
}

/// The `N` bytes of a field; positions are constants below the header's size.
fn field<const N: usize>(header: &[u8; BATCH_HEADER_SIZE], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&header[at..at + N]);
    bytes
}

/// A batch that [`super::validate()`] has passed: one whole batch, with its header.
#[derive(Clone, Debug)]
pub struct Batch {
    bytes: Bytes,
    header: BatchHeader,
    timestamps: TimestampType,
}

impl Batch {
    /// `bytes` are exactly one batch and `header` is its header; `timestamps` is what the topic asks for.
    pub(super) fn new(bytes: Bytes, header: BatchHeader, timestamps: TimestampType) -> Self {
        debug_assert_eq!(header.size(), Some(bytes.len()));
        Self {
            bytes,
            header,
            timestamps,
        }
    }

    /// The header as received: base offset and leader epoch are not yet this log's.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Copies the bytes, so that they no longer keep the request alive that they came in.
    pub fn detach(&mut self) {
        self.bytes = Bytes::copy_from_slice(&self.bytes);
    }

    /// The bytes as received (or as compressed again by `compression.type`).
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Bytes of the batch; stamping does not change it.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the log's clock replaces the producer's timestamps.
    pub fn timestamps(&self) -> TimestampType {
        self.timestamps
    }

    /// The largest timestamp of the batch once it is stored at `now_ms`.
    pub fn stored_max_timestamp(&self, now_ms: i64) -> i64 {
        match self.timestamps {
            TimestampType::CreateTime => self.header.max_timestamp,
            TimestampType::LogAppendTime => now_ms,
        }
    }

    /// Writes the start of the stored batch to `stamps` and returns the rest, which is not copied: stored bytes are
    /// the one after the other. The start is 16 bytes, or the whole header where the log's clock goes into it.
    pub fn stamp(
        &self,
        base_offset: i64,
        leader_epoch: LeaderEpoch,
        now_ms: i64,
        stamps: &mut BytesMut,
    ) -> Bytes {
        stamps.put_i64(base_offset);
        stamps.put_i32(self.header.batch_length);
        stamps.put_i32(leader_epoch.0);
        match self.timestamps {
            TimestampType::CreateTime => self.bytes.slice(STAMP_SIZE..),
            TimestampType::LogAppendTime => {
                let attributes = self.header.attributes | LOG_APPEND_TIME_FLAG;
                let header = rewrite(&self.bytes, attributes, now_ms);
                stamps.put_slice(&header[STAMP_SIZE..]);
                self.bytes.slice(BATCH_HEADER_SIZE..)
            }
        }
    }
}

/// The header of the batch `bytes` with other attributes and another largest timestamp, and the CRC that goes with
/// them. A CRC could be moved past records that are not read, but up to a megabyte of them is read in less time.
pub(super) fn rewrite(
    bytes: &[u8],
    attributes: i16,
    max_timestamp: i64,
) -> [u8; BATCH_HEADER_SIZE] {
    let mut rewritten = [0; BATCH_HEADER_SIZE];
    rewritten.copy_from_slice(&bytes[..BATCH_HEADER_SIZE]);
    put(&mut rewritten, ATTRIBUTES_AT, attributes.to_be_bytes());
    put(
        &mut rewritten,
        MAX_TIMESTAMP_AT,
        max_timestamp.to_be_bytes(),
    );
    let crc = crc32c_append(
        crc32c(&rewritten[ATTRIBUTES_AT..]),
        &bytes[BATCH_HEADER_SIZE..],
    );
    put(&mut rewritten, CRC_AT, crc.to_be_bytes());
    rewritten
}

/// Sets a field of a header; positions are constants below the header's size.
pub(super) fn put<const N: usize>(header: &mut [u8], at: usize, value: [u8; N]) {
    header[at..at + N].copy_from_slice(&value);
}
