//! Row keys: a space and big-endian fields, so that ranges scan in order.

use bytes::{BufMut, Bytes, BytesMut};

/// The kinds of row. The number is the first byte of a stored key and part of the on-disk format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Space {
    /// Partition heads.
    Head = 1,
    /// Pages of runs and aborted transactions.
    Run = 2,
    /// Producer state per partition.
    Producer = 3,
    /// Blobs that jobs wrote.
    Blob = 4,
    /// Transactional ids.
    Txn = 5,
    /// Groups.
    Group = 6,
    /// Committed offsets.
    Offset = 7,
    /// Topics, configs and everything else of the cluster.
    Cluster = 8,
}

impl Space {
    /// The space of a stored number.
    pub fn from_number(number: u8) -> Option<Self> {
        use Space::{Blob, Cluster, Group, Head, Offset, Producer, Run, Txn};
        [Head, Run, Producer, Blob, Txn, Group, Offset, Cluster]
            .into_iter()
            .find(|space| *space as u8 == number)
    }
}

/// The key of a row: ordered by space, then bytewise. Stored as the space's number followed by the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub space: Space,
    pub bytes: Bytes,
}

impl Key {
    /// Bytes that a stored key may have at most, its space included.
    pub const SIZE_MAX: usize = 1024;

    /// A key in `space`.
    pub fn new(space: Space, bytes: impl Into<Bytes>) -> Self {
        Self {
            space,
            bytes: bytes.into(),
        }
    }

    /// The stored form.
    pub fn encode(&self) -> Bytes {
        let mut encoded = BytesMut::with_capacity(1 + self.bytes.len());
        encoded.put_u8(self.space as u8);
        encoded.put_slice(&self.bytes);
        encoded.freeze()
    }

    /// The inverse of [`Key::encode`]; `None` for an unknown space or an empty key.
    pub fn decode(encoded: &Bytes) -> Option<Self> {
        let space = Space::from_number(*encoded.first()?)?;
        Some(Self {
            space,
            bytes: encoded.slice(1..),
        })
    }
}

/// The keys of one space from `start` (included) to `end` (excluded; `None` = the end of the space).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    pub space: Space,
    pub start: Bytes,
    pub end: Option<Bytes>,
}

impl KeyRange {
    /// All keys of a space.
    pub fn all(space: Space) -> Self {
        Self {
            space,
            start: Bytes::new(),
            end: None,
        }
    }

    /// All keys of a space that begin with `prefix`.
    pub fn prefix(space: Space, prefix: impl Into<Bytes>) -> Self {
        let start: Bytes = prefix.into();
        let end = successor(&start);
        Self { space, start, end }
    }

    /// Whether `key` lies in the range.
    pub fn contains(&self, key: &Key) -> bool {
        key.space == self.space
            && key.bytes >= self.start
            && self.end.as_ref().is_none_or(|end| key.bytes < *end)
    }
}

/// The smallest byte string above every string with this prefix; `None` when there is none (all bytes 0xff).
fn successor(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_ranges_end_at_the_next_prefix() {
        let range = KeyRange::prefix(Space::Run, vec![1, 0xff]);
        assert!(range.contains(&Key::new(Space::Run, vec![1, 0xff, 0xff, 0xff])));
        assert!(!range.contains(&Key::new(Space::Run, vec![2])));
        assert!(!range.contains(&Key::new(Space::Head, vec![1, 0xff])));
        assert_eq!(KeyRange::prefix(Space::Run, vec![0xff]).end, None);
    }

    #[test]
    fn keys_survive_encoding_and_order_by_space_first() {
        let key = Key::new(Space::Offset, vec![3, 1]);
        assert_eq!(Key::decode(&key.encode()), Some(key.clone()));
        assert!(Key::new(Space::Head, vec![0xff]).encode() < key.encode());
        assert_eq!(Key::decode(&Bytes::new()), None);
        assert_eq!(Key::decode(&Bytes::from_static(&[99, 1])), None);
    }
}
