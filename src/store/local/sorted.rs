//! Files of sorted row operations: row snapshots, and the runs that one is merged from.
//!
//! ```text
//! header    magic 4 | format u16 | 0 u16 | folder 16 | point 44 | CRC-32C u32
//! block ... payload length u32 | rows u32 | CRC-32C u32 | payload: (version u64 | operation) for each row
//! end       16 u32 | ffff ffff | CRC-32C u32 | rows u64 | blocks u64
//! ```
//!
//! The CRC of a block begins with the header's, so that blocks of another file are none of this one.

use std::io;
use std::sync::Arc;

use super::codec::{Fields, Seal, crc, length_u32, to_u64, to_usize};
use super::disk::{Access, Create, Disk, DiskFile, OpenHow};
use super::frame::Point;
use super::marks::create_over;
use super::ops::{Folded, OpRef, Ops};

const MAGIC: [u8; 4] = *b"OtSn";
const FORMAT: u16 = 1;

/// Bytes of a header.
const HEADER_SIZE: usize = 28 + Point::SIZE;

/// Bytes of a block's prefix.
const PREFIX_SIZE: usize = 12;

/// Bytes of the end block, prefix included.
const END_SIZE: usize = PREFIX_SIZE + 16;

/// What stands for the number of rows in the end block.
const END: u32 = u32::MAX;

/// A block is written when its payload has reached this, in bytes; one row may make it longer.
const BLOCK_SIZE: usize = 64 * 1024;

/// The longest payload that is believed, in bytes: a block and the largest row.
const PAYLOAD_MAX: usize = BLOCK_SIZE + super::assemble::VALUE_SIZE_MAX + 4096;

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum SortedError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{place}: {reason}")]
    Damaged { place: String, reason: String },
}

/// Writes rows in order.
#[derive(Debug)]
pub(super) struct SortedWriter {
    file: Arc<dyn DiskFile>,
    position: u64,
    /// The block that is being filled, prefix included.
    block: Vec<u8>,
    block_rows: u32,
    rows: u64,
    blocks: u64,
    seal: Seal,
}

impl SortedWriter {
    /// Makes the file `name`, in place of one that is there.
    pub(super) fn create(
        disk: &Arc<dyn Disk>,
        name: &str,
        store_id: [u8; 16],
        point: &Point,
    ) -> io::Result<Self> {
        let file = create_over(disk, name, Access::Buffered)?;
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&FORMAT.to_be_bytes());
        header.extend_from_slice(&[0; 2]);
        header.extend_from_slice(&store_id);
        point.encode(&mut header);
        let crc = crc(&header);
        header.extend_from_slice(&crc.to_be_bytes());
        file.write_all_at(&header, 0)?;
        Ok(Self {
            file,
            position: to_u64(header.len()),
            block: vec![0; PREFIX_SIZE],
            block_rows: 0,
            rows: 0,
            blocks: 0,
            seal: Seal::of_crc(crc),
        })
    }

    /// Adds a row; keys must grow.
    pub(super) fn add(&mut self, key: &[u8], folded: &Folded) -> io::Result<()> {
        let op = OpRef {
            kind: folded.kind,
            placed: folded.placed,
            key,
            value: &folded.value,
        };
        self.block.extend_from_slice(&folded.version.to_be_bytes());
        op.encode(&mut self.block);
        self.block_rows += 1;
        self.rows += 1;
        match self.block.len() >= BLOCK_SIZE {
            true => self.write_block(self.block_rows),
            false => Ok(()),
        }
    }

    fn write_block(&mut self, rows: u32) -> io::Result<()> {
        let length = length_u32(self.block.len() - PREFIX_SIZE);
        self.block[..4].copy_from_slice(&length.to_be_bytes());
        self.block[4..8].copy_from_slice(&rows.to_be_bytes());
        let crc = block_crc(self.seal, &self.block);
        self.block[8..PREFIX_SIZE].copy_from_slice(&crc.to_be_bytes());
        self.file.write_all_at(&self.block, self.position)?;
        self.position += to_u64(self.block.len());
        self.blocks += 1;
        self.block.truncate(PREFIX_SIZE);
        self.block_rows = 0;
        Ok(())
    }

    /// Writes the end and syncs; the size of the file in bytes.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        if self.block_rows > 0 {
            self.write_block(self.block_rows)?;
        }
        let (rows, blocks) = (self.rows, self.blocks);
        self.block.extend_from_slice(&rows.to_be_bytes());
        self.block.extend_from_slice(&blocks.to_be_bytes());
        self.write_block(END)?;
        self.file.sync_all()?;
        Ok(self.position)
    }
}

