//! A folder of the file system as a place for the engine: made, locked, opened.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, RealDisk};
use super::meta::META;
use super::options::OpenError;

/// The file whose lock says that the folder is in use.
pub(super) const LOCK: &str = "lock";

/// The folder with sled's folders in it.
pub(super) const SLED: &str = "rows";

/// The folders on the way to this one, itself included, that have yet to be made.
pub(super) fn missing(path: &Path) -> Vec<PathBuf> {
    let missing = path.ancestors().take_while(|folder| {
        let is_named = !folder.as_os_str().is_empty();
        is_named && !folder.exists()
    });
    missing.map(Path::to_path_buf).collect()
}

/// Makes the names of new folders durable. Last of all: the file system has them on its disk by then, and a sync costs
/// no more than asking.
pub(super) fn sync_names(folders: &[PathBuf]) -> Result<(), OpenError> {
    for folder in folders {
        let parent = match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let synced = File::open(parent).and_then(|parent| parent.sync_all());
        synced.map_err(OpenError::io(&parent.display().to_string()))?;
    }
    Ok(())
}

/// [`take`], but only what is a data folder already.
pub(super) fn take_existing(path: &Path) -> Result<(Arc<dyn Disk>, File), OpenError> {
    if !path.join(META).is_file() {
        let place = path.display().to_string();
        return Err(OpenError::NoFolder { place });
    }
    take(path)
}

/// Makes the folder where there is none, and takes its lock: held as long as the file is open.
pub(super) fn take(path: &Path) -> Result<(Arc<dyn Disk>, File), OpenError> {
    let place = path.display().to_string();
    let failed = |source: io::Error| {
        let place = place.clone();
        match source.kind() {
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::AlreadyExists => OpenError::NotWritable { place, source },
            _ => OpenError::Io { place, source },
        }
    };
    std::fs::create_dir_all(path).map_err(failed)?;
    let mut options = File::options();
    let lock = options.create(true).truncate(false).write(true);
    let lock = lock.open(path.join(LOCK)).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { place }),
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    let disk = RealDisk::open(path).map_err(failed)?;
    Ok((Arc::new(disk), lock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_have_yet_to_be_made_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let (there, outer) = (folder.path(), folder.path().join("outer"));
        assert!(missing(there).is_empty());
        assert_eq!(missing(&outer.join("inner")), [outer.join("inner"), outer]);
        let relative = Path::new("no such folder here");
        assert_eq!(missing(relative), [relative]);
        sync_names(&[there.join("new"), relative.to_owned()]).unwrap();
    }
}
