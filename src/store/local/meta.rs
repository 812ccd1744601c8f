//! The meta file: what a folder is, as text for people. Written once, last of all when a folder is made.

use std::fmt::Write;
use std::io;
use std::sync::Arc;

use uuid::Uuid;

use super::codec::crc;
use super::disk::Disk;
use super::marks;
use super::options::{LocalOptions, OpenError};
use crate::base::{Rng, decode_id, encode_id};

/// The file name.
pub(super) const META: &str = "ottla.properties";

/// The on-disk format that this code writes.
const FORMAT: u32 = 1;

/// What a folder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) node_id: i32,
    /// The id of the cluster as clients see it: `store_id` as Kafka prints ids, or the one that was asked for.
    pub(super) cluster_id: String,
    /// What ties every segment and snapshot to this folder.
    pub(super) store_id: [u8; 16],
    /// Bytes of a journal segment.
    pub(super) segment_size: u64,
}

/// Bytes that a cluster id may have at most.
const CLUSTER_ID_SIZE_MAX: usize = 255;

impl Meta {
    /// Of a new folder on a file system of `total` bytes.
    pub(super) fn new(
        options: &LocalOptions,
        total: u64,
        rng: &mut Rng,
    ) -> Result<Self, OpenError> {
        let store_id = new_store_id(rng);
        let drawn = || encode_id(Uuid::from_bytes(store_id));
        let cluster_id = options.cluster_id.clone().unwrap_or_else(drawn);
        let fits = (1..=CLUSTER_ID_SIZE_MAX).contains(&cluster_id.len());
        if !fits || cluster_id.chars().any(char::is_control) {
            return Err(OpenError::ClusterId { asked: cluster_id });
        }
        Ok(Self {
            node_id: options.node_id,
            cluster_id,
            store_id,
            segment_size: options
                .segment_size
                .unwrap_or_else(|| LocalOptions::segment_size_for(total)),
        })
    }

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
            self.node_id, self.cluster_id, self.segment_size,
        );
        let store_id = encode_id(Uuid::from_bytes(self.store_id));
        if store_id != self.cluster_id {
            let _ = writeln!(text, "store.id={store_id}");
        }
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
        let covered = text.rfind("crc32c=").unwrap_or(text.len());
        if field("crc32c")? != format!("{:08x}", crc(&bytes[..covered])) {
            return Err(corrupt("its checksum does not fit"));
        }
        let cluster_id = field("cluster.id")?;
        let store_id = decode_id(field("store.id").unwrap_or(cluster_id));
        let segment_size = field("segment.bytes")?.parse();
        Ok(Self {
            node_id: field("node.id")?.parse().map_err(|_| bad("node.id"))?,
            cluster_id: cluster_id.to_owned(),
            store_id: *store_id
                .ok_or_else(|| corrupt("`cluster.id` or `store.id` is not an id"))?
                .as_bytes(),
            segment_size: segment_size.map_err(|_| bad("segment.bytes"))?,
        })
    }
}

/// A new id: a version 4 UUID whose text does not begin with a dash, as Kafka has it.
fn new_store_id(rng: &mut Rng) -> [u8; 16] {
    loop {
        let (high, low) = (rng.next_u64(), rng.next_u64());
        let id = uuid::Builder::from_u128(u128::from(high) << 64 | u128::from(low))
            .with_version(uuid::Version::Random)
            .with_variant(uuid::Variant::RFC4122)
            .into_uuid();
        if !encode_id(id).starts_with('-') {
            return *id.as_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta_of(asked: Option<&str>) -> Result<Meta, OpenError> {
        let options = LocalOptions {
            cluster_id: asked.map(str::to_owned),
            ..LocalOptions::default()
        };
        Meta::new(&options, 1 << 30, &mut Rng::seeded(1))
    }

    fn meta() -> Meta {
        meta_of(None).unwrap()
    }

    #[test]
    fn a_cluster_id_that_was_asked_for_stands_beside_that_of_the_folder() {
        let drawn = meta();
        assert!(!drawn.to_text().contains("store.id"));
        for asked in ["orders", "a=b", "crc32c=00000000", "AAAAAAAAAAAAAAAAAAAAAQ"] {
            let named = meta_of(Some(asked)).unwrap();
            assert_eq!(named.cluster_id, asked);
            assert_eq!(named.store_id, drawn.store_id);
            assert_eq!(Meta::parse(named.to_text().as_bytes()).unwrap(), named);
        }
        for unfit in [
            "",
            "two\nlines",
            "tab\t",
            &"x".repeat(CLUSTER_ID_SIZE_MAX + 1),
        ] {
            let refused = meta_of(Some(unfit)).unwrap_err();
            assert!(matches!(refused, OpenError::ClusterId { .. }), "{unfit:?}");
        }
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