/// The CRC of a block with its prefix, which the CRC's own place takes no part in.
fn block_crc(seal: Seal, block: &[u8]) -> u32 {
    seal.crc(&[&block[..8], &block[PREFIX_SIZE..]])
}

/// Reads rows in order.
#[derive(Debug)]
pub(super) struct SortedReader {
    file: Arc<dyn DiskFile>,
    name: String,
    length: u64,
    position: u64,
    payload: Vec<u8>,
    at: usize,
    rows: u64,
    blocks: u64,
    ended: bool,
    seal: Seal,
}

impl SortedReader {
    /// Opens a file; checks its header and that its end is there.
    pub(super) fn open(
        disk: &Arc<dyn Disk>,
        name: &str,
        store_id: [u8; 16],
    ) -> Result<(Self, Point), SortedError> {
        let how = OpenHow {
            create: Create::Existing,
            access: Access::Buffered,
        };
        let file = disk.open(name, how)?;
        let length = file.len()?;
        let mut reader = Self {
            file,
            name: name.to_owned(),
            length,
            position: to_u64(HEADER_SIZE),
            payload: Vec::new(),
            at: 0,
            rows: 0,
            blocks: 0,
            ended: false,
            seal: Seal::NONE,
        };
        if length < to_u64(HEADER_SIZE + END_SIZE) {
            return Err(reader.damaged("it is too short"));
        }
        let mut header = [0; HEADER_SIZE];
        reader.file.read_exact_at(&mut header, 0)?;
        let (found, point, crc) = decode_header(&header)
            .ok_or_else(|| reader.damaged("the header is not what was written"))?;
        if found != store_id {
            return Err(reader.damaged("it belongs to another folder"));
        }
        reader.seal = Seal::of_crc(crc);
        let mut end = [0; END_SIZE];
        reader
            .file
            .read_exact_at(&mut end, length - to_u64(END_SIZE))?;
        let mut fields = Fields(&end);
        let sound = fields.u32() == Some(16) && fields.u32() == Some(END);
        if !sound || fields.u32() != Some(block_crc(reader.seal, &end)) {
            return Err(reader.damaged("the end is not what was written"));
        }
        Ok((reader, point))
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Where the next block begins.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    fn damaged(&self, reason: &str) -> SortedError {
        SortedError::Damaged {
            place: format!("{}, byte {}", self.name, self.position),
            reason: reason.to_owned(),
        }
    }

    /// The next row: its key and what is known of it.
    pub(super) fn next(&mut self) -> Result<Option<(Vec<u8>, Folded)>, SortedError> {
        while self.at == self.payload.len() {
            if self.ended {
                return Ok(None);
            }
            self.read_block()?;
        }
        let mut fields = Fields(&self.payload[self.at..]);
        let row = fields.u64().and_then(|version| {
            let op = Ops::new(fields.0).next()?;
            let size = 8 + op.encoded_size();
            Some((op.key.to_vec(), Folded::new(&op, version), size))
        });
        let Some((key, folded, size)) = row else {
            return Err(self.damaged("a row is not what was written"));
        };
        self.at += size;
        self.rows += 1;
        Ok(Some((key, folded)))
    }

    fn read_block(&mut self) -> Result<(), SortedError> {
        let mut prefix = [0; PREFIX_SIZE];
        self.file.read_exact_at(&mut prefix, self.position)?;
        let mut fields = Fields(&prefix);
        let length = to_usize(u64::from(fields.u32().unwrap_or(u32::MAX)));
        let rows = fields.u32().unwrap_or(END);
        let stored = fields.u32();
        let end = self.position + to_u64(PREFIX_SIZE) + to_u64(length);
        if length > PAYLOAD_MAX || end > self.length {
            return Err(self.damaged("a block is too long"));
        }
        self.payload.resize(length, 0);
        let payload_at = self.position + to_u64(PREFIX_SIZE);
        self.file.read_exact_at(&mut self.payload, payload_at)?;
        if stored != Some(self.seal.crc(&[&prefix[..8], &self.payload])) {
            return Err(self.damaged("a block is not what was written"));
        }
        if rows == END {
            let mut fields = Fields(&self.payload);
            let sound = fields.u64() == Some(self.rows) && fields.u64() == Some(self.blocks);
            if !sound || end != self.length {
                return Err(self.damaged("blocks are missing"));
            }
            self.payload.clear();
            self.ended = true;
        }
        self.at = 0;
        self.blocks += 1;
        self.position = end;
        Ok(())
    }
}

fn decode_header(header: &[u8; HEADER_SIZE]) -> Option<([u8; 16], Point, u32)> {
    let mut fields = Fields(header);
    let known = fields.array()? == MAGIC && fields.u16()? == FORMAT && fields.u16()? == 0;
    let store_id = fields.array()?;
    let point = Point::decode(&mut fields)?;
    let stored = fields.u32()?;
    let sound = known && crc(&header[..HEADER_SIZE - 4]) == stored;
    sound.then_some((store_id, point, stored))
}

#[cfg(test)]
mod tests {
    use super::super::disk::RealDisk;
    use super::super::ops::Kind;
    use super::*;

