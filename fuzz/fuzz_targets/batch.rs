//! The records of a produce request, against the rules of all kinds of topics. The first byte chooses the rules; its
//! highest bit makes length and CRC of the batch fit, so that more than the CRC is tried.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ottla::base::crc32c;
use ottla::log::{
    AppendRules, BATCH_HEADER_SIZE, BatchHeader, Codec, Keys, Records, TargetCompression,
    TimestampType, ZstdSupport, must_unpack, validate,
};

const SIZE_MAX: usize = 1 << 20;
const NOW_MS: i64 = 1_700_000_000_000;

fuzz_target!(|input: &[u8]| {
    let [choice, records @ ..] = input else {
        return;
    };
    let mut records = records.to_vec();
    if choice & 0x80 != 0 {
        seal(&mut records);
    }
    let records = Bytes::from(records);
    let rules = rules(*choice);
    let zstd = match choice & 0x40 {
        0 => ZstdSupport::Allowed,
        _ => ZstdSupport::Refused,
    };
    must_unpack(&records, &rules, NOW_MS);
    let Ok(batch) = validate(Some(&records), &rules, zstd, NOW_MS) else {
        return;
    };
    let header = BatchHeader::parse(batch.bytes()).expect("a batch that was taken has a header");
    assert_eq!(header.size(), Some(batch.bytes().len()));
    assert_eq!(header.record_count, header.last_offset_delta + 1);
    assert!(batch.size() <= rules.segment_size_max);
    if header.codec() == Some(Codec::None) {
        let section = &batch.bytes()[BATCH_HEADER_SIZE..];
        let all = Records::new(section, header.record_count);
        assert!(all.into_iter().all(|record| record.is_ok()));
    }
});

fn rules(choice: u8) -> AppendRules {
    AppendRules {
        message_size_max: SIZE_MAX,
        segment_size_max: SIZE_MAX,
        keys: match choice & 1 {
            0 => Keys::Optional,
            _ => Keys::Required,
        },
        timestamp_type: match choice & 2 {
            0 => TimestampType::CreateTime,
            _ => TimestampType::LogAppendTime,
        },
        timestamp_before_max_ms: match choice & 4 {
            0 => i64::MAX,
            _ => 1_000,
        },
        timestamp_after_max_ms: 3_600_000,
        compression: match choice & 0x18 {
            0 => TargetCompression::Producer,
            0x08 => codec(Codec::None),
            0x10 => codec(Codec::Lz4),
            _ => codec(Codec::Snappy),
        },
        decompressed_size_max: SIZE_MAX,
    }
}

fn codec(codec: Codec) -> TargetCompression {
    TargetCompression::Codec { codec, level: None }
}

/// Makes length, magic and CRC fit.
fn seal(records: &mut [u8]) {
    let Ok(length) = i32::try_from(records.len().saturating_sub(12)) else {
        return;
    };
    if records.len() < BATCH_HEADER_SIZE {
        return;
    }
    records[8..12].copy_from_slice(&length.to_be_bytes());
    records[16] = 2;
    let crc = crc32c(&records[21..]);
    records[17..21].copy_from_slice(&crc.to_be_bytes());
}
