//! Small files that are replaced as a whole: what a start may believe.
//!
//! The **checkpoint mark** says what sled holds: clean, all frames before a point and nothing else; or dirty, which is
//! good enough after the death of a process and worth nothing after a power cut. The **run mark** says how far the
//! journal is known to be durable, and whether the engine stopped in good order there. Both vouch for frames.

use std::io;
use std::sync::Arc;

use super::codec::{Fields, crc, length_u32};
use super::disk::{Access, Create, Disk, DiskFile, OpenHow};
use super::frame::Point;

/// The file name of the checkpoint mark.
pub(super) const CHECKPOINT: &str = "checkpoint.mark";

/// The file name of the run mark.
pub(super) const RUN: &str = "run.mark";

/// What a file that is being written is called until it is whole.
pub(super) const UNFINISHED: &str = ".new";

/// The largest small file, in bytes.
const SMALL_FILE_MAX: u64 = 64 * 1024;

const FORMAT: u16 = 1;

/// What sled holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CheckpointMark {
    /// The number of the sled instance.
    pub(super) instance: u64,
    /// Everything before this point is in sled.
    pub(super) point: Point,
    /// Present while a checkpoint is under way.
    pub(super) dirty: Option<Dirty>,
}

/// A checkpoint that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dirty {
    /// The last frame whose rows it writes.
    pub(super) target: u64,
    /// The boot of the machine that it runs in.
    pub(super) boot_id: String,
}

impl CheckpointMark {
    const MAGIC: [u8; 4] = *b"OtCk";

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = self.instance.to_be_bytes().to_vec();
        self.point.encode(&mut body);
        let (target, boot_id) = match &self.dirty {
            None => (0, ""),
            Some(dirty) => (dirty.target, dirty.boot_id.as_str()),
        };
        body.push(u8::from(self.dirty.is_some()));
        body.extend_from_slice(&target.to_be_bytes());
        body.extend_from_slice(boot_id.as_bytes());
        envelope(Self::MAGIC, &body)
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(opened(Self::MAGIC, bytes)?);
        let instance = fields.u64()?;
        let point = Point::decode(&mut fields)?;
        let (is_dirty, target) = (fields.u8()? != 0, fields.u64()?);
        let boot_id = String::from_utf8(fields.0.to_vec()).ok()?;
        Some(Self {
            instance,
            point,
            dirty: is_dirty.then_some(Dirty { target, boot_id }),
        })
    }
}

/// How far the journal is known to be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RunMark {
    /// Every frame before it has been synced.
    pub(super) point: Point,
    /// Whether nothing was written after it.
    pub(super) stopped: bool,
}

impl RunMark {
    const MAGIC: [u8; 4] = *b"OtRn";

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = vec![u8::from(self.stopped)];
        self.point.encode(&mut body);
        envelope(Self::MAGIC, &body)
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(opened(Self::MAGIC, bytes)?);
        let stopped = fields.u8()? != 0;
        let point = Point::decode(&mut fields)?;
        Some(Self { point, stopped })
    }
}

/// `magic | format u16 | 0 u16 | body length u32 | body | CRC-32C of all before`.
fn envelope(magic: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    bytes.extend_from_slice(&FORMAT.to_be_bytes());
    bytes.extend_from_slice(&[0; 2]);
    bytes.extend_from_slice(&length_u32(body.len()).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(&crc(&bytes).to_be_bytes());
    bytes
}

/// The body of an envelope.
fn opened(magic: [u8; 4], bytes: &[u8]) -> Option<&[u8]> {
    let (content, stored) = bytes.split_last_chunk::<4>()?;
    let mut fields = Fields(content);
    let known = fields.array()? == magic && fields.u16()? == FORMAT && fields.u16()? == 0;
    let length = fields.u32()?;
    let sound = known
        && crc(content) == u32::from_be_bytes(*stored)
        && length_u32(fields.0.len()) == length;
    sound.then_some(fields.0)
}

/// Replaces a small file: written aside, synced, renamed, folder synced. Whoever reads it finds the old or the new.
pub(super) fn replace(disk: &Arc<dyn Disk>, name: &str, bytes: &[u8]) -> io::Result<()> {
    write_aside(disk, name, bytes)?;
    put_in_place(disk, name)
}

/// The first half of [`replace`]: the new file is durable, its name not yet.
pub(super) fn write_aside(disk: &Arc<dyn Disk>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let file = create_over(disk, &aside(name), Access::Buffered)?;
    file.write_all_at(bytes, 0)?;
    file.sync_all()
}

/// The second half of [`replace`].
pub(super) fn put_in_place(disk: &Arc<dyn Disk>, name: &str) -> io::Result<()> {
    disk.rename(&aside(name), name)?;
    disk.sync_folder()
}

fn aside(name: &str) -> String {
    format!("{name}{UNFINISHED}")
}

/// Makes a new file in place of one that was left behind, if any.
pub(super) fn create_over(
    disk: &Arc<dyn Disk>,
    name: &str,
    access: Access,
) -> io::Result<Arc<dyn DiskFile>> {
    let create = Create::CreateNew;
    match disk.open(name, OpenHow { create, access }) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            disk.remove(name)?;
            disk.open(name, OpenHow { create, access })
        }
        other => other,
    }
}

/// Reads a small file; `None` when there is none.
pub(super) fn read(disk: &Arc<dyn Disk>, name: &str) -> io::Result<Option<Vec<u8>>> {
    let how = OpenHow {
        create: Create::Existing,
        access: Access::Buffered,
    };
    let file = match disk.open(name, how) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let length = file.len()?.min(SMALL_FILE_MAX);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_survive_encoding_and_no_flipped_bit_goes_unseen() {
        let point = Point {
            frame: 5,
            crc: 6,
            generation: 7,
            position: 8,
            rows_before: 9,
            body_before: 10,
        };
        let clean = CheckpointMark {
            instance: 3,
            point,
            dirty: None,
        };
        let boot_id = "boot".to_owned();
        let dirty = CheckpointMark {
            dirty: Some(Dirty { target: 9, boot_id }),
            ..clean.clone()
        };
        for mark in [clean, dirty] {
            let mut bytes = mark.encode();
            assert_eq!(CheckpointMark::decode(&bytes), Some(mark));
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(CheckpointMark::decode(&bytes), None);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            assert_eq!(RunMark::decode(&bytes), None);
        }
        for stopped in [true, false] {
            let mark = RunMark { point, stopped };
            assert_eq!(RunMark::decode(&mark.encode()), Some(mark));
        }
    }

    #[test]
    fn golden_bytes() {
        let mark = RunMark {
            point: Point::start(4096),
            stopped: true,
        };
        let mut expected = b"OtRn\x00\x01\x00\x00\x00\x00\x00\x2d\x01".to_vec();
        for long in [0u64, 1, 4096, 0, 0] {
            expected.extend_from_slice(&long.to_be_bytes());
        }
        expected.extend_from_slice(&[0; 4]);
        let crc = crc(&expected);
        expected.extend_from_slice(&crc.to_be_bytes());
        assert_eq!(mark.encode(), expected);
        assert_eq!(crc, 0x982f_deec);
    }
}
