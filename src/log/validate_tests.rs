//! Every reason to refuse a batch, in Kafka's order, and what is stored of those that are taken.

use bytes::{BufMut, Bytes, BytesMut};

use super::batch::{ATTRIBUTES_AT, BatchHeader, CRC_AT, Codec, TimestampType, put};
use super::testing::{NOW_MS, RULES, TestBatch, TestRecord};
use super::*;
use crate::base::crc32c;

const CODECS: [Codec; 5] = [
    Codec::None,
    Codec::Gzip,
    Codec::Snappy,
    Codec::Lz4,
    Codec::Zstd,
];

fn check(bytes: &Bytes, rules: &AppendRules) -> Result<Batch, RecordError> {
    validate(Some(bytes), rules, ZstdSupport::Allowed, NOW_MS)
}

fn check_batch(batch: &TestBatch) -> Result<Batch, RecordError> {
    check(&batch.bytes(), &RULES)
}

/// The error as the code that the client will get.
fn code(result: &Result<Batch, RecordError>) -> i16 {
    match result {
        Ok(_) => 0,
        Err(RecordError::Corrupt { .. }) => 2,
        Err(RecordError::TooLarge { .. } | RecordError::TooLargeUncompressed { .. }) => 10,
        Err(RecordError::SegmentTooLarge { .. }) => 18,
        Err(RecordError::InvalidTimestamp { .. }) => 32,
        Err(RecordError::UnsupportedCompression) => 76,
        Err(RecordError::Invalid { .. }) => 87,
    }
}

fn with(change: impl FnOnce(&mut BatchHeader)) -> TestBatch {
    let mut batch = TestBatch::plain(3);
    change(&mut batch.header);
    batch
}

#[test]
fn exactly_one_whole_batch_of_magic_two() {
    let good = TestBatch::plain(3).bytes();
    assert_eq!(code(&check(&good, &RULES)), 0);
    let none = validate(None, &RULES, ZstdSupport::Allowed, NOW_MS);
    assert_eq!(code(&none), 87);
    for end in 0..good.len() {
        assert_eq!(code(&check(&good.slice(..end), &RULES)), 87, "cut at {end}");
    }
    let two = Bytes::from([&good[..], &good[..]].concat());
    assert_eq!(code(&check(&two, &RULES)), 87);
    let torn_second = two.slice(..two.len() - 1);
    assert_eq!(check(&torn_second, &RULES).unwrap().bytes(), &good);
    for (magic, expected) in [(0, 87), (1, 87), (3, 2), (-1, 2)] {
        assert_eq!(code(&check_batch(&with(|h| h.magic = magic))), expected);
    }
    let mut tiny = BytesMut::from(&good[..40]);
    put(&mut tiny, 8, 28_i32.to_be_bytes());
    assert_eq!(code(&check(&tiny.freeze(), &RULES)), 2);
    let mut negative = BytesMut::from(&good[..]);
    put(&mut negative, 8, (-1_i32).to_be_bytes());
    assert_eq!(code(&check(&negative.freeze(), &RULES)), 2);
}

#[test]
fn header_fields_must_agree() {
    type Change = fn(&mut BatchHeader);
    let cases: &[(i16, Change)] = &[
        (87, |h| h.base_offset = 1),
        (87, |h| h.last_offset_delta = -1),
        (87, |h| h.last_offset_delta = i32::MAX),
        (87, |h| h.record_count = 0),
        (87, |h| h.record_count = 2),
        (87, |h| h.record_count = i32::MAX),
        (87, |h| (h.record_count, h.last_offset_delta) = (4, 3)),
        (87, |h| (h.record_count, h.last_offset_delta) = (2, 1)),
        (87, |h| h.attributes |= 0x20),
        (87, |h| h.attributes |= 7),
        (87, |h| h.attributes |= 0x10),
        (87, |h| (h.producer_id, h.producer_epoch) = (5, 0)),
        (87, |h| (h.producer_id, h.base_sequence) = (5, 0)),
        (0, |h| {
            (h.producer_id, h.producer_epoch, h.base_sequence) = (5, 0, 0)
        }),
        (0, |h| h.partition_leader_epoch = 99),
    ];
    for (index, (expected, change)) in cases.iter().enumerate() {
        let batch = check_batch(&with(change));
        assert_eq!(code(&batch), *expected, "case {index}");
    }
}

