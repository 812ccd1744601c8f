//! Record batches, most of them wrong.

use bytes::{BufMut, BytesMut};
use ottla::base::crc32c;
use ottla::log::{BatchHeader, Codec, compress};

/// Bytes of a batch's header.
const HEADER_SIZE: usize = 61;
/// Where the part under the CRC begins.
const ATTRIBUTES_AT: usize = 21;
const CRC_AT: usize = 17;
const LENGTH_AT: usize = 8;
const MAGIC_AT: usize = 16;

/// The fields of a header: name, position, bytes.
const FIELDS: [(&str, usize, usize); 12] = [
    ("base offset", 0, 8),
    ("length", LENGTH_AT, 4),
    ("leader epoch", 12, 4),
    ("magic", MAGIC_AT, 1),
    ("attributes", ATTRIBUTES_AT, 2),
    ("last offset delta", 23, 4),
    ("base timestamp", 27, 8),
    ("max timestamp", 35, 8),
    ("producer id", 43, 8),
    ("producer epoch", 51, 2),
    ("base sequence", 53, 4),
    ("record count", 57, 4),
];

/// Whether the CRC is made to fit after a change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Crc {
    Right,
    Left,
}

/// A batch of `count` records with values of `size` bytes, right in all.
pub(crate) fn batch(count: usize, size: usize) -> Vec<u8> {
    packed(Codec::None, count, &section(count, size))
}

/// Wrong batches and what is wrong with each.
pub(crate) fn wrong() -> Vec<(String, Vec<u8>)> {
    let right = batch(3, 20);
    let mut wrong: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, at, size) in FIELDS {
        for first in [0, 0x7f, 0x80, 0xff] {
            for rest in [0, 0xff] {
                let mut bytes = right.clone();
                bytes[at..at + size].fill(rest);
                bytes[at] = first;
                let what = format!("{name} {first:02x}{rest:02x}");
                wrong.push((format!("{what}, CRC as it was"), bytes.clone()));
                seal(&mut bytes);
                wrong.push((what, bytes));
            }
        }
    }
    for codec in 0..8 {
        wrong.push((format!("codec {codec}"), with_codec(&right, codec)));
    }
    for byte in 0..right.len() {
        for crc in [Crc::Left, Crc::Right] {
            let mut bytes = right.clone();
            bytes[byte] ^= 0x55;
            if crc == Crc::Right {
                seal(&mut bytes);
            }
            wrong.push((format!("byte {byte} is not what it was"), bytes));
        }
        wrong.push((format!("cut at {byte}"), right[..byte].to_vec()));
    }
    wrong.push(("two batches".to_owned(), right.repeat(2)));
    wrong.push(("message sets of magic 0".to_owned(), old_message_set(0)));
    wrong.push(("message sets of magic 1".to_owned(), old_message_set(1)));
    wrong.extend(bombs());
    wrong
}

/// Batches that are small on the wire and 80 MB when they are unpacked, which is more than is looked into.
fn bombs() -> Vec<(String, Vec<u8>)> {
    let zeros = vec![0; 80 << 20];
    let codecs = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    let bomb = |codec| {
        let bytes = packed(codec, 1, &zeros);
        (format!("{codec:?} bomb of {} bytes", bytes.len()), bytes)
    };
    codecs.map(bomb).into()
}

/// A batch whose record section is this, packed.
fn packed(codec: Codec, count: usize, section: &[u8]) -> Vec<u8> {
    let section = compress(codec, None, section).expect("it can be packed");
    let count = i32::try_from(count).expect("a count");
    let header = BatchHeader {
        base_offset: 0,
        batch_length: i32::try_from(HEADER_SIZE - 12 + section.len()).expect("a length"),
        partition_leader_epoch: -1,
        magic: 2,
        crc: 0,
        attributes: codec as i16,
        last_offset_delta: count - 1,
        base_timestamp: 1_700_000_000_000,
        max_timestamp: 1_700_000_000_000,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: count,
    };
    let mut bytes = BytesMut::new();
    header.encode_to(&mut bytes);
    bytes.put_slice(&section);
    let mut bytes = bytes.to_vec();
    seal(&mut bytes);
    bytes
}

/// Records without key and headers, each with a value of `size` bytes.
fn section(count: usize, size: usize) -> Vec<u8> {
    let mut section = Vec::new();
    for index in 0..count {
        let mut record = vec![0, 0];
        zigzag(index, &mut record);
        record.push(1); // a null key
        zigzag(size, &mut record);
        record.resize(record.len() + size, b'h');
        record.push(0);
        zigzag(record.len(), &mut section);
        section.extend(record);
    }
    section
}

fn zigzag(value: usize, out: &mut Vec<u8>) {
    let mut value = value << 1;
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn with_codec(right: &[u8], codec: u8) -> Vec<u8> {
    let mut bytes = right.to_vec();
    bytes[ATTRIBUTES_AT + 1] = codec;
    seal(&mut bytes);
    bytes
}

fn old_message_set(magic: u8) -> Vec<u8> {
    let mut bytes = vec![0; 40];
    bytes[LENGTH_AT + 3] = 28;
    bytes[MAGIC_AT] = magic;
    bytes
}

/// Makes the CRC fit.
fn seal(bytes: &mut [u8]) {
    let crc = crc32c(&bytes[ATTRIBUTES_AT..]);
    bytes[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
}
