//! The operating system's folder: std files, rustix where std has nothing.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{ALIGNMENT_MIN, Access, Create, Disk, DiskFile, DiskSpace, OpenHow};

/// The largest block that a file system is believed to need for direct access, in bytes: some network file systems
/// report the transfer size that they like best, a megabyte or more, as their block.
#[cfg(target_os = "linux")]
const BLOCK_MAX: u64 = 64 * 1024;

/// A folder of the file system.
#[derive(Debug)]
pub struct RealDisk {
    folder: PathBuf,
    /// The folder itself, kept open to sync it.
    handle: File,
    alignment: usize,
    read_only: bool,
}

impl RealDisk {
    /// Opens an existing folder.
    ///
    /// # Errors
    /// Those of opening it and of asking for its file system's properties.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let handle = File::open(folder)?;
        let alignment = alignment(&handle)?;
        Ok(Self {
            folder: folder.to_path_buf(),
            handle,
            alignment,
            read_only: false,
        })
    }

    /// Opens an existing folder to be looked at: files are opened for reading, and nothing can be changed.
    ///
    /// # Errors
    /// Those of [`RealDisk::open`].
    pub fn open_read_only(folder: &Path) -> io::Result<Self> {
        let disk = Self::open(folder)?;
        Ok(Self {
            read_only: true,
            ..disk
        })
    }

    fn may_change(&self) -> io::Result<()> {
        match self.read_only {
            true => Err(io::ErrorKind::PermissionDenied.into()),
            false => Ok(()),
        }
    }
}