#[test]
fn a_batch_with_two_faults_gets_the_first_code() {
    let rules = AppendRules {
        message_size_max: 61,
        ..RULES
    };
    // Base offset before size, size before CRC, CRC before counts.
    let batch = with(|h| h.base_offset = 1);
    assert_eq!(code(&check(&batch.bytes(), &rules)), 87);
    let mut bytes = BytesMut::from(&with(|h| h.record_count = 0).bytes()[..]);
    bytes[CRC_AT] ^= 1;
    let bytes = bytes.freeze();
    assert_eq!(code(&check(&bytes, &rules)), 10);
    assert_eq!(code(&check(&bytes, &RULES)), 2);
    // zstd before size, and before the second batch.
    let zstd = TestBatch::plain(3).codec(Codec::Zstd).bytes();
    let two = Bytes::from([&zstd[..], &zstd[..]].concat());
    for bytes in [&zstd, &two] {
        let result = validate(Some(bytes), &rules, ZstdSupport::Refused, NOW_MS);
        assert_eq!(code(&result), 76);
    }
    assert_eq!(code(&check(&zstd, &RULES)), 0);
}

#[test]
fn sizes_are_bounds_that_are_included() {
    let bytes = TestBatch::plain(3).bytes();
    let rules = |message_size_max, segment_size_max| AppendRules {
        message_size_max,
        segment_size_max,
        ..RULES
    };
    let size = bytes.len();
    assert_eq!(code(&check(&bytes, &rules(size, size))), 0);
    assert_eq!(code(&check(&bytes, &rules(size - 1, size))), 10);
    assert_eq!(code(&check(&bytes, &rules(size, size - 1))), 18);
}

#[test]
fn every_flipped_bit_behind_the_stamp_is_found() {
    let good = TestBatch::plain(2).producer(1, 0, 0).bytes();
    for bit in 16 * 8..good.len() * 8 {
        let mut bytes = good.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(code(&check(&bytes.into(), &RULES)), 0, "bit {bit}");
    }
}

#[test]
fn record_sections_with_a_right_crc_but_wrong_inside_are_refused() {
    let good = TestBatch::plain(2);
    for at in 0..good.section.len() {
        let mut cut = good.clone();
        cut.section.truncate(at);
        assert_eq!(code(&check_batch(&cut)), 87);
    }
    let mut longer = good.clone();
    longer.section.push(0);
    assert_eq!(code(&check_batch(&longer)), 87);
    let mut gap = good.clone();
    let second = gap.section.len() / 2;
    gap.section[second + 3] = 4;
    let Err(RecordError::Invalid { records, .. }) = check_batch(&gap) else {
        panic!("a gap in offsets must be refused");
    };
    assert_eq!(records[0].index, 1);
}

#[test]
fn compacted_topics_refuse_each_record_without_key() {
    let rules = AppendRules {
        keys: Keys::Required,
        ..RULES
    };
    let records: &[TestRecord] = &[
        (Some("a"), None, NOW_MS),
        (None, Some("b"), NOW_MS),
        (Some(""), Some("c"), NOW_MS),
        (None, None, NOW_MS),
    ];
    for codec in CODECS {
        let bytes = TestBatch::of(records).codec(codec).bytes();
        let Err(RecordError::Invalid { records, .. }) = check(&bytes, &rules) else {
            panic!("records without a key must be refused");
        };
        let indexes: Vec<i32> = records.iter().map(|record| record.index).collect();
        assert_eq!(indexes, [1, 3], "{codec:?}");
        assert_eq!(code(&check(&bytes, &RULES)), 0);
    }
}

#[test]
fn timestamps_have_bounds_per_record() {
    let records: &[TestRecord] = &[
        (None, Some("at the bound"), NOW_MS + 3_600_000),
        (None, Some("beyond"), NOW_MS + 3_600_001),
        (None, Some("long ago"), 0),
        (None, Some("none"), -1),
    ];
    let before = AppendRules {
        timestamp_before_max_ms: 1_000,
        ..RULES
    };
    for codec in CODECS {
        let bytes = TestBatch::of(records).codec(codec).bytes();
        for (rules, expected) in [(&RULES, &[1][..]), (&before, &[1, 2])] {
            let Err(RecordError::InvalidTimestamp { records }) = check(&bytes, rules) else {
                panic!("a timestamp out of range must be refused");
            };
            let indexes: Vec<i32> = records.iter().map(|record| record.index).collect();
            assert_eq!(indexes, expected, "{codec:?}");
        }
    }
    let rules = AppendRules {
        timestamp_type: TimestampType::LogAppendTime,
        ..before
    };
    let bytes = TestBatch::of(records).bytes();
    assert_eq!(code(&check(&bytes, &rules)), 0);
}

#[test]
fn a_producer_must_not_claim_the_logs_clock() {
    for codec in CODECS {
        let batch = with(|h| h.attributes |= 8).codec(codec);
        let rules = AppendRules {
            timestamp_type: TimestampType::LogAppendTime,
            ..RULES
        };
        let Err(RecordError::InvalidTimestamp { records }) = check(&batch.bytes(), &rules) else {
            panic!("must be refused");
        };
        assert_eq!(records.len(), 3);
        // With CreateTime Kafka takes the claimed time as the producer's and clears the flag.
        let taken = check_batch(&batch).unwrap();
        assert_eq!(taken.header().timestamp_type(), TimestampType::CreateTime);
        assert_eq!(code(&check(taken.bytes(), &RULES)), 0);
    }
}

