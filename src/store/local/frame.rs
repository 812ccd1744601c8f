//! The frame: a group of commits under one sync. Header, row section, batch bytes, padding (docs/storage.md draws it).
//!
//! Pure: bytes in, header out. The header and the row section have one CRC and the batch bytes another, so that
//! replay hops over bodies.

use super::aligned::round_up;
use super::codec::{Fields, Seal, to_u64, to_usize};
use super::mutant::Mutant;
use super::ops::Ops;

/// Bytes of a frame's header.
pub(super) const HEADER_SIZE: usize = 100;

/// The first bytes of every frame.
pub(super) const MAGIC: [u8; 4] = *b"OtFr";

/// The layout that this code writes; any other is refused.
pub(super) const FORMAT: u16 = 1;

/// Where the CRC of header and row section stands: it covers all before it, and the row section.
const CRC_AT: usize = HEADER_SIZE - 4;

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// The generation of the segment that it lies in.
    pub(super) generation: u64,
    /// Where in the segment it begins.
    pub(super) position: u64,
    /// Its number: the version of every row that it writes.
    pub(super) number: u64,
    /// The number of the frame before it.
    pub(super) previous: u64,
    /// The CRC of header and row section of the frame before it.
    pub(super) previous_crc: u32,
    /// The last frame that was known to be synced when this one was written.
    pub(super) synced: u64,
    /// Row section bytes of all frames before it, since the folder was made.
    pub(super) rows_before: u64,
    /// Batch bytes of the frames before it in this segment.
    pub(super) body_before: u64,
    /// In the last frame of a segment the generation that goes on after it, else 0.
    pub(super) next_generation: u64,
    pub(super) rows_count: u32,
    /// Bytes of the row section.
    pub(super) rows_length: u32,
    /// Bytes of the batches.
    pub(super) body_length: u64,
    /// CRC of the batches.
    pub(super) body_crc: u32,
}

impl FrameHeader {
    /// Bytes before the body.
    pub(super) fn head_length(&self) -> u64 {
        to_u64(HEADER_SIZE) + u64::from(self.rows_length)
    }

    /// Bytes that the frame takes up, padding included.
    pub(super) fn length(&self, alignment: u64) -> u64 {
        frame_length(u64::from(self.rows_length), self.body_length, alignment)
    }

    /// Where in the segment the body begins.
    pub(super) fn body_position(&self) -> u64 {
        self.position.saturating_add(self.head_length())
    }

    /// Writes the header to the front of `head`, which holds the row section behind it, and returns their CRC.
    pub(super) fn seal(&self, head: &mut [u8], seal: Seal) -> u32 {
        let mut fields = Vec::with_capacity(HEADER_SIZE);
        fields.extend_from_slice(&MAGIC);
        fields.extend_from_slice(&FORMAT.to_be_bytes());
        fields.extend_from_slice(&[0; 2]);
        let longs = [
            self.generation,
            self.position,
            self.number,
            self.previous,
            self.synced,
            self.rows_before,
            self.body_before,
            self.next_generation,
            self.body_length,
        ];
        longs
            .iter()
            .for_each(|long| fields.extend_from_slice(&long.to_be_bytes()));
        let ints = [
            self.rows_length,
            self.rows_count,
            self.previous_crc,
            self.body_crc,
        ];
        ints.iter()
            .for_each(|int| fields.extend_from_slice(&int.to_be_bytes()));
        head[..CRC_AT].copy_from_slice(&fields);
        let crc = seal.crc(&[&fields, &head[HEADER_SIZE..]]);
        head[CRC_AT..HEADER_SIZE].copy_from_slice(&crc.to_be_bytes());
        crc
    }

