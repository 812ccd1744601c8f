//! Reads the frames of a segment: headers and row sections, hopping over bodies.

use std::io;
use std::sync::Arc;

use super::aligned::{AlignedBuffer, round_down, round_up};
use super::codec::{Seal, to_u64, to_usize};
use super::frame::{FrameHeader, HEADER_SIZE};
use super::mutant::Mutant;
use super::segment::Segment;

/// Bytes read at once after a hop.
const WINDOW_MIN: usize = 16 * 1024;

/// Bytes read at once while frames follow each other closely.
const WINDOW_MAX: usize = 1024 * 1024;

/// A frame without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) header: FrameHeader,
    /// CRC of header and row section.
    pub(super) crc: u32,
}

/// Reads one segment.
#[derive(Debug)]
pub(super) struct FrameReader {
    pub(super) segment: Arc<Segment>,
    /// Bytes that can be read of the file.
    limit: u64,
    window: AlignedBuffer,
    window_at: u64,
    window_length: usize,
    /// What to read next time.
    window_next: usize,
}

impl FrameReader {
    pub(super) fn new(segment: Arc<Segment>) -> io::Result<Self> {
        let alignment = to_usize(segment.alignment()).max(segment.file.alignment());
        let limit = segment.header.size.min(segment.file.length()?);
        Ok(Self {
            segment,
            limit: round_down(limit, to_u64(alignment)),
            window: AlignedBuffer::new(WINDOW_MIN, alignment),
            window_at: 0,
            window_length: 0,
            window_next: WINDOW_MIN,
        })
    }

    /// Bytes of the file that can be read.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// `length` bytes from `position`, which lie in the file.
    fn fetch(&mut self, position: u64, length: usize) -> io::Result<&[u8]> {
        let end = position.saturating_add(to_u64(length));
        debug_assert!(end <= self.limit, "the caller has checked the bounds");
        let window_end = self.window_at + to_u64(self.window_length);
        if position < self.window_at || end > window_end {
            let alignment = to_u64(self.segment.file.alignment()).max(self.segment.alignment());
            let start = round_down(position, alignment);
            let near = position <= window_end && position >= self.window_at;
            self.window_next = match near && self.window_length > 0 {
                true => (self.window_next * 2).min(WINDOW_MAX),
                false => WINDOW_MIN,
            };
            let wanted = round_up(end - start, alignment).max(to_u64(self.window_next));
            let wanted = to_usize(wanted.min(self.limit - start));
            self.window_length = 0;
            self.window.grow(wanted);
            self.segment
                .file
                .read(self.window.bytes_mut(wanted), start)?;
            self.window_at = start;
            self.window_length = wanted;
        }
        let from = to_usize(position - self.window_at);
        Ok(&self.window.bytes(self.window_length)[from..from + length])
    }

    /// The header at `position`, its lengths bounded, its CRC not checked.
    pub(super) fn glimpse(&mut self, position: u64) -> io::Result<Option<FrameHeader>> {
        if position.saturating_add(to_u64(HEADER_SIZE)) > self.limit {
            return Ok(None);
        }
        let (generation, alignment) = (self.segment.generation(), self.segment.alignment());
        let limit = self.limit;
        let header = FrameHeader::parse(self.fetch(position, HEADER_SIZE)?);
        Ok(header.filter(|header| header.fits(generation, position, limit, alignment)))
    }

    /// The frame at `position`, when it is a valid one of this generation.
    pub(super) fn head(&mut self, position: u64) -> io::Result<Option<Head>> {
        let Some(header) = self.glimpse(position)? else {
            return Ok(None);
        };
        let seal = self.segment.seal;
        let bytes = self.fetch(position, header.head_size())?;
        let crc = header.verify(bytes, seal);
        Ok(crc.map(|crc| Head { header, crc }))
    }

    /// The row section of a frame that [`FrameReader::head`] has found.
    pub(super) fn rows(&mut self, head: &Head) -> io::Result<&[u8]> {
        let position = head.header.position + to_u64(HEADER_SIZE);
        self.fetch(position, head.header.head_size() - HEADER_SIZE)
    }

    /// Whether the body of a frame is what was written.
    pub(super) fn body_is_sound(&mut self, header: &FrameHeader) -> io::Result<bool> {
        let end = header.body_position().saturating_add(header.body_length);
        let mut position = header.body_position();
        let mut crc = self.segment.seal;
        while position < end {
            let length = to_usize(end - position).min(WINDOW_MAX / 2);
            crc = Seal::of_crc(crc.crc(&[self.fetch(position, length)?]));
            position += to_u64(length);
        }
        Ok(crc.crc(&[]) == header.body_crc || Mutant::CrcCheck.is_left_out())
    }
}
