//! Row operations: what a frame's row section, a run of a snapshot and the overlay are made of.
//!
//! ```text
//! kind u8 (1 put, 2 delete, 3 append; 0x80 set: its value holds places) | key length u16 | value length u32 | key | value
//! ```

use super::codec::{Fields, length_u32};

/// Bytes of an encoded operation beside key and value.
pub(super) const OP_OVERHEAD: usize = 7;

const PLACED: u8 = 0x80;

/// What is done to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Put = 1,
    Delete = 2,
    Append = 3,
}

/// An operation as it stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpRef<'a> {
    pub(super) kind: Kind,
    /// Whether the value has places in it.
    pub(super) placed: bool,
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

impl OpRef<'_> {
    /// Bytes that [`OpRef::encode`] adds.
    pub(super) fn encoded_size(&self) -> usize {
        OP_OVERHEAD + self.key.len() + self.value.len()
    }

    /// Adds the operation to the end of `target`.
    pub(super) fn encode(&self, target: &mut Vec<u8>) {
        target.extend_from_slice(&self.prefix());
        target.extend_from_slice(self.key);
        target.extend_from_slice(self.value);
    }

    /// Writes the operation to the front of `target`, which has room; returns its size.
    pub(super) fn copy_to(&self, target: &mut [u8]) -> usize {
        let value_at = OP_OVERHEAD + self.key.len();
        let size = self.encoded_size();
        target[..OP_OVERHEAD].copy_from_slice(&self.prefix());
        target[OP_OVERHEAD..value_at].copy_from_slice(self.key);
        target[value_at..size].copy_from_slice(self.value);
        size
    }

    /// The fixed part.
    fn prefix(&self) -> [u8; OP_OVERHEAD] {
        let mut prefix = [0; OP_OVERHEAD];
        prefix[0] = self.kind as u8 | if self.placed { PLACED } else { 0 };
        let key_length = u16::try_from(self.key.len()).unwrap_or(u16::MAX);
        prefix[1..3].copy_from_slice(&key_length.to_be_bytes());
        prefix[3..7].copy_from_slice(&length_u32(self.value.len()).to_be_bytes());
        prefix
    }
}

/// The operations of a row section, in order. Ends early when the bytes are not operations; see [`Ops::is_whole`].
#[derive(Clone, Debug)]
pub(super) struct Ops<'a>(Fields<'a>);

impl<'a> Ops<'a> {
    pub(super) fn new(section: &'a [u8]) -> Self {
        Self(Fields(section))
    }

    /// Whether `section` is `count` operations and nothing else.
    pub(super) fn is_whole(section: &[u8], count: u32) -> bool {
        let mut ops = Ops::new(section);
        let found = ops.by_ref().count();
        ops.0.0.is_empty() && length_u32(found) == count
    }

    fn decode(&mut self) -> Option<OpRef<'a>> {
        let tag = self.0.u8()?;
        let kind = match tag & !PLACED {
            1 => Kind::Put,
            2 => Kind::Delete,
            3 => Kind::Append,
            _ => return None,
        };
        let key_length = usize::from(self.0.u16()?);
        let value_length = usize::try_from(self.0.u32()?).ok()?;
        Some(OpRef {
            kind,
            placed: tag & PLACED != 0,
            key: self.0.take(key_length)?,
            value: self.0.take(value_length)?,
        })
    }
}

impl<'a> Iterator for Ops<'a> {
    type Item = OpRef<'a>;

    fn next(&mut self) -> Option<OpRef<'a>> {
        if self.0.0.is_empty() {
            return None;
        }
        let rest = self.0;
        let op = self.decode();
        if op.is_none() {
            self.0 = rest;
        }
        op
    }
}

/// Several operations on one row as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Folded {
    pub(super) kind: Kind,
    pub(super) placed: bool,
    /// The number of the frame that it comes from, the newest one.
    pub(super) version: u64,
    pub(super) value: Vec<u8>,
}

impl Folded {
    pub(super) fn new(op: &OpRef<'_>, version: u64) -> Self {
        Self {
            kind: op.kind,
            placed: op.placed,
            version,
            value: op.value.to_vec(),
        }
    }

    /// Adds a newer operation.
    pub(super) fn fold(&mut self, kind: Kind, placed: bool, value: &[u8], version: u64) {
        self.version = version;
        match (kind, self.kind) {
            (Kind::Append, Kind::Put | Kind::Append) => {
                self.placed |= placed;
                self.value.extend_from_slice(value);
                return;
            }
            (Kind::Append, Kind::Delete) | (Kind::Put, _) => self.kind = Kind::Put,
            (Kind::Delete, _) => self.kind = Kind::Delete,
        }
        self.placed = placed;
        self.value.clear();
        self.value.extend_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op<'a>(kind: Kind, key: &'a [u8], value: &'a [u8]) -> OpRef<'a> {
        OpRef {
            kind,
            placed: false,
            key,
            value,
        }
    }

    #[test]
    fn golden_bytes() {
        let mut bytes = Vec::new();
        let placed = OpRef {
            placed: true,
            ..op(Kind::Append, b"k", b"xyz")
        };
        placed.encode(&mut bytes);
        op(Kind::Delete, &[8, 1], b"").encode(&mut bytes);
        let expected = b"\x83\x00\x01\x00\x00\x00\x03kxyz\x02\x00\x02\x00\x00\x00\x00\x08\x01";
        assert_eq!(bytes, expected);
        assert_eq!(bytes.len(), placed.encoded_size() + OP_OVERHEAD + 2);
        let decoded: Vec<_> = Ops::new(&bytes).collect();
        assert_eq!(decoded, [placed, op(Kind::Delete, &[8, 1], b"")]);
        assert!(Ops::is_whole(&bytes, 2) && !Ops::is_whole(&bytes, 1));
        for cut in 1..bytes.len() {
            assert!(!Ops::is_whole(&bytes[..cut], 2), "cut at {cut}");
        }
        assert!(!Ops::is_whole(b"\x04\0\0\0\0\0\0", 1));
    }

    #[test]
    fn folding_gives_what_the_operations_in_turn_would() {
        let kinds = [Kind::Put, Kind::Delete, Kind::Append];
        let apply = |state: Option<Vec<u8>>, kind, value: &[u8]| match kind {
            Kind::Put => Some(value.to_vec()),
            Kind::Delete => None,
            Kind::Append => Some([&state.unwrap_or_default(), value].concat()),
        };
        for base in [None, Some(b"base".to_vec())] {
            for all in 0..27 {
                let chosen = [kinds[all % 3], kinds[all / 3 % 3], kinds[all / 9]];
                let value = |kind| if kind == Kind::Delete { &b""[..] } else { b"v" };
                let mut state = base.clone();
                let mut folded: Option<Folded> = None;
                for (version, kind) in (1..).zip(chosen) {
                    state = apply(state, kind, value(kind));
                    match &mut folded {
                        None => folded = Some(Folded::new(&op(kind, b"", value(kind)), version)),
                        Some(folded) => folded.fold(kind, false, value(kind), version),
                    }
                }
                let folded = folded.unwrap();
                assert_eq!(apply(base.clone(), folded.kind, &folded.value), state);
                assert_eq!(folded.version, 3);
            }
        }
    }
}
