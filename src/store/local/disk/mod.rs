//! The file seam: one folder of files as the engine sees it. [`RealDisk`] is the operating system's; under test a
//! simulated disk takes its place, because killing a process leaves the page cache and so proves nothing about power cuts.
//!
//! What may be counted on after a power cut, and nothing else:
//!
//! - the bytes that a file had when [`DiskFile::sync_data`] returned, as far as they were not written since;
//! - the length that a file had when [`DiskFile::sync_data`] or [`DiskFile::sync_all`] returned;
//! - the names that the folder had when [`Disk::sync_folder`] returned: a synced file whose name was not is lost.
//!
//! After a failed sync nothing is known about what was written since the last good one, and a later sync that
//! succeeds says nothing about it either: Linux marks the pages clean and drops them.

mod real;

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

pub use real::RealDisk;

/// The smallest alignment that direct access is made with, in bytes: the page size, and the sector of most disks.
pub const ALIGNMENT_MIN: usize = 4096;

/// Whether [`Disk::open`] makes the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Create {
    /// The file must not exist yet ([`io::ErrorKind::AlreadyExists`]) and is made, empty.
    CreateNew,
    /// The file must exist ([`io::ErrorKind::NotFound`]).
    Existing,
}

/// Whether the operating system's page cache lies between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Past the page cache: memory, position and length of every read and write are multiples of
    /// [`Disk::alignment`]. A file system may refuse it with [`io::ErrorKind::InvalidInput`], at open or only at the
    /// first write; the file then has to be opened again as [`Access::Buffered`]. Not a sync: see [`DiskFile::sync_data`].
    Direct,
    /// Through the page cache, at any position and length.
    Buffered,
}

/// How a file is opened: always for reading and writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenHow {
    pub create: Create,
    pub access: Access,
}

/// Room on the file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// What the file system holds in all.
    pub total: u64,
    /// What this process may still use.
    pub available: u64,
}

/// One folder of files. Names are plain file names without separators.
pub trait Disk: Send + Sync + Debug {
    /// Opens a file. The name of a new one survives a power cut only after [`Disk::sync_folder`].
    fn open(&self, name: &str, how: OpenHow) -> io::Result<Arc<dyn DiskFile>>;

    /// The names of all files in the folder, in no order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Gives a file another name, in place of the file that has it, if any. Atomic, durable after [`Disk::sync_folder`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Takes a file's name away. Whoever has it open keeps it; its space is free when the last one has closed it.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names in the folder durable.
    fn sync_folder(&self) -> io::Result<()>;

    /// How much room there is.
    fn space(&self) -> io::Result<DiskSpace>;

    /// Names the boot of the machine: when it is the same, nothing that was written has been lost, synced or not.
    fn boot_id(&self) -> io::Result<String>;

    /// What direct access must be aligned to, in bytes: a power of two, at least [`ALIGNMENT_MIN`], the file
    /// system's block and the disk's physical sector, so that no write ever shares a sector with another.
    fn alignment(&self) -> usize;
}

/// An open file. Every operation may be called from any thread.
#[expect(
    clippy::len_without_is_empty,
    reason = "asking for the length may fail, and nobody asks for emptiness"
)]
pub trait DiskFile: Send + Sync + Debug {
    /// Writes all of `bytes` at `position`, and makes the file longer where it must. Not durable by itself, and not
    /// atomic: after a failure or a power cut any part of it may be there.
    fn write_all_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;

    /// Fills `buffer` from `position`; [`io::ErrorKind::UnexpectedEof`] when the file ends before.
    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()>;

    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Sets room aside for `len` bytes from the start, so that a full disk is found out now
    /// ([`io::ErrorKind::StorageFull`]), and makes a shorter file that long; new bytes read as zeros.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Cuts the file off or fills it up with zeros to `len` bytes.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes the file's bytes durable, and as much else as is needed to read them back (its length), past the cache
    /// of the drive. Not its name.
    fn sync_data(&self) -> io::Result<()>;

    /// [`DiskFile::sync_data`], and the rest of what the file system knows of the file. Not its name.
    fn sync_all(&self) -> io::Result<()>;
}