    fn folded(version: u64) -> Folded {
        Folded {
            kind: Kind::Put,
            placed: version.is_multiple_of(2),
            version,
            value: vec![7; usize::try_from(version % 300).unwrap()],
        }
    }

    fn key(number: u64) -> Vec<u8> {
        number.to_be_bytes().to_vec()
    }

    fn read_all(disk: &Arc<dyn Disk>) -> Result<u64, SortedError> {
        let (mut reader, point) = SortedReader::open(disk, "f", [3; 16])?;
        assert_eq!(point, Point::start(9));
        let mut rows = 0;
        while let Some((read, row)) = reader.next()? {
            assert_eq!((read, row), (key(rows), folded(rows)));
            rows += 1;
        }
        Ok(rows)
    }

    #[test]
    fn rows_are_read_back_and_no_damage_goes_unseen() {
        let folder = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path()).unwrap());
        for count in [0, 1, 2000] {
            let mut writer = SortedWriter::create(&disk, "f", [3; 16], &Point::start(9)).unwrap();
            for number in 0..count {
                writer.add(&key(number), &folded(number)).unwrap();
            }
            let size = writer.finish().unwrap();
            assert_eq!(read_all(&disk).unwrap(), count);
            let path = folder.path().join("f");
            let sound = std::fs::read(&path).unwrap();
            assert_eq!(sound.len() as u64, size);
            for at in (0..sound.len()).step_by(sound.len() / 50 + 1) {
                let mut damaged = sound.clone();
                damaged[at] ^= 4;
                std::fs::write(&path, &damaged).unwrap();
                let error = read_all(&disk).unwrap_err();
                assert!(matches!(error, SortedError::Damaged { .. }), "byte {at}");
                std::fs::write(&path, &sound[..at]).unwrap();
                assert!(read_all(&disk).is_err(), "cut at {at}");
            }
        }
        let other = SortedReader::open(&disk, "f", [4; 16]);
        assert!(other.is_err());
    }
}
