//! A folder of files in memory that never fails: what is wrong with it was wrong before.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use ottla::store::local::disk::{ALIGNMENT_MIN, Create, Disk, DiskFile, DiskSpace, OpenHow};

use crate::Image;

/// Bytes that the file system pretends to have.
const ROOM: u64 = 1 << 30;

/// The folder. Clones are the same folder.
#[derive(Clone, Debug)]
pub struct MemoryDisk(Arc<Mutex<BTreeMap<String, Arc<MemoryFile>>>>);

#[derive(Debug)]
struct MemoryFile(Mutex<Vec<u8>>);

impl MemoryDisk {
    /// A folder with these files.
    pub fn of(image: Image) -> Self {
        let file = |(name, content)| (name, Arc::new(MemoryFile(Mutex::new(content))));
        Self(Arc::new(Mutex::new(image.into_iter().map(file).collect())))
    }

    /// Its files as they are.
    pub fn image(&self) -> Image {
        let content =
            |(name, file): (&String, &Arc<MemoryFile>)| (name.clone(), file.bytes().clone());
        self.files().iter().map(content).collect()
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Arc<MemoryFile>>> {
        self.0.lock().expect("no operation panics")
    }
}

impl MemoryFile {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().expect("no operation panics")
    }
}

impl Disk for MemoryDisk {
    fn open(&self, name: &str, how: OpenHow) -> io::Result<Arc<dyn DiskFile>> {
        let mut files = self.files();
        match (files.get(name), how.create) {
            (Some(_), Create::CreateNew) => Err(io::ErrorKind::AlreadyExists.into()),
            (None, Create::Existing) => Err(io::ErrorKind::NotFound.into()),
            (Some(file), Create::Existing) => Ok(Arc::clone(file) as Arc<dyn DiskFile>),
            (None, Create::CreateNew) => {
                let file = Arc::new(MemoryFile(Mutex::default()));
                files.insert(name.to_owned(), Arc::clone(&file));
                Ok(file)
            }
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files().keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let removed = self.files().remove(name);
        removed.map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_folder(&self) -> io::Result<()> {
        Ok(())
    }

    fn space(&self) -> io::Result<DiskSpace> {
        Ok(DiskSpace {
            total: ROOM,
            available: ROOM,
        })
    }

    fn boot_id(&self) -> io::Result<String> {
        Ok("fuzz".to_owned())
    }

    fn alignment(&self) -> usize {
        ALIGNMENT_MIN
    }
}

impl DiskFile for MemoryFile {
    fn write_all_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let at = place(position)?;
        let mut content = self.bytes();
        let end = at + bytes.len();
        let len = content.len().max(end);
        content.resize(len, 0);
        content[at..end].copy_from_slice(bytes);
        Ok(())
    }

    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        let content = self.bytes();
        let at = usize::try_from(position).unwrap_or(usize::MAX);
        let wanted = content.get(at..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(wanted.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes().len() as u64)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let len = place(len)?;
        let mut content = self.bytes();
        let len = content.len().max(len);
        content.resize(len, 0);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.bytes().resize(place(len)?, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A position or length, where this disk has room for it.
fn place(position: u64) -> io::Result<usize> {
    match usize::try_from(position) {
        Ok(place) if position <= ROOM => Ok(place),
        _ => Err(io::ErrorKind::StorageFull.into()),
    }
}
