//! Tests of batch headers, stamping and control batches against bytes made by hand and by another encoder.

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
};

use super::batch::{BatchHeader, TimestampType, sequence_plus};
use super::testing::{NOW_MS, RULES, TestBatch, stored};
use super::*;
use crate::base::{LeaderEpoch, ProducerEpoch, ProducerId, crc32c};

#[test]
fn a_header_is_read_and_written_field_by_field() {
    let bytes: Vec<u8> = (1..=61).collect();
    let header = BatchHeader::parse(&bytes).unwrap();
    assert_eq!(header.base_offset, 0x0102_0304_0506_0708);
    assert_eq!(header.batch_length, 0x090a_0b0c);
    assert_eq!(header.partition_leader_epoch, 0x0d0e_0f10);
    assert_eq!(header.magic, 0x11);
    assert_eq!(header.crc, 0x1213_1415);
    assert_eq!(header.attributes, 0x1617);
    assert_eq!(header.last_offset_delta, 0x1819_1a1b);
    assert_eq!(header.base_timestamp, 0x1c1d_1e1f_2021_2223);
    assert_eq!(header.max_timestamp, 0x2425_2627_2829_2a2b);
    assert_eq!(header.producer_id, 0x2c2d_2e2f_3031_3233);
    assert_eq!(header.producer_epoch, 0x3435);
    assert_eq!(header.base_sequence, 0x3637_3839);
    assert_eq!(header.record_count, 0x3a3b_3c3d);
    let mut encoded = BytesMut::new();
    header.encode_to(&mut encoded);
    assert_eq!(encoded, bytes);
    assert_eq!(BatchHeader::parse(&bytes[..60]), None);
}

#[test]
fn hostile_headers_overflow_nothing() {
    let mut header = BatchHeader::parse(&[0xff; 61]).unwrap();
    assert_eq!(header.size(), None);
    header.batch_length = 48;
    assert_eq!(header.size(), None);
    header.batch_length = 49;
    assert_eq!(header.size(), Some(61));
    header.base_offset = i64::MAX;
    header.last_offset_delta = i32::MAX;
    assert_eq!(header.next_offset(), i64::MAX);
    header.base_sequence = i32::MAX;
    header.last_offset_delta = i32::MIN;
    assert_eq!(header.last_sequence(), i32::MAX);
}

#[test]
fn sequences_wrap_to_zero() {
    assert_eq!(sequence_plus(i32::MAX, 1), 0);
    assert_eq!(sequence_plus(i32::MAX - 1, 3), 1);
    assert_eq!(sequence_plus(5, 0), 5);
}

fn record(offset: i64, producer_id: i64) -> Record {
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id,
        producer_epoch: 3,
        timestamp_type: kafka_protocol::records::TimestampType::Creation,
        offset,
        sequence: 9 + i32::try_from(offset).unwrap(),
        timestamp: NOW_MS + offset * 300,
        key: (offset > 0).then(|| Bytes::from_static(b"key")),
        value: Some(Bytes::from(vec![b'v'; 200])),
        headers: [("h".into(), Some(Bytes::from_static(b"x")))]
            .into_iter()
            .collect(),
    }
}

#[test]
fn batches_of_another_encoder_are_read_alike_and_ours_by_its_decoder() {
    let records: Vec<Record> = (0..3).map(|offset| record(offset, 77)).collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();
    let bytes = bytes.freeze();
    let batch = validate(Some(&bytes), &RULES, ZstdSupport::Refused, NOW_MS).unwrap();
    assert_eq!(batch.bytes(), &bytes);
    let header = batch.header();
    assert_eq!(header.producer(), Some((ProducerId(77), ProducerEpoch(3))));
    assert_eq!((header.base_sequence, header.last_sequence()), (9, 11));
    assert_eq!(header.max_timestamp, NOW_MS + 600);
    let ours: Vec<_> = Records::new(&bytes[BATCH_HEADER_SIZE..], header.record_count)
        .map(|record| record.unwrap())
        .collect();
    assert_eq!(ours[0].key, None);
    assert_eq!(ours[2].key, Some(&b"key"[..]));
    assert_eq!((ours[2].timestamp_delta, ours[2].header_count), (600, 1));

    let mut stored = stored(&batch, 1_000, NOW_MS);
    let decoded = RecordBatchDecoder::decode(&mut stored).unwrap().records;
    assert_eq!(
        decoded
            .iter()
            .map(|record| record.offset)
            .collect::<Vec<_>>(),
        [1_000, 1_001, 1_002]
    );
    assert_eq!(decoded[1].value, records[1].value);
}

#[test]
fn stamping_changes_offset_and_leader_epoch_only() {
    let batch = TestBatch::plain(2).valid(&RULES);
    let stored = stored(&batch, 0x1122, NOW_MS);
    assert_eq!(&stored[..8], &0x1122_i64.to_be_bytes());
    assert_eq!(&stored[8..12], &batch.bytes()[8..12]);
    assert_eq!(&stored[12..16], &7_i32.to_be_bytes());
    assert_eq!(&stored[16..], &batch.bytes()[16..]);
}

#[test]
fn log_append_time_goes_into_the_header_with_its_crc() {
    let rules = AppendRules {
        timestamp_type: TimestampType::LogAppendTime,
        ..RULES
    };
    // The last one is beyond the size from which the CRC is combined.
    for records in [1, 2, 100, 10_000] {
        let batch = TestBatch::plain(records).valid(&rules);
        let stored = stored(&batch, 5, NOW_MS + 42);
        let header = BatchHeader::parse(&stored).unwrap();
        assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
        assert_eq!(header.max_timestamp, NOW_MS + 42);
        assert_eq!(header.base_offset, 5);
        assert_eq!(header.crc, crc32c(&stored[21..]));
        assert_eq!(&stored[61..], &batch.bytes()[61..]);
        assert_eq!(header.size(), Some(stored.len()));
    }
}

#[test]
fn control_batches_are_kafkas() {
    let marker = |outcome| RunEntry {
        base_offset: 10,
        last_offset: 10,
        kind: RunKind::Marker {
            outcome,
            producer: ProducerId(9),
            producer_epoch: ProducerEpoch(2),
            coordinator_epoch: 5,
        },
        size: 0,
        batch_count: 1,
        max_timestamp: NOW_MS,
        leader_epoch: LeaderEpoch(3),
    };
    let commit = control_batch(&marker(MarkerOutcome::Commit)).unwrap();
    assert_eq!(commit.len(), CONTROL_BATCH_SIZE);
    let header = BatchHeader::parse(&commit).unwrap();
    assert!(header.is_control() && header.is_transactional());
    assert_eq!(header.attributes, 0x30);
    assert_eq!(header.size(), Some(78));
    assert_eq!(header.crc, crc32c(&commit[21..]));
    assert_eq!((header.base_sequence, header.record_count), (-1, 1));
    assert_eq!(
        &commit[61..],
        &[32, 0, 0, 0, 8, 0, 0, 0, 1, 12, 0, 0, 0, 0, 0, 5, 0]
    );
    let mut records = Records::new(&commit[61..], 1);
    assert_eq!(
        records.next().unwrap().unwrap().key,
        Some(&[0, 0, 0, 1][..])
    );
    let abort = control_batch(&marker(MarkerOutcome::Abort)).unwrap();
    assert_eq!(&abort[66..70], &[0, 0, 0, 0]);
}