    /// Reads the fields, without any check of the CRC; `None` when this is no frame's header at all.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes.get(..HEADER_SIZE)?);
        if fields.array()? != MAGIC || fields.u16()? != FORMAT || fields.u16()? != 0 {
            return None;
        }
        let mut long = || fields.u64();
        let (generation, position, number) = (long()?, long()?, long()?);
        let (previous, synced, rows_before) = (long()?, long()?, long()?);
        let (body_before, next_generation, body_length) = (long()?, long()?, long()?);
        let mut int = || fields.u32();
        Some(Self {
            generation,
            position,
            number,
            previous,
            synced,
            rows_before,
            body_before,
            next_generation,
            body_length,
            rows_length: int()?,
            rows_count: int()?,
            previous_crc: int()?,
            body_crc: int()?,
        })
    }

    /// The CRC of header and row section, when it is the one that the header holds and the row section is whole.
    /// `head` is both of them, exactly.
    pub(super) fn verify(&self, head: &[u8], seal: Seal) -> Option<u32> {
        if to_u64(head.len()) != self.head_length() {
            return None;
        }
        let rows = head.get(HEADER_SIZE..)?;
        let stored = Fields(head.get(CRC_AT..)?).u32()?;
        let crc = seal.crc(&[&head[..CRC_AT], rows]);
        let is_sound = crc == stored || Mutant::CrcCheck.is_left_out();
        (is_sound && Ops::is_whole(rows, self.rows_count)).then_some(crc)
    }

    /// Whether it may stand at `position` in a segment of `size` bytes: checked before its lengths are believed.
    pub(super) fn fits(&self, generation: u64, position: u64, size: u64, alignment: u64) -> bool {
        let in_place = self.generation == generation && self.position == position;
        let end = position.checked_add(self.length(alignment));
        in_place && end.is_some_and(|end| end <= size) && self.body_length < size
    }

    /// Bytes before the body, in memory.
    pub(super) fn head_size(&self) -> usize {
        to_usize(self.head_length())
    }
}

/// Bytes that a frame takes up.
pub(super) fn frame_length(rows: u64, body: u64, alignment: u64) -> u64 {
    let content = to_u64(HEADER_SIZE)
        .saturating_add(rows)
        .saturating_add(body);
    round_up(content, alignment)
}

/// Where the next frame goes, and what it follows. Marks and snapshots hold one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    /// The number of the frame before; 0 when there is none.
    pub(super) frame: u64,
    /// The CRC of its header and row section.
    pub(super) crc: u32,
    pub(super) generation: u64,
    pub(super) position: u64,
    /// As in the next frame's header.
    pub(super) rows_before: u64,
    /// As in the next frame's header.
    pub(super) body_before: u64,
}

impl Point {
    /// Bytes of an encoded point.
    pub(super) const SIZE: usize = 44;

    /// Where a journal begins.
    pub(super) fn start(first_position: u64) -> Self {
        Self {
            frame: 0,
            crc: 0,
            generation: 1,
            position: first_position,
            rows_before: 0,
            body_before: 0,
        }
    }

    /// The point after a frame with this header and CRC.
    pub(super) fn after(header: &FrameHeader, crc: u32, alignment: u64, next_first: u64) -> Self {
        let goes_on = header.next_generation != 0;
        let body = header.body_before.saturating_add(header.body_length);
        let end = header.position.saturating_add(header.length(alignment));
        Self {
            frame: header.number,
            crc,
            generation: match goes_on {
                true => header.next_generation,
                false => header.generation,
            },
            position: if goes_on { next_first } else { end },
            rows_before: header.rows_before + u64::from(header.rows_length),
            body_before: if goes_on { 0 } else { body },
        }
    }

    /// Adds the point to the end of `target`.
    pub(super) fn encode(&self, target: &mut Vec<u8>) {
        let longs = [
            self.frame,
            self.generation,
            self.position,
            self.rows_before,
            self.body_before,
        ];
        longs
            .iter()
            .for_each(|long| target.extend_from_slice(&long.to_be_bytes()));
        target.extend_from_slice(&self.crc.to_be_bytes());
    }

