//! A segment: one file of the journal, with a header and frames behind it. A segment is also a blob; its name is the
//! generation that stands in the header, never the file's name: a file is used again for a later generation.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Instant;

use super::aligned::{AlignedBuffer, round_up};
use super::codec::{Fields, Seal, crc, to_u64};
use super::disk::{Access, Create, Disk, DiskFile, OpenHow};
use super::locks::{read, write};
use crate::metrics::table;

/// Bytes of a segment header's fields; it takes up one block of the segment's alignment.
pub(super) const SEGMENT_HEADER_SIZE: usize = 72;

const MAGIC: [u8; 4] = *b"OtSg";
pub(super) const FORMAT: u16 = 1;

/// What begins and ends the name of a journal file; between them stands a number that is only there to be unique.
const NAME: (&str, &str) = ("journal-", ".seg");

/// The file name for a number.
pub(super) fn file_name(number: u64) -> String {
    format!("{}{number:016x}{}", NAME.0, NAME.1)
}

/// The number in a journal file's name; `None` for any other file.
pub(super) fn file_number(name: &str) -> Option<u64> {
    let middle = name.strip_prefix(NAME.0)?.strip_suffix(NAME.1)?;
    u64::from_str_radix(middle, 16).ok()
}

/// What stands at the front of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// The folder that it belongs to.
    pub(super) store_id: [u8; 16],
    pub(super) generation: u64,
    /// Bytes of the file, this header included.
    pub(super) size: u64,
    /// Random; see [`Seal`].
    pub(super) salt: [u8; 16],
    /// What frames begin at multiples of, in bytes.
    pub(super) alignment: u32,
}

/// Why a header is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    /// Not this code's bytes, or torn.
    Invalid,
    /// A later layout.
    Newer(u16),
}

impl SegmentHeader {
    /// Where the first frame lies.
    pub(super) fn first_position(&self) -> u64 {
        u64::from(self.alignment)
    }

    /// The encoded header.
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER_SIZE] {
        let mut fields = Vec::with_capacity(SEGMENT_HEADER_SIZE);
        fields.extend_from_slice(&MAGIC);
        fields.extend_from_slice(&FORMAT.to_be_bytes());
        fields.extend_from_slice(&[0; 2]);
        fields.extend_from_slice(&self.store_id);
        fields.extend_from_slice(&self.generation.to_be_bytes());
        fields.extend_from_slice(&self.size.to_be_bytes());
        fields.extend_from_slice(&self.salt);
        fields.extend_from_slice(&self.alignment.to_be_bytes());
        fields.extend_from_slice(&[0; 4]);
        let crc = crc(&fields);
        fields.extend_from_slice(&crc.to_be_bytes());
        fields.extend_from_slice(&[0; 4]);
        let mut encoded = [0; SEGMENT_HEADER_SIZE];
        encoded.copy_from_slice(&fields);
        encoded
    }

    /// The inverse of [`SegmentHeader::encode`].
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BadHeader> {
        let decoded = Self::fields(bytes).ok_or(BadHeader::Invalid)?;
        let (format, header, stored) = decoded;
        if crc(&bytes[..SEGMENT_HEADER_SIZE - 8]) != stored {
            return Err(BadHeader::Invalid);
        }
        if format > FORMAT {
            return Err(BadHeader::Newer(format));
        }
        let sound = header.alignment.is_power_of_two()
            && header.generation > 0
            && header.size > u64::from(header.alignment);
        if sound {
            Ok(header)
        } else {
            Err(BadHeader::Invalid)
        }
    }

    fn fields(bytes: &[u8]) -> Option<(u16, Self, u32)> {
        let mut fields = Fields(bytes.get(..SEGMENT_HEADER_SIZE)?);
        if fields.array()? != MAGIC {
            return None;
        }
        let format = fields.u16()?;
        fields.u16()?;
        let header = Self {
            store_id: fields.array()?,
            generation: fields.u64()?,
            size: fields.u64()?,
            salt: fields.array()?,
            alignment: fields.u32()?,
        };
        fields.u32()?;
        Some((format, header, fields.u32()?))
    }
}

