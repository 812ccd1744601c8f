//! Bytes in several pieces, shared and never copied: what a fetch answers with.

use std::ops::Range;

use bytes::{Buf, Bytes};

/// A byte string in pieces.
#[derive(Clone, Debug, Default)]
pub struct Rope {
    pieces: Vec<Bytes>,
    len: usize,
}

impl Rope {
    /// A rope without bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a piece at the end.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.len += piece.len();
            self.pieces.push(piece);
        }
    }

    /// Adds all pieces of `other` at the end.
    pub fn append(&mut self, mut other: Rope) {
        self.len += other.len;
        self.pieces.append(&mut other.pieces);
    }

    /// The pieces in order, none of them empty.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// The pieces in order, none of them empty.
    pub fn into_pieces(self) -> Vec<Bytes> {
        self.pieces
    }

    /// The bytes of `range`, which must lie inside, still shared.
    pub fn slice(&self, range: Range<usize>) -> Rope {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "range lies inside the rope"
        );
        let mut slice = Rope::new();
        let mut start = 0;
        for piece in &self.pieces {
            let from = range.start.clamp(start, start + piece.len()) - start;
            let to = range.end.clamp(start, start + piece.len()) - start;
            slice.push(piece.slice(from..to));
            start += piece.len();
            if start >= range.end {
                break;
            }
        }
        slice
    }

    /// The same bytes in memory of their own, as one piece: it keeps nothing else alive.
    pub fn detached(&self) -> Rope {
        Bytes::from(self.pieces.concat()).into()
    }

    /// The whole as one piece; copies where there are several.
    pub fn to_bytes(&self) -> Bytes {
        match self.pieces.as_slice() {
            [] => Bytes::new(),
            [piece] => piece.clone(),
            pieces => pieces.concat().into(),
        }
    }
}

impl Rope {
    /// Reads the bytes from the beginning.
    pub fn reader(&self) -> RopeReader<'_> {
        RopeReader {
            pieces: &self.pieces,
            at: 0,
            remaining: self.len,
        }
    }
}

/// A position in a rope.
#[derive(Clone, Debug)]
pub struct RopeReader<'a> {
    pieces: &'a [Bytes],
    /// Where the position lies in the first of `pieces`, always inside it unless nothing remains.
    at: usize,
    remaining: usize,
}

impl Buf for RopeReader<'_> {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.first().map_or(&[], |piece| &piece[self.at..])
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.remaining, "cannot advance past the end");
        self.remaining -= count;
        self.at += count;
        while let Some(piece) = self.pieces.first()
            && self.at >= piece.len()
        {
            self.at -= piece.len();
            self.pieces = &self.pieces[1..];
        }
    }
}

impl From<Bytes> for Rope {
    fn from(piece: Bytes) -> Self {
        let mut rope = Rope::new();
        rope.push(piece);
        rope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_detached_keeps_nothing_else_alive() {
        let whole = Bytes::from(vec![7_u8; 100]);
        let rope = Rope::from(whole.slice(10..20));
        let detached = rope.detached();
        drop(rope);
        assert!(whole.is_unique(), "nobody else holds the 100 bytes");
        assert_eq!(detached.to_bytes(), whole.slice(10..20));
    }

    #[test]
    fn every_slice_equals_the_slice_of_the_whole() {
        let mut rope = Rope::new();
        for piece in ["ab", "", "cde", "f"] {
            rope.push(Bytes::from_static(piece.as_bytes()));
        }
        let whole = rope.to_bytes();
        assert_eq!(
            (&whole[..], rope.len(), rope.pieces().len()),
            (&b"abcdef"[..], 6, 3)
        );
        for start in 0..=6 {
            for end in start..=6 {
                let slice = rope.slice(start..end);
                assert_eq!(slice.to_bytes(), whole.slice(start..end));
                assert_eq!(slice.len(), end - start);
                let mut reader = rope.reader();
                reader.advance(start);
                assert_eq!(reader.copy_to_bytes(end - start), whole.slice(start..end));
                assert_eq!(reader.remaining(), 6 - end);
            }
        }
    }
}
