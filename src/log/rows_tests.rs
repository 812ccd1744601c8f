//! Golden bytes of every row, and what becomes of bytes that no build wrote.

use bytes::{Bytes, BytesMut};

use super::*;
use crate::base::{LeaderEpoch, PartitionNumber, ProducerEpoch, ProducerId, Rng};
use crate::store::{BlobName, Key, Place, Space};

/// Bytes from hexadecimal digits; spaces separate fields.
fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<char> = digits.chars().filter(|c| !c.is_whitespace()).collect();
    let byte = |pair: &[char]| {
        let pair: String = pair.iter().collect();
        u8::from_str_radix(&pair, 16).unwrap()
    };
    digits.chunks(2).map(byte).collect()
}

const PARTITION: PartitionNumber = PartitionNumber(0x0102_0304);

fn assert_cut_and_longer_refused<T>(value: &[u8], decode: impl Fn(&[u8]) -> Result<T, RowDamage>) {
    for end in 0..value.len() {
        assert!(decode(&value[..end]).is_err(), "cut at {end}");
    }
    assert!(decode(&[value, &[0]].concat()).is_err());
    let mut newer = value.to_vec();
    newer[0] = 2;
    let Err(RowDamage::Format { format, .. }) = decode(&newer) else {
        panic!("a newer format must be told");
    };
    assert_eq!(format, 2);
}

#[test]
fn keys_begin_with_the_partition_and_sort_by_offset() {
    let key = |space, digits| Key::new(space, hex(digits));
    assert_eq!(head_key(PARTITION), key(Space::Head, "01020304"));
    assert_eq!(
        page_key(PARTITION, 0x0506),
        key(Space::Run, "01020304 00 0000000000000506")
    );
    assert_eq!(
        aborted_key(PARTITION, 0x0506),
        key(Space::Run, "01020304 01 0000000000000506")
    );
    assert_eq!(
        producer_key(PARTITION, ProducerId(9)),
        key(Space::Producer, "01020304 0000000000000009")
    );
    assert!(page_keys(PARTITION).contains(&page_key(PARTITION, i64::MAX)));
    assert!(!page_keys(PARTITION).contains(&aborted_key(PARTITION, 0)));
    assert!(aborted_keys(PARTITION).contains(&aborted_key(PARTITION, 0)));
    assert!(producer_keys(PARTITION).contains(&producer_key(PARTITION, ProducerId(i64::MAX))));
    let other = PartitionNumber(PARTITION.0 + 1);
    assert!(!page_keys(PARTITION).contains(&page_key(other, 0)));
    assert!(page_key(PARTITION, 255) < page_key(PARTITION, 256));
}

#[test]
fn heads_are_stored_field_by_field() {
    let head = Head {
        next_offset: 0x11,
        log_start_offset: 0x0a,
        size_bytes: 0x1234,
        first_unstable_offset: -1,
        leader_epoch: LeaderEpoch(2),
        max_timestamp: 0x55,
        max_timestamp_offset: 0x0b,
        page_base_offset: 0x0c,
        page_entries: 3,
    };
    let value = hex(
        "01 0000000000000011 000000000000000a 0000000000001234 ffffffffffffffff \
         00000002 0000000000000055 000000000000000b 000000000000000c 00000003",
    );
    assert_eq!(head.encode(), value);
    assert_eq!(Head::decode(&value), Ok(head));
    assert_eq!(Head::decode(&Head::EMPTY.encode()), Ok(Head::EMPTY));
    assert_eq!(head.last_stable_offset(), 0x11);
    assert_cut_and_longer_refused(&value, Head::decode);
    let backwards = Head {
        log_start_offset: 0x12,
        ..head
    };
    assert!(Head::decode(&backwards.encode()).is_err());
}

fn data(base_offset: i64, last_offset: i64) -> RunEntry {
    RunEntry {
        base_offset,
        last_offset,
        kind: RunKind::Data {
            place: Place {
                blob: BlobName(0x77),
                position: 0x88,
            },
        },
        size: 0x99,
        batch_count: 2,
        max_timestamp: 0xaa,
        leader_epoch: LeaderEpoch(4),
    }
}

fn page_of(entries: &[RunEntry]) -> Page {
    let mut value = BytesMut::new();
    Page::encode_header(0x33, &mut value);
    for entry in entries {
        entry.encode_to(&mut value);
    }
    Page::parse(value.freeze()).unwrap()
}