/// The journal's folder, and whether its file system has refused direct access.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) disk: Arc<dyn Disk>,
    buffered: AtomicBool,
}

impl Files {
    pub(super) fn new(disk: Arc<dyn Disk>) -> Arc<Self> {
        let buffered = AtomicBool::new(false);
        Arc::new(Self { disk, buffered })
    }

    /// Opens or makes a file: direct, or buffered where that is refused.
    pub(super) fn open(self: &Arc<Self>, name: &str, create: Create) -> io::Result<JournalFile> {
        let access = match self.buffered.load(Ordering::Relaxed) {
            true => Access::Buffered,
            false => Access::Direct,
        };
        let file = match self.disk.open(name, OpenHow { create, access }) {
            Err(error) if is_refusal(&error, access) => return self.open_refused(name, &error),
            other => other?,
        };
        Ok(JournalFile {
            files: Arc::clone(self),
            name: name.to_owned(),
            open: RwLock::new(Open { file, access }),
        })
    }

    /// Some file systems make the file before they refuse it, so it may be there or not.
    fn open_refused(self: &Arc<Self>, name: &str, error: &io::Error) -> io::Result<JournalFile> {
        self.refused(name, error);
        match self.open(name, Create::Existing) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.open(name, Create::CreateNew)
            }
            other => other,
        }
    }

    fn refused(&self, file: &str, error: &io::Error) {
        if !self.buffered.swap(true, Ordering::Relaxed) {
            tracing::info!(file, %error, "direct I/O refused: the journal goes through the page cache");
        }
    }
}

fn is_refusal(error: &io::Error, access: Access) -> bool {
    error.kind() == io::ErrorKind::InvalidInput && access == Access::Direct
}

/// An open journal file, with direct access where the file system grants it.
#[derive(Debug)]
pub(super) struct JournalFile {
    files: Arc<Files>,
    name: String,
    open: RwLock<Open>,
}

#[derive(Debug)]
struct Open {
    file: Arc<dyn DiskFile>,
    access: Access,
}

impl JournalFile {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What memory, position and length of a read or write are multiples of, in bytes.
    pub(super) fn alignment(&self) -> usize {
        self.files.disk.alignment()
    }

    fn file(&self) -> (Arc<dyn DiskFile>, Access) {
        let open = read(&self.open);
        (Arc::clone(&open.file), open.access)
    }

    /// Does something with the file, again through the page cache when direct access is refused only now.
    fn attempt(&self, mut act: impl FnMut(&dyn DiskFile) -> io::Result<()>) -> io::Result<()> {
        let (file, access) = self.file();
        match act(&*file) {
            Err(error) if is_refusal(&error, access) => {
                self.files.refused(&self.name, &error);
                let access = Access::Buffered;
                let create = Create::Existing;
                let file = self
                    .files
                    .disk
                    .open(&self.name, OpenHow { create, access })?;
                *write(&self.open) = Open {
                    file: Arc::clone(&file),
                    access,
                };
                act(&*file)
            }
            other => other,
        }
    }

    /// Writes `bytes`: aligned memory, position and length.
    pub(super) fn write(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let begun = Instant::now();
        let written = self.attempt(|file| file.write_all_at(bytes, position));
        table::JOURNAL_WRITE_DURATION.observe_since(begun);
        written
    }

    /// Fills `buffer`: aligned memory, position and length.
    pub(super) fn read(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        self.attempt(|file| file.read_exact_at(buffer, position))
    }

    pub(super) fn length(&self) -> io::Result<u64> {
        self.file().0.len()
    }

    pub(super) fn allocate(&self, size: u64) -> io::Result<()> {
        self.file().0.allocate(size)
    }

    pub(super) fn cut(&self, size: u64) -> io::Result<()> {
        self.file().0.set_len(size)
    }

    pub(super) fn sync_data(&self) -> io::Result<()> {
        let begun = Instant::now();
        let synced = self.file().0.sync_data();
        table::JOURNAL_SYNC_DURATION.observe_since(begun);
        synced
    }

    pub(super) fn sync_all(&self) -> io::Result<()> {
        self.file().0.sync_all()
    }
}

