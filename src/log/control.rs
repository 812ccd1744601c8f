//! The control batch that ends a transaction for consumers: a marker is a row without bytes, and these 78 bytes are
//! made from it whenever it is read (ControlRecordType and EndTransactionMarker v0 in Kafka).

use bytes::{BufMut, Bytes, BytesMut};

use super::batch::{
    ATTRIBUTES_AT, BATCH_HEADER_SIZE, BatchHeader, CONTROL_FLAG, CRC_AT, LENGTH_OVERHEAD, MAGIC,
    TRANSACTIONAL_FLAG, put,
};
use super::page::{MarkerOutcome, RunEntry, RunKind};
use crate::base::crc32c;

/// Bytes of every control batch.
pub const CONTROL_BATCH_SIZE: usize = 78;
/// Its length field.
const LENGTH: i32 = 66;
const _: () = assert!(CONTROL_BATCH_SIZE == BATCH_HEADER_SIZE + 17);
const _: () = assert!(LENGTH as usize + LENGTH_OVERHEAD == CONTROL_BATCH_SIZE);

/// The control batch of a marker; `None` for a run of data.
pub fn control_batch(run: &RunEntry) -> Option<Bytes> {
    let RunKind::Marker {
        outcome,
        producer,
        producer_epoch,
        coordinator_epoch,
    } = run.kind
    else {
        return None;
    };
    let header = BatchHeader {
        base_offset: run.base_offset,
        batch_length: LENGTH,
        partition_leader_epoch: run.leader_epoch.0,
        magic: MAGIC,
        crc: 0,
        attributes: CONTROL_FLAG | TRANSACTIONAL_FLAG,
        last_offset_delta: 0,
        base_timestamp: run.max_timestamp,
        max_timestamp: run.max_timestamp,
        producer_id: producer.0,
        producer_epoch: producer_epoch.0,
        base_sequence: -1,
        record_count: 1,
    };
    let mut bytes = BytesMut::with_capacity(CONTROL_BATCH_SIZE);
    header.encode_to(&mut bytes);
    // Length 16, attributes, timestamp delta, offset delta, each a varint of one byte.
    bytes.put_slice(&[32, 0, 0, 0]);
    // Key of 4 bytes: version 0 and type.
    bytes.put_u8(8);
    bytes.put_i16(0);
    bytes.put_i16(match outcome {
        MarkerOutcome::Abort => 0,
        MarkerOutcome::Commit => 1,
    });
    // Value of 6 bytes: version 0 and coordinator epoch. Then no headers.
    bytes.put_u8(12);
    bytes.put_i16(0);
    bytes.put_i32(coordinator_epoch);
    bytes.put_u8(0);
    let crc = crc32c(&bytes[ATTRIBUTES_AT..]);
    put(&mut bytes, CRC_AT, crc.to_be_bytes());
    Some(bytes.freeze())
}