#[test]
fn a_wrong_largest_timestamp_is_put_right() {
    let taken = check_batch(&with(|h| h.max_timestamp = 17)).unwrap();
    assert_eq!(taken.header().max_timestamp, NOW_MS);
    assert_eq!(taken.bytes(), &TestBatch::plain(3).bytes());
}

#[test]
fn recompression_keeps_everything_but_the_codec() {
    let records: Vec<TestRecord> = (0..500)
        .map(|n| (Some("key"), Some("a value that repeats itself"), NOW_MS + n))
        .collect();
    for from in CODECS {
        for to in CODECS {
            let original = TestBatch::of(&records).producer(4, 5, 6).codec(from);
            let target = TargetCompression::Codec {
                codec: to,
                level: None,
            };
            let rules = AppendRules {
                compression: target,
                ..RULES
            };
            let batch = check(&original.bytes(), &rules).unwrap();
            let expected = BatchHeader {
                attributes: to as i16,
                batch_length: batch.header().batch_length,
                crc: batch.header().crc,
                ..original.header
            };
            assert_eq!(*batch.header(), expected);
            assert_eq!(BatchHeader::parse(batch.bytes()), Some(expected));
            let crc = crc32c(&batch.bytes()[ATTRIBUTES_AT..]);
            assert_eq!(crc, expected.crc);
            let section = decompress(to, &batch.bytes()[61..], 1 << 20).unwrap();
            assert_eq!(section, original.section);
        }
    }
}

#[test]
fn recompression_checks_the_size_again() {
    let original = TestBatch::plain(1_000).codec(Codec::Zstd).bytes();
    let rules = AppendRules {
        message_size_max: original.len(),
        compression: TargetCompression::Codec {
            codec: Codec::None,
            level: None,
        },
        ..RULES
    };
    assert_eq!(code(&check(&original, &rules)), 10);
    let segment = AppendRules {
        message_size_max: 1 << 20,
        segment_size_max: original.len(),
        ..rules
    };
    assert_eq!(code(&check(&original, &segment)), 18);
}

#[test]
fn compressed_garbage_and_bombs_are_refused_where_they_are_looked_into() {
    let rules = AppendRules {
        keys: Keys::Required,
        decompressed_size_max: 10_000,
        ..RULES
    };
    for codec in &CODECS[1..] {
        let mut bytes = BytesMut::from(&TestBatch::plain(9).codec(*codec).bytes()[..]);
        bytes[61..].fill(0x5a);
        let crc = crc32c(&bytes[ATTRIBUTES_AT..]);
        put(&mut bytes, CRC_AT, crc.to_be_bytes());
        let bytes = bytes.freeze();
        assert_eq!(code(&check(&bytes, &rules)), 87, "{codec:?}");
        let bomb = TestBatch::plain(9_000).codec(*codec).bytes();
        assert_eq!(code(&check(&bomb, &rules)), 10, "{codec:?}");
    }
}

#[test]
fn codecs_stop_at_their_bound_and_at_malformed_input() {
    let text: Vec<u8> = (0..200_000_u32).map(|n| (n / 100 % 251) as u8).collect();
    for codec in CODECS {
        for level in [None, Some(1), Some(9)] {
            let packed = compress(codec, level, &text).unwrap();
            assert_eq!(decompress(codec, &packed, text.len()), Ok(text.clone()));
            let short = decompress(codec, &packed, text.len() - 1);
            let size_max = text.len() - 1;
            assert_eq!(short, Err(CompressionError::TooLarge { size_max }));
        }
        let packed = compress(codec, None, &text[..3_000]).unwrap();
        for end in (1..packed.len()).filter(|_| codec != Codec::None) {
            // lz4 frames and xerial blocks may end early without anything missing in what is there.
            if let Ok(unpacked) = decompress(codec, &packed[..end], 3_000) {
                assert!(text.starts_with(&unpacked), "{codec:?} cut at {end}");
            }
        }
    }
}

#[test]
fn raw_snappy_is_read_and_its_declared_size_is_not_believed() {
    let raw = snap::raw::Encoder::new()
        .compress_vec(b"librdkafka")
        .unwrap();
    let unpacked = decompress(Codec::Snappy, &raw, 10);
    assert_eq!(unpacked, Ok(b"librdkafka".to_vec()));
    let mut lie = BytesMut::new();
    lie.put_slice(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0]);
    let refused = decompress(Codec::Snappy, &lie, usize::MAX);
    assert_eq!(refused, Err(CompressionError::Malformed));
}
