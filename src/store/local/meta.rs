//! The meta file: what a folder is, as text for people. Written once, last of all when a folder is made.

use std::fmt::Write;
use std::io;
use std::sync::Arc;

use super::codec::crc;
use super::disk::Disk;
use super::marks;
use super::options::OpenError;
use crate::base::Rng;

/// The file name.
pub(super) const META: &str = "ottla.properties";

/// The on-disk format that this code writes.
const FORMAT: u32 = 1;

/// What a folder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) node_id: i32,
    /// The cluster id, and what ties every segment and snapshot to this folder.
    pub(super) store_id: [u8; 16],
    /// Bytes of a journal segment.
    pub(super) segment_size: u64,
}

impl Meta {
    /// Reads the meta file; `None` when there is none.
    pub(super) fn read(disk: &Arc<dyn Disk>) -> Result<Option<Self>, OpenError> {
        let bytes = marks::read(disk, META).map_err(OpenError::io(META))?;
        bytes.map(|bytes| Self::parse(&bytes)).transpose()
    }

    /// Writes the meta file aside; [`marks::put_in_place`] makes the folder one.
    pub(super) fn write_aside(&self, disk: &Arc<dyn Disk>) -> io::Result<()> {
        marks::write_aside(disk, META, self.to_text().as_bytes())
    }

    fn to_text(&self) -> String {
        let mut text = format!(
            "# Made by Ottla. Not to be edited.\nformat={FORMAT}\nnode.id={}\ncluster.id={}\nsegment.bytes={}\n",
            self.node_id,
            cluster_id(&self.store_id),
            self.segment_size,
        );
        let crc = crc(text.as_bytes());
        let _ = writeln!(text, "crc32c={crc:08x}");
        text
    }

    fn parse(bytes: &[u8]) -> Result<Self, OpenError> {
        let corrupt = |reason: &str| OpenError::corrupt(META, reason);
        let text = std::str::from_utf8(bytes).map_err(|_| corrupt("it is not text"))?;
        let field = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            let found = lines.find(|(key, _)| *key == name).map(|(_, value)| value);
            found.ok_or_else(|| corrupt(&format!("`{name}` is missing")))
        };
        let bad = |name: &str| corrupt(&format!("`{name}` is not a number"));
        let found: u32 = field("format")?.parse().map_err(|_| bad("format"))?;
        if found > FORMAT {
            let known = FORMAT;
            return Err(OpenError::NewerFormat { found, known });
        }
        let covered = text.find("crc32c=").unwrap_or(text.len());
        if field("crc32c")? != format!("{:08x}", crc(&bytes[..covered])) {
            return Err(corrupt("its checksum does not fit"));
        }
        let store_id = parse_cluster_id(field("cluster.id")?);
        let segment_size = field("segment.bytes")?.parse();
        Ok(Self {
            node_id: field("node.id")?.parse().map_err(|_| bad("node.id"))?,
            store_id: store_id.ok_or_else(|| corrupt("`cluster.id` is not an id"))?,
            segment_size: segment_size.map_err(|_| bad("segment.bytes"))?,
        })
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Bytes as Kafka writes its UUIDs: URL-safe base64 without padding (`org.apache.kafka.common.Uuid`).
pub(super) fn cluster_id(id: &[u8; 16]) -> String {
    let bits = u128::from_be_bytes(*id);
    // 22 digits hold 132 bits: the last digit has two of the id's and four zeros.
    let shifted = |index: u32| match index {
        21 => bits << 4,
        _ => bits >> (122 - 6 * index),
    };
    let digit = |index| DIGITS[usize::from(shifted(index).to_le_bytes()[0] & 63)];
    (0..22).map(|index| char::from(digit(index))).collect()
}

fn parse_cluster_id(text: &str) -> Option<[u8; 16]> {
    if text.len() != 22 {
        return None;
    }
    let mut bits: u128 = 0;
    for (index, byte) in text.bytes().enumerate() {
        let value = u128::try_from(DIGITS.iter().position(|digit| *digit == byte)?).ok()?;
        bits = match index {
            21 => bits << 2 | value >> 4,
            _ => bits << 6 | value,
        };
    }
    let id = bits.to_be_bytes();
    (cluster_id(&id) == text).then_some(id)
}

/// A new id: a version 4 UUID whose text does not begin with a dash, as Kafka has it.
pub(super) fn new_store_id(rng: &mut Rng) -> [u8; 16] {
    loop {
        let (high, low) = (rng.next_u64(), rng.next_u64());
        let id = uuid::Builder::from_u128(u128::from(high) << 64 | u128::from(low))
            .with_version(uuid::Version::Random)
            .with_variant(uuid::Variant::RFC4122)
            .into_uuid();
        if !cluster_id(id.as_bytes()).starts_with('-') {
            return *id.as_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Meta {
        Meta {
            node_id: 1,
            store_id: new_store_id(&mut Rng::seeded(1)),
            segment_size: 1 << 22,
        }
    }

    #[test]
    fn cluster_ids_are_written_as_kafka_writes_them() {
        assert_eq!(cluster_id(&[0; 16]), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(cluster_id(&[0xff; 16]), "_____________________w");
        // org.apache.kafka.common.Uuid.ONE_UUID
        assert_eq!(cluster_id(&1u128.to_be_bytes()), "AAAAAAAAAAAAAAAAAAAAAQ");
        let mut rng = Rng::seeded(5);
        for _ in 0..200 {
            let id = new_store_id(&mut rng);
            assert_eq!(parse_cluster_id(&cluster_id(&id)), Some(id));
        }
        assert_eq!(parse_cluster_id("AAAAAAAAAAAAAAAAAAAAAB"), None);
        assert_eq!(parse_cluster_id("short"), None);
    }

    #[test]
    fn meta_survives_and_damage_is_seen() {
        let text = meta().to_text();
        assert_eq!(Meta::parse(text.as_bytes()).unwrap(), meta());
        let edited = text.replace("node.id=1", "node.id=2");
        let error = Meta::parse(edited.as_bytes()).unwrap_err();
        assert!(matches!(error, OpenError::Corrupt { .. }));
        let newer = text.replace("format=1", "format=9");
        let error = Meta::parse(newer.as_bytes()).unwrap_err();
        assert!(matches!(
            error,
            OpenError::NewerFormat { found: 9, known: 1 }
        ));
    }
}