/// A journal file with its header. Whoever holds an `Arc` of it pins the generation: the file is not used again
/// before the last pin is gone.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: JournalFile,
    pub(super) header: SegmentHeader,
    pub(super) seal: Seal,
    /// Where the last frame that may be read ends, in bytes.
    end: AtomicU64,
}

impl Segment {
    /// A segment whose header is on disk.
    pub(super) fn new(file: JournalFile, header: SegmentHeader) -> Self {
        let seal = Seal::new(&header.salt, header.generation);
        let end = AtomicU64::new(header.first_position());
        Self {
            file,
            header,
            seal,
            end,
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.header.generation
    }

    pub(super) fn alignment(&self) -> u64 {
        u64::from(self.header.alignment)
    }

    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(super) fn set_end(&self, end: u64) {
        self.end.store(end, Ordering::Release);
    }

    /// How a message names a place in it.
    pub(super) fn place(&self, position: u64) -> String {
        let generation = self.generation();
        format!(
            "{} (generation {generation}), byte {position}",
            self.file.name()
        )
    }
}

/// Writes a header to the front of a file, not yet synced.
pub(super) fn write_header(file: &JournalFile, header: &SegmentHeader) -> io::Result<()> {
    let block = usize::try_from(header.alignment).unwrap_or(usize::MAX);
    let mut buffer = AlignedBuffer::new(block, block);
    let bytes = buffer.bytes_mut(block);
    bytes.fill(0);
    bytes[..SEGMENT_HEADER_SIZE].copy_from_slice(&header.encode());
    file.write(buffer.bytes(block), 0)
}

/// Reads the header of a file.
///
/// # Errors
/// Those of the disk; a file too short to have a header has an invalid one.
pub(super) fn read_header(
    file: &JournalFile,
    alignment: usize,
) -> io::Result<Result<SegmentHeader, BadHeader>> {
    let length = round_up(to_u64(SEGMENT_HEADER_SIZE), to_u64(alignment));
    if file.length()? < length {
        return Ok(Err(BadHeader::Invalid));
    }
    let mut buffer = AlignedBuffer::new(alignment, alignment);
    file.read(buffer.bytes_mut(alignment), 0)?;
    Ok(SegmentHeader::decode(buffer.bytes(alignment)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            store_id: [1; 16],
            generation: 7,
            size: 1 << 20,
            salt: [2; 16],
            alignment: 4096,
        }
    }

    #[test]
    fn golden_bytes() {
        let mut expected = b"OtSg\x00\x01\x00\x00".to_vec();
        expected.extend_from_slice(&[1; 16]);
        expected.extend_from_slice(b"\0\0\0\0\0\0\0\x07\0\0\0\0\0\x10\0\0");
        expected.extend_from_slice(&[2; 16]);
        expected.extend_from_slice(b"\0\0\x10\0\0\0\0\0");
        let encoded = header().encode();
        assert_eq!(encoded[..64], expected);
        assert_eq!(encoded[64..], b"\xb9\x27\x54\x55\0\0\0\0"[..]);
        assert_eq!(SegmentHeader::decode(&encoded), Ok(header()));
    }

    #[test]
    fn damaged_and_newer_headers_are_told_apart() {
        let mut encoded = header().encode();
        for bit in 0..(SEGMENT_HEADER_SIZE - 4) * 8 {
            encoded[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&encoded), Err(BadHeader::Invalid));
            encoded[bit / 8] ^= 1 << (bit % 8);
        }
        encoded[5] = 2;
        let newer = crc(&encoded[..64]);
        encoded[64..68].copy_from_slice(&newer.to_be_bytes());
        assert_eq!(SegmentHeader::decode(&encoded), Err(BadHeader::Newer(2)));
        assert_eq!(SegmentHeader::decode(&[]), Err(BadHeader::Invalid));
    }

    #[test]
    fn names_hold_numbers() {
        assert_eq!(file_name(255), "journal-00000000000000ff.seg");
        assert_eq!(file_number(&file_name(255)), Some(255));
        assert_eq!(file_number("journal-x.seg"), None);
        assert_eq!(file_number("snapshot-1"), None);
    }
}
