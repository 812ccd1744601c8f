//! A folder of the file system as a place for the engine: made, locked, opened.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::disk::{Disk, RealDisk};
use super::meta::META;
use super::options::OpenError;

/// The file whose lock says that the folder is in use.
const LOCK: &str = "lock";

/// The folder with sled's folders in it.
pub(super) const SLED: &str = "rows";

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