#[test]
fn pages_are_stored_field_by_field() {
    let marker = RunEntry {
        kind: RunKind::Marker {
            outcome: MarkerOutcome::Abort,
            producer: ProducerId(0x66),
            producer_epoch: ProducerEpoch(5),
            coordinator_epoch: 6,
        },
        size: 0,
        batch_count: 1,
        ..data(9, 9)
    };
    let mut value = BytesMut::new();
    Page::encode_header(0x33, &mut value);
    data(5, 8).encode_to(&mut value);
    assert_eq!(value.len(), Page::HEADER_SIZE + RunEntry::SIZE);
    marker.encode_to(&mut value);
    let golden = hex("01 0000000000000033 \
         0000000000000005 0000000000000008 0000000000000077 0000000000000088 00000099 00000002 \
         00000000000000aa 00000004 00 \
         0000000000000009 0000000000000009 0000000000000066 0005 00000006 0000 00000000 00000001 \
         00000000000000aa 00000004 02");
    assert_eq!(value, golden);
    let slot = Page::FIRST_PLACE_AT as usize;
    assert_eq!(golden[slot..slot + 8], 0x77_u64.to_be_bytes());
    let page = Page::parse(golden.clone().into()).unwrap();
    assert_eq!(page.max_timestamp_before(), 0x33);
    let entries: Vec<RunEntry> = page.entries_from(0).map(Result::unwrap).collect();
    assert_eq!(entries, [data(5, 8), marker]);

    assert!(Page::parse(golden[..golden.len() - 1].to_vec().into()).is_err());
    assert!(Page::parse(Bytes::new()).is_err());
    let mut unknown = golden.clone();
    *unknown.last_mut().unwrap() = 3;
    assert!(Page::parse(unknown.into()).unwrap().entry(1).is_err());
    let mut newer = golden;
    newer[0] = 2;
    let newer = Page::parse(newer.into());
    assert!(matches!(newer, Err(RowDamage::Format { format: 2, .. })));
}

#[test]
fn a_run_is_found_by_offset_as_by_walking() {
    let mut rng = Rng::seeded(11);
    for len in [0, 1, 2, 3, 100, 256] {
        let mut offset = 0;
        let entries: Vec<RunEntry> = (0..len)
            .map(|_| {
                let base_offset = offset + i64::try_from(rng.below(3)).unwrap();
                let last_offset = base_offset + i64::try_from(rng.below(4)).unwrap();
                offset = last_offset + 1;
                data(base_offset, last_offset)
            })
            .collect();
        let page = page_of(&entries);
        assert_eq!(page.len(), entries.len());
        assert_eq!(page.is_empty(), entries.is_empty());
        for wanted in 0..offset + 2 {
            let by_walking = entries.iter().position(|entry| entry.last_offset >= wanted);
            assert_eq!(page.find(wanted), by_walking.unwrap_or(entries.len()));
        }
    }
}

#[test]
fn producers_are_stored_field_by_field() {
    let mut state = ProducerState::new(ProducerEpoch(3));
    state.coordinator_epoch = 4;
    state.transaction_first_offset = 0x20;
    let mark = BatchMark {
        first_sequence: 5,
        last_sequence: 7,
        base_offset: 0x44,
        last_offset_delta: 2,
        timestamp: 0x55,
    };
    state.push(ProducerEpoch(3), mark, 0x66);
    let value = hex("01 0003 00000004 0000000000000066 0000000000000020 01 \
         00000005 00000007 0000000000000044 00000002 0000000000000055");
    assert_eq!(state.encode(), value);
    assert_eq!(ProducerState::decode(&value), Ok(state));
    assert_cut_and_longer_refused(&value, ProducerState::decode);
    for sequence in 8..14 {
        let mark = BatchMark {
            first_sequence: sequence,
            last_sequence: sequence,
            ..mark
        };
        state.push(ProducerEpoch(3), mark, 0x67);
    }
    assert_eq!(state.marks().len(), BATCHES_KEPT);
    assert_eq!(ProducerState::decode(&state.encode()), Ok(state));
    let mut six_marks = state.encode().to_vec();
    six_marks[23] = 6;
    six_marks.extend([0; 28]);
    assert!(ProducerState::decode(&six_marks).is_err());
}

#[test]
fn aborted_transactions_are_stored_field_by_field() {
    let aborted = AbortedTransaction {
        producer: ProducerId(1),
        first_offset: 2,
        last_stable_offset: 3,
    };
    let value = hex("01 0000000000000001 0000000000000002 0000000000000003");
    assert_eq!(aborted.encode(), value);
    assert_eq!(AbortedTransaction::decode(&value), Ok(aborted));
    assert_cut_and_longer_refused(&value, AbortedTransaction::decode);
}