impl Disk for RealDisk {
    fn open(&self, name: &str, how: OpenHow) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(!self.read_only);
        if how.create == Create::CreateNew {
            self.may_change()?;
            options.create_new(true);
        }
        if how.access == Access::Direct {
            ask_for_direct_access(&mut options);
        }
        Ok(Arc::new(RealFile(options.open(self.folder.join(name))?)))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.may_change()?;
        std::fs::rename(self.folder.join(from), self.folder.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.may_change()?;
        std::fs::remove_file(self.folder.join(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn space(&self) -> io::Result<DiskSpace> {
        let vfs = rustix::fs::fstatvfs(&self.handle)?;
        Ok(DiskSpace {
            total: vfs.f_blocks.saturating_mul(vfs.f_frsize),
            available: vfs.f_bavail.saturating_mul(vfs.f_frsize),
        })
    }

    fn boot_id(&self) -> io::Result<String> {
        boot_id()
    }

    fn alignment(&self) -> usize {
        self.alignment
    }
}

/// A file of the file system.
#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn write_all_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        FileExt::write_all_at(&self.0, bytes, position)
    }

    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        FileExt::read_exact_at(&self.0, buffer, position)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        allocate(&self.0, len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

#[cfg(target_os = "linux")]
fn ask_for_direct_access(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.custom_flags(rustix::fs::OFlags::DIRECT.bits().cast_signed());
}

/// Elsewhere there is no such flag, and direct access is buffered access.
#[cfg(not(target_os = "linux"))]
fn ask_for_direct_access(_: &mut OpenOptions) {}

#[cfg(target_os = "linux")]
fn allocate(file: &File, len: u64) -> io::Result<()> {
    use rustix::io::Errno;
    if len == 0 {
        return Ok(());
    }
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, len) {
        Ok(()) => Ok(()),
        // Without it a full disk is found out by the write.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => grow(file, len),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(file: &File, len: u64) -> io::Result<()> {
    grow(file, len)
}

fn grow(file: &File, len: u64) -> io::Result<()> {
    if file.metadata()?.len() < len {
        file.set_len(len)?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn boot_id() -> io::Result<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(id.trim().into())
}

/// Where the boot has no name every start counts as a new boot: nothing unsynced is believed.
#[cfg(not(target_os = "linux"))]
fn boot_id() -> io::Result<String> {
    Ok(uuid::Uuid::new_v4().to_string())
}

#[cfg(target_os = "linux")]
fn alignment(folder: &File) -> io::Result<usize> {
    let block = rustix::fs::fstatvfs(folder)?.f_bsize;
    let fits = |size: &u64| size.is_power_of_two() && *size <= BLOCK_MAX;
    let known = [Some(block), physical_sector(folder)];
    let largest = known.into_iter().flatten().filter(fits).max();
    let largest = largest.and_then(|size| usize::try_from(size).ok());
    Ok(largest.unwrap_or(ALIGNMENT_MIN).max(ALIGNMENT_MIN))
}

#[cfg(not(target_os = "linux"))]
fn alignment(_: &File) -> io::Result<usize> {
    Ok(ALIGNMENT_MIN)
}

/// The physical sector of the disk under the folder, in bytes, where there is one disk and the kernel tells.
#[cfg(target_os = "linux")]
fn physical_sector(folder: &File) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    let device = folder.metadata().ok()?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    // A partition has no queue of its own: its parent, the disk, has.
    ["queue", "../queue"].into_iter().find_map(|queue| {
        let file = format!("/sys/dev/block/{major}:{minor}/{queue}/physical_block_size");
        std::fs::read_to_string(file).ok()?.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: OpenHow = OpenHow {
        create: Create::CreateNew,
        access: Access::Buffered,
    };
    const EXISTING: OpenHow = OpenHow {
        create: Create::Existing,
        access: Access::Buffered,
    };

    #[test]
    fn files_are_made_written_read_renamed_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(folder.path()).unwrap();
        let kind = |result: io::Result<Arc<dyn DiskFile>>| result.unwrap_err().kind();
        assert_eq!(kind(disk.open("a", EXISTING)), io::ErrorKind::NotFound);
        let file = disk.open("a", NEW).unwrap();
        assert_eq!(kind(disk.open("a", NEW)), io::ErrorKind::AlreadyExists);
        file.allocate(10_000).unwrap();
        assert_eq!(file.len().unwrap(), 10_000);
        file.write_all_at(b"hello", 9_998).unwrap();
        file.sync_data().unwrap();
        disk.rename("a", "b").unwrap();
        disk.sync_folder().unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        assert_eq!(disk.list().unwrap(), ["b"]);
        let mut read = [0; 6];
        file.read_exact_at(&mut read, 9_997).unwrap();
        assert_eq!(&read, b"\0hello");
        let past = file.read_exact_at(&mut read, 9_998).unwrap_err();
        assert_eq!(past.kind(), io::ErrorKind::UnexpectedEof);
        file.set_len(9_999).unwrap();
        disk.remove("b").unwrap();
        assert_eq!(file.len().unwrap(), 9_999);
        assert!(disk.list().unwrap().is_empty());
    }

    #[test]
    fn the_folder_tells_its_space_alignment_and_boot() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(folder.path()).unwrap();
        let space = disk.space().unwrap();
        assert!(space.total >= space.available && space.total > 0);
        assert!(disk.alignment().is_power_of_two() && disk.alignment() >= ALIGNMENT_MIN);
        assert!(!disk.boot_id().unwrap().is_empty());
        #[cfg(target_os = "linux")]
        assert_eq!(disk.boot_id().unwrap(), disk.boot_id().unwrap());
    }

    #[test]
    fn direct_access_writes_aligned_blocks_or_is_refused_as_invalid_input() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(folder.path()).unwrap();
        let direct = OpenHow {
            access: Access::Direct,
            ..NEW
        };
        let align = disk.alignment();
        let mut memory = vec![7; 2 * align];
        let start = memory.as_ptr().align_offset(align);
        let block = &mut memory[start..start + align];
        let written = disk
            .open("direct", direct)
            .and_then(|file| file.write_all_at(block, 0).map(|()| file));
        match written {
            Ok(file) => {
                block.fill(0);
                file.read_exact_at(block, 0).unwrap();
                assert!(block.iter().all(|byte| *byte == 7));
            }
            Err(refused) => assert_eq!(refused.kind(), io::ErrorKind::InvalidInput),
        }
    }
}