    /// The inverse of [`Point::encode`].
    pub(super) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let mut long = || fields.u64();
        let (frame, generation, position) = (long()?, long()?, long()?);
        let (rows_before, body_before) = (long()?, long()?);
        Some(Self {
            frame,
            crc: fields.u32()?,
            generation,
            position,
            rows_before,
            body_before,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::local::ops::{Kind, OpRef};

    fn header() -> FrameHeader {
        FrameHeader {
            generation: 2,
            position: 4096,
            number: 3,
            previous: 1,
            previous_crc: 0x0a0b_0c0d,
            synced: 1,
            rows_before: 77,
            body_before: 500,
            next_generation: 0,
            rows_count: 1,
            rows_length: 10,
            body_length: 5000,
            body_crc: 0x0102_0304,
        }
    }

    fn sealed() -> (Vec<u8>, u32, Seal) {
        let mut head = vec![0; HEADER_SIZE];
        let op = OpRef {
            kind: Kind::Put,
            placed: false,
            key: b"k",
            value: b"ab",
        };
        op.encode(&mut head);
        let seal = Seal::new(&[9; 16], 2);
        let crc = header().seal(&mut head, seal);
        (head, crc, seal)
    }

    #[test]
    fn golden_bytes() {
        let (head, crc, _) = sealed();
        let mut expected = b"OtFr\x00\x01\x00\x00".to_vec();
        for long in [2u64, 4096, 3, 1, 1, 77, 500, 0, 5000] {
            expected.extend_from_slice(&long.to_be_bytes());
        }
        expected.extend_from_slice(b"\0\0\0\x0a\0\0\0\x01\x0a\x0b\x0c\x0d\x01\x02\x03\x04");
        assert_eq!(head[..CRC_AT], expected);
        assert_eq!(head[CRC_AT..HEADER_SIZE], crc.to_be_bytes());
        assert_eq!(&head[HEADER_SIZE..], b"\x01\0\x01\0\0\0\x02kab");
        assert_eq!(crc, 0xa25a_f984);
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let (mut head, crc, seal) = sealed();
        assert_eq!(header().verify(&head, seal), Some(crc));
        assert_eq!(FrameHeader::parse(&head), Some(header()));
        for bit in 0..head.len() * 8 {
            head[bit / 8] ^= 1 << (bit % 8);
            let seen = FrameHeader::parse(&head).and_then(|header| header.verify(&head, seal));
            assert_eq!(seen, None, "bit {bit}");
            head[bit / 8] ^= 1 << (bit % 8);
        }
        let other = Seal::new(&[8; 16], 2);
        assert_eq!(header().verify(&head, other), None);
        assert_eq!(header().verify(&head, Seal::new(&[9; 16], 3)), None);
    }

    #[test]
    fn lengths_are_bounded_before_they_are_believed() {
        let header = header();
        assert_eq!(header.length(4096), 8192);
        assert_eq!(header.body_position(), 4096 + 110);
        assert!(header.fits(2, 4096, 4096 + 8192, 4096));
        assert!(!header.fits(2, 4096, 8192, 4096));
        assert!(!header.fits(1, 4096, 1 << 20, 4096));
        assert!(!header.fits(2, 8192, 1 << 20, 4096));
        let huge = FrameHeader {
            body_length: u64::MAX,
            ..header
        };
        assert!(!huge.fits(2, 4096, u64::MAX, 4096));
    }

    #[test]
    fn points_follow_frames() {
        let point = Point::after(&header(), 5, 4096, 4096);
        assert_eq!((point.frame, point.generation), (3, 2));
        assert_eq!((point.position, point.rows_before), (12_288, 87));
        assert_eq!(point.body_before, 5500);
        let closing = FrameHeader {
            next_generation: 9,
            ..header()
        };
        let next = Point::after(&closing, 5, 4096, 4096);
        assert_eq!((next.generation, next.position), (9, 4096));
        assert_eq!(next.body_before, 0);
        let mut bytes = Vec::new();
        point.encode(&mut bytes);
        assert_eq!(bytes.len(), Point::SIZE);
        assert_eq!(Point::decode(&mut Fields(&bytes)), Some(point));
    }
}
